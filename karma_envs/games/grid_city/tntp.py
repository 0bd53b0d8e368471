"""Road networks in the TNTP format of *Transportation Networks for Research*.

The text files of transport research: links with capacities and lengths, demand between zones, and
coordinates of nodes (https://github.com/bstabler/TransportationNetworks).
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import networkx as nx

from karma_envs.config import ConfigError, real, refusal, whole
from karma_envs.files import PathLike, write_text
from karma_envs.games.grid_city.capacities import POSITIVE, attribute_capacities, connectors
from karma_envs.games.grid_city.graphs import Pair, checked_graph, lane_value, number

COLUMNS = ("capacity", "length", "free_flow_time", "b", "power", "speed", "toll", "link_type")
"""What follows the two nodes of a link, in this order; the first three are required."""

LINK = "init_node term_node capacity length free_flow_time … ;"
TRIPS = "Origin node, or entries destination : flow;"

MOST_NODES_PER_LINK = 10
"""A file that claims more nodes is refused: memory is for what a file has, not for what it claims."""

FLOW_TOLERANCE = 0.01
"""How far flows may be from the total that a file of trips tells, as published ones are by rounding."""


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
    path passes them; without this tag all may be passed. Edges carry COLUMNS, as far as the file has
    them, in its own units: ``capacity`` (usually vehicles per hour; see capacity_scale of road_network),
    ``length``, ``free_flow_time``, … Tags may stand in any order, and rows may lack the ``;`` at their end.

    Args:
        net_path: the file of links.
        trips_path: the file of trips; None without demand.
        node_path: the file of coordinates, which nodes then carry as ``x`` and ``y``; None without.

    Returns:
        the graph, a ``MultiDiGraph`` where links run side by side, and the demand; flows of 0 are left
        out. A warning says where flows do not add up to <TOTAL OD FLOW>.

    Raises:
        ConfigError: naming file and line of what is malformed, of a node or zone that there is not, of a
            link that joins a node to itself, or has no positive capacity (0 is taken, for no limit, where it
            joins a zone to the roads), of a pair given twice; or naming the file, where metadata is
            missing or does not fit the rows or, in the file of trips, the zones of the network.
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
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not a text file in UTF-8 ({error})") from error
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error})") from error


def _metadata(path: PathLike, lines: Iterator[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """``file:line`` and value by tag, up to the end of the metadata."""
    tags: dict[str, tuple[str, str]] = {}
    for place, text in lines:
        tag_line = re.fullmatch(r"<([^<>]+)>(.*)", text)
        if not tag_line:
            raise refusal(place, text, "metadata <TAG> value, before <END OF METADATA>")
        tag = tag_line[1].strip().upper()
        if tag == "END OF METADATA":
            return tags
        if tag in tags:
            raise refusal(place, text, f"each tag once; {tags[tag][0]} has <{tag}> too")
        tags[tag] = (place, tag_line[2].strip())
    raise ConfigError(f"{os.fspath(path)} has no <END OF METADATA>")


def _number(place: str, text: str, allowed: str, low: float = -math.inf) -> float:
    """A finite number from ``low`` up."""
    value = number(text)
    if not math.isfinite(value) or value < low:
        raise refusal(place, text, allowed)
    return value


def _whole(text: str) -> int | str:
    """A whole number from 0 up, as an int; what is none, or has more than 18 digits, as it is."""
    # isdecimal also takes other alphabets' digits, which int() reads: the same number, so no harm.
    return int(text) if text.isdecimal() and len(text) <= 18 else text


def _count(name: str, tags: Mapping[str, tuple[str, str]], tag: str, low: int, high: int) -> int:
    if tag not in tags:
        raise ConfigError(f"{name} has no <{tag}>")
    place, text = tags[tag]
    return whole(f"{place}: <{tag}>", _whole(text), low, high)


def _node(place: str, text: str, most: int, what: str = "a node") -> int:
    node = _whole(text)
    if isinstance(node, str) or not 1 <= node <= most:
        raise refusal(place, text, f"{what}, 1 … {most}")
    return node


def _read_links(path: PathLike) -> nx.DiGraph:
    name, lines = os.fspath(path), _lines(path)
    tags = _metadata(path, lines)
    n_nodes = _count(name, tags, "NUMBER OF NODES", 2, 10**7)
    n_zones = _count(name, tags, "NUMBER OF ZONES", 1, n_nodes)
    has_centroids = "FIRST THRU NODE" in tags
    first_through = _count(name, tags, "FIRST THRU NODE", 1, n_nodes + 1) if has_centroids else 1
    n_links = _count(name, tags, "NUMBER OF LINKS", 1, 10**8)
    links: list[tuple[int, int, dict[str, float]]] = []
    no_limit: list[tuple[int, int, str]] = []  # links of capacity 0, with the place of the number
    for place, text in lines:
        values = text.removesuffix(";").split()
        if not 5 <= len(values) <= 2 + len(COLUMNS):
            raise refusal(place, text, LINK)
        start, end = (_node(place, value, n_nodes) for value in values[:2])
        if start == end:
            raise refusal(place, text, "a link between two different nodes")
        columns = _columns(place, values[2:])
        links.append((start, end, columns))
        if columns["capacity"] == 0:
            no_limit.append((start, end, f"{place}: capacity"))
    if len(links) != n_links:
        raise refusal(f"{name}: <NUMBER OF LINKS>", n_links, f"the number of links in the file, {len(links)}")
    if n_nodes > MOST_NODES_PER_LINK * n_links:
        allowed = f"at most {MOST_NODES_PER_LINK} for each of the {n_links} links in the file"
        raise refusal(f"{name}: <NUMBER OF NODES>", n_nodes, allowed)
    beside = len({link[:2] for link in links}) < n_links
    graph = nx.MultiDiGraph() if beside else nx.DiGraph()
    for node in range(1, n_nodes + 1):
        graph.add_node(node, boundary=node <= n_zones, through=node >= first_through)
    graph.add_edges_from(links)
    free = connectors(graph) if no_limit else set()
    for start, end, place in no_limit:
        if (start, end) not in free:
            raise refusal(place, 0, POSITIVE)
    graph.graph["source"] = name
    return graph


def _columns(place: str, values: list[str]) -> dict[str, float]:
    numbers = dict(zip(COLUMNS, (_number(place, value, f"numbers: {LINK}") for value in values)))
    for column in COLUMNS[:3]:
        if numbers[column] < 0:
            raise refusal(f"{place}: {column}", numbers[column], "a number from 0 up")
    return numbers


def _read_trips(path: PathLike, graph: nx.DiGraph) -> dict[Pair, float]:
    name, lines = os.fspath(path), _lines(path)
    tags = _metadata(path, lines)
    n_zones = sum(zone for _, zone in graph.nodes(data="boundary"))
    net = graph.graph["source"]
    if "NUMBER OF ZONES" in tags:
        zones_told = _count(name, tags, "NUMBER OF ZONES", 1, 10**7)
        if zones_told != n_zones:
            place, _ = tags["NUMBER OF ZONES"]
            raise refusal(f"{place}: <NUMBER OF ZONES>", zones_told, f"the number that {net} has, {n_zones}")
    demand: dict[Pair, float] = {}
    origin = None
    for place, text in lines:
        heading = re.fullmatch(r"origin\s+(\S+)", text, re.IGNORECASE)
        if heading:
            origin = _node(place, heading[1], n_zones, f"a zone of {net}")
            continue
        if origin is None:
            raise refusal(place, text, TRIPS)
        for entry in text.removesuffix(";").split(";"):
            destination, colon, flow = (part.strip() for part in entry.partition(":"))
            if not colon:
                raise refusal(place, entry.strip(), TRIPS)
            pair = (origin, _node(place, destination, n_zones, f"a zone of {net}"))
            if pair in demand:
                raise refusal(place, pair, "each origin and destination once; this pair was given before")
            demand[pair] = _number(place, flow, "a flow from 0 up", 0)
    if "TOTAL OD FLOW" in tags:
        place, text = tags["TOTAL OD FLOW"]
        told, total = number(text), sum(demand.values())
        if abs(total - told) > FLOW_TOLERANCE * max(total, told, 1):
            message = f"{place} tells a total flow of {told:g}; the flows in the file add up to {total:g}"
            warnings.warn(message, stacklevel=2)
    return {pair: flow for pair, flow in demand.items() if flow}


def _read_coordinates(path: PathLike, graph: nx.DiGraph) -> None:
    """Store x and y in the nodes; the first line may name the columns."""
    seen: set[int] = set()
    for index, (place, text) in enumerate(_lines(path)):
        values = text.removesuffix(";").split()
        if index == 0 and values and not values[0].isdecimal():
            continue
        if len(values) != 3:
            raise refusal(place, text, "node x y ;")
        node = _node(place, values[0], len(graph))
        if node in seen:
            raise refusal(place, node, "each node once; this one was given before")
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
        demand: trips by (origin, destination), both marked ``boundary``; None without.
        trips_path: the file of trips, with demand.
        node_path: the file of coordinates, which nodes carry as ``x`` and ``y``; None without.

    Raises:
        ConfigError: when the format has no room for this network.
    """
    if (demand is None) != (trips_path is None):
        raise refusal("trips_path", trips_path, "a path with demand, None without")
    graph = checked_graph(graph)
    links, coordinates = _link_lines(graph), [] if node_path is None else _node_lines(graph)
    trips = [] if demand is None else _trip_lines(graph, demand)
    write_text(net_path, "\n".join(links))
    if trips_path is not None:
        write_text(trips_path, "\n".join(trips))
    if node_path is not None:
        write_text(node_path, "\n".join(coordinates))


def _link_lines(graph: nx.DiGraph) -> list[str]:
    boundary, through = (
        [data.get(name, default) for _, data in graph.nodes(data=True)]
        for name, default in (("boundary", False), ("through", True))
    )
    n_zones, n_closed = sum(boundary), len(through) - sum(through)
    if list(graph) != list(range(1, len(graph) + 1)):
        raise refusal("graph", list(graph), f"nodes 1 … {len(graph)}, in order")
    if not all(boundary[:n_zones]) or n_zones == 0:
        raise refusal("graph", graph, "one or more nodes marked boundary, before all others")
    if any(through[:n_closed]):
        raise refusal("graph", graph, "nodes with through = False before all others")
    if len(graph) > MOST_NODES_PER_LINK * graph.number_of_edges():
        raise refusal("graph", f"{len(graph)} nodes", f"at most {MOST_NODES_PER_LINK} for each edge")
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
            raise refusal(f"edge {start} → {end}", sorted(data), f"the first three or more of {COLUMNS}")
        if start == end:
            raise refusal("graph", (start, end), "edges between two different nodes")
        values = [lane_value((start, end), data, column) for column in COLUMNS[:3]]
        values += [_finite(f"edge {start} → {end}: {column}", data[column]) for column in known[3:]]
        lines.append("\t".join(("", str(start), str(end), *map(_text, values), ";")))
    attribute_capacities(graph, "capacity")  # where 0 may be
    return [*lines, ""]


def _trip_lines(graph: nx.DiGraph, demand: Mapping[Pair, float]) -> list[str]:
    demand = {pair: real(f"demand[{pair!r}]", flow, 0) for pair, flow in demand.items()}
    lines = [
        f"<NUMBER OF ZONES> {sum(zone for _, zone in graph.nodes(data='boundary', default=False))}",
        f"<TOTAL OD FLOW> {_text(float(round(sum(demand.values()), 6)))}",
        "<END OF METADATA>",
        "",
    ]
    last = None
    for (origin, destination), flow in sorted(demand.items()):
        if not all(node in graph and graph.nodes[node].get("boundary") for node in (origin, destination)):
            raise refusal("demand", (origin, destination), "pairs of zones, nodes marked boundary")
        if origin != last:
            lines.append(f"Origin {origin}")
        last = origin
        lines.append(f"    {destination} : {_text(flow)};")
    return [*lines, ""]


def _node_lines(graph: nx.DiGraph) -> list[str]:
    lines = ["Node\tX\tY\t;"]
    for node, data in graph.nodes(data=True):
        if "x" not in data or "y" not in data:
            raise refusal("graph", node, "nodes with x and y, where coordinates are to be written")
        lines.append(f"{node}\t{_text(float(data['x']))}\t{_text(float(data['y']))}\t;")
    return [*lines, ""]


def _finite(field: str, value: object) -> float:
    if not math.isfinite(number(value)):
        raise refusal(field, value, "a finite number")
    return number(value)


def _text(value: float) -> str:
    """A number, exactly; whole ones without a point."""
    return str(int(value)) if value.is_integer() else repr(value)
