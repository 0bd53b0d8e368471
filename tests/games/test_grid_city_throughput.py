"""How many agents get into a lane: against plain sums, Monte Carlo, and a city of one lane by hand."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import poisson as poisson_law

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.mean_field import FLUID, POISSON, QUEUEING, CityMeanField, Throughput
from karma_envs.games.grid_city.mean_field.queueing import mean_present, queue_curve, queue_throughput
from karma_envs.games.grid_city.mean_field.throughput import poisson_throughput
from karma_envs.games.grid_city.network import RoadNetwork, road_network
from karma_envs.karma.urgency import AgentType
from tests.games.test_grid_city_mean_field import SMALL, random_policy, random_statistic


@pytest.mark.parametrize("capacity", [1, 2, 9, 37, 300])
@pytest.mark.parametrize("mean", [1e-9, 0.3, 2.0, 9.0, 30.0, 290.0])
def test_throughput_is_the_plain_sum(capacity: int, mean: float) -> None:
    """E min(G, c) = c - sum over j < c of (c - j) Pr(G = j)."""
    counts = np.arange(capacity)
    expected = capacity - (capacity - counts) @ poisson_law.pmf(counts, mean)
    assert poisson_throughput(mean, capacity) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def chance(throughput: Throughput, above: float, own: float, capacity: int, everyone: float = 0.0) -> float:
    """P, where the least of all are of the group, if not said."""
    curve = throughput.curve(min(capacity, 1000))
    return throughput.chance(above, own, max(everyone, above + own), capacity, curve)


@pytest.mark.parametrize("throughput", [POISSON, QUEUEING])
@given(
    capacity=st.integers(1, 60),
    own=st.lists(st.sampled_from([0.0, 1e-7, 0.0099, 0.0101, 0.5, 3.0, 40.0]), max_size=6),
)
def test_flows_are_conserved(throughput: Throughput, capacity: int, own: list[float]) -> None:
    """What groups get adds up to what all together get, and higher priority never has less of a chance."""
    above, total, last = 0.0, 0.0, 1.0
    for group in own:
        now = chance(throughput, above, group, capacity, sum(own))
        assert -1e-12 <= now <= last + 1e-9
        total, above, last = total + group * now, above + group, now
    assert total == pytest.approx(poisson_throughput(above, capacity), abs=1e-7)


@pytest.mark.parametrize("above", [0.0, 3.0, 8.0, 30.0])
def test_a_small_group_has_the_slope(above: float) -> None:
    """T_c' = Pr(G < c), where a difference of T loses its digits."""
    assert chance(POISSON, above, 0.0, 9) == pytest.approx(poisson_law.cdf(8, above), rel=1e-12)
    for each, width in ((POISSON, 1e-2), (QUEUEING, 1e-5)):
        narrow, wide = (
            chance(each, above, share * width, 9, 2 * above + 1) for share in (0.999999, 1.000001)
        )
        assert narrow == pytest.approx(wide, rel=1e-7)


def test_minute_chances_keep_their_digits() -> None:
    """Beyond twenty times the capacity nobody gets in who is behind all others, but for 1e-60."""
    exact = sum((9 - j) * (poisson_law.pmf(j, 200.0) - poisson_law.pmf(j, 201.0)) for j in range(9))
    assert 0 < chance(POISSON, 200.0, 1.0, 9) == pytest.approx(exact, rel=1e-9)
    assert chance(POISSON, 3.0, 2.0, 10**8) == 1.0


def test_it_is_how_often_one_of_many_gets_in() -> None:
    """An agent with 3 above and 2 like it, of Poisson numbers, at a lane for 4: 4 standard errors, seed 0."""
    rng, n, capacity = np.random.default_rng(0), 100_000, 4
    left = np.maximum(capacity - rng.poisson(3.0, n), 0)
    alike = 1 + rng.poisson(2.0, n)
    wins = np.minimum(left / alike, 1.0)
    assert abs(wins.mean() - chance(POISSON, 3.0, 2.0, capacity)) < 4 * wins.std() / math.sqrt(n)


def test_a_fluid_fills_the_lane() -> None:
    assert [chance(FLUID, above, own, 4) for above, own in ((0, 3), (3, 2), (5, 2))] == [1.0, 0.5, 0.0]
    assert [chance(FLUID, 3.0, 0.0, 4), chance(FLUID, 4.0, 0.0, 4)] == [1.0, 0.0]


@pytest.mark.parametrize(("arrivals", "capacity"), [(0.3, 1), (0.9, 1), (1.5, 2), (8.0, 9), (33.0, 37)])
def test_a_queue_is_that_of_its_chain(arrivals: float, capacity: int) -> None:
    """The stationary mean of G' = max(G - c, 0) + A, Poisson A, by powers of its table of transitions."""
    n = 40 * capacity + 80
    counts = np.arange(n)
    table = poisson_law.pmf(counts[None, :] - np.maximum(counts - capacity, 0)[:, None], arrivals)
    table[:, -1] += 1 - table.sum(axis=1)
    for _ in range(14):
        table = table @ table
        table /= table.sum(axis=1, keepdims=True)
    mean = float(table[0] @ counts)
    assert mean_present(np.array([arrivals]), capacity)[0][0] == pytest.approx(mean, rel=1e-8)
    assert queue_throughput(queue_curve(capacity), mean) == pytest.approx(arrivals, rel=1e-7)


@pytest.mark.parametrize("capacity", [1, 2, 9, 150])
def test_a_queue_is_nearly_its_curve(capacity: int) -> None:
    """Between the nodes, and with the slope that differences of the mean have."""
    arrivals = capacity * (1 - np.geomspace(0.999, 1e-5, 97))
    mean, slope = mean_present(arrivals, capacity)
    read = [queue_throughput(queue_curve(capacity), each) for each in mean]
    np.testing.assert_allclose(read, arrivals, rtol=1e-6)
    width = 1e-6 * (capacity - arrivals)
    upper, lower = (mean_present(arrivals + sign * width, capacity)[0] for sign in (1, -1))
    np.testing.assert_allclose((upper - lower) / (2 * width), slope, rtol=1e-5)


@given(capacity=st.integers(1, 40), mean=st.floats(1e-3, 300.0))
def test_a_queue_swings_more_than_a_poisson_number(capacity: int, mean: float) -> None:
    # The curve is read between its nodes: that is up to 1e-7 too high where lanes are nearly empty.
    assert queue_throughput(queue_curve(capacity), mean) <= poisson_throughput(mean, capacity) + 2e-7


def test_who_has_priority_is_a_queue_if_nearly_all_have_less() -> None:
    """Of many who want a lane, few have priority: T is theirs; and Poisson's if they are all."""
    mean = 8.0
    few, all_of_them = (chance(QUEUEING, 0.0, mean, 9, everyone) * mean for everyone in (1e9, mean))
    assert few == pytest.approx(queue_throughput(queue_curve(9), mean), rel=1e-7)
    assert all_of_them == pytest.approx(poisson_throughput(mean, 9), rel=1e-12)


def one_lane(n_agents: int) -> RoadNetwork:
    """a → b and back, with room for 2 each."""
    graph = nx.DiGraph()
    graph.add_edge("a", "b", capacity=2)
    graph.add_edge("b", "a", capacity=2)
    return road_network(graph, n_agents=n_agents, capacity=2)


def test_one_lane_by_hand() -> None:
    """Under COIN a trip lasts 1 / P steps, of both lanes alike, and a dormant spell d / (1 - d)."""
    n_agents, dormant = 12, 0.25
    game = GridCityGame(
        network=one_lane, n_agents=n_agents, karma_mean=1.0, allocation="coin", dormant_probability=dormant,
        paths_per_agent=2, path_seed=3,
    )  # fmt: skip
    model = game.mean_field()
    assert model is not None
    policy = np.zeros((model.n_types, *model.legal_actions.shape))
    policy[..., 0] = 1.0
    field = model.population_at_rest(policy)
    chances = model.lanes(field.statistic).entries / model.lanes(field.statistic).congestion
    # Steps on each trip and outside per cycle, of every kind; agents at the lanes are shares of these.
    examples = np.unique(model.kind_of_agent, return_index=True)[1]
    steps = (1 - dormant) / 2 / chances[game.paths_of_agent[examples]]
    at_lane = steps / (steps.sum(axis=1, keepdims=True) + dormant)
    arrivals = np.zeros(2)
    np.add.at(arrivals, game.paths_of_agent[examples], n_agents * model.masses[:, None] * at_lane)
    np.testing.assert_allclose(model.lanes(field.statistic).congestion, arrivals, rtol=1e-9)
    expected = [poisson_throughput(each, 2) / each for each in arrivals]
    np.testing.assert_allclose(chances, expected, rtol=1e-9)
    lost = 3.0 * (at_lane * (1 - chances[game.paths_of_agent[examples]])).sum(axis=1)
    np.testing.assert_allclose(model.efficiency(policy), -lost, rtol=1e-9)


def test_one_way_by_hand() -> None:
    """If all drive the same lane, its queue is the root of one equation."""

    def only_ab(n_agents: int) -> RoadNetwork:
        graph = nx.DiGraph()
        graph.add_edge("a", "b", capacity=2)
        return road_network(graph, n_agents=n_agents, capacity=2)

    game = GridCityGame(
        network=only_ab, n_agents=12, karma_mean=1.0, allocation="coin", paths_per_agent=1,
        dormant_probability=0.25,
    )  # fmt: skip
    model = game.mean_field()
    assert model is not None
    assert model.n_types == 1  # all are alike

    def missing(queue: float) -> float:
        steps = 0.75 * queue / poisson_throughput(queue, 2)
        return 12 * steps / (steps + 0.25) - queue

    queue = brentq(missing, 0.1, 12, xtol=1e-13)
    policy = np.zeros((1, *model.legal_actions.shape))
    policy[..., 0] = 1.0
    lanes = model.lanes(model.statistic_of(policy))
    assert lanes.congestion[0] == pytest.approx(queue, rel=1e-9)
    assert lanes.mean_wait[0] == pytest.approx(queue / poisson_throughput(queue, 2) - 1, rel=1e-9)
    assert lanes.mean_bid[0] == 0


def test_kinds_are_types_with_trips() -> None:
    """The first agent is of kind 0; who has the same type and trips is of the same kind, others are not."""
    types = [AgentType(1, 0.9), AgentType(1, 0.8)]
    game = GridCityGame(**{**SMALL, "n_agents": 60, "types": types})
    kinds = game.kind_of_agent
    same = (game.paths_of_agent[:, None] == game.paths_of_agent).all(axis=2)
    same &= game.type_of_agent[:, None] == game.type_of_agent
    np.testing.assert_array_equal(kinds[:, None] == kinds, same)
    assert (np.unique(kinds, return_index=True)[1] == np.sort(np.unique(kinds, return_index=True)[1])).all()
    model, each = game.mean_field(), game.mean_field(by_agent=True)
    assert model is not None
    assert each is not None
    assert each.n_types == 60 > model.n_types
    policy = random_policy(model, 5)
    np.testing.assert_allclose(each.efficiency(policy[kinds]), model.efficiency(policy)[kinds], rtol=1e-6)


def test_one_route_is_a_fixed_path() -> None:
    fixed = GridCityGame(**SMALL).mean_field()
    routes = GridCityGame(**SMALL, route_choice="node", routes_per_trip=1).mean_field()
    assert fixed is not None
    assert routes is not None
    z = random_statistic(fixed, 3)
    ours, theirs = (
        model.decision_problem(z).best_response(model.discounts, model.legal_actions)[1][:, :4]
        for model in (fixed, routes)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_what_has_no_model_says_so() -> None:
    game = GridCityGame(**SMALL, allocation="turn")
    assert game.mean_field() is None
    with pytest.raises(ConfigError, match=r"allocation = 'turn_taking' is not allowed; .*accesses"):
        CityMeanField(game)
    model: Any = karma_envs.make("grid_city").mean_field()
    problem = model.decision_problem(model.initial_statistic)
    with pytest.raises(ConfigError, match="needs no table of transitions"):
        _ = problem.kernel


def test_the_price_of_anarchy_is_told_by_dict() -> None:
    """Of agents who bid nothing it is what COIN loses over what DICT does; of DICT itself 1."""
    models = {rule: GridCityGame(**SMALL, allocation=rule).mean_field() for rule in ("karma", "coin", "dict")}
    prices = {}
    for rule, model in models.items():
        assert model is not None
        policy = np.zeros((model.n_types, *model.legal_actions.shape))
        policy[..., 0] = 1.0
        prices[rule] = model.price_of_anarchy(float(model.masses @ model.efficiency(policy)))
    assert prices["dict"] == pytest.approx(1)
    assert prices["karma"] == pytest.approx(prices["coin"], rel=1e-8)
    assert prices["coin"] > 1.1
