"""A city's equilibrium and its learners, as the command's rooms tell of them, and what they refuse."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from agents.evaluators import exploitability_by_agent
from karma_envs.config import ConfigError
from karma_envs.games.grid_city.luck import luck
from karma_envs.registry import make
from training import TrainConfig, train
from training.benchmark.measure import gain_of_deviating
from training.common.tables import read_table
from training.runs.exploitability import run_exploitability
from training.runs.folder import Run
from training.solving.solution import Solution, SolveConfig, solve_to_folder
from training.theory.tools import TheoryConfig, theory_to_folder

CITY: dict[str, Any] = {
    "rows": 1,
    "columns": 2,
    "n_agents": 6,
    "karma_max": 3,
    "karma_mean": 1.5,
    "capacity": 1,
    "discount": 0.9,
}
LARGE: dict[str, Any] = {"rows": 2, "columns": 2, "n_agents": 100}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four epochs, looked at twice; not to be changed."""
    return train(_watched(), tmp_path_factory.mktemp("city") / "run")


def _watched() -> TrainConfig:
    return TrainConfig.from_dict(
        {
            "game": "grid_city",
            "game_config": CITY,
            "n_steps": 200,
            "epoch_length": 50,
            "monitor": "exact",
            "monitors": 2,
        }
    )


@pytest.fixture(scope="module")
def solution(tmp_path_factory: pytest.TempPathFactory) -> Solution:
    """An equilibrium within 5 %; not to be changed."""
    config = SolveConfig(game="grid_city", game_config=CITY, tolerance=0.05)
    return solve_to_folder(config, tmp_path_factory.mktemp("city") / "equilibrium")[0]


def test_learners_are_evaluated_exactly_without_an_equilibrium_to_compare_with(run: Run) -> None:
    (told,) = run_exploitability(run, "exact", keep=False)
    by_agent = exploitability_by_agent(run.game(), run.policies[0])
    assert told.greedy.value == pytest.approx(by_agent.absolute)
    assert told.meaning.model == "large-population model"
    assert told.to_equilibrium is None
    assert gain_of_deviating(run.game(), run.policies[0]).absolute == pytest.approx(by_agent.absolute)  # type: ignore[union-attr]


def test_who_looks_on_goes_on_where_the_last_look_ended(run: Run, tmp_path: Path) -> None:
    rows = read_table(run.folder / "monitor.csv")
    assert [row["step"] for row in rows] == [100, 200]
    assert np.isnan([row["equilibrium_gain"] for row in rows]).all()

    def break_off(replica: Any, rate: float) -> None:
        if replica.epoch == 3:
            raise ConnectionAbortedError

    config = _watched().replace(checkpoint_seconds=0)
    with pytest.raises(ConnectionAbortedError):
        train(config, tmp_path / "run", observer=break_off)
    resumed = train(config, tmp_path / "run", resume=True)
    assert filecmp.cmp(resumed.folder / "monitor.csv", run.folder / "monitor.csv", shallow=False)


def test_agents_who_share_a_row_are_evaluated_by_the_kinds_of_the_model() -> None:
    """Of two types with trips of their own: as agent by agent."""
    types = [{"share": 1, "discount": 0.8}, {"share": 1, "discount": 0.9}]
    game = make(
        "grid_city", **{name: value for name, value in CITY.items() if name != "discount"}, types=types
    )
    rows = game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True)
    policy = TabularPolicy(np.stack([rows, rows])).fitted_to(game)
    gain = gain_of_deviating(game, policy)
    assert gain is not None
    assert gain.absolute == pytest.approx(exploitability_by_agent(game, policy).absolute, rel=1e-4)


def test_an_equilibrium_tells_fairness_per_contest_and_the_price_of_anarchy(solution: Solution) -> None:
    model, numbers = solution.config.model(), solution.numbers
    expected = model.fairness(solution.policy.probabilities)  # type: ignore[attr-defined]
    assert numbers["access_fairness"] == pytest.approx(expected["access_fairness"])
    assert numbers["reward_fairness"] == pytest.approx(expected["reward_fairness"])
    assert solution.price_of_anarchy == model.price_of_anarchy(numbers["efficiency"])
    assert solution.price_of_anarchy is not None
    assert solution.price_of_anarchy >= 1.0
    has = model.agents(solution.policy.probabilities)  # type: ignore[attr-defined]
    access = [row["access"] for row in read_table(solution.folder / "kinds.csv")]
    np.testing.assert_allclose(access, has["accesses"] / has["contests"])


def test_bids_by_luck_are_all_bids(solution: Solution) -> None:
    """Weighted by how often they are made, and by how many agents have such luck: those of the population."""
    model: Any = solution.config.model()
    policy = np.asarray(solution.policy.probabilities)
    field = model.population_at_rest(policy)
    groups = luck(model.game.network, model.game.paths_of_agent, model.lanes(field.statistic)).groups
    rows = read_table(solution.folder / "bids_by_luck.csv")
    assert {row["luck"] for row in rows} == {name for name, agents in groups.items() if len(agents)}
    assert {row["urgency"] for row in rows} == {1.0, 5.0}
    told = np.array([[row["share"], row["share"] * np.nan_to_num(row["mean_bid"])] for row in rows])
    of_population = np.array([len(groups[row["luck"]]) for row in rows]) / model.n_agents @ told
    flow = model.masses @ (field.mean_field * (policy @ model.action_features["bid"])).sum(axis=1)
    active = model.masses @ field.mean_field[:, model.contests].sum(axis=1)
    np.testing.assert_allclose(of_population, [active, flow])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rationality": 5.0}, "none with prior_descent; of use with .*logit_dynamics"),
        ({"search": 2}, "0 here"),
        ({"sensitivity": "discount"}, "two solutions"),
    ],
)
def test_what_it_is_too_large_for_is_refused_before_it_is_solved(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        SolveConfig(game="grid_city", game_config=LARGE, **changes)


def test_theory_is_of_few_types(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="karma-envs solve"):
        theory_to_folder(TheoryConfig(game="grid_city", game_config=LARGE), tmp_path / "theory")
