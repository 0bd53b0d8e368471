"""Which trips a road network has, and the paths they take.

A graph of roads is a ``networkx.DiGraph`` whose nodes may carry ``boundary`` (trips begin and end here)
and ``through`` (False: a path may begin or end here, but not pass), and whose edges carry numbers such
as ``length`` and ``capacity``.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from karma_envs.config import ConfigError, choice, real, refuse, whole

Node = Hashable
Pair = tuple[Node, Node]
"""Origin and destination of a trip."""

MOST_LEGS = 5 * 10**6
"""Lanes of all paths together; more are refused, as shortest paths grow combinatorially with a grid."""


def checked_graph(graph: object) -> nx.DiGraph:
    """A copy of a graph of roads that the caller may change, once it is one.

    Raises:
        ConfigError: when it is undirected, or naming an edge that is double or joins a node to itself.
    """
    if not isinstance(graph, nx.Graph) or not graph.is_directed():
        raise refuse("graph", graph, "a networkx.DiGraph (of an undirected graph: graph.to_directed())")
    seen: set[Pair] = set()
    for edge in graph.edges():
        if edge[0] == edge[1]:
            raise refuse("graph", edge, "edges between two different nodes")
        if edge in seen:
            raise refuse("graph", edge, "at most one edge from a node to another; this one is double")
        seen.add(edge)
    if not seen:
        raise refuse("graph", graph, "a graph with edges")
    return nx.DiGraph(graph)


def lane_values(
    graph: nx.DiGraph, attribute: str, *, positive: bool = False, source: str = "graph"
) -> NDArray[np.float64]:
    """A number that every edge carries.

    Args:
        graph: a graph of roads.
        attribute: the number's name.
        positive: whether 0 is refused too.
        source: where the graph is from, for errors.

    Returns:
        ``float64[edges]``, in the graph's order.

    Raises:
        ConfigError: naming an edge that lacks it, or whose value is not such a number.
    """
    allowed = "a positive number" if positive else "a number from 0 up"
    values = []
    for start, end, data in graph.edges(data=True):
        edge = f"{source}: edge {start!r} → {end!r}"
        if attribute not in data:
            raise ConfigError(
                f"{edge} has no {attribute!r}; it has: {', '.join(map(str, data)) or 'nothing'}"
            )
        value = data[attribute]
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or value < 0 or (positive and value == 0):
            raise refuse(f"{edge}: {attribute}", value, allowed)
        values.append(float(value))
    return np.array(values, np.float64)


def boundary_nodes(graph: nx.DiGraph) -> list[Node]:
    """Where trips begin and end: the nodes marked ``boundary``; where none is, those with one neighbour."""
    marked = [node for node, boundary in graph.nodes(data="boundary", default=False) if boundary]
    return marked or [node for node in graph if len(_neighbours(graph, node)) == 1]


def choose_pairs(
    graph: nx.DiGraph,
    pairs: Iterable[Pair] | None,
    demand: Mapping[Pair, float] | None,
    most_pairs: int | None,
    exclude: str | None,
) -> dict[Pair, float] | list[Pair]:
    """The pairs of origin and destination, each with its demand where one is given.

    The arguments are those of :func:`karma_envs.games.grid_city.network.road_network`, which says more.

    Raises:
        ConfigError: for nodes that the graph does not have, and where no pair remains.
    """
    if exclude is not None:
        choice("exclude", exclude, ("same_junction",))
    if most_pairs is not None:
        whole("most_pairs", most_pairs, 1)
        if demand is None:
            raise refuse("most_pairs", most_pairs, "None without demand: it keeps the largest demands")
    listed = None if pairs is None else _listed(graph, pairs)
    if demand is not None:
        return _largest(_positive(graph, demand, listed), most_pairs)
    if listed is not None:
        return listed
    nodes = boundary_nodes(graph)
    if len(nodes) < 2:
        raise refuse(
            "graph", f"{len(nodes)} boundary nodes", "at least 2 (or list the trips in pairs or demand)"
        )
    every = itertools.permutations(nodes, 2)
    found = [pair for pair in every if exclude is None or not _same_junction(graph, pair)]
    if not found:
        raise refuse("exclude", exclude, "None here: all boundary nodes hang on the same junction")
    return found


def find_paths(
    graph: nx.DiGraph, pairs: Collection[Pair], method: str, k: int, weight: str | None
) -> dict[Pair, list[tuple[Node, ...]]]:
    """The paths of each pair, as nodes in order.

    Args:
        graph: a graph of roads.
        pairs: origins and destinations, each pair once.
        method: shortest (all that tie for it; lengths are compared exactly) or k_shortest (without
            repeated nodes, by length; ties in the order they are found).
        k: how many paths a pair has at most, for k_shortest; 1 for shortest, which takes all.
        weight: the attribute that adds up to a path's length; None to count edges.

    Returns:
        the paths by pair, in the order of the pairs.

    Raises:
        ConfigError: naming a pair that no path joins, or an edge whose weight is missing or negative; or
            when all paths together have more than MOST_LEGS lanes.
    """
    choice("paths", method, ("shortest", "k_shortest"))
    whole("k", k, 1)
    if method == "shortest" and k != 1:
        raise refuse("k", k, "1 with paths = shortest, which takes every path that ties for it")
    if weight is not None:
        lane_values(graph, weight)
    destinations: dict[Node, list[Node]] = {}
    for origin, destination in pairs:
        destinations.setdefault(origin, []).append(destination)
    found: dict[Pair, list[tuple[Node, ...]]] = {pair: [] for pair in pairs}
    legs = 0
    for origin, of_origin in destinations.items():
        passable = _passable(graph, origin)
        if weight is None:
            predecessors = nx.predecessor(passable, origin)
        else:
            predecessors, _ = nx.dijkstra_predecessor_and_distance(passable, origin, weight=weight)
        for destination in of_origin:
            pair = (origin, destination)
            if destination not in predecessors:
                raise refuse("pairs", pair, "pairs that a path joins (where some are not, list pairs)")
            routes = (
                _walk_back(predecessors, origin, destination)
                if method == "shortest"
                else itertools.islice(nx.shortest_simple_paths(passable, origin, destination, weight), k)
            )
            for route in routes:
                found[pair].append(tuple(route))
                legs += len(route) - 1
                if legs > MOST_LEGS:
                    allowed = f"at most {MOST_LEGS} lanes in all paths; take k_shortest, or fewer pairs"
                    raise refuse("paths", method, allowed)
    return found


def _walk_back(
    predecessors: Mapping[Node, Sequence[Node]], origin: Node, destination: Node
) -> Iterator[tuple[Node, ...]]:
    """All shortest paths, from the last nodes of each shortest path to a node."""
    ends: list[tuple[Node, ...]] = [(destination,)]
    while ends:
        end = ends.pop()
        if end[0] == origin:
            yield end
            continue
        # Edges of length 0 can close cycles of predecessors, hence the condition.
        ends += [(node, *end) for node in reversed(predecessors[end[0]]) if node not in end]


def _passable(graph: nx.DiGraph, origin: Node) -> nx.DiGraph:
    """The graph without the edges that only a path through a forbidden node could take."""
    closed = [node for node, through in graph.nodes(data="through", default=True) if not through]
    if not closed:
        return graph
    passable = graph.copy()
    passable.remove_edges_from(list(graph.out_edges([node for node in closed if node != origin])))
    return passable


def _neighbours(graph: nx.DiGraph, node: Node) -> set[Node]:
    return set(nx.all_neighbors(graph, node))


def _same_junction(graph: nx.DiGraph, pair: Pair) -> bool:
    """Whether two nodes are dead ends at the same node."""
    first, second = (_neighbours(graph, node) for node in pair)
    return first == second and len(first) == 1


def _checked_pair(graph: nx.DiGraph, field: str, pair: object) -> Pair:
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise refuse(field, pair, "pairs (origin, destination)")
    for node in pair:
        if node not in graph:
            raise refuse(f"a node of {field}", node, f"one of the {len(graph)} nodes of the graph")
    return (pair[0], pair[1])


def _listed(graph: nx.DiGraph, pairs: Iterable[Pair]) -> list[Pair]:
    listed = [_checked_pair(graph, "pairs", pair) for pair in pairs]
    if not listed:
        raise refuse("pairs", listed, "at least one pair, or None for all pairs of boundary nodes")
    seen: set[Pair] = set()
    for pair in listed:
        if pair[0] == pair[1] or pair in seen:
            raise refuse("pairs", pair, "two different nodes, each pair once")
        seen.add(pair)
    return listed


def _positive(
    graph: nx.DiGraph, demand: Mapping[Pair, float], listed: list[Pair] | None
) -> dict[Pair, float]:
    """The pairs whose demand is above 0, those within a node left out: they take no lane."""
    if not isinstance(demand, Mapping):
        raise refuse("demand", demand, "a mapping of (origin, destination) to a number from 0 up")
    checked = {
        _checked_pair(graph, "demand", pair): real(f"demand[{pair!r}]", flow, 0)
        for pair, flow in demand.items()
    }
    for pair in listed or ():
        if not checked.get(pair):
            raise refuse("pairs", pair, "pairs with a positive demand, where demand is given too")
    kept = set(checked if listed is None else listed)
    positive = {pair: flow for pair, flow in checked.items() if pair in kept and flow and pair[0] != pair[1]}
    if not positive:
        raise refuse("demand", demand, "a positive demand between two different nodes")
    return positive


def _largest(demand: dict[Pair, float], most: int | None) -> dict[Pair, float]:
    """The largest demands, in their old order; of equal ones the first."""
    if most is None or most >= len(demand):
        return demand
    kept = set(sorted(demand, key=lambda pair: -demand[pair])[:most])
    return {pair: flow for pair, flow in demand.items() if pair in kept}
