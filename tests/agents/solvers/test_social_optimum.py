"""The planner's policy: its derivative, and optima that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.solvers import solve
from agents.solvers.control.social_optimum import planner_q, social_optimum
from agents.solvers.equilibrium import assess
from agents.solvers.first_order.iteration import logit_policy
from karma_envs.games.matching.closed_forms import dict_efficiency
from karma_envs.karma.urgency import AgentType
from karma_envs.mean_field import FiniteMeanFieldModel


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"payment": "pbs"},
        {"payment": "pbp_capped"},
        {"redistribution": "tax"},
        {"types": ({"share": 1, "urgencies": (1, 5)}, {"share": 3, "urgencies": (2, 4, 9)})},
    ],
)
def test_the_planners_q_is_the_derivative_of_the_efficiency(fields: dict[str, Any]) -> None:
    model = model_of(karma_max=4, karma_mean=2, **fields)
    rng = np.random.default_rng(0)
    shape = (model.n_types, model.n_states, model.n_actions)
    policy = logit_policy(model, rng.normal(size=shape))
    here = assess(model, policy)
    q = planner_q(model, here)
    for _ in range(3):
        move = logit_policy(model, rng.normal(size=shape)) - policy
        width = 1e-4
        up, down = (assess(model, policy + sign * width * move).efficiency for sign in (1, -1))
        slope = float((here.mean_field[..., None] * q * move).sum())
        assert slope == pytest.approx((up - down) / (2 * width), abs=1e-5)


def test_the_planner_does_as_well_as_a_dictator_with_enough_karma() -> None:
    types = (AgentType(urgencies=(1, 5)),)
    optimum = social_optimum(model_of(types=types, karma_max=12, karma_mean=6), starts=1)
    assert optimum.efficiency == pytest.approx(dict_efficiency(types), abs=1e-3)
    assert optimum.efficiency <= dict_efficiency(types) + 1e-9
    assert optimum.stationary
    assert optimum.exploitability_normalised > 1e-3


def test_an_equilibrium_is_no_better_than_the_optimum_from_it() -> None:
    model = model_of(karma_max=4, karma_mean=2, discount=0.9)
    equilibrium = solve(model)
    optimum = social_optimum(model, start=equilibrium.policy.probabilities, starts=2)
    assert len(optimum.efficiency_by_start) == 3
    assert optimum.efficiency == max(optimum.efficiency_by_start)
    assert min(optimum.efficiency_by_start) > equilibrium.efficiency
    assert optimum.price_of_anarchy(equilibrium.efficiency) > 1
    again = assess(model, optimum.policy.probabilities, optimum.mean_field)
    assert again.efficiency == pytest.approx(optimum.efficiency, abs=1e-10)


def test_with_one_urgency_everything_is_optimal() -> None:
    optimum = social_optimum(model_of(urgencies=(3,), karma_max=4, karma_mean=2), starts=1)
    assert optimum.efficiency == pytest.approx(-1.5, abs=1e-12)
    assert optimum.gap < 1e-6
    assert optimum.price_of_anarchy(-1.5) == pytest.approx(1)


def test_a_planner_that_is_stopped_says_so() -> None:
    assert not social_optimum(model_of(karma_max=4, karma_mean=2), starts=1, iterations=1).stationary
