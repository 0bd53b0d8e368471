"""How many agents may enter a lane per step, told by a graph of roads in units of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from karma_envs.config import choice, real, refusal, whole
from karma_envs.games.grid_city.graphs import Pair, lane_values, warn
from karma_envs.games.grid_city.paths import boundary_nodes

CAPACITY_SHARE = 0.75
"""Capacity as a share of what an even spread of all agents puts into a lane (section 6.2)."""

ROUNDINGS = {"floor": np.floor, "ceil": np.ceil, "round": np.rint}

SCALES: dict[str, Callable[[NDArray[np.float64]], Any]] = {"mean": np.mean, "median": np.median}

STAND_FOR_NONE = 9999, 20
"""A capacity from the first number up that is at least so many times the lower quartile is no road's."""

NINES, NO_ROADS = (99_999, 999_999, 9_999_999, 99_999_999), 1e9
"""Capacities that are no road's, whatever the others are."""

UNLIMITED = 2**31 - 1

POSITIVE = "a positive number (0 is taken only where a lane joins a boundary node to other roads: no limit)"


def connectors(graph: nx.DiGraph) -> set[Pair]:
    """The lanes that lead from the roads to a boundary node, or from there to the roads."""
    boundary = set(boundary_nodes(graph))
    return {(start, end) for start, end in graph.edges() if (start in boundary) != (end in boundary)}


def lane_capacities(
    graph: nx.DiGraph,
    capacity: float | str | Sequence[float] | None,
    scale: float | str,
    rounding: str,
    n_agents: int | None,
) -> NDArray[np.int64]:
    """Agents per lane and step, ``int64[lanes]``, in the graph's order.

    The arguments are those of :func:`karma_envs.games.grid_city.network.road_network`, which says more.

    Raises:
        ConfigError: naming an argument, or a lane whose capacity is missing, no number, or below 1 once
            rounded.
    """
    whole_of = ROUNDINGS[choice("rounding", rounding, ROUNDINGS)]
    n_lanes = graph.number_of_edges()
    if isinstance(scale, str) and scale not in SCALES:
        raise refusal("capacity_scale", scale, f"{', '.join(SCALES)}, or a positive number")
    if n_agents is not None:
        n_agents = whole("n_agents", n_agents, 1)
    elif capacity is None or isinstance(scale, str):
        raise refusal("n_agents", n_agents, "a whole number from 1 up where the capacity depends on it")
    if capacity is None:
        if scale != 1:
            raise refusal("capacity_scale", scale, "1 without a capacity to scale")
        assert n_agents is not None
        return np.full(n_lanes, max(1, int(whole_of(CAPACITY_SHARE * n_agents / n_lanes))), np.int64)
    capacities = (
        attribute_capacities(graph, capacity) if isinstance(capacity, str) else _listed(capacity, n_lanes)
    )
    unlimited = (capacities == 0) | np.isinf(capacities)
    if isinstance(scale, str):
        unlimited |= _stand_for_none(capacities, unlimited)
        with np.errstate(over="ignore"):
            typical = SCALES[scale](capacities[~unlimited]) if not unlimited.all() else 1.0
        assert n_agents is not None
        factor = CAPACITY_SHARE * n_agents / n_lanes / typical
    else:
        factor = real("capacity_scale", scale, 0, math.inf, open_low=True)
    _warn_of_unlimited(graph, capacities, unlimited)
    # Rounded to nine digits first, so that 9 · (1/3) · 3 is not 8.999…
    with np.errstate(over="ignore"):  # to infinity, which is refused
        scaled = np.round(np.where(unlimited, 1, capacities) * factor, 9)
    rounded = np.where(unlimited, UNLIMITED if n_agents is None else n_agents, whole_of(scaled))
    for edge, exact, number in zip(graph.edges, scaled, rounded):
        if not 1 <= number <= UNLIMITED:
            raise refusal(
                f"capacity of edge {edge[0]!r} → {edge[1]!r}",
                float(exact),
                f"at least 1 agent per step after rounding ({rounding}), and below 2^31; "
                "change capacity_scale, rounding or n_agents",
            )
    return np.asarray(rounded, np.int64)


def attribute_capacities(graph: nx.DiGraph, name: str) -> NDArray[np.float64]:
    """What every edge carries as its capacity, ``float64[lanes]``: positive, infinite, or 0 for no limit.

    Published networks have 0 where demand enters and leaves the roads, and only there it is taken.

    Raises:
        ConfigError: naming an edge without it, or where it is no such number.
    """
    capacities = lane_values(graph, name, infinite=True)
    free = set() if capacities.all() else connectors(graph)
    for (start, end), value in zip(graph.edges(), capacities):
        if value == 0 and (start, end) not in free:
            raise refusal(f"edge {start!r} → {end!r}: {name}", 0, POSITIVE)
    return capacities


def _listed(capacity: float | Sequence[float], n_lanes: int) -> NDArray[np.float64]:
    """Capacities that are given as one number, or as one for each lane."""
    if isinstance(capacity, np.ndarray):
        capacity = capacity.tolist()
    if isinstance(capacity, Sequence):
        if len(capacity) != n_lanes:
            raise refusal("capacity", capacity, f"{n_lanes} numbers, one for each lane")
        each = [real(f"capacity[{lane}]", value, 0, open_low=True) for lane, value in enumerate(capacity)]
        return np.array(each, np.float64)
    return np.full(n_lanes, real("capacity", capacity, 0, open_low=True))


def _stand_for_none(capacities: NDArray[np.float64], unlimited: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lanes whose capacity is a placeholder, like 999999.

    Among the capacities that are scaled they would make the mean, and leave a single place to every road.
    """
    placeholder = np.isin(capacities, NINES) | (capacities >= NO_ROADS)
    roads = capacities[~(unlimited | placeholder)]
    if not len(roads):  # lanes that are all alike say nothing of each other
        return np.asarray(capacities > capacities.min(), np.bool_)
    least, ratio = STAND_FOR_NONE
    return placeholder | (capacities >= max(least, ratio * np.quantile(roads, 0.25, method="lower")))


def _warn_of_unlimited(
    graph: nx.DiGraph, capacities: NDArray[np.float64], unlimited: NDArray[np.bool_]
) -> None:
    lanes = np.flatnonzero(unlimited & np.isfinite(capacities))
    if len(lanes):
        start, end = list(graph.edges())[lanes[0]]
        warn(
            graph,
            f"{len(lanes)} of {len(capacities)} lanes have a capacity that stands for none, as "
            f"{capacities[lanes[0]]:g} from {start!r} to {end!r}: nobody waits there, and the other "
            "capacities are scaled without them (capacity_scale as a number takes all but 0 as they are)",
        )
