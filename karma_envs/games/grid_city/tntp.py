"""Road networks in the TNTP format of *Transportation Networks for Research*.

The text files of transport research: links with capacities and lengths, demand between zones, and
coordinates of nodes (https://github.com/bstabler/TransportationNetworks).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import networkx as nx

from karma_envs.config import ConfigError, refuse, whole
from karma_envs.files import PathLike, write_text
from karma_envs.games.grid_city.paths import Pair

COLUMNS = ("capacity", "length", "free_flow_time", "b", "power", "speed", "toll", "link_type")
"""What follows the two nodes of a link, in this order; the first three are required."""

LINK = "init_node term_node capacity length free_flow_time … ;"
TRIPS = "Origin node, or entries destination : flow;"


class Roads(NamedTuple):
    """What :func:`read_tntp` has read."""

    graph: nx.DiGraph
    demand: dict[Pair, float] | None  # trips by (origin, destination), above 0; None: no file


def read_tntp(
    net_path: PathLike, trips_path: PathLike | None = None, node_path: PathLike | None = None
) -> Roads:
    """The roads of a TNTP network, for :func:`karma_envs.games.grid_city.network.road_network`.

    Nodes are the whole numbers 1 … <NUMBER OF NODES>. Zones, 1 … <NUMBER OF ZONES>, are marked
    ``boundary``: trips begin and end there. Nodes below <FIRST THRU NODE> have ``through`` = False: no
    path passes them. Edges carry COLUMNS, as far as the file has them, in its own units: ``capacity``
    (usually vehicles per hour; see capacity_scale of road_network), ``length``, ``free_flow_time``, …

    Args:
        net_path: the file of links.
        trips_path: the file of trips; None without demand.
        node_path: the file of coordinates, which nodes then carry as ``x`` and ``y``; None without.

    Returns:
        the graph, and the demand; flows of 0 are left out.

    Raises:
        ConfigError: naming file and line of what is malformed, of a node that there is not, of a link
            that is double, joins a node to itself, or has no positive capacity, of a pair given twice;
            or naming the file, where metadata is missing or does not fit.
        FileNotFoundError: when there is no such file.
    """
    graph = _read_links(net_path)
    demand = None if trips_path is None else _read_trips(trips_path, graph)
    if node_path is not None:
        _read_coordinates(node_path, graph)
    return Roads(graph, demand)


def _lines(path: PathLike) -> Iterator[tuple[str, str]]:
    """``file:line`` and text of each line that says something; comments begin with ~."""
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                text = line.partition("~")[0].strip()
                if text:
                    yield f"{name}:{number}", text
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not a text file in UTF-8 ({error})") from error


def _metadata(path: PathLike, lines: Iterator[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """``file:line`` and value by tag, up to the end of the metadata."""
    tags: dict[str, tuple[str, str]] = {}
    for place, text in lines:
        found = re.fullmatch(r"<([^<>]+)>(.*)", text)
        if not found:
            raise refuse(place, text, "metadata <TAG> value, before <END OF METADATA>")
        tag = found[1].strip().upper()
        if tag == "END OF METADATA":
            return tags
        tags[tag] = (place, found[2].strip())
    raise ConfigError(f"{os.fspath(path)} has no <END OF METADATA>")


def _number(place: str, text: str, allowed: str, low: float = -math.inf, *, above: bool = False) -> float:
    """A finite number from ``low`` up, or above it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < low or (above and value == low):
        raise refuse(place, text, allowed)
    return value


def _node(place: str, text: str, n_nodes: int) -> int:
    # isdecimal also takes other alphabets' digits, which int() reads: the same node, so no harm.
    if not text.isdecimal() or not 1 <= int(text) <= n_nodes:
        raise refuse(place, text, f"a node, 1 … {n_nodes}")
    return int(text)


def _read_links(path: PathLike) -> nx.DiGraph:
    name, lines = os.fspath(path), _lines(path)
    tags = _metadata(path, lines)

    def count(tag: str, low: int, high: int) -> int:
        if tag not in tags:
            raise ConfigError(f"{name} has no <{tag}>")
        place, text = tags[tag]
        return whole(f"{place}: <{tag}>", int(text) if text.isdecimal() else text, low, high)

    n_nodes = count("NUMBER OF NODES", 2, 10**7)
    n_zones = count("NUMBER OF ZONES", 1, n_nodes)
    first_through = count("FIRST THRU NODE", 1, n_nodes + 1)
    n_links = count("NUMBER OF LINKS", 1, 10**8)
    graph = nx.DiGraph()
    for node in range(1, n_nodes + 1):
        graph.add_node(node, boundary=node <= n_zones, through=node >= first_through)
    where: dict[tuple[int, int], str] = {}
    for place, text in lines:
        values = text.removesuffix(";").split()
        if not text.endswith(";") or not 5 <= len(values) <= 2 + len(COLUMNS):
            raise refuse(place, text, LINK)
        edge = _node(place, values[0], n_nodes), _node(place, values[1], n_nodes)
        if edge[0] == edge[1]:
            raise refuse(place, text, "a link between two different nodes")
        if edge in where:
            raise refuse(place, text, f"one link from a node to another; {where[edge]} has this one too")
        where[edge] = place
        graph.add_edge(*edge, **_columns(place, values[2:]))
    if len(where) != n_links:
        raise refuse(f"{name}: <NUMBER OF LINKS>", n_links, f"the number of links in the file, {len(where)}")
    return graph


def _columns(place: str, values: list[str]) -> dict[str, float]:
    numbers = dict(zip(COLUMNS, (_number(place, value, f"numbers: {LINK}") for value in values)))
    for column in COLUMNS[:3]:
        positive = column == "capacity"
        if numbers[column] < 0 or (positive and numbers[column] == 0):
            raise refuse(
                f"{place}: {column}",
                numbers[column],
                "a positive number" if positive else "a number from 0 up",
            )
    return numbers


def _read_trips(path: PathLike, graph: nx.DiGraph) -> dict[Pair, float]:
    lines = _lines(path)
    _metadata(path, lines)
    demand: dict[Pair, float] = {}
    origin = None
    for place, text in lines:
        heading = re.fullmatch(r"origin\s+(\S+)", text, re.IGNORECASE)
        if heading:
            origin = _node(place, heading[1], len(graph))
            continue
        if origin is None or not text.endswith(";"):
            raise refuse(place, text, TRIPS)
        for entry in text.removesuffix(";").split(";"):
            destination, colon, flow = (part.strip() for part in entry.partition(":"))
            if not colon:
                raise refuse(place, entry.strip(), TRIPS)
            pair = (origin, _node(place, destination, len(graph)))
            if pair in demand:
                raise refuse(place, pair, "each origin and destination once; this pair was given before")
            demand[pair] = _number(place, flow, "a flow from 0 up", 0)
    return {pair: flow for pair, flow in demand.items() if flow}


def _read_coordinates(path: PathLike, graph: nx.DiGraph) -> None:
    """Store x and y in the nodes; the first line may name the columns."""
    seen: set[int] = set()
    for index, (place, text) in enumerate(_lines(path)):
        values = text.removesuffix(";").split()
        if index == 0 and values and not values[0].isdecimal():
            continue
        if len(values) != 3:
            raise refuse(place, text, "node x y ;")
        node = _node(place, values[0], len(graph))
        if node in seen:
            raise refuse(place, node, "each node once; this one was given before")
        seen.add(node)
        x, y = (_number(place, value, "coordinates: node x y ;") for value in values[1:])
        graph.nodes[node].update(x=x, y=y)
    if len(seen) < len(graph):
        missing = min(set(graph) - seen)
        raise ConfigError(f"{os.fspath(path)} has no coordinates of node {missing}")


def write_tntp(
    graph: nx.DiGraph,
    net_path: PathLike,
    *,
    demand: Mapping[Pair, float] | None = None,
    trips_path: PathLike | None = None,
    node_path: PathLike | None = None,
) -> None:
    """Write a network such that :func:`read_tntp` reads the same again.

    Args:
        graph: nodes 1 … n in order. Those marked ``boundary`` come before all others, and so do those with
            ``through`` = False. Edges carry the first three or more of COLUMNS.
        net_path: the file of links.
        demand: trips by (origin, destination); None without.
        trips_path: the file of trips, with demand.
        node_path: the file of coordinates, which nodes carry as ``x`` and ``y``; None without.

    Raises:
        ConfigError: when the format has no room for this network.
    """
    if (demand is None) != (trips_path is None):
        raise refuse("trips_path", trips_path, "a path with demand, None without")
    links, coordinates = _link_lines(graph), [] if node_path is None else _node_lines(graph)
    trips = [] if demand is None else _trip_lines(graph, demand)
    write_text(net_path, "\n".join(links))
    if trips_path is not None:
        write_text(trips_path, "\n".join(trips))
    if node_path is not None:
        write_text(node_path, "\n".join(coordinates))


def _link_lines(graph: nx.DiGraph) -> list[str]:
    boundary, through = (
        [bool(data.get(name, default)) for _, data in graph.nodes(data=True)]
        for name, default in (("boundary", False), ("through", True))
    )
    n_zones, n_closed = sum(boundary), len(through) - sum(through)
    if list(graph) != list(range(1, len(graph) + 1)):
        raise refuse("graph", list(graph), f"nodes 1 … {len(graph)}, in order")
    if not all(boundary[:n_zones]) or n_zones == 0:
        raise refuse("graph", graph, "one or more nodes marked boundary, before all others")
    if any(through[:n_closed]):
        raise refuse("graph", graph, "nodes with through = False before all others")
    lines = [
        f"<NUMBER OF ZONES> {n_zones}",
        f"<NUMBER OF NODES> {len(graph)}",
        f"<FIRST THRU NODE> {n_closed + 1}",
        f"<NUMBER OF LINKS> {graph.number_of_edges()}",
        "<END OF METADATA>",
        "",
        "\t".join(("~", "init_node", "term_node", *COLUMNS, ";")),
    ]
    for start, end, data in graph.edges(data=True):
        known = tuple(column for column in COLUMNS if column in data)
        if known != COLUMNS[: len(known)] or len(known) < 3:
            raise refuse(f"edge {start} → {end}", sorted(data), f"the first three or more of {COLUMNS}")
        values = (start, end, *(data[column] for column in known))
        lines.append("\t".join(("", *map(_text, values), ";")))
    return [*lines, ""]


def _trip_lines(graph: nx.DiGraph, demand: Mapping[Pair, float]) -> list[str]:
    lines = [
        f"<NUMBER OF ZONES> {sum(bool(zone) for _, zone in graph.nodes(data='boundary'))}",
        f"<TOTAL OD FLOW> {_text(round(sum(demand.values()), 6))}",
        "<END OF METADATA>",
        "",
    ]
    last = None
    for (origin, destination), flow in sorted(demand.items()):
        if origin not in graph or destination not in graph:
            raise refuse("demand", (origin, destination), f"pairs of nodes 1 … {len(graph)}")
        if origin != last:
            lines.append(f"Origin {origin}")
        last = origin
        lines.append(f"    {destination} : {_text(flow)};")
    return [*lines, ""]


def _node_lines(graph: nx.DiGraph) -> list[str]:
    lines = ["Node\tX\tY\t;"]
    for node, data in graph.nodes(data=True):
        if "x" not in data or "y" not in data:
            raise refuse("graph", node, "nodes with x and y, where coordinates are to be written")
        lines.append(f"{node}\t{_text(data['x'])}\t{_text(data['y'])}\t;")
    return [*lines, ""]


def _text(value: float) -> str:
    """A number, exactly; whole ones without a point."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
