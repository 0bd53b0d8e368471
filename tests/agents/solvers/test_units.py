"""The unit of reward, and patience without end: what is only a matter of scale changes no equilibrium."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.evaluators import monotonicity_violations
from agents.mean_field.units import greatest_reward
from agents.solvers import Step, solve
from agents.solvers.continuation.search import search
from agents.solvers.control.social_optimum import social_optimum
from karma_envs.mean_field import FiniteMeanFieldModel
from tests.agents.solvers.method_groups import ON_TABLES

SMALL: dict[str, Any] = {"karma_max": 5, "karma_mean": 2}
FACTORS = (1e4, 1e-3)


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **{**SMALL, **fields}).mean_field()
    assert model is not None
    return model


def in_unit(factor: float, **fields: Any) -> FiniteMeanFieldModel:
    return model_of(**{"urgencies": (factor, 5 * factor), "discount": 0.9, **fields})


def test_the_greatest_reward_of_a_karma_game_is_its_greatest_urgency() -> None:
    assert greatest_reward(model_of(urgencies=(1, 5))) == 5
    assert greatest_reward(model_of(types=[{"urgencies": (1, 9)}, {"urgencies": (2, 3)}])) == 9
    assert greatest_reward(model_of(urgencies=(0,))) == 1


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("method", ON_TABLES)
def test_the_unit_of_reward_changes_no_policy(method: str, factor: float) -> None:
    options: dict[str, Any] = {} if method == "homotopy" else {"iterations": 30}
    seen: list[Step] = []
    one = solve(in_unit(1), method, tolerance=1e-9, **options)
    other = solve(in_unit(factor), method, tolerance=1e-9, observer=seen.append, **options)
    assert other.converged == one.converged
    np.testing.assert_allclose(other.policy.probabilities, one.policy.probabilities, atol=1e-8)
    for name in ("efficiency", "efficiency_by_type", "payoff", "payoff_by_type", "value"):
        np.testing.assert_allclose(getattr(other, name), factor * getattr(one, name), rtol=1e-7)
    gains = [found.exploitability_by_type / found.payoff for found in (one, other)]
    np.testing.assert_allclose(gains[1], gains[0], rtol=1e-5, atol=1e-12)
    assert tuple(seen) == other.history
    assert [step.iteration for step in other.history] == [step.iteration for step in one.history]
    assert other.history[-1].efficiency == pytest.approx(factor * one.history[-1].efficiency, rel=1e-6)


@pytest.mark.parametrize("factor", FACTORS[:1])
@pytest.mark.parametrize("method", ["homotopy", "logit_dynamics"])
def test_a_rationality_that_is_given_is_per_unit_of_payoff(method: str, factor: float) -> None:
    options: dict[str, Any] = {} if method == "homotopy" else {"step_size": 0.2, "tolerance": 1e-6}
    one, other = (solve(in_unit(unit), method, rationality=4.0 / unit, **options) for unit in (1.0, factor))
    assert one.converged
    assert other.converged
    np.testing.assert_allclose(other.policy.probabilities, one.policy.probabilities, atol=1e-5)


@pytest.mark.parametrize("factor", FACTORS[:1])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("mirror_descent", {"step_size": 2.0}),
        ("policy_mirror_ascent", {"step_size": 1.0, "strength": 0.1}),
        ("policy_mirror_ascent", {"step_size": 0.1, "strength": 0.1, "regulariser": "l2"}),
        ("annealed_logit", {"first_rationality": 0.5, "last_rationality": 100.0}),
    ],
)
def test_steps_that_are_given_are_in_units_of_payoff(
    method: str, options: dict[str, Any], factor: float
) -> None:
    powers = {"strength": 1, "step_size": -1, "first_rationality": -1, "last_rationality": -1}
    scaled = {
        name: value * factor ** powers[name] if name in powers else value for name, value in options.items()
    }
    one = solve(in_unit(1), method, iterations=20, **options)
    other = solve(in_unit(factor), method, iterations=20, **scaled)
    np.testing.assert_allclose(other.policy.probabilities, one.policy.probabilities, atol=1e-9)


def test_searches_and_planners_are_in_the_games_rewards() -> None:
    one, other = (search(in_unit(factor), starts=0) for factor in (1.0, 400.0))
    assert len(one.found) == len(other.found) >= 1
    for mine, theirs in zip(one.found, other.found):
        assert theirs.efficiency == pytest.approx(400 * mine.efficiency, rel=1e-9)
        np.testing.assert_allclose(theirs.value, 400 * mine.value, rtol=1e-8)
    tiny = {"karma_max": 3, "karma_mean": 1}
    best, scaled = (social_optimum(in_unit(factor, **tiny), starts=1) for factor in (1.0, 400.0))
    assert scaled.stationary == best.stationary
    assert scaled.efficiency == pytest.approx(400 * best.efficiency, rel=1e-9)
    assert scaled.gap == pytest.approx(400 * best.gap, rel=1e-3)


def test_a_gain_that_is_no_rounding_is_told_in_the_games_unit() -> None:
    one, other = (
        monotonicity_violations(
            in_unit(factor, discount=0.5), 1.0 / factor, n_policies=12, n_updates=3, seed=1
        )
        for factor in (1, 1e-6)
    )
    assert one.fraction > 0
    assert (other.n_tested, other.fraction) == (one.n_tested, one.fraction)


@pytest.mark.parametrize(
    "fields",
    [
        {"discount": 0.0},
        {"discount": 0.9999},
        {"discount": 0.9999, "payment": "pbs"},
        {"discount": 0.99999, "karma_max": 20, "karma_mean": 10},
        {"types": [{"discount": 0.5}, {"discount": 0.9999}]},
        {"types": [{"discount": 0.0}, {"discount": 0.98}]},
    ],
    ids=["0", ".9999", ".9999 pbs", ".99999 default", ".5 and .9999", "0 and .98"],
)
def test_every_patience_is_solved_exactly(fields: dict[str, Any]) -> None:
    found = solve(model_of(**fields))
    assert found.converged
    assert found.exploitability_normalised <= 1e-10
    assert found.stationary_residual <= 1e-12
