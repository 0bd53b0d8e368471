"""The large-population model of the city: against dense chains, other solvers, and numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import karma_envs
from karma_envs.games.grid_city.mean_field import CityMeanField, CityProblem
from karma_envs.karma.urgency import AgentType
from karma_envs.mean_field import DecisionProblem
from karma_envs.mean_field.chains import stationary_distribution
from karma_envs.mean_field.stationary import AT_REST

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
    "congestion": {"redistribution": "congestion_tax(rate=0.1, threshold=1)"},
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


def ends_of(model: CityMeanField, path: tuple[int, ...]) -> tuple[Any, Any]:
    """The nodes where a path begins and ends."""
    lanes = model.game.network.lanes
    return lanes[path[0]][0], lanes[path[-1]][1]


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
    totals = (field[..., None] * policy * problem.reward).sum(axis=(1, 2))
    np.testing.assert_allclose(problem.mean_reward(field, policy), totals, rtol=1e-12)


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(sorted(CITIES)), seed=st.integers(0, 10**6))
def test_a_population_at_rest_keeps_its_karma_and_its_agents(name: str, seed: int) -> None:
    """What enters a lane leaves it, as many trips begin as end, and mean karma is what it is to be."""
    model = city(name)
    policy = random_policy(model, seed)
    field = model.population_at_rest(policy)
    assert field.residual <= AT_REST
    np.testing.assert_allclose(field.mean_field.sum(axis=1), 1, rtol=1e-12)
    assert field.mean_field.min() >= 0
    level, karma = field.statistic[model.level_at], model.mean_karma(field.mean_field)
    assert karma == pytest.approx(1.5, abs=1e-8) or (karma < 1.5 and level == pytest.approx(3))
    assert np.abs(model.inconsistency(field.statistic, field.mean_field, policy)).max() <= 1e-8
    lanes = model.lanes(field.statistic)
    has = model.agents(policy)
    assert lanes.congestion.sum() == pytest.approx(model.n_agents * model.masses @ has["contests"], rel=1e-9)
    assert lanes.entries.sum() == pytest.approx(model.n_agents * model.masses @ has["accesses"], rel=1e-9)
    assert (lanes.entries <= model.game.network.capacity + 1e-12).all()
    # Of every node inside, as many agents leave as arrive.
    balance: dict[Any, float] = {}
    for (start, end), entries in zip(model.game.network.lanes, lanes.entries):
        balance[start] = balance.get(start, 0.0) - entries
        balance[end] = balance.get(end, 0.0) + entries
    outside = {node for path in model.game.network.paths for node in ends_of(model, path)}
    inner = balance.keys() - outside
    assert inner
    assert max(abs(balance[node]) for node in inner) <= 1e-9
    again = model.population_at_rest(policy, field.mean_field)
    np.testing.assert_allclose(again.mean_field, field.mean_field, atol=1e-8)
