"""Solving a game without tables from the command line: a folder, its tables and its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.meeting_time import ArrivalPolicy, MeetingTimeGame
from training.cli import main
from training.common.errors import ResultsError
from training.common.tables import read_table
from training.solving.solution import Solution, SolveConfig, solve_to_folder

T_STAR = 2.0530992529


def test_the_command_makes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "solved"
    assert main(["solve", "meeting_time", "--folder", str(folder), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "equilibrium found by fixed_point" in told
    assert "start time 2.053099253" in told
    assert "fairness" not in told
    drawn = {file.stem for file in (folder / "figures").iterdir()}
    assert drawn == {"policy", "arrivals", "exploitability_history"}

    solution = Solution.open(folder)
    assert solution.numbers["statistic"] == {"start_time": pytest.approx(T_STAR, abs=1e-8)}
    assert solution.numbers["converged"]
    assert isinstance(solution.policy, ArrivalPolicy)
    assert solution.policy.start_time == pytest.approx(T_STAR, abs=1e-8)
    assert solution.mean_field.shape == (1, 0)
    [kind] = solution.types
    assert kind["reward"] == kind["payoff"] == solution.numbers["efficiency"]
    table = read_table(folder / "policy.csv")
    assert list(table[0]) == ["uncertainty", "intended_arrival"]
    intended = solution.policy.arrivals([row["uncertainty"] for row in table])
    assert intended == pytest.approx([row["intended_arrival"] for row in table], abs=1e-12)
    arrivals = read_table(folder / "arrivals.csv")
    time, share = (np.array([row[name] for row in arrivals]) for name in ("time", "share_arrived"))
    assert np.interp(0.9, share, time) == pytest.approx(T_STAR, abs=1e-3)  # where the quorum is there


def test_where_there_is_no_equilibrium_the_command_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "solved"
    arguments = ["--lateness-cost", "0.8", "--no-figures", "--quiet", "--folder", str(folder)]
    assert main(["solve", "meeting_time", *arguments]) == 3
    assert "(waiting_cost - lateness_cost) / (delay_cost + waiting_cost)" in " ".join(
        capsys.readouterr().out.split()
    )
    numbers = json.loads((folder / "equilibrium.json").read_text())
    assert not numbers["converged"]
    assert numbers["reason"]
    assert Solution.open(folder).policy.start_time == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "homotopy"}, "finite states and actions"),
        ({"search": 3}, "finite states and actions"),
        ({"rationality": 5.0}, "rationality = 5.0 is not allowed; allowed: none with fixed_point"),
        ({"method": "fixed_point", "options": {"power": 0.7}}, "power of method fixed_point"),
    ],
)
def test_what_needs_tables_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        solve_to_folder(SolveConfig(game="meeting_time", **options), tmp_path / "none")
    assert not (tmp_path / "none" / "equilibrium.json").exists()


def test_a_policy_of_another_game_is_refused(tmp_path: Path) -> None:
    solution, found = solve_to_folder(SolveConfig(game="meeting_time"), tmp_path / "solved")
    tiny = {"n_agents": 4, "karma_max": 2, "karma_mean": 1}
    other, _ = solve_to_folder(SolveConfig(game="matching", game_config=tiny), tmp_path / "other")
    (other.folder / "policy.npz").write_bytes((solution.folder / "policy.npz").read_bytes())
    with pytest.raises(ResultsError, match=r"policy of another run: it is ArrivalPolicy.*no table"):
        _ = other.policy
    game = MeetingTimeGame(n_agents=3)
    game.reset(np.random.default_rng(0))
    assert len(game.rollout(found.policy, 1)) == 1


def test_what_learns_from_play_leaves_its_iterations(tmp_path: Path) -> None:
    folder = tmp_path / "learned"
    options = json.dumps({"iterations": 3, "n_agents": 20, "population_steps": 2, "horizon": 5})
    arguments = ["--method", "spsa", "--options", options, "--quiet", "--folder", str(folder)]
    assert main(["solve", "malware", *arguments]) == 3
    rows = read_table(folder / "learning.csv")
    assert list(rows[0]) == ["samples", "payoff", "mean_health", "parameter_0"]
    assert [row["samples"] for row in rows] == [240, 480, 720]
    assert rows[0]["parameter_0"] == 0.9
    assert (folder / "figures" / "learning.png").stat().st_size > 1000
