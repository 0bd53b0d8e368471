"""The smoothed three-step iteration: its fixed points, its limits, and where it does not rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.solvers import Step, solve
from agents.solvers.first_order.iteration import logit_policy
from karma_envs.config import ConfigError
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import best_response, q_values


def model_of(game: str, **fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make(game, **fields).mean_field()
    assert model is not None
    return model


SMALL: dict[str, Any] = {"karma_max": 5, "karma_mean": 2, "discount": 0.9}
TYPES = ({"discount": 0.7}, {"discount": 0.9, "urgencies": (1, 2, 9)})


def test_the_published_fixed_point_of_the_auction() -> None:
    found = solve(model_of("auction"), "smoothed", rationality=4.0)
    published = [0.209, 0.2266, 0.2785, 0.1897, 0.0564, 0.0194, 0.0093, 0.0054, 0.0034, 0.0023]
    assert found.converged
    np.testing.assert_allclose(found.statistic, published, atol=1e-4)
    assert found.exploitability > 0.01  # no equilibrium, and no claim to be one


@pytest.mark.parametrize(
    "fields", [{"payment": "pbs", "discount": 0.9}, {"types": TYPES}], ids=["pbs", "types"]
)
def test_a_fixed_point_of_a_karma_game(fields: dict[str, Any]) -> None:
    """What agents face where all play the result makes the result the softmax of the best Q."""
    model = model_of("matching", karma_max=5, karma_mean=2, **fields)
    found = solve(model, "smoothed", rationality=1.0, tolerance=1e-9)
    assert found.converged
    problem = model.decision_problem(found.statistic)
    q = q_values(model, problem, best_response(model, problem)[1])
    np.testing.assert_allclose(logit_policy(model, q), found.policy.probabilities, atol=1e-7)


@pytest.mark.parametrize("factor", [400.0, 1e-3])
def test_the_unit_of_reward_changes_nothing(factor: float) -> None:
    one = solve(model_of("matching", **SMALL), "smoothed")
    other = solve(model_of("matching", **SMALL, urgencies=(factor, 5 * factor)), "smoothed")
    given = solve(
        model_of("matching", **SMALL, urgencies=(factor, 5 * factor)), "smoothed", rationality=1 / factor
    )
    assert one.converged
    for found in (other, given):  # by default 5 over the greatest reward, here 5
        np.testing.assert_allclose(found.policy.probabilities, one.policy.probabilities, atol=1e-7)
        assert found.efficiency == pytest.approx(factor * one.efficiency, rel=1e-7)


@pytest.mark.parametrize("rationality", [16.0, np.inf])
def test_it_says_where_it_does_not_rest(rationality: float) -> None:
    seen: list[Step] = []
    found = solve(
        model_of("auction"), "smoothed", rationality=rationality, iterations=150, observer=seen.append
    )
    assert not found.converged
    assert tuple(seen) == found.history
    assert found.history[-1].iteration == 149


@pytest.mark.parametrize("rationality", [0, -1.0, float("nan")])
def test_a_rationality_is_above_zero(rationality: float) -> None:
    with pytest.raises(ConfigError, match="rationality = "):
        solve(model_of("auction"), "smoothed", rationality=rationality)
