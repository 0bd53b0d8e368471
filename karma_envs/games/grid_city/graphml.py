"""Road networks in GraphML, which most graph tools and OpenStreetMap exporters write."""

from __future__ import annotations

import os

import networkx as nx

from karma_envs.config import ConfigError
from karma_envs.games.grid_city.capacities import attribute_capacities
from karma_envs.games.grid_city.graphs import checked_graph, errors_name, lane_values


def read_graphml(
    path: str | os.PathLike[str], *, capacity: str | None = None, length: str | None = None
) -> nx.DiGraph:
    """The roads of a GraphML file, for :func:`karma_envs.games.grid_city.network.road_network`.

    Nodes are named by their ids, which are strings. Nodes and edges keep all their attributes: ``x`` and
    ``y`` place a node, ``boundary`` and ``through`` say what trips do there. An undirected road becomes
    two lanes. Files in which all values are text, as OSMnx writes them, are read alike.

    Args:
        path: the file.
        capacity: the file's name of the edges' capacity, which every edge must have, above 0 (or 0 where
            it joins a boundary node to the roads, for no limit); it is called ``capacity`` in the graph.
            None where there is none.
        length: likewise for the length, from 0 up, called ``length``.

    Returns:
        the graph; a ``MultiDiGraph`` where edges run side by side.

    Raises:
        ConfigError: naming the file, and the node or edge with an attribute that is missing or cannot be
            read.
        FileNotFoundError: when there is no such file.
    """
    name = os.fspath(path)
    try:
        graph = nx.read_graphml(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a malformed file makes expat and networkx stumble over
        raise ConfigError(f"{name} is not a GraphML file of roads ({error!r})") from error
    with errors_name(name):
        graph = checked_graph(graph.to_directed())
        for target, attribute in (("capacity", capacity), ("length", length)):
            if attribute is not None:
                read = attribute_capacities if target == "capacity" else lane_values
                values = read(graph, attribute)
                nx.set_edge_attributes(graph, dict(zip(graph.edges, values.tolist())), target)
    graph.graph["source"] = name
    return graph
