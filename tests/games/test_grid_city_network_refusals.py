"""Arguments, graphs and networks that no city can have are refused by name."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import paths as paths_module
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from tests.games.small_networks import THESIS, diamond


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pairs": [("a", "q")]}, "a node of pairs = 'q' .*one of the 4 nodes"),
        ({"demand": {("q", "a"): 1}}, "a node of demand = 'q'"),
        ({"pairs": ["ad"]}, "pairs = 'ad' .*origin, destination"),
        ({"pairs": []}, "pairs = .*at least one pair"),
        ({"pairs": [("a", "a")]}, "pairs = .*two different nodes"),
        ({"pairs": [("a", "d"), ("a", "d")]}, "pairs = .*each pair once"),
        ({"pairs": [("d", "a")]}, r"pairs = \('d', 'a'\) .*pairs that a path joins"),
        ({"demand": {("d", "a"): 1}}, r"pairs = \('d', 'a'\) .*pairs that a path joins"),
        ({"demand": {("a", "d"): -1}}, r"demand\[\('a', 'd'\)\] = -1"),
        ({"demand": {("a", "d"): 0, ("b", "b"): 5}}, "demand = .*a positive demand"),
        ({"demand": [("a", "d")]}, "demand = .*a mapping"),
        ({"demand": {("a", "d"): 1}, "pairs": [("a", "b")]}, r"pairs = \('a', 'b'\) .*positive demand"),
        ({"most_pairs": 3}, "most_pairs = 3 .*None without demand"),
        ({"demand": {("a", "d"): 1}, "most_pairs": 0}, "most_pairs = 0"),
        ({"exclude": "corners"}, "exclude = 'corners' .*same_junction"),
        ({"paths": "shortes"}, "paths = 'shortes' .*did you mean shortest"),
        ({"k": 2}, "k = 2 .*1 with paths = shortest"),
        ({"paths": "k_shortest", "k": 0}, "k = 0"),
        ({"weight": "time"}, "edge 'a' → 'b' has no 'time'; it has: length, capacity"),
        ({"weight": "length", "_edge": -2}, "edge 'a' → 'b': length = -2 .*from 0 up"),
        ({"weight": "length", "_edge": "far"}, "edge 'a' → 'b': length = 'far'"),
        ({"capacity": "length", "_edge": 0}, "edge 'a' → 'b': length = 0 .*a positive number"),
        ({"capacity": "size"}, "edge 'a' → 'b' has no 'size'"),
        ({"capacity": 0}, "capacity = 0 "),
        ({"capacity": True}, "capacity = True "),
        ({"capacity": 0.9}, r"capacity of edge 'a' → 'b' = 0\.9 .*at least 1 agent per step"),
        ({"capacity": [1, 2]}, r"capacity = \[1, 2\] .*5 numbers"),
        ({"capacity": [1, 2, 0, 1, 1]}, r"capacity\[2\] = 0 "),
        ({"capacity": "capacity", "capacity_scale": 0.06}, "capacity of edge 'a' → 'b' = 0.6 "),
        ({"capacity": "capacity", "capacity_scale": 0}, "capacity_scale = 0 "),
        ({"capacity": "capacity", "capacity_scale": "total"}, "capacity_scale = 'total'"),
        ({"capacity": "capacity", "capacity_scale": "mean"}, "n_agents = None "),
        ({"capacity": None}, "n_agents = None "),
        ({"capacity": None, "n_agents": 0}, "n_agents = 0 "),
        ({"capacity": None, "n_agents": 9, "capacity_scale": 2}, "capacity_scale = 2 .*without a capacity"),
        ({"rounding": "up"}, "rounding = 'up' .*floor, ceil, round"),
    ],
)
def test_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    graph = diamond()
    if "_edge" in arguments:
        graph.edges["a", "b"]["length"] = arguments["_edge"]
    given = {name: value for name, value in arguments.items() if name != "_edge"}
    if not {"pairs", "demand"} & given.keys():
        given["pairs"] = [("a", "d")]
    with pytest.raises(ConfigError, match=message):
        road_network(graph, **{"capacity": 1, **given})


def test_graphs_are_refused_by_edge() -> None:
    ring = nx.cycle_graph(4, create_using=nx.DiGraph).to_undirected().to_directed()
    for graph, message in (
        (ring, "graph = '0 boundary nodes' .*the attribute boundary = true.* list the trips in pairs"),
        (nx.path_graph(3), r"graph = .*a networkx.DiGraph .*to_directed"),
        (nx.DiGraph(), "graph = .*a graph with edges"),
        ("roads", "graph = 'roads'"),
    ):
        with pytest.raises(ConfigError, match=message):
            road_network(graph, capacity=1)


def test_too_many_paths_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    legs = sum(map(len, THESIS.paths))
    monkeypatch.setattr(paths_module, "MOST_LEGS", legs)
    assert len(road_network(grid(), n_agents=1000).paths) == 1024
    monkeypatch.setattr(paths_module, "MOST_LEGS", legs - 1)
    with pytest.raises(ConfigError, match=f"paths = 'shortest' .*at most {legs - 1} lanes"):
        road_network(grid(), n_agents=1000)


@pytest.mark.parametrize("size", [0, -1, 1.5, "4", True])
def test_sizes_that_no_grid_has(size: Any) -> None:
    with pytest.raises(ConfigError, match="rows = "):
        grid(size, 2)
    with pytest.raises(ConfigError, match="columns = "):
        grid(2, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": (("a", "b"), ("b", "d"))}, "graph = .*carry lane"),
        ({"lanes": (("b", "d"), ("a", "b"), ("b", "c"))}, r"lanes\[0\] = "),
        ({"paths": ()}, "paths = "),
        ({"paths": ((0, 3),), "weights": [1.0]}, r"paths\[0\] = .*from 0 to 2"),
        ({"paths": ((1, 0),), "weights": [1.0]}, r"paths\[0\] = .*begins where the one before ends"),
        ({"paths": ((0, 1, 2),), "weights": [1.0]}, r"paths\[0\] = .*no node twice"),
        ({"weights": [0.5, 0.4]}, "weights = "),
        ({"weights": [1.5, -0.5]}, "weights = "),
        ({"weights": [1.0]}, "weights = "),
        ({"capacity": [1, 1, 0]}, "capacity = "),
        ({"capacity": [1.0, 1.0, 1.0]}, "capacity = "),
        ({"capacity": [1, 1]}, "capacity = "),
    ],
)
def test_a_network_of_ones_own_is_checked(change: dict[str, Any], message: str) -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a")])
    for lane, edge in enumerate(graph.edges):
        graph.edges[edge]["lane"] = lane
    fields: dict[str, Any] = {
        "lanes": tuple(graph.edges), "paths": ((0, 1), (2,)), "weights": [0.5, 0.5], "capacity": [1, 2, 3]
    }  # fmt: skip
    assert RoadNetwork(graph, **fields).longest == 2
    with pytest.raises(ConfigError, match=message):
        RoadNetwork(graph, **{**fields, **change})
