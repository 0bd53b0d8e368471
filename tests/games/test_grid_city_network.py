"""Networks of roads: the grid against its drawing, paths, weights and capacities by hand."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import paths as paths_module
from karma_envs.games.grid_city.network import grid, road_network
from tests.games.small_networks import THESIS, diamond, ends, nodes_of


def test_the_thesis_city() -> None:
    assert grid().number_of_nodes() == 16 + 16
    assert sum(boundary for _, boundary in grid().nodes(data="boundary")) == 16
    assert (len(THESIS.lanes), len(THESIS.paths), THESIS.longest) == (80, 1024, 8)
    assert THESIS.capacity.tolist() == [9] * 80
    assert THESIS.weights.sum() == pytest.approx(1)
    assert set(THESIS.weights) == {1 / 1024}


def test_the_two_boundary_nodes_of_a_corner_are_joined_by_the_8_further_paths() -> None:
    every = road_network(grid(), n_agents=1000, exclude=None)
    assert len(every.paths) == 1032
    further = set(ends(every)) - set(ends(THESIS))
    assert further == {
        pair
        for row, column in itertools.product((0, 3), (0, 3))
        for pair in itertools.permutations([(-1 if row == 0 else 4, column), (row, -1 if column == 0 else 4)])
    }
    assert Counter(map(len, every.paths))[2] == len(further) == 8


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_sizes_of_grids(rows: int, columns: int) -> None:
    graph = grid(rows, columns)
    inner = rows * (columns - 1) + columns * (rows - 1)
    assert graph.number_of_nodes() == rows * columns + 2 * (rows + columns)
    assert graph.number_of_edges() == 2 * (inner + 2 * (rows + columns))
    assert all(graph.has_edge(end, start) for start, end in graph.edges)
    assert paths_module.boundary_nodes(graph) == [node for node in graph if len(graph[node]) == 1]


def test_one_junction_by_hand() -> None:
    """4 boundary nodes at one junction: 12 pairs, 2 lanes each, 8 lanes that share evenly."""
    network = road_network(grid(1, 1), capacity=3, exclude=None)
    assert (len(network.lanes), len(network.paths), network.longest) == (8, 12, 2)
    assert network.occupancy() == pytest.approx(np.full(8, 1 / 8))
    with pytest.raises(ConfigError, match=r"exclude = 'same_junction' .* hang on the same junction"):
        road_network(grid(1, 1), capacity=3)


def test_two_by_two_by_hand() -> None:
    """Paths between neighbouring corners: 8 · 4 · 1, of 3 lanes; across: 4 · 4 · 2, of 4 lanes.

    Of these 64 paths with 32 · 3 + 32 · 4 = 224 lanes, 8 enter at each of the 8 boundary nodes, and 8
    leave; the other 96 steps spread evenly over the 8 inner lanes.
    """
    network = road_network(grid(2, 2), capacity=1)
    assert (len(network.lanes), len(network.paths), network.longest) == (24, 64, 4)
    assert Counter(map(len, network.paths)) == {3: 32, 4: 32}
    boundary = dict(network.graph.nodes(data="boundary"))
    for (start, end), share in zip(network.lanes, network.occupancy()):
        assert share == pytest.approx((8 if boundary[start] or boundary[end] else 12) / 224)


def test_every_path_is_a_shortest_walk_between_boundary_nodes_and_all_differ() -> None:
    graph = grid()
    for path, (start, end) in zip(THESIS.paths, ends(THESIS)):
        nodes = nodes_of(THESIS, path)
        assert nx.is_simple_path(graph, nodes)
        assert graph.nodes[start]["boundary"]
        assert graph.nodes[end]["boundary"]
        assert len(path) == nx.shortest_path_length(graph, start, end)
    assert len(set(THESIS.paths)) == len(THESIS.paths)
    for pair, count in Counter(ends(THESIS)).items():
        assert count == len(list(nx.all_shortest_paths(graph, *pair)))


SYMMETRIES: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "identity": lambda r, c: (r, c),
    "quarter": lambda r, c: (c, 3 - r),
    "half": lambda r, c: (3 - r, 3 - c),
    "three quarters": lambda r, c: (3 - c, r),
    "upside down": lambda r, c: (3 - r, c),
    "mirrored": lambda r, c: (r, 3 - c),
    "diagonal": lambda r, c: (c, r),
    "other diagonal": lambda r, c: (3 - c, 3 - r),
}


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_occupancy_has_the_symmetries_of_the_square(symmetry: str) -> None:
    move = SYMMETRIES[symmetry]
    share = dict(zip(THESIS.lanes, THESIS.occupancy()))
    moved = {(move(*start), move(*end)): value for (start, end), value in share.items()}
    assert moved.keys() == share.keys()
    assert [moved[lane] for lane in share] == pytest.approx(list(share.values()), rel=1e-12)


def test_occupancy_is_as_figure_6_3_says() -> None:
    """Entries and exits are least loaded, the centre most; reversed lanes alike."""
    share = dict(zip(THESIS.lanes, THESIS.occupancy()))
    assert sum(share.values()) == pytest.approx(1)
    boundary = dict(THESIS.graph.nodes(data="boundary"))
    outer = [value for (start, end), value in share.items() if boundary[start] or boundary[end]]
    inner = [value for (start, end), value in share.items() if not (boundary[start] or boundary[end])]
    assert len(outer) == 32
    assert max(outer) < min(inner)
    centre = {lane for lane, value in share.items() if value == pytest.approx(max(inner))}
    assert centre == {
        lane for lane in share if all(row in (1, 2) and column in (1, 2) for row, column in lane)
    }
    assert all(share[end, start] == pytest.approx(value) for (start, end), value in share.items())


def test_occupancy_is_the_time_a_traveller_spends_in_a_lane() -> None:
    """Simulated: trips drawn by weight, one step per lane."""
    network = road_network(diamond(), capacity=1, demand={("a", "d"): 3, ("a", "b"): 1}, weight="length")
    drawn = np.random.default_rng(0).choice(len(network.paths), 20_000, p=network.weights)
    steps = Counter(lane for index in drawn for lane in network.paths[index])
    simulated = [steps[lane] / sum(steps.values()) for lane in range(len(network.lanes))]
    assert network.occupancy() == pytest.approx(simulated, abs=0.01)


def test_positions_are_where_the_grid_is_drawn() -> None:
    positions = THESIS.positions
    assert positions is not None
    assert positions[0, 0] == (0, 0)
    assert positions[4, 3] == (3, -4)
    assert road_network(diamond(), capacity=1, pairs=[("a", "d")]).positions is None


def test_a_network_keeps_to_itself() -> None:
    graph = diamond()
    network = road_network(graph, capacity=1, pairs=[("a", "d")])
    assert all("lane" not in data for _, _, data in graph.edges(data=True))
    assert [network.graph.edges[lane]["lane"] for lane in network.lanes] == list(range(5))
    assert network.graph.edges["a", "b"]["length"] == 1
    with pytest.raises(nx.NetworkXError):
        network.graph.add_edge("d", "a")
    with pytest.raises(ValueError, match="read-only"):
        network.capacity[0] = 7
    copy = pickle.loads(pickle.dumps(network))
    assert (copy.lanes, copy.paths, copy.capacity.tolist()) == (network.lanes, network.paths, [1] * 5)


# --- paths and weights -----------------------------------------------------------------------------


def routes(**arguments: Any) -> list[str]:
    network = road_network(diamond(), capacity=1, **arguments)
    return ["".join(nodes_of(network, path)) for path in network.paths]


def test_paths_of_a_pair() -> None:
    pairs = [("a", "d")]
    assert routes(pairs=pairs) == ["ad"]
    assert routes(pairs=pairs, weight="length") == ["abd"]
    assert routes(pairs=pairs, paths="k_shortest", k=2, weight="length") == ["abd", "acd"]
    assert routes(pairs=pairs, paths="k_shortest", k=9, weight="length") == ["abd", "acd", "ad"]
    assert sorted(routes(pairs=[("a", "c"), *pairs], paths="k_shortest", k=1)) == ["ac", "ad"]


def test_all_paths_that_tie_are_taken_and_edges_of_length_0_do_not_trap_the_search() -> None:
    tied = road_network(diamond(ac=1, ad=3), capacity=1, pairs=[("a", "d")], weight="length")
    assert len(tied.paths) == 3
    loop = road_network(diamond(ab=0, bc=0, cb=0, ac=0), capacity=1, pairs=[("a", "d")], weight="length")
    found = sorted("".join(nodes_of(loop, path)) for path in loop.paths)
    assert found == ["abcd", "abd", "acbd", "acd"]


def test_no_path_passes_a_node_that_is_not_through() -> None:
    for method, k in (("shortest", 1), ("k_shortest", 5)):
        graph = diamond()
        graph.nodes["b"]["through"] = False
        network = road_network(
            graph, capacity=1, pairs=[("a", "d"), ("b", "d"), ("a", "b")], paths=method, k=k, weight="length"
        )
        found = ["".join(nodes_of(network, path)) for path in network.paths]
        assert found == ["acd", *["ad"] * (k > 1), "bd", "ab"]


def test_weights_follow_demand_and_split_over_the_paths_of_a_pair() -> None:
    demand = {("a", "d"): 6.0, ("a", "b"): 2.0, ("c", "d"): 0.0, ("b", "b"): 9.0}
    network = road_network(diamond(ac=1), capacity=1, demand=demand, paths="k_shortest", k=3, weight="length")
    found = {tuple(nodes_of(network, path)): weight for path, weight in zip(network.paths, network.weights)}
    assert found == pytest.approx(
        {tuple("abd"): 0.25, tuple("acd"): 0.25, tuple("ad"): 0.25, tuple("ab"): 0.25}
    )


def test_the_largest_demands_are_kept() -> None:
    demand = {("a", "b"): 1.0, ("a", "d"): 3.0, ("b", "d"): 2.0, ("c", "d"): 1.0}
    network = road_network(diamond(), capacity=1, demand=demand, most_pairs=2)
    assert ends(network) == [("a", "d"), ("b", "d")]
    assert network.weights == pytest.approx([0.6, 0.4])
    network = road_network(diamond(), capacity=1, demand=demand, most_pairs=3)
    assert ends(network) == [("a", "b"), ("a", "d"), ("b", "d")]
    only = road_network(diamond(), capacity=1, demand=demand, pairs=[("c", "d"), ("a", "d")])
    assert only.weights == pytest.approx([0.75, 0.25])
    assert ends(only) == [("a", "d"), ("c", "d")]


def test_marked_boundary_nodes_come_before_dead_ends() -> None:
    graph = diamond()
    for edge in [("z", "a"), ("d", "y"), ("b", "a"), ("d", "b")]:
        graph.add_edge(*edge)
    graph.add_edge("a", "z")
    graph.add_edge("y", "d")
    assert ends(road_network(graph, capacity=1)) == [("z", "y"), ("y", "z")]
    graph.nodes["a"]["boundary"] = graph.nodes["b"]["boundary"] = True
    assert ends(road_network(graph, capacity=1)) == [("a", "b"), ("b", "a")]


# --- capacity --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_agents", "rounding", "expected"),
    [
        (1000, "floor", 9),
        (1000, "ceil", 10),
        (1000, "round", 9),
        (1600, "ceil", 15),
        (100, "floor", 1),
        (3, "round", 1),
    ],
)
def test_the_thesis_rule(n_agents: int, rounding: str, expected: int) -> None:
    network = road_network(grid(), n_agents=n_agents, rounding=rounding)
    assert network.capacity.tolist() == [expected] * 80
    assert network.capacity.dtype == np.int64


def test_capacities_that_are_given() -> None:
    pairs = [("a", "d")]
    assert road_network(diamond(), pairs=pairs, capacity=2.7).capacity.tolist() == [2] * 5
    assert road_network(diamond(), pairs=pairs, capacity=np.asarray(4)).capacity.tolist() == [4] * 5
    each = road_network(diamond(), pairs=pairs, capacity=[1, 2, 3, 4, 5])
    assert each.capacity.tolist() == [1, 2, 3, 4, 5]
    read = road_network(diamond(), pairs=pairs, capacity="capacity")
    assert dict(zip(read.lanes, read.capacity)) == {
        ("a", "b"): 10, ("b", "d"): 20, ("a", "c"): 20, ("c", "d"): 20, ("a", "d"): 50
    }  # fmt: skip
    third = road_network(diamond(), pairs=pairs, capacity="capacity", capacity_scale=0.1)
    assert sorted(third.capacity) == [1, 2, 2, 2, 5]


def test_capacities_scaled_to_the_mean_of_the_thesis_rule() -> None:
    """Mean 24 becomes 0.75 · 80 / 5 = 12: half of each."""
    network = road_network(
        diamond(), pairs=[("a", "d")], capacity="capacity", capacity_scale="mean", n_agents=80
    )
    assert sorted(network.capacity) == [5, 10, 10, 10, 25]
