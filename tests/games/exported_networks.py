"""Networks as other programs leave them, and how a test names what was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx

from karma_envs.games.grid_city.network import RoadNetwork, road_network


def nodes(network: RoadNetwork) -> list[str]:
    """Paths as their nodes, for nodes with names of one letter."""
    return [
        "".join(str(node) for node in (network.lanes[path[0]][0], *(network.lanes[lane][1] for lane in path)))
        for path in network.paths
    ]


def made(graph: nx.DiGraph, **arguments: Any) -> RoadNetwork:
    """The network of :func:`roads`, in whose way trips go."""
    return road_network(graph, capacity="capacity", pairs=[(0, -1)], **arguments)


def by_lane(network: RoadNetwork) -> dict[Any, int]:
    return dict(zip(network.lanes, network.capacity.tolist()))


def cross(folder: Path, **marks: Any) -> str:
    """Four arms at a crossing x, with a value of ``boundary`` or ``through`` by node; the file."""
    graph = nx.DiGraph()
    for arm in "nesw":
        graph.add_edges_from([(arm, "x"), ("x", arm)])
    graph.add_edges_from([("n", "e"), ("e", "n")])
    for name, value in marks.items():
        node, attribute = name.split("_")
        graph.nodes[node][attribute] = value
    nx.write_graphml(graph, folder / "cross.graphml")
    return str(folder / "cross.graphml")
