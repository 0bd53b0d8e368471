"""The large-population model of the city: against dense chains, other solvers, and numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from karma_envs.games.grid_city.mean_field import CityMeanField, CityProblem
from karma_envs.karma.urgency import AgentType
from karma_envs.mean_field import DecisionProblem
from karma_envs.mean_field.chains import stationary_distribution

SMALL: dict[str, Any] = {
    "rows": 1,
    "columns": 2,
    "n_agents": 6,
    "karma_max": 3,
    "karma_mean": 1.5,
    "capacity": 1,
}
CHAIN = [
    AgentType(2, 0.9, (1.0, 4.0, 5.0), ((0.5, 0.5, 0), (0.1, 0.2, 0.7), (0.3, 0.3, 0.4))),
    AgentType(1, 0.7),
]
CITIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "chain": {"types": CHAIN},
    "tax": {"redistribution": "tax(rate=0.3)"},
    "active": {"redistribution": "uniform_to_active"},
    "congestion": {"redistribution": "congestion_tax(rate=0.4, threshold=2)"},
    "by lane": {"redistribution": "by_resource"},
    "routes": {"rows": 2, "route_choice": "node", "dormant_probability": 0.3},
    "trips": {"rows": 2, "route_choice": "trip", "paths_per_agent": 1, "types": CHAIN},
    "dict": {"allocation": "dict"},
}


def city(name: str) -> CityMeanField:
    model = karma_envs.make("grid_city", **{**SMALL, **CITIES[name]}).mean_field()
    assert isinstance(model, CityMeanField)
    return model


def random_policy(model: CityMeanField, seed: int, least: float = 0.0) -> NDArray[np.float64]:
    shape = (model.n_types, model.n_states, model.n_actions)
    policy = (np.random.default_rng(seed).random(shape) + least) * model.legal_actions
    return np.asarray(policy / policy.sum(axis=2, keepdims=True))


def random_statistic(model: CityMeanField, seed: int) -> NDArray[np.float64]:
    """Of lanes with few and with many bids, and levels that are no whole numbers."""
    rng = np.random.default_rng(seed)
    z = rng.exponential(size=len(model.initial_statistic)) ** 2
    z[model.level_at :] = rng.uniform(0.1, 1.5, len(z) - model.level_at)
    return np.asarray(z)


def reached(model: CityMeanField) -> NDArray[np.bool_]:
    """``bool[G, X]``, where agents of a kind can be."""
    examples = np.unique(model.kind_of_agent, return_index=True)[1]
    return np.asarray(model.game.reachable()[examples])


def dense(model: CityMeanField, problem: CityProblem) -> DecisionProblem:
    """The same problem as tables, whose unreachable states lead outside the city."""
    table = problem.dense(anew=True)
    table[..., 0] += ~reached(model)[:, :, None] & model.legal_actions
    return DecisionProblem(problem.reward, table)


@pytest.mark.parametrize("name", CITIES)
def test_it_is_the_dense_problem(name: str) -> None:
    model = city(name)
    problem, policy = model.decision_problem(random_statistic(model, 1)), random_policy(model, 2)
    table, inside = dense(model, problem), reached(model)
    np.testing.assert_allclose(
        table.kernel.sum(axis=3), np.broadcast_to(model.legal_actions, table.reward.shape), atol=1e-14
    )
    field = problem.at_rest(policy)
    np.testing.assert_allclose(
        field, stationary_distribution(table.chain(policy), model.initial_mean_field), atol=1e-13
    )
    np.testing.assert_allclose(problem.pushed(field[..., None] * policy), field, atol=1e-15)
    value = problem.policy_value(model.discounts, policy)
    expected = table.policy_value(model.discounts, policy)
    np.testing.assert_allclose(value[inside], expected[inside], rtol=1e-12)
    best, optimum = problem.best_response(model.discounts, model.legal_actions)
    expected = table.best_response(model.discounts, model.legal_actions)[1]
    np.testing.assert_allclose(optimum[inside], expected[inside], rtol=1e-12)
    assert (best[inside].sum(axis=1) == 1).all()
    q = problem.q_values(model.discounts, value)
    follows = problem.reward + model.discounts[:, None, None] * problem.following(value)
    np.testing.assert_allclose(q, follows, atol=1e-12)
