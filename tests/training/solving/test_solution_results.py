"""What a solution says of types, fairness and convergence, and what is left of solvers that were stopped."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import karma_envs
from agents.solvers import Equilibrium
from training.cli import main
from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.tables import read_table
from training.solving.solution import Solution, SolveConfig, solve_to_folder
from training.theory.tools import TOOLS, Theory, TheoryConfig, theory_to_folder

SMALL = {"karma_max": 4, "karma_mean": 2}
FLAGS = ["--karma-max", "4", "--karma-mean", "2", "--no-figures", "--quiet"]
TYPES = [{"share": 1, "discount": 0.7}, {"share": 3, "discount": 0.9, "urgencies": (1, 2, 9)}]


@pytest.fixture(scope="module")
def two_types(tmp_path_factory: pytest.TempPathFactory) -> tuple[Solution, Equilibrium]:
    config = SolveConfig(game_config={**SMALL, "types": TYPES})
    return solve_to_folder(config, tmp_path_factory.mktemp("solved") / "eq")


def test_the_policy_is_a_tidy_table(two_types: tuple[Solution, Equilibrium]) -> None:
    solution, found = two_types
    rows = read_table(solution.folder / "policy.csv")
    assert list(rows[0]) == ["type", "urgency", "karma", "bid", "probability"]
    assert len(rows) == (2 + 3) * (1 + 2 + 3 + 4 + 5)
    assert {row["type"] for row in rows} == {0, 1}
    (one,) = (row for row in rows if (row["type"], row["urgency"], row["karma"], row["bid"]) == (1, 9, 4, 3))
    assert one["probability"] == found.policy.probabilities[1, 2 * 5 + 4, 3]
    sums: dict[Any, float] = {}
    for row in rows:
        state = row["type"], row["urgency"], row["karma"]
        sums[state] = sums.get(state, 0) + row["probability"]
    np.testing.assert_allclose(list(sums.values()), 1)


def test_what_types_get_adds_up(two_types: tuple[Solution, Equilibrium]) -> None:
    solution, found = two_types
    rows = solution.types
    shares = np.array([row["share"] for row in rows])
    assert [row["type"] for row in rows] == [0, 1]
    np.testing.assert_allclose(shares, [0.25, 0.75])
    assert shares @ [row["reward"] for row in rows] == pytest.approx(found.efficiency)
    assert shares @ [row["payoff"] for row in rows] == pytest.approx(found.payoff)
    assert shares @ [row["access"] for row in rows] == pytest.approx(0.5)  # one wins of two who meet
    # An agent drawn from the stationary distribution gets the same at every step.
    np.testing.assert_allclose(
        [row["payoff"] for row in rows], [row["reward"] / (1 - row["discount"]) for row in rows]
    )
    assert solution.numbers["payoff"] == found.payoff


def test_in_the_long_run_only_types_differ(two_types: tuple[Solution, Equilibrium]) -> None:
    solution, _ = two_types
    for name, of in (("reward_fairness", "reward"), ("access_fairness", "access")):
        first, second = (row[of] for row in solution.types)
        assert first != second
        assert solution.numbers[name] == pytest.approx(-abs(first - second) * np.sqrt(0.25 * 0.75))


def test_agents_who_are_never_urgent_are_better_off_for_good(tmp_path: Path) -> None:
    fields = {"urgencies": (1, 5), "urgency_transition": [[1, 0], [0, 1]], "discount": 0.9}
    solution, found = solve_to_folder(SolveConfig(game_config={**SMALL, **fields}), tmp_path / "eq")
    assert found.converged
    # Both win half of the time, and lose 1/2 and 5/2 a step.
    assert solution.numbers["reward_fairness"] == pytest.approx(-1.0, abs=2e-3)
    assert solution.numbers["access_fairness"] == pytest.approx(0.0, abs=2e-3)
    one, _ = solve_to_folder(SolveConfig(game_config={**SMALL, "discount": 0.9}), tmp_path / "one")
    assert one.numbers["reward_fairness"] == pytest.approx(0.0, abs=1e-9)


def test_a_population_that_is_not_at_rest_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--redistribution", "none", "--method", "logit_dynamics", "--options", "{iterations: 1}"]
    assert main(["solve", "matching", *FLAGS, *flags, "--folder", str(tmp_path / "eq")]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "no equilibrium was found" in said
    assert "the population is not at rest" in said
    numbers = Solution.open(tmp_path / "eq").numbers
    assert not numbers["converged"]
    assert numbers["stationary_residual"] > 1e-9
    assert numbers["reward_fairness"] is None


def test_none_is_what_the_help_calls_none(tmp_path: Path) -> None:
    flags = ["--tolerance", "none", "--rationality", "none", "--options", "none"]
    assert main(["solve", "matching", *FLAGS, *flags, "--folder", str(tmp_path / "eq")]) == 0
    assert Solution.open(tmp_path / "eq").config == SolveConfig(game_config=SMALL)


def test_a_solver_that_was_killed_begins_anew_in_its_folder(tmp_path: Path) -> None:
    config = SolveConfig(game_config=SMALL, rationality=2)
    folder = tmp_path / "eq"
    folder.mkdir()
    (folder / "config.yaml").write_text(to_yaml(config))  # what a kill leaves
    with pytest.raises(ResultsError, match="choose another folder") as refusal:
        solve_to_folder(config.replace(rationality=3), folder)
    assert "--resume" not in str(refusal.value)
    solve_to_folder(config, folder)
    assert Solution.open(folder).numbers["converged"]
    with pytest.raises(ResultsError, match="choose another folder") as refusal:
        solve_to_folder(config, folder)
    assert "--resume" not in str(refusal.value)


def test_other_tools_of_theory_are_kept_where_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> dict[str, Any]:
        raise ValueError("first = -9e-17 is not allowed")

    monkeypatch.setitem(TOOLS, "sublinearity", fail)
    flags = [*FLAGS, "--tools", "lipschitz,sublinearity,monotonicity", "--policies", "3"]
    assert main(["theory", "matching", *flags, "--folder", str(tmp_path / "theory")]) == 3
    numbers = Theory.open(tmp_path / "theory").numbers
    assert list(numbers) == ["lipschitz", "sublinearity", "monotonicity"]
    assert "constants" in numbers["lipschitz"]
    assert numbers["sublinearity"] == {"failed": "ValueError: first = -9e-17 is not allowed"}
    assert "tested" in numbers["monotonicity"]
    assert "failed: ValueError: first = -9e-17" in " ".join(capsys.readouterr().out.split())


def test_theory_that_is_interrupted_keeps_what_it_has(tmp_path: Path) -> None:
    def stop(tool: str) -> None:
        if tool != "lipschitz":
            raise KeyboardInterrupt

    config = TheoryConfig(game_config=SMALL, policies=3)
    theory = theory_to_folder(config, tmp_path / "theory", stop)
    assert theory.interrupted
    assert list(Theory.open(tmp_path / "theory").numbers) == ["lipschitz"]


def test_theory_says_of_populations_that_never_rest_that_it_is_not_about_them(tmp_path: Path) -> None:
    config = TheoryConfig(game_config={**SMALL, "redistribution": "none"}, policies=2, tools=("lasry-lions",))
    numbers = theory_to_folder(config, tmp_path / "theory").numbers["lasry-lions"]
    assert "do not come to rest" in numbers["because"]


def test_equilibria_show_themselves(
    two_types: tuple[Solution, Equilibrium], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = two_types
    assert len(repr(found)) < 300
    assert repr(found).startswith("TabularEquilibrium(method: homotopy, converged: yes, efficiency: -")
    assert found._repr_html_().startswith("<table>")
    assert found._repr_html_().count("<tr><td>") == 6
    if importlib.util.find_spec("pandas") is not None:
        frame = found.to_frame()
        assert list(frame.columns) == ["type", "state", "action", "probability", "mass", "value"]
        assert (frame.probability > 0).all()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'karma-envs\[frame\]'"):
        found.to_frame()


def test_progress_is_shown_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    model = karma_envs.make("matching", **SMALL).mean_field()
    assert model is not None
    seen: list[Any] = []
    quiet = agents.solve(model, rationality=2)
    shown = agents.solve(model, rationality=2, progress=True, observer=seen.append)
    np.testing.assert_array_equal(shown.policy.probabilities, quiet.policy.probabilities)
    assert tuple(seen) == shown.history
    assert str(seen[0]).startswith("step 1 · normalised exploitability ")
    assert capsys.readouterr().out == ""
