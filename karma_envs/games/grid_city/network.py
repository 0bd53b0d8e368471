"""Road networks: lanes that agents queue for, and the paths that trips take (Thesis, section 6.2).

:func:`grid` makes the Thesis' city, :mod:`.tntp` and :mod:`.graphml` read others; :func:`road_network`
makes a network of any of these graphs::

    network = road_network(grid(4, 4), n_agents=1000)  # 80 lanes, 1024 paths, 9 agents per lane and step

    roads = read_tntp("SiouxFalls_net.tntp", "SiouxFalls_trips.tntp")
    network = road_network(
        roads.graph, demand=roads.demand, weight="free_flow_time",
        capacity="capacity", capacity_scale="mean", n_agents=1000,
    )

The game does the latter by itself for files that it is given (:mod:`.named_networks`).

Differences from the source: the Thesis counts 1024 shortest paths between boundary nodes of the 4x4
grid. There are 1032; the 8 that join the two boundary nodes of one corner are left out by default. Its
capacity rule gives 9.375 for N = 1000; rounded down it reproduces the Thesis' results without karma.
It says that entries and exits are then free when nobody waits. That holds for those at the sides of the
grid, not for those at its corners, which more of the paths take: see :meth:`RoadNetwork.occupancy`.
"""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal, whole
from karma_envs.games.grid_city.capacities import CAPACITY_SHARE, lane_capacities
from karma_envs.games.grid_city.graphs import Node, Pair, checked_graph, errors_name, single_lanes
from karma_envs.games.grid_city.paths import choose_pairs, find_paths

__all__ = ["CAPACITY_SHARE", "RoadNetwork", "grid", "road_network"]


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """A road network: lanes that agents queue for, and the paths that trips take.

    Attributes:
        graph: the roads, frozen; edges carry ``lane``, their index, and what was read.
        lanes: (from node, to node) by lane.
        paths: the lanes of each path, in order; at least one. The game's dormant path is not here.
        weights: ``float64[paths]``, at least 0, with sum 1: how likely a trip takes the path.
        capacity: ``int64[lanes]``, agents that may enter per step, at least 1.

    The arrays are read-only.

    Raises:
        ConfigError: when these do not fit each other.
    """

    graph: nx.DiGraph
    lanes: tuple[Pair, ...]
    paths: tuple[tuple[int, ...], ...]
    weights: NDArray[np.float64]
    capacity: NDArray[np.int64]

    def __post_init__(self) -> None:
        n_lanes = len(self.lanes)
        if sorted(lane for _, _, lane in self.graph.edges(data="lane", default=-1)) != list(range(n_lanes)):
            raise refusal(
                "graph", self.graph, f"a graph whose edges carry lane, each of 0 … {n_lanes - 1} once"
            )
        for index, lane in enumerate(self.lanes):
            if not self.graph.has_edge(*lane) or self.graph.edges[lane]["lane"] != index:
                raise refusal(f"lanes[{index}]", lane, f"the edge of the graph that carries lane {index}")
        if not self.paths:
            raise refusal("paths", self.paths, "at least one path")
        for index, path in enumerate(self.paths):
            self._check_path(index, path)
        weights = np.array(self.weights, np.float64)
        if weights.shape != (len(self.paths),) or not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-9:
            raise refusal("weights", self.weights, f"{len(self.paths)} numbers from 0 up with sum 1")
        capacity = np.array(self.capacity)
        if capacity.shape != (n_lanes,) or capacity.dtype.kind not in "iu" or not (capacity >= 1).all():
            raise refusal("capacity", self.capacity, f"{n_lanes} whole numbers from 1 up")
        for name, array in (("weights", weights), ("capacity", capacity.astype(np.int64))):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def _check_path(self, index: int, path: tuple[int, ...]) -> None:
        field = f"paths[{index}]"
        if not path or not all(0 <= lane < len(self.lanes) for lane in path):
            raise refusal(field, path, f"one or more lanes, each from 0 to {len(self.lanes) - 1}")
        nodes = [self.lanes[path[0]][0], *(self.lanes[lane][1] for lane in path)]
        if any(self.lanes[lane][0] != node for lane, node in zip(path, nodes)):
            raise refusal(field, path, "lanes each of which begins where the one before ends")
        if len(set(nodes)) < len(nodes):
            raise refusal(field, path, "a path that visits no node twice")

    @property
    def longest(self) -> int:
        """z_max, how many lanes the longest path has."""
        return max(map(len, self.paths))

    @property
    def positions(self) -> dict[Node, tuple[float, float]] | None:
        """Where to draw the nodes, by their numbers ``x`` and ``y``; None unless all have both."""
        places = {node: (data.get("x"), data.get("y")) for node, data in self.graph.nodes(data=True)}
        if not all(isinstance(coordinate, numbers.Real) for place in places.values() for coordinate in place):
            return None
        return {node: (float(x), float(y)) for node, (x, y) in places.items()}

    def occupancy(self) -> NDArray[np.float64]:
        """Expected share of the travelling agents in each lane when capacity is infinite (Fig. 6.3).

        Nobody waits, so a trip spends one step in every lane of its path. Trips are counted by
        ``weights``; the time agents are dormant is left out.

        Returns:
            ``float64[lanes]`` with sum 1. On this scale the Thesis' capacity line is ``0.75 / lanes``,
            .0094 in its 4x4 grid, where entries and exits have .0076 at the sides and .0112 at the
            corners, and inner lanes .0135 to .0175.
        """
        lengths = [len(path) for path in self.paths]
        used = np.concatenate([np.asarray(path, np.int64) for path in self.paths])
        steps = np.bincount(used, np.repeat(self.weights, lengths), minlength=len(self.lanes))
        return np.asarray(steps / steps.sum(), np.float64)


def grid(rows: int = 4, columns: int = 4) -> nx.DiGraph:
    """The grid city: inner nodes, and a boundary node on every outward side of an outer one (Fig. 6.3).

    A node is (row, column). Inner nodes have rows 0 … rows - 1 and columns 0 … columns - 1; boundary
    nodes lie one step outside, so that a corner has two. Neighbours are joined in both directions; nodes
    carry ``x``, ``y`` (downwards negative) and boundary nodes ``boundary``. 4x4: 16 inner nodes,
    16 boundary nodes, 80 edges.

    Raises:
        ConfigError: for a size that is not a whole number from 1 up.
    """
    rows, columns = whole("rows", rows, 1), whole("columns", columns, 1)
    graph = nx.DiGraph()
    for row in range(-1, rows + 1):
        for column in range(-1, columns + 1):
            outside = (row in (-1, rows)) + (column in (-1, columns))
            if outside < 2:
                graph.add_node((row, column), x=float(column), y=float(-row), boundary=outside == 1)
    for row, column in list(graph):
        for neighbour in ((row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)):
            both_outside = graph.nodes[row, column]["boundary"] and graph.nodes.get(neighbour, {}).get(
                "boundary"
            )
            if neighbour in graph and not both_outside:
                graph.add_edge((row, column), neighbour)
    return graph


def road_network(
    graph: nx.DiGraph,
    *,
    n_agents: int | None = None,
    capacity: float | str | Sequence[float] | None = None,
    capacity_scale: float | str = 1.0,
    rounding: str = "floor",
    pairs: Iterable[Pair] | None = None,
    demand: Mapping[Pair, float] | None = None,
    most_pairs: int | None = None,
    exclude: str | None = "same_junction",
    paths: str = "shortest",
    k: int = 1,
    weight: str | None = None,
) -> RoadNetwork:
    """A road network of a graph, which is copied; its edges become lanes, in their order.

    Lanes side by side are joined, and those from a node to itself are left out, with a warning (see
    :func:`karma_envs.games.grid_city.graphs.single_lanes`).

    Args:
        graph: the roads. A node with ``through`` = False is never passed through. Attributes may be text, as
            exporters write them: numbers without units, and true, false, yes, no, 1 and 0.
        n_agents: N, at least 1; needed for the Thesis' capacity and where ``capacity_scale`` is a word.
        capacity: agents that may enter a lane per step: one number, a number per lane, or the attribute
            of the edges that tells; None for the Thesis' rule, ``0.75 n_agents / lanes`` for every lane,
            which is at least 1 after rounding. An attribute may be infinite, or 0 where a lane joins a
            boundary node to the roads: no limit.
        capacity_scale: what a given capacity is multiplied by, as where it is in vehicles per hour; "mean" or
            "median" for the factor that makes that of the lanes ``0.75 n_agents / lanes``. These leave
            out, with a warning, what stands for no limit: 99999 and longer rows of nines, 10^9 and more, and
            from 9999 up 20 times the lower quartile of the others.
        rounding: floor, ceil or round (halves to even), to whole agents per step.
        pairs: origins and destinations of trips; None for those with demand, or without demand for
            every two different boundary nodes (nodes marked ``boundary``; where none is, those with one
            neighbour) that a path joins.
        demand: how many trips a pair has, in any unit. Pairs without, and trips within a node, are left
            out. Weights are then the demand, split evenly over the paths of the pair; without
            demand all paths weigh the same.
        most_pairs: only that many pairs, those with the largest demands; None for all. What is left
            out is not made up for: the demands kept are scaled to 1.
        exclude: same_junction leaves out pairs of boundary nodes that hang on the same node (the two of a
            corner); None keeps them. It does not apply to given pairs or demand.
        paths: shortest (all that tie) or k_shortest (the k shortest that visit no node twice).
        k: how many paths a pair has at most, with k_shortest.
        weight: the attribute of edges that adds up to a path's length; None to count edges.

    Returns:
        the network.

    Raises:
        ConfigError: for an argument that is not allowed, and naming what is wrong with the graph: an
            attribute that is missing or cannot be read; a lane whose capacity is below 1 once rounded; fewer
            than two boundary nodes; a listed pair, or one with demand, that no path joins; too many paths.
            The message begins with the file that the graph was read from.
    """
    with errors_name(graph.graph.get("source") if isinstance(graph, nx.Graph) else None):
        graph = checked_graph(graph)
        graph = single_lanes(graph, weight, capacity if isinstance(capacity, str) else None)
        for index, edge in enumerate(graph.edges):
            graph.edges[edge]["lane"] = index
        of_lane = lane_capacities(graph, capacity, capacity_scale, rounding, n_agents)
        chosen = choose_pairs(graph, pairs, demand, most_pairs, exclude)
        all_joined = pairs is not None or demand is not None
        paths_of_pair = find_paths(graph, chosen, paths, k, weight, all_joined=all_joined)
    counts = [len(of_pair) for of_pair in paths_of_pair.values()]
    if isinstance(chosen, dict):
        weights = np.repeat(np.array(list(chosen.values())) / counts, counts)
    else:
        weights = np.ones(sum(counts))
    lane_of = nx.get_edge_attributes(graph, "lane")
    return RoadNetwork(
        graph=nx.freeze(graph),
        lanes=tuple(lane_of),
        paths=tuple(
            tuple(lane_of[edge] for edge in itertools.pairwise(path))
            for of_pair in paths_of_pair.values()
            for path in of_pair
        ),
        weights=weights / weights.sum(),
        capacity=of_lane,
    )
