"""Types in the city: paths from sets of their own, and urgencies that depend on the trip before."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityConfig, GridCityGame
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from karma_envs.games.grid_city.path_sets import path_weights
from karma_envs.karma.urgency import AgentType

NEVER_BY_CHANCE = 1e-5
"""Upper tail of the chi-square tests: beyond 4 sigma; the seeds are fixed, so they do not flake."""

TWO = (AgentType(1), AgentType(3))


def assert_frequencies(counts: Counter[Any], expected: dict[Any, float]) -> None:
    """Chi-square of counts against probabilities; what is impossible does not occur."""
    possible = {cell: p for cell, p in expected.items() if p > 0}
    assert set(counts) == set(possible)
    n = counts.total()
    statistic = sum((counts[cell] - n * p) ** 2 / (n * p) for cell, p in possible.items())
    assert statistic < chi2.isf(NEVER_BY_CHANCE, len(possible) - 1)


def line(n_lanes: int, weights: tuple[float, ...]) -> RoadNetwork:
    """Lanes in a row; paths are the first lane, the second, … each alone."""
    graph = nx.path_graph(n_lanes + 1, nx.DiGraph())
    for lane in range(n_lanes):
        graph.edges[lane, lane + 1]["lane"] = lane
    return RoadNetwork(
        graph=graph,
        lanes=tuple((lane, lane + 1) for lane in range(n_lanes)),
        paths=tuple((lane,) for lane in range(n_lanes)),
        weights=np.array(weights),
        capacity=np.full(n_lanes, 1000),
    )


# --- sets of paths ---------------------------------------------------------------------------------


def test_without_sets_the_draw_is_what_it_was() -> None:
    network = road_network(grid(), n_agents=100)
    expected = np.random.default_rng(5).choice(1024, size=(100, 2), p=network.weights)
    np.testing.assert_array_equal(GridCityGame(n_agents=100, path_seed=5).paths_of_agent, expected)
    same = GridCityGame(n_agents=100, path_seed=5, path_sets=["all"])
    np.testing.assert_array_equal(same.paths_of_agent, expected)


def test_the_centre_by_hand() -> None:
    # With one path per lane a lane is used as often as its path is taken. In order of use paths have .1,
    # .2, .3 and .4 of the trips; the first two have less than half, so the median path is that with .3.
    network = line(4, (0.1, 0.4, 0.2, 0.3))
    assert path_weights(network, "central").tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(path_weights(network, "peripheral"), [1 / 6, 0, 2 / 6, 3 / 6])
    assert path_weights(network, "all") is network.weights


def test_the_centre_of_the_thesis_city() -> None:
    network = road_network(grid(), n_agents=1000)
    central = path_weights(network, "central") > 0
    np.testing.assert_array_equal(path_weights(network, "peripheral") > 0, ~central)
    assert 0.3 < central.mean() <= 0.5
    use = np.array([network.occupancy()[list(path)].mean() for path in network.paths])
    assert use[central].min() > use[~central].max()
    inner = {(1, 1), (1, 2), (2, 1), (2, 2)}
    visits = np.array([sum(network.lanes[lane][0] in inner for lane in path) for path in network.paths])
    assert visits[central].mean() > visits[~central].mean() + 0.5


def test_symmetric_paths_are_in_the_same_set() -> None:
    network = road_network(grid(3, 3), n_agents=1000)
    central = path_weights(network, "central") > 0
    by_nodes = {
        (network.lanes[path[0]][0], *(network.lanes[lane][1] for lane in path)): is_in
        for path, is_in in zip(network.paths, central)
    }
    for nodes, is_in in by_nodes.items():
        assert by_nodes[tuple((column, row) for row, column in nodes)] == is_in
        assert by_nodes[tuple((2 - row, column) for row, column in nodes)] == is_in


def test_types_draw_from_their_sets() -> None:
    game = GridCityGame(n_agents=200, types=TWO, path_sets=("central", f"{__name__}:first_three"))
    central = path_weights(game.network, "central") > 0
    assert central[game.paths_of_agent[:50]].all()
    assert_frequencies(Counter(game.paths_of_agent[50:].ravel().tolist()), {0: 0.25, 1: 0.25, 2: 0.5, 3: 0.0})
    direct = GridCityGame(n_agents=200, types=TWO, path_sets=("central", first_three))
    np.testing.assert_array_equal(game.paths_of_agent, direct.paths_of_agent)
    assert GridCityConfig.from_dict(game.config.to_dict()) == game.config
    assert direct.config.to_dict()["path_sets"] == ["central", f"{__name__}:first_three"]


def first_three(network: RoadNetwork) -> NDArray[np.float64]:
    weights = np.zeros(len(network.paths))
    weights[:3] = 1, 1, 2
    return weights


def negative(network: RoadNetwork) -> NDArray[np.float64]:
    return np.linspace(-1, 1, len(network.paths))


def nothing(network: RoadNetwork) -> NDArray[np.float64]:
    return np.zeros(len(network.paths))


def too_few(network: RoadNetwork) -> list[float]:
    return [1.0]


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (("all",), r"path_sets = \('all',\) .* as many as types, here 2"),
        ("central", "path_sets = 'central' .* a list"),
        (("all", "centre"), r"path_sets\[1\] = 'centre' .* all, central, peripheral"),
        (("all", "no_such_module:f"), r"path_sets\[1\] = 'no_such_module:f' .*no_such_module"),
        (("all", negative), r"path_sets\[1\] = .*negative .*from 0 up.* -1.0 … 1.0"),
        ((nothing, "all"), r"path_sets\[0\] = .*nothing .*not all 0"),
        ((too_few, "all"), r"path_sets\[0\] = .* the 1024 paths .* float64\[1\]"),
        ((3, "all"), r"path_sets\[0\] = 3"),
    ],
)
def test_bad_sets(sets: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        GridCityGame(types=TWO, path_sets=sets)


def test_where_all_paths_are_alike_there_is_no_centre() -> None:
    with pytest.raises(ConfigError, match=r"path_sets\[0\] = 'central' .*not all 0"):
        GridCityGame(n_agents=3, network=lambda n: line(2, (0.5, 0.5)), path_sets=("central",))


# --- urgencies over trips --------------------------------------------------------------------------


def transitions(
    matrix: Any, dormant: float, n_steps: int = 1000
) -> tuple[Counter[tuple[int, int]], Counter[int]]:
    """Urgencies after a trip with an urgency, and after a dormant step, in a city of trips of one step."""
    kind = AgentType(1, 0.9, (1, 2, 5), matrix)
    network = line(1, (1.0,))
    game = GridCityGame(
        network=lambda n: network, n_agents=20, types=(AgentType(1), kind), dormant_probability=dormant
    )
    game.reset(np.random.default_rng(1))
    members = game.type_of_agent == 1
    seen = []
    for _ in range(n_steps):
        state = game.arrays
        seen.append(np.where(state.position > 0, state.urgency.astype(int), -1)[members])
        game.step(np.zeros(20, int))
    pairs = Counter(
        (int(first), int(then)) for one, other in pairwise(seen) for first, then in zip(one, other)
    )
    after_dormant = Counter({then: count for (first, then), count in pairs.items() if first < 0 <= then})
    return Counter({pair: count for pair, count in pairs.items() if min(pair) >= 0}), after_dormant


def test_an_urgency_depends_on_that_of_the_trip_before() -> None:
    matrix = ((0.0, 0.7, 0.3), (0.5, 0.25, 0.25), (0.9, 0.0, 0.1))
    after_trip, after_dormant = transitions(matrix, 0.2)
    for row in range(3):
        counts = Counter({then: count for (first, then), count in after_trip.items() if first == row})
        assert_frequencies(counts, dict(enumerate(matrix[row])))
    stationary = AgentType(1, 0.9, (1, 2, 5), matrix).stationary_urgency
    np.testing.assert_allclose(stationary @ np.array(matrix), stationary)
    assert_frequencies(after_dormant, dict(enumerate(stationary)))


def test_one_row_has_no_memory() -> None:
    after_trip, after_dormant = transitions((0.2, 0.5, 0.3), 0.2, 800)
    expected = {(i, j): p * q for i, p in enumerate((0.2, 0.5, 0.3)) for j, q in enumerate((0.2, 0.5, 0.3))}
    assert_frequencies(after_trip, expected)
    assert_frequencies(after_dormant, dict(enumerate((0.2, 0.5, 0.3))))


def test_an_urgency_lasts_for_a_trip() -> None:
    alternating = ((0, 1), (1, 0))
    game = GridCityGame(n_agents=40, urgency_transition=alternating, dormant_probability=0, capacity=40)
    game.reset(np.random.default_rng(0))
    starts = game.plans.starts
    for _ in range(30):
        urgency = game.arrays.urgency.copy()
        game.step(np.zeros(40, int))
        begun = (game.arrays.position[:, None] == starts).any(axis=1)
        np.testing.assert_array_equal(game.arrays.urgency, np.where(begun, 1 - urgency, urgency))


def test_the_matrix_of_a_row_is_that_row() -> None:
    fields: dict[str, Any] = {"n_agents": 30, "rows": 2, "columns": 2}
    one, two = (
        GridCityGame(urgency_transition=chain, **fields) for chain in ((0.3, 0.7), ((0.3, 0.7), (0.3, 0.7)))
    )
    for game in (one, two):
        game.reset(np.random.default_rng(0))
    for _ in range(50):
        assert (one.step(np.zeros(30, int)) == two.step(np.zeros(30, int))).all()
    assert (one.arrays.urgency == two.arrays.urgency).all()
