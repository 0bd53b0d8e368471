"""``solve`` for few agents: certificates of the mean field's equilibrium, and the game of N itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agents
import karma_envs
from agents.evaluators import finite_exploitability
from karma_envs.config import ConfigError
from karma_envs.meaning import ANY, EXACT, LOWER_BOUND, STATIONARY, UPPER_BOUND, Meaning
from training.cli import main
from training.solving.config import SolveConfig
from training.solving.figures import FIGURES
from training.solving.solution import Solution, solve_to_folder

TINY = {"n_agents": 4, "karma_max": 3, "karma_mean": 1, "discount": 0.9}
FLAGS = ["--n-agents", "4", "--karma-max", "3", "--karma-mean", "1", "--discount", "0.9"]


def test_the_mean_fields_equilibrium_is_certified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "eq"
    assert main(["solve", "matching", *FLAGS, "--certify", "--no-figures", "--folder", str(folder)]) == 0
    game = karma_envs.make("matching", **TINY)
    expected = finite_exploitability(game, agents.solve(game).policy)
    solution = Solution.open(folder)
    assert solution.meaning == Meaning(None, EXACT, STATIONARY)
    kept = solution.certificate
    assert kept is not None
    assert kept["lower"] == pytest.approx(expected.lower)
    assert kept["upper"] == pytest.approx(expected.upper)
    assert 0 < kept["lower"] <= kept["upper"]
    assert kept["payoff"] == pytest.approx(expected.payoff)
    assert kept["lower_normalised"] == pytest.approx(expected.lower / abs(expected.payoff))
    assert kept["n_agents"] == 4
    assert Meaning(**kept["lower_meaning"]) == Meaning(4, LOWER_BOUND, ANY)
    assert Meaning(**kept["upper_meaning"]) == Meaning(4, UPPER_BOUND, ANY)
    said = " ".join(capsys.readouterr().out.split())
    assert "(mean field, exact; any stationary deviation of one agent)" in said
    assert "what one of 4 agents gains by leaving the policy" in said
    assert f"lower bound {kept['lower']:.6g} {kept['lower_normalised']:.2%} exact" in said
    assert f"upper bound {kept['upper']:.6g} {kept['upper_normalised']:.2%} exact" in said


def test_few_agents_are_solved_for(tmp_path: Path) -> None:
    solution, found = solve_to_folder(SolveConfig(game_config=TINY, finite=True), tmp_path / "eq")
    assert solution.meaning == found.meaning
    assert solution.meaning.n_agents == 4
    assert solution.certificate is not None
    assert solution.certificate["lower"] <= 1e-3 * abs(solution.numbers["payoff"])
    assert "access_fairness" not in solution.numbers  # which is the mean field's
    assert [row["reward"] for row in solution.types] == pytest.approx([found.efficiency])
    assert all(np.isfinite(list(row.values())).all() for row in solution.types)
    again = Solution.open(solution.folder)
    np.testing.assert_allclose(again.policy.probabilities, found.policy.probabilities, atol=1e-6)
    drawn = {name: draw for kind in FIGURES for name, draw in kind(again).items()}
    assert "4 agents" in drawn["exploitability_history"]().get_suptitle()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"certify": 1}, "certify = 1 is not allowed; allowed: True or False"),
        ({"finite": True, "search": 3}, "search = 3 is not allowed; allowed: 0 where few agents"),
        ({"finite": True, "method": "homotopy"}, "method = 'homotopy' is not allowed"),
        ({"method": "logit_path"}, "method = 'logit_path' is not allowed"),
        ({"finite": True, "options": {"guess": 1}}, "guess of method "),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SolveConfig(game_config=TINY, **changes)  # type: ignore[arg-type]


def test_a_solution_of_earlier_versions_says_the_mean_field(tmp_path: Path) -> None:
    solution, _ = solve_to_folder(SolveConfig(game_config=TINY), tmp_path / "eq")
    del solution.numbers["meaning"], solution.numbers["certificate"]
    assert solution.meaning == Meaning(None, EXACT, STATIONARY)
    assert solution.certificate is None
