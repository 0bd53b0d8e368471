"""The network that a configuration names: a grid, a town, a file, or a function."""

from __future__ import annotations

import os

from karma_envs.config import refuse
from karma_envs.games.grid_city.config import GridCityConfig, named_function
from karma_envs.games.grid_city.graphml import read_graphml
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from karma_envs.games.grid_city.network_files import TNTP, beside, file_format, network_files
from karma_envs.games.grid_city.tntp import read_tntp
from karma_envs.games.grid_city.town import NET_FILE

ALLOWED = "a function of n_agents that returns a RoadNetwork, or its name module:function"


def network_of(config: GridCityConfig) -> RoadNetwork:
    """The network of a configuration.

    Raises:
        ConfigError: when there is no such network, or its file is malformed.
    """
    given, n_agents = config.network, config.n_agents
    if given == "grid":
        graph = grid(config.rows, config.columns)
        return road_network(graph, capacity=config.capacity, n_agents=n_agents)
    if given == "town":
        return tntp_network(NET_FILE, n_agents)
    if files := network_files(given):
        return (tntp_network if file_format(given) == TNTP else graphml_network)(files[0], n_agents)
    network = named_function("network", given, ALLOWED)(n_agents)
    if not isinstance(network, RoadNetwork):
        raise refuse("network", given, f"{ALLOWED}; it returned {type(network).__name__}")
    return network


def tntp_network(net_path: str | os.PathLike[str], n_agents: int) -> RoadNetwork:
    """The network of TNTP files; those of trips and nodes are read where they lie beside that of links.

    Paths are the shortest by ``free_flow_time``, weighted by demand, if there is a file of trips.
    Capacities are scaled so that their mean is the Thesis' 0.75 N / L, and rounded up, so that no
    lane is closed.

    Args:
        net_path: the file of links, ``…_net.tntp``; the others are ``…_trips.tntp`` and ``…_node.tntp``.
        n_agents: N.

    Raises:
        ConfigError: when a file is malformed.
    """
    name = os.fspath(net_path)
    roads = read_tntp(net_path, beside(name, "trips"), beside(name, "node"))
    return road_network(
        roads.graph,
        n_agents=n_agents,
        capacity="capacity",
        capacity_scale="mean",
        rounding="ceil",
        demand=roads.demand,
        weight="free_flow_time",
    )


def graphml_network(path: str | os.PathLike[str], n_agents: int) -> RoadNetwork:
    """The network of a GraphML file, between its boundary nodes.

    Paths are the shortest by ``length`` if all edges have one, else by the number of lanes. If edges have
    a ``capacity``, these are scaled and rounded as :func:`tntp_network` does; else all lanes have
    the Thesis'.

    Args:
        path: the file.
        n_agents: N.

    Raises:
        ConfigError: when the file is malformed.
    """
    graph = read_graphml(path)
    edges = [data for _, _, data in graph.edges(data=True)]
    weight = "length" if all("length" in data for data in edges) else None
    if not any("capacity" in data for data in edges):
        return road_network(graph, n_agents=n_agents, weight=weight)
    return road_network(
        graph, n_agents=n_agents, capacity="capacity", capacity_scale="mean", rounding="ceil", weight=weight
    )
