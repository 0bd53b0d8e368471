"""Graphs of roads as they come, from files or from Python, made into what the game takes.

A graph of roads is directed. Its nodes may carry ``boundary`` (trips begin and end here), ``through``
(False: a path may begin or end here, but not pass) and ``x`` and ``y``, its edges numbers such as
``length`` and ``capacity``. Exporters write all of them as text: here text is read, the same way for
every attribute, or refused by name.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import warnings
from collections.abc import Hashable, Iterator
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from karma_envs.config import ConfigError, refusal

Node = Hashable
Pair = tuple[Node, Node]
"""Origin and destination of a trip, or the two ends of a lane."""

TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")


def truth(field: str, value: object) -> bool:
    """A boolean, given as such, as a number, or as text.

    Raises:
        ConfigError: for anything but true, false, yes, no, 1 and 0, in small letters or capitals.
    """
    text = str(value).strip().lower()
    if isinstance(value, (numbers.Real, np.bool_)) and value in (0, 1):
        return bool(value)
    if not isinstance(value, str) or text not in TRUE + FALSE:
        raise refusal(field, value, ", ".join((*TRUE, *FALSE)))
    return text in TRUE


def number(value: object) -> float:
    """A number, given as such or as text such as "12.5"; NaN for all else."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, str) and "_" in value):
        return math.nan
    if not isinstance(value, (numbers.Real, str)):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan
    except OverflowError:  # whole numbers of more than 308 digits
        return math.inf


@contextlib.contextmanager
def errors_name(source: str | None) -> Iterator[None]:
    """Put where a graph is from, if it is known, before the message of an error."""
    try:
        yield
    except ConfigError as error:
        if source is None:
            raise
        raise ConfigError(f"{source}: {error}") from error


def warn(graph: nx.Graph, message: str) -> None:
    """Warn of how a graph was understood, naming the file that it was read from."""
    source = graph.graph.get("source")
    warnings.warn(message if source is None else f"{source}: {message}", stacklevel=2)


def checked_graph(graph: Any) -> nx.DiGraph:
    """A copy of a graph of roads, that the caller may change, with its nodes' attributes read.

    Returns:
        a ``DiGraph``, or a ``MultiDiGraph`` of one.

    Raises:
        ConfigError: when it is undirected or has no edges, or naming a node with an attribute that cannot
            be read.
    """
    if not isinstance(graph, nx.Graph) or not graph.is_directed():
        raise refusal("graph", graph, "a networkx.DiGraph (of an undirected graph: graph.to_directed())")
    if not graph.number_of_edges():
        raise refusal("graph", graph, "a graph with edges")
    graph = nx.MultiDiGraph(graph) if graph.is_multigraph() else nx.DiGraph(graph)
    for node, data in graph.nodes(data=True):
        for name in ("boundary", "through", "x", "y"):
            if data.get(name) is None:
                data.pop(name, None)
            elif name in ("boundary", "through"):
                data[name] = truth(f"node {node!r}: {name}", data[name])
            elif not math.isfinite(number(data[name])):
                raise refusal(f"node {node!r}: {name}", data[name], "a finite number")
            elif isinstance(data[name], str):
                data[name] = number(data[name])
    return graph


def lane_value(
    edge: Pair, data: dict[str, object], attribute: str, *, positive: bool = False, infinite: bool = False
) -> float:
    """A number that an edge carries.

    Args:
        edge: its two ends, for errors.
        data: what it carries.
        attribute: the number's name.
        positive: whether 0 is refused too.
        infinite: whether infinity is taken.

    Raises:
        ConfigError: naming the edge, when it lacks it, or its value is not such a number.
    """
    name = f"edge {edge[0]!r} → {edge[1]!r}"
    if attribute not in data:
        raise ConfigError(f"{name} has no {attribute!r}; it has: {', '.join(map(str, data)) or 'nothing'}")
    value = number(data[attribute])
    if math.isnan(value) or value < 0 or (positive and value == 0) or (value == math.inf and not infinite):
        allowed = "a positive number" if positive else "a number from 0 up"
        raise refusal(f"{name}: {attribute}", data[attribute], f"{allowed}, without unit")
    return value


def lane_values(
    graph: nx.DiGraph, attribute: str, *, positive: bool = False, infinite: bool = False
) -> NDArray[np.float64]:
    """A number that every edge carries, ``float64[edges]`` in the graph's order; see :func:`lane_value`."""
    values = [
        lane_value((start, end), data, attribute, positive=positive, infinite=infinite)
        for start, end, data in graph.edges(data=True)
    ]
    return np.array(values, np.float64)


def single_lanes(graph: nx.DiGraph, weight: str | None, capacity: str | None) -> nx.DiGraph:
    """The graph with at most one lane from a node to another, and none from a node to itself.

    Lanes side by side become one lane that takes what all of them take, and is as long as the shortest.
    Lanes from a node to itself are left out: no path takes them. A warning says how many there were.

    Args:
        graph: a copy of a graph of roads.
        weight: the attribute that adds up to a path's length; None to count edges.
        capacity: the attribute with the capacity; None where all lanes have the same.

    Raises:
        ConfigError: naming an edge that has others beside it, whose attribute is missing or no number.
    """
    loops = list(nx.selfloop_edges(graph))
    if loops:
        graph.remove_edges_from(loops)
        warn(graph, f"lanes from a node to itself ({len(loops)}, as at {loops[0][0]!r}) are left out")
        if not graph.number_of_edges():
            raise refusal("graph", graph, "a graph with edges between different nodes")
    if not graph.is_multigraph():
        return graph
    single = nx.DiGraph()
    single.graph.update(graph.graph)
    single.add_nodes_from(graph.nodes(data=True))
    beside: list[Pair] = []
    for start, neighbours in graph.adjacency():
        for end, parallel in neighbours.items():
            data = list(parallel.values())
            if len(data) > 1:
                beside += [(start, end)] * (len(data) - 1)
                data = [_joined((start, end), data, weight, capacity)]
            single.add_edge(start, end, **data[0])
    if beside:
        start, end = beside[0]
        warn(
            graph,
            f"lanes that run beside others ({len(beside)}, as from {start!r} to {end!r}) are joined with "
            "them: capacities add up, and the shortest tells the length",
        )
    return single


def _joined(
    edge: Pair, parallel: list[dict[str, object]], weight: str | None, capacity: str | None
) -> dict[str, object]:
    lengths = [0.0 if weight is None else lane_value(edge, data, weight) for data in parallel]
    joined = parallel[lengths.index(min(lengths))]
    if capacity is None:
        return joined
    each = [lane_value(edge, data, capacity, infinite=True) for data in parallel]
    # A capacity of 0 is not the least but a word for none: see capacities.py.
    return {**joined, capacity: sum(each) if all(each) else 0.0}
