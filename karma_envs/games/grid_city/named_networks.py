"""The network that a configuration names: a grid, a town, a file, or a function."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import networkx as nx

from karma_envs.config import refusal
from karma_envs.games.grid_city.config import GridCityConfig
from karma_envs.games.grid_city.graphml import read_graphml
from karma_envs.games.grid_city.graphs import Pair, errors_name
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from karma_envs.games.grid_city.network_files import TNTP, beside, file_format, network_files
from karma_envs.games.grid_city.tntp import read_tntp
from karma_envs.games.grid_city.town import NET_FILE
from karma_envs.plugins import call_named

ALLOWED = "a function of n_agents that returns a RoadNetwork, or its name module:function"

Roads = tuple[nx.DiGraph, dict[str, Any]]
"""A graph of roads, and the arguments of road_network that belong to it."""


def network_of(config: GridCityConfig) -> RoadNetwork:
    """The network of a configuration.

    Raises:
        ConfigError: when there is no such network, or its file is malformed.
    """
    if config.network == "grid":
        roads: Roads = grid(config.rows, config.columns), {"capacity": config.capacity}
    elif config.network == "town":
        roads = tntp_roads(NET_FILE)
    elif files := network_files(config.network):
        roads = (tntp_roads if file_format(config.network) == TNTP else graphml_roads)(files[0])
    else:
        network = call_named("network", config.network, ALLOWED, config.n_agents)
        if not isinstance(network, RoadNetwork):
            raise refusal("network", config.network, f"{ALLOWED}; it returned {type(network).__name__}")
        return network
    graph, arguments = roads
    if "capacity_scale" in arguments:
        arguments["capacity_scale"] = config.capacity_scale
    return road_network(
        graph,
        n_agents=config.n_agents,
        pairs=named_pairs(graph, config.pairs),
        most_pairs=config.most_pairs,
        exclude=config.exclude,
        paths="shortest" if config.k_shortest is None else "k_shortest",
        k=config.k_shortest or 1,
        **arguments,
    )


def tntp_roads(net_path: str | os.PathLike[str]) -> Roads:
    """The roads of TNTP files; those of trips and nodes are read where they lie beside that of links.

    Paths are the shortest by ``free_flow_time``, weighted by demand, if there is a file of trips.
    Capacities are scaled, by default so that their mean is the Thesis' 0.75 N / L, and rounded up, so that
    no lane is closed.

    Args:
        net_path: the file of links, ``…_net.tntp``; the others are ``…_trips.tntp`` and ``…_node.tntp``.

    Raises:
        ConfigError: when a file is malformed, or does not fit the others.
    """
    name = os.fspath(net_path)
    roads = read_tntp(net_path, beside(name, "trips"), beside(name, "node"))
    return roads.graph, {
        "demand": roads.demand,
        "weight": "free_flow_time",
        "capacity": "capacity",
        "capacity_scale": "mean",
        "rounding": "ceil",
    }


def graphml_roads(path: str | os.PathLike[str]) -> Roads:
    """The roads of a GraphML file, between its boundary nodes.

    Paths are the shortest by ``length`` if edges have one, else by the number of lanes. If edges have
    a ``capacity``, these are scaled and rounded as :func:`tntp_roads` does; else all lanes have the
    Thesis'. If one edge has either, all must have it.

    Args:
        path: the file.

    Raises:
        ConfigError: when the file is malformed.
    """
    graph = read_graphml(path)
    carried = {name for _, _, data in graph.edges(data=True) for name in data}
    arguments: dict[str, Any] = {"weight": "length" if "length" in carried else None}
    if "capacity" in carried:
        arguments |= {"capacity": "capacity", "capacity_scale": "mean", "rounding": "ceil"}
    return graph, arguments


def named_pairs(graph: nx.DiGraph, pairs: Sequence[tuple[str, str]]) -> list[Pair] | None:
    """The pairs of nodes with the given names, which are the nodes as text; None without any.

    Raises:
        ConfigError: when no node has such a name.
    """
    if not pairs:
        return None
    node_of = {str(node): node for node in graph}
    unknown = [name for pair in pairs for name in pair if name not in node_of]
    if unknown:
        with errors_name(graph.graph.get("source")):
            allowed = f"the name of one of the {len(node_of)} nodes, such as {next(iter(node_of))}"
            raise refusal("a node of pairs", unknown[0], allowed)
    return [(node_of[origin], node_of[destination]) for origin, destination in pairs]
