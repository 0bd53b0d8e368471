"""Smoothed best responses of a city, against the same by a table of all transitions."""

from __future__ import annotations

import numpy as np
import pytest

import karma_envs
from karma_envs.mean_field import DecisionProblem
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.smoothed import smoothed_response
from karma_envs.numerics.sampling import softmax

_CITY = {"n_agents": 6, "rows": 1, "columns": 2, "karma_max": 4, "karma_mean": 2.0, "capacity": 1}


_each_city = pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n_agents": 3, "rows": 2, "route_choice": "node"},
        {"urgency_transition": ((0.7, 0.3), (0.2, 0.8))},
    ],
    ids=["paths", "routes", "urgency chain"],
)


@_each_city
def test_agrees_with_the_table(fields: dict[str, object]) -> None:
    model = karma_envs.make("grid_city", **(_CITY | fields)).mean_field()
    problem = model.decision_problem(model.initial_statistic)
    scores = np.random.default_rng(0).normal(size=problem.reward.shape)
    how = model.discounts, model.legal_actions, 7.0
    policy, value = problem.smoothed_response(*how, scores=scores)
    table = DecisionProblem(problem.reward, problem.dense(anew=True))
    expected, expected_value = smoothed_response(table, *how, scores=scores)
    can_be = value != 0
    assert can_be.any()
    assert value[can_be] == pytest.approx(expected_value[can_be], abs=1e-9)
    assert policy[can_be] == pytest.approx(expected[can_be], abs=1e-8)
    assert policy.sum(axis=2) == pytest.approx(1.0)


def test_a_guess_changes_nothing() -> None:
    model = karma_envs.make("grid_city", **_CITY).mean_field()
    problem = model.decision_problem(model.initial_statistic)
    policy, value = problem.smoothed_response(model.discounts, model.legal_actions, 7.0)
    guess = value + np.where(value != 0, 1.0, 0.0)
    again, _ = problem.smoothed_response(model.discounts, model.legal_actions, 7.0, guess)
    assert again == pytest.approx(policy, abs=1e-8)


@_each_city
def test_explorers_choose_by_what_their_own_policy_is_worth(fields: dict[str, object]) -> None:
    """pi = (1 - epsilon) softmax(beta Q) + epsilon uniform, with V and Q told anew by the table."""
    model = karma_envs.make("grid_city", **(_CITY | fields)).mean_field()
    problem = model.decision_problem(model.initial_statistic)
    policy, value = problem.exploring_response(model.discounts, rationality=2.0, exploration=0.1)
    table = DecisionProblem(problem.reward, problem.dense(anew=True))
    can_be = value != 0
    expected = table.policy_value(model.discounts, policy)
    assert value[can_be] == pytest.approx(expected[can_be], rel=1e-6)
    q = table.reward + model.discounts[:, None, None] * table.following(expected)
    chosen = softmax(np.where(model.legal_actions, 2.0 * q, -np.inf))
    mixed = 0.9 * chosen + 0.1 * uniform_policy(model)
    assert policy[can_be] == pytest.approx(mixed[can_be], abs=1e-5)
