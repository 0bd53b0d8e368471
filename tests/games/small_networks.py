"""Networks that several tests look at, and how a test names paths."""

from __future__ import annotations

from typing import Any

import networkx as nx

from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network

THESIS = road_network(grid(), n_agents=1000)


def nodes_of(network: RoadNetwork, path: tuple[int, ...]) -> list[Any]:
    return [network.lanes[path[0]][0], *(network.lanes[lane][1] for lane in path)]


def ends(network: RoadNetwork) -> list[tuple[Any, Any]]:
    return [(nodes_of(network, path)[0], nodes_of(network, path)[-1]) for path in network.paths]


def diamond(**lengths: float) -> nx.DiGraph:
    """a → b → d and a → c → d, and straight a → d; lengths 1, 2 by b, 2, 2 by c, 5 straight."""
    graph = nx.DiGraph()
    for edge, length in {"ab": 1, "bd": 2, "ac": 2, "cd": 2, "ad": 5, **lengths}.items():
        graph.add_edge(edge[0], edge[1], length=length, capacity=10 * length)
    return graph
