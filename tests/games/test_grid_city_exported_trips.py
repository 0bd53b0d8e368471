"""What becomes of exported networks: trips, capacities, routes to choose from, links of length 0."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityConfig, GridCityGame
from karma_envs.games.grid_city import paths as paths_module
from karma_envs.games.grid_city.network import road_network
from tests.games.exported_networks import by_lane, cross, made, nodes


def test_pairs_and_exclude_can_be_given_in_the_configuration(tmp_path: Path) -> None:
    network = cross(tmp_path)
    assert (
        len(GridCityGame(network=network, n_agents=8, exclude=None).network.paths) == 2
    )  # s and w, dead ends
    with pytest.raises(ConfigError, match=r"cross\.graphml: exclude = .* None here"):
        GridCityGame(network=network, n_agents=8)
    game = GridCityGame(network=network, n_agents=8, pairs=[["n", "w"], ["x", "s"]])
    assert nodes(game.network) == ["nxw", "xs"]
    assert GridCityConfig.from_dict(game.config.to_dict()) == game.config
    with pytest.raises(
        ConfigError, match=r"cross\.graphml: a node of pairs = 'q' .*one of the 5 nodes, such as n"
    ):
        GridCityGame(network=network, n_agents=8, pairs=[["n", "q"]])


def test_pairs_of_numbers_and_of_the_grid() -> None:
    town = GridCityGame(network="town", n_agents=8, pairs=[[1, 5]], most_pairs=1)
    assert len(town.network.paths) == 7
    city = GridCityGame(n_agents=8, pairs=[["(0, -1)", "(3, 4)"]], k_shortest=5)
    assert len(city.network.paths) == 5
    assert city.network.lanes[city.network.paths[0][0]][0] == (0, -1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pairs": "ab"}, "pairs = 'ab' .*pairs of names"),
        ({"pairs": [["a"]]}, r"pairs\[0\] = \['a'\] .*pairs of names"),
        ({"pairs": [["a", True]]}, r"pairs\[0\] = \['a', True\] "),
        ({"exclude": "none"}, "exclude = 'none' .*same_junction"),
        ({"k_shortest": 0}, "k_shortest = 0 .*from 1"),
        ({"most_pairs": 3}, "most_pairs = 3 .*its default where network is neither a file nor town"),
        ({"capacity_scale": "median"}, "capacity_scale = 'median' .*its default where network is neither"),
        ({"capacity_scale": "meen"}, "capacity_scale = 'meen' .*mean, median"),
        ({"network": "town", "capacity_scale": 0}, "capacity_scale = 0 "),
        ({"network": "m:f", "k_shortest": 2}, "k_shortest = 2 .*its default where network is a function"),
        ({"network": "m:f", "pairs": [["a", "b"]]}, "pairs = .*its default where network is a function"),
    ],
)
def test_fields_of_networks_are_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        GridCityConfig(**fields)


def test_too_many_boundary_nodes_are_refused_before_their_pairs_are_listed() -> None:
    star = nx.DiGraph([(arm, "centre") for arm in range(1001)] + [("centre", arm) for arm in range(1001)])
    with pytest.raises(ConfigError, match=r"graph = '1001 boundary nodes' .*2 … 1000"):
        road_network(star, capacity=1)


def test_pairs_that_no_path_joins() -> None:
    """Of two towns without a road between them: left out of all pairs, with a word; refused where listed."""
    graph = nx.DiGraph([("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")])
    with pytest.warns(
        UserWarning, match=r"8 of 12 pairs of boundary nodes are joined by no path, as \('a', 'c'\)"
    ):
        network = road_network(graph, capacity=1, exclude=None)
    assert nodes(network) == ["ab", "ba", "cd", "dc"]
    assert nodes(road_network(nx.DiGraph([("a", "b"), ("b", "c")]), capacity=1, exclude=None)) == ["abc"]
    for node in "abz":
        graph.add_node(node, boundary=True)
    with pytest.warns(UserWarning, match=r"4 of 6 pairs .* no path, as \('a', 'z'\)"):  # z has no lanes
        assert nodes(road_network(graph, capacity=1, exclude=None)) == ["ab", "ba"]
    with pytest.raises(ConfigError, match=r"pairs = \('a', 'c'\) .*a path joins"):
        road_network(graph, capacity=1, pairs=[("a", "b"), ("a", "c")])
    with pytest.raises(ConfigError, match=r"pairs = 5 .*a list of pairs"):
        road_network(graph, capacity=1, pairs=5)  # type: ignore[arg-type]


# --- capacities that stand for none ----------------------------------------------------------------


def roads(*capacities: float, connector: float = 1800) -> nx.DiGraph:
    """Roads 1 → 2 → … with the given capacities, and a connector from and to a boundary node at both ends."""
    graph = nx.DiGraph()
    for start, capacity in enumerate(capacities, 1):
        graph.add_edge(start, start + 1, capacity=capacity)
    for zone, node in ((0, 1), (-1, len(capacities) + 1)):
        graph.add_node(zone, boundary=True)
        graph.add_edge(zone, node, capacity=connector)
        graph.add_edge(node, zone, capacity=connector)
    return graph


@pytest.mark.parametrize("connector", [999999, 99999.0, 0, 1e30, 1e6, "999999", 49500])
@pytest.mark.parametrize("n_roads", [2, 9])
def test_placeholders_do_not_squeeze_the_roads(connector: Any, n_roads: int) -> None:
    """With 1800 everywhere every lane has 0.75 N / L; with placeholders on connectors roads keep it."""
    n_lanes = n_roads + 4
    graph = roads(*[1800] * n_roads, connector=connector)
    with pytest.warns(
        UserWarning, match=f"4 of {n_lanes} lanes have a capacity that stands for none, as .* from 1 to 0"
    ):
        network = made(graph, capacity_scale="mean", n_agents=100 * n_lanes)
    assert {int(capacity) for lane, capacity in by_lane(network).items() if min(lane) > 0} == {75}
    assert {int(capacity) for lane, capacity in by_lane(network).items() if min(lane) <= 0} == {100 * n_lanes}


def test_capacities_that_differ_as_roads_do_are_no_placeholders() -> None:
    graph = roads(600, 1800, 9000, connector=9000)
    network = made(graph, capacity_scale="mean", n_agents=700)
    assert network.capacity.sum() == pytest.approx(0.75 * 700, abs=7)
    everywhere = made(roads(999999, 999999, connector=999999), capacity_scale="mean", n_agents=80)
    assert everywhere.capacity.tolist() == [10] * 6


def test_the_scale_can_be_chosen() -> None:
    graph = roads(100, 200, 600, connector=200)
    scaled = {
        scale: by_lane(made(graph, capacity_scale=scale, n_agents=560))[2, 3]
        for scale in ("mean", "median", 0.1)
    }
    # 0.75 · 560 / 7 = 60 in the mean of 1700 / 7, or in the median of 200.
    assert scaled == {"mean": int(60 * 200 * 7 / 1700), "median": 60, 0.1: 20}
    as_they_are = made(roads(100, 200, connector=999999), capacity_scale=0.01)
    assert max(as_they_are.capacity) == 9999
    endless = made(roads(100, 200, connector=math.inf), capacity_scale=0.1)
    assert max(endless.capacity) == 2**31 - 1
    for scale, n_agents in ((100, None), ("mean", 50)):
        with pytest.raises(ConfigError, match=r"capacity of edge .* = .* below 2\^31"):
            made(roads(1e308, 1e308, 1e308, connector=1e308), capacity_scale=scale, n_agents=n_agents)
    with pytest.raises(
        ConfigError, match=r"edge 1 → 2: capacity = 0 .*a positive number \(0 is taken only where"
    ):
        made(roads(0, 100))


def test_the_towns_capacities_are_what_they_were() -> None:
    capacity = GridCityGame(network="town", n_agents=1000).network.capacity
    assert np.bincount(capacity).tolist() == [0, 0, 0, 0, 0, 0, 0, 32, 32, 16, 0, 16]


# --- a choice of routes ----------------------------------------------------------------------------

# Braess: 1 → 2 → 4, 1 → 3 → 4, and the shorter way over the link 2 → 3.
BRAESS = """<NUMBER OF ZONES> 4
<NUMBER OF NODES> 4
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 5
<END OF METADATA>
1 2 1 1 1 ;
1 3 1 5 5 ;
2 4 1 5 5 ;
3 4 1 1 1 ;
2 3 1 1 1 ;
"""


def braess(folder: Path) -> str:
    (folder / "Braess_net.tntp").write_text(BRAESS)
    trips = "<NUMBER OF ZONES> 4\n<END OF METADATA>\nOrigin 1\n4 : 6;\n"
    (folder / "Braess_trips.tntp").write_text(trips)
    return str(folder / "Braess_net.tntp")


def test_k_shortest_gives_routes_to_choose_from(tmp_path: Path) -> None:
    network = braess(tmp_path)
    fixed = GridCityGame(network=network, n_agents=20)
    assert nodes(fixed.network) == ["1234"]
    with pytest.warns(
        UserWarning, match=r"route_choice = 'node', but only 0 of 40 trips .*k_shortest gives others"
    ):
        GridCityGame(network=network, n_agents=20, route_choice="node")
    free = GridCityGame(network=network, n_agents=20, route_choice="node", k_shortest=3)
    assert sorted(nodes(free.network)) == ["1234", "124", "134"]
    assert free.n_actions == 2 * fixed.n_actions  # at 1 and at 2 there are two lanes to choose from
    assert {len(routes) for routes in free.plans.routes} == {3}
    two = GridCityGame(network=network, n_agents=20, k_shortest=2).network
    assert len(two.paths) == 2
    assert nodes(two)[0] == "1234"
    assert two.weights.tolist() == [0.5, 0.5]


# --- links of length 0 -----------------------------------------------------------------------------


def knot(n: int) -> nx.DiGraph:
    """n nodes of which every two are joined by links of length 0, at the first of them a way in and out."""
    graph = nx.DiGraph()
    for start in range(n):
        graph.add_edges_from([(start, end) for end in range(n) if end != start], length=0.0)
    graph.add_edge("in", 0, length=1.0)
    graph.add_edge(0, "out", length=1.0)
    return graph


def test_links_of_length_0_that_lead_in_circles_do_not_hold_the_search_up() -> None:
    """There is one way; walks that get lost among the 14 are some 10^10."""
    network = road_network(knot(14), capacity=1, pairs=[("in", "out")], weight="length")
    assert nodes(network) == ["in0out"]


def test_too_many_paths_of_length_0_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now the way out is at another node: all ways through the 14 are equally short."""
    monkeypatch.setattr(paths_module, "MOST_LEGS", 10**5)
    monkeypatch.setattr(paths_module, "MOST_DETOURS", 10)
    graph = knot(14)
    graph.add_edge(1, "out", length=1.0)
    graph.remove_edge(0, "out")
    with pytest.raises(ConfigError, match=r"paths = 'shortest' .*take k_shortest"):
        road_network(graph, capacity=1, pairs=[("in", "out")], weight="length")
    network = road_network(graph, capacity=1, pairs=[("in", "out")], weight="length", paths="k_shortest", k=2)
    assert nodes(network)[0] == "in01out"


def test_ways_beside_a_knot_are_all_found_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three squares one after the other before the knot: 2 · 2 · 2 ways."""
    graph = knot(14)
    for square, (start, end) in enumerate([("a", "b"), ("b", "c"), ("c", "in")]):
        for side in (f"left {square}", f"right {square}"):
            graph.add_edges_from([(start, side), (side, end)], length=1.0)
    monkeypatch.setattr(paths_module, "MOST_DETOURS", 8)
    network = road_network(graph, capacity=1, pairs=[("a", "out")], weight="length")
    assert len(set(network.paths)) == len(network.paths) == 8
    monkeypatch.setattr(paths_module, "MOST_DETOURS", 7)
    with pytest.raises(
        ConfigError, match=r"paths = 'shortest' .*at most 7 paths from 'a' to 'out' .*length 0"
    ):
        road_network(graph, capacity=1, pairs=[("a", "out")], weight="length")
