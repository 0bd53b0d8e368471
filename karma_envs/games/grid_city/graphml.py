"""Road networks in GraphML, which most graph tools and OpenStreetMap exporters write."""

from __future__ import annotations

import os
from xml.etree.ElementTree import ParseError

import networkx as nx

from karma_envs.config import ConfigError
from karma_envs.games.grid_city.paths import checked_graph, lane_values


def read_graphml(
    path: str | os.PathLike[str], *, capacity: str | None = None, length: str | None = None
) -> nx.DiGraph:
    """The roads of a GraphML file, for :func:`karma_envs.games.grid_city.network.road_network`.

    Nodes are named by their ids, which are strings. Nodes and edges keep all their attributes: ``x`` and
    ``y`` place a node, ``boundary`` and ``through`` say what trips do there. An undirected road becomes
    two lanes.

    Args:
        path: the file.
        capacity: the file's name of the edges' capacity, which every edge must have, above 0; it is
            called ``capacity`` in the graph. None where there is none.
        length: likewise for the length, from 0 up, called ``length``.

    Returns:
        the graph.

    Raises:
        ConfigError: naming the file, and the edge where one is double, joins a node to itself, or lacks
            an attribute.
        FileNotFoundError: when there is no such file.
    """
    name = os.fspath(path)
    try:
        graph = nx.read_graphml(path)
    except FileNotFoundError:
        raise
    except (nx.NetworkXError, ParseError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ConfigError(f"{name} is not a GraphML file of roads ({error!r})") from error
    try:
        graph = checked_graph(graph.to_directed())
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    for target, attribute in (("capacity", capacity), ("length", length)):
        if attribute is not None:
            values = lane_values(graph, attribute, positive=target == "capacity", source=name)
            nx.set_edge_attributes(graph, dict(zip(graph.edges, values.tolist())), target)
    return graph
