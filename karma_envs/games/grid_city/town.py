"""A town of our own: three ring roads, eight radial ones, and trips by a gravity model.

It is made by :func:`town` and comes with the package in the TNTP format, as an example of a network
that is read from files (``network="town"``); no real town is meant.

Roads:
    A centre, and 8 nodes on each of 3 rings, 1, 2 and 3 km from it; 96 lanes. Ring roads take 1800, 2000
    and 2400 vehicles per hour, from inside to outside; radial roads 1500, 1500 and 1800. A piece of a radial
    road takes 2.5, 2 and 1.5 minutes without traffic, a piece of a ring 1.25, 2.25 and 3. To the opposite
    side all ways are equally short, through the centre and around it on each of the rings. (Times are
    whole quarters of minutes, so that they add up exactly.)
Trips:
    Zones are the outer ring (weight 1), every other node of the middle ring (1.5), and the centre (2).
    Demand between two zones is the product of their weights over the shortest time, scaled to 10,000
    trips in all and rounded to tenths.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import networkx as nx

from karma_envs.games.grid_city.tntp import Roads, write_tntp

FOLDER = Path(__file__).parent / "data"
NET_FILE = FOLDER / "town_net.tntp"

SPOKES = 8
RINGS = (1, 2, 3)
RING_CAPACITY = (1800.0, 2000.0, 2400.0)
RING_MINUTES = (1.25, 2.25, 3.0)
RADIAL_CAPACITY = (1500.0, 1500.0, 1800.0)
RADIAL_MINUTES = (2.5, 2.0, 1.5)
TRIPS = 10_000.0


def town() -> Roads:
    """The town's roads and demand; nodes are 1 … 25, zones first."""
    outer = [(3, spoke) for spoke in range(SPOKES)]
    middle = [(2, spoke) for spoke in (*range(0, SPOKES, 2), *range(1, SPOKES, 2))]
    centre = (0, 0)
    zones = {**dict.fromkeys(outer, 1.0), **dict.fromkeys(middle[: SPOKES // 2], 1.5), centre: 2.0}
    places = [*zones, *middle[SPOKES // 2 :], *((1, spoke) for spoke in range(SPOKES))]
    number = {place: index for index, place in enumerate(places, 1)}
    graph = nx.DiGraph()
    for (ring, spoke), node in number.items():
        angle = 2 * math.pi * spoke / SPOKES
        graph.add_node(
            node,
            boundary=node <= len(zones),
            through=True,
            x=round(ring * math.sin(angle), 3),
            y=round(ring * math.cos(angle), 3),
        )
    for ring, spoke in itertools.product(RINGS, range(SPOKES)):
        here, index = (ring, spoke), ring - 1
        inwards = (ring - 1, spoke) if ring > 1 else centre
        along = (ring, (spoke + 1) % SPOKES)
        arc = round(2 * math.pi * ring / SPOKES, 3)
        for neighbour, capacity, length, minutes in (
            (inwards, RADIAL_CAPACITY[index], 1.0, RADIAL_MINUTES[index]),
            (along, RING_CAPACITY[index], arc, RING_MINUTES[index]),
        ):
            data = {"capacity": capacity, "length": length, "free_flow_time": minutes}
            graph.add_edge(number[here], number[neighbour], **data)
            graph.add_edge(number[neighbour], number[here], **data)

    time = dict(nx.all_pairs_dijkstra_path_length(graph, weight="free_flow_time"))
    weight = {number[place]: zones[place] for place in zones}
    pull = {
        (one, other): weight[one] * weight[other] / time[one][other]
        for one, other in itertools.permutations(weight, 2)
    }
    scale = TRIPS / sum(pull.values())
    return Roads(graph, {pair: round(scale * strength, 1) for pair, strength in pull.items()})


def write_town(folder: Path) -> None:
    """Write the town's three files."""
    roads = town()
    write_tntp(
        roads.graph,
        folder / "town_net.tntp",
        demand=roads.demand,
        trips_path=folder / "town_trips.tntp",
        node_path=folder / "town_node.tntp",
    )
