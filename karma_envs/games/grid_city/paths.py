"""Which trips a road network has, and the paths they take. For graphs of roads see :mod:`.graphs`."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import networkx as nx

from karma_envs.config import choice, real, refusal, whole
from karma_envs.games.grid_city.graphs import Node, Pair, lane_values, warn

MOST_LEGS = 5 * 10**6
"""Lanes of all paths together; more are refused, as shortest paths grow combinatorially with a grid."""

MOST_BOUNDARY_NODES = 1000
"""More are refused where trips lead between any two of them."""

MOST_DETOURS = 1000
"""Paths of a pair that are looked for where links of length 0 lead in circles; more are refused."""


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
            raise refusal("most_pairs", most_pairs, "None without demand: it keeps the largest demands")
    listed = None if pairs is None else _listed(graph, pairs)
    if demand is not None:
        return _largest(_positive(graph, demand, listed), most_pairs)
    if listed is not None:
        return listed
    nodes = boundary_nodes(graph)
    if not 2 <= len(nodes) <= MOST_BOUNDARY_NODES:
        raise refusal(
            "graph",
            f"{len(nodes)} boundary nodes",
            f"2 … {MOST_BOUNDARY_NODES}: nodes with the attribute boundary = true, or where none has it, "
            "dead ends; or list the trips in pairs",
        )
    junctions = {} if exclude is None else {node: _junction(graph, node) for node in nodes}
    apart = [
        (origin, destination)
        for origin, destination in itertools.permutations(nodes, 2)
        if junctions.get(origin) is None or junctions[origin] != junctions[destination]
    ]
    if not apart:
        raise refusal("exclude", exclude, "None here: all boundary nodes hang on the same junction")
    # One-way roads that leave the map have no trips from their end, those that enter it none to theirs.
    ends = {node for node in nodes if graph.in_degree(node) and not graph.out_degree(node)}
    beginnings = {node for node in nodes if graph.out_degree(node) and not graph.in_degree(node)}
    possible = [pair for pair in apart if pair[0] not in ends and pair[1] not in beginnings]
    if not possible:
        raise refusal(
            "graph", f"{len(nodes)} boundary nodes", "some with a lane that leads away, some with one to them"
        )
    return possible


def find_paths(
    graph: nx.DiGraph,
    pairs: Collection[Pair],
    method: str,
    k: int,
    weight: str | None,
    *,
    all_joined: bool = True,
) -> dict[Pair, list[tuple[Node, ...]]]:
    """The paths of each pair, as nodes in order.

    Args:
        graph: a graph of roads; lengths that are text become numbers in it.
        pairs: origins and destinations, each pair once.
        method: shortest (all that tie for it; lengths are compared exactly) or k_shortest (without
            repeated nodes, by length; ties in the order they are found).
        k: how many paths a pair has at most, for k_shortest; 1 for shortest, which takes all.
        weight: the attribute that adds up to a path's length; None to count edges.
        all_joined: whether a pair that no path joins is refused; else it is left out, with a warning.

    Returns:
        the paths by pair, in the order of the pairs.

    Raises:
        ConfigError: naming a pair that no path joins, or an edge whose weight is missing or negative; or
            when all paths together have more than MOST_LEGS lanes, or those of a pair more than
            MOST_DETOURS through links of length 0 that lead in circles.
    """
    choice("paths", method, ("shortest", "k_shortest"))
    whole("k", k, 1)
    if method == "shortest" and k != 1:
        raise refusal("k", k, "1 with paths = shortest, which takes every path that ties for it")
    if weight is not None:
        lengths = lane_values(graph, weight)
        if any(isinstance(length, str) for _, _, length in graph.edges(data=weight)):
            nx.set_edge_attributes(graph, dict(zip(graph.edges, lengths.tolist())), weight)
    destinations: dict[Node, list[Node]] = {}
    for origin, destination in pairs:
        destinations.setdefault(origin, []).append(destination)
    paths_of_pair: dict[Pair, list[tuple[Node, ...]]] = {pair: [] for pair in pairs}
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
                if all_joined:
                    raise refusal("pairs", pair, "pairs that a path joins (where some are not, list pairs)")
                continue
            routes = (
                _walk_back(predecessors, origin, destination)
                if method == "shortest"
                else itertools.islice(nx.shortest_simple_paths(passable, origin, destination, weight), k)
            )
            for route in routes:
                paths_of_pair[pair].append(tuple(route))
                legs += len(route) - 1
                if legs > MOST_LEGS:
                    allowed = f"at most {MOST_LEGS} lanes in all paths; take k_shortest, or fewer pairs"
                    raise refusal("paths", method, f"{allowed} (pairs, most_pairs)")
    apart = [pair for pair, of_pair in paths_of_pair.items() if not of_pair]
    if len(apart) == len(paths_of_pair):
        raise refusal("graph", f"{len(apart)} pairs of boundary nodes", "some that a path joins")
    if apart:
        warn(
            graph,
            f"{len(apart)} of {len(paths_of_pair)} pairs of boundary nodes are joined by no path, as "
            f"{apart[0]}, and have no trips",
        )
    return {pair: of_pair for pair, of_pair in paths_of_pair.items() if of_pair}


def _walk_back(
    predecessors: Mapping[Node, Sequence[Node]], origin: Node, destination: Node
) -> Iterator[tuple[Node, ...]]:
    """All shortest paths, from the last nodes of each shortest path to a node."""
    ends: list[tuple[Node, ...]] = [(destination,)]
    yielded: set[tuple[Node, ...]] = set()
    steps, steps_on_paths = 0, 0
    while ends:
        end = ends.pop()
        steps += 1
        if end[0] == origin:
            yielded.add(end)
            steps_on_paths += len(end)
            yield end
            continue
        # Edges of length 0 can close circles of predecessors, hence the condition. Walks that end in
        # such circles may be exponentially many; without them every step is one of a path.
        ends += [(node, *end) for node in reversed(predecessors[end[0]]) if node not in end]
        if steps > 10 * steps_on_paths + 10_000:
            yield from _detours(predecessors, origin, destination, yielded)
            return


def _detours(
    predecessors: Mapping[Node, Sequence[Node]],
    origin: Node,
    destination: Node,
    known: Collection[tuple[Node, ...]],
) -> Iterator[tuple[Node, ...]]:
    """All shortest paths but those ``known``, without walks that end in circles."""
    tight = nx.DiGraph((before, node) for node, each in predecessors.items() for before in each)
    for count, path in enumerate(map(tuple, nx.shortest_simple_paths(tight, origin, destination))):
        if count == MOST_DETOURS:
            raise refusal(
                "paths",
                "shortest",
                f"at most {MOST_DETOURS} paths from {origin!r} to {destination!r} through links of length 0 "
                "that lead in circles; give them a length, or take k_shortest",
            )
        if path not in known:
            yield path


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


def _junction(graph: nx.DiGraph, node: Node) -> Node | None:
    """The node at which a dead end hangs; None of other nodes."""
    neighbours = _neighbours(graph, node)
    return next(iter(neighbours)) if len(neighbours) == 1 else None


def _checked_pair(graph: nx.DiGraph, field: str, pair: object) -> Pair:
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise refusal(field, pair, "pairs (origin, destination)")
    for node in pair:
        if node not in graph:
            raise refusal(f"a node of {field}", node, f"one of the {len(graph)} nodes of the graph")
    return (pair[0], pair[1])


def _listed(graph: nx.DiGraph, pairs: Iterable[Pair]) -> list[Pair]:
    if not isinstance(pairs, Iterable):
        raise refusal("pairs", pairs, "a list of pairs (origin, destination)")
    listed = [_checked_pair(graph, "pairs", pair) for pair in pairs]
    if not listed:
        raise refusal("pairs", listed, "at least one pair, or None for all pairs of boundary nodes")
    seen: set[Pair] = set()
    for pair in listed:
        if pair[0] == pair[1] or pair in seen:
            raise refusal("pairs", pair, "two different nodes, each pair once")
        seen.add(pair)
    return listed


def _positive(
    graph: nx.DiGraph, demand: Mapping[Pair, float], listed: list[Pair] | None
) -> dict[Pair, float]:
    """The pairs whose demand is above 0, those within a node left out: they take no lane."""
    if not isinstance(demand, Mapping):
        raise refusal("demand", demand, "a mapping of (origin, destination) to a number from 0 up")
    checked = {
        _checked_pair(graph, "demand", pair): real(f"demand[{pair!r}]", flow, 0)
        for pair, flow in demand.items()
    }
    for pair in listed or ():
        if not checked.get(pair):
            raise refusal("pairs", pair, "pairs with a positive demand, where demand is given too")
    wanted = set(checked if listed is None else listed)
    positive = {
        pair: flow for pair, flow in checked.items() if pair in wanted and flow and pair[0] != pair[1]
    }
    if not positive:
        raise refusal("demand", demand, "a positive demand between two different nodes")
    return positive


def _largest(demand: dict[Pair, float], most: int | None) -> dict[Pair, float]:
    """The largest demands, in their old order; of equal ones the first."""
    if most is None or most >= len(demand):
        return demand
    largest = set(sorted(demand, key=lambda pair: -demand[pair])[:most])
    return {pair: flow for pair, flow in demand.items() if pair in largest}
