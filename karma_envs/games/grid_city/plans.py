"""Plans: what an agent may do on its trips, as a graph of positions with options.

A trip may take one of several paths, its routes. In every position on the way an agent has one or more
options, each a lane to take next and the position that follows once it has got in. What remains of the
routes tells positions apart: a trip that can go on in the same ways is in the same position, however it
got there, and exactly the routes can be driven. So a single path is a chain of its lanes; if a route is
chosen at the start, the start has an option per route and all else is chains; if it is chosen at every
node, there is an option per lane on which a remaining route goes on (for all shortest paths of a
pair, positions are then the nodes between the two).

All agents share one table of legal actions. Hence positions are numbered such that a number has equally
many options for everyone: within a slot of trips they stand in blocks by number of options, each as long
as the longest that an agent needs, and in a block by when they are reached. Position 0 is outside
the city.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.config import GridCityConfig
from karma_envs.games.grid_city.network import RoadNetwork

Routes = tuple[int, ...]
"""The paths that a trip may take, by their index in the network; first the one that was drawn."""

ARRIVED = -1

FEW_CHOICES = 0.1
"""A choice of routes that a smaller share of the trips has is warned of."""


@dataclass(frozen=True)
class Plans:
    """The plans of N agents with S slots of trips: P positions, that have E options together.

    Attributes:
        routes: the different sets of routes that there are.
        routes_of_agent: ``int64[N, S]``, index into ``routes``.
        options: ``int64[P]``, how many options a position has.
        first_option: ``int32[P]``, where a position's options begin in a row of ``steps``.
        steps: ``uint[N, E]``, each option in one number, ``following << lane_bits | lane``, with the
            position that follows, 0 on arrival; anything where an agent never comes.
        lane_bits: how many bits the lane has.
        starts: ``uint16[N, S]``, the positions in which trips begin.
        exists: ``bool[N, P]``, the positions that an agent can be in.
    """

    routes: tuple[Routes, ...]
    routes_of_agent: NDArray[np.int64]
    options: NDArray[np.int64]
    first_option: NDArray[np.int32]
    steps: NDArray[Any]
    lane_bits: int
    starts: NDArray[np.uint16]
    exists: NDArray[np.bool_]

    @property
    def per_slot(self) -> int:
        """How many positions a slot has."""
        return (len(self.options) - 1) // int(self.starts.shape[1])

    def lanes(self, positions: NDArray[np.int64], options: NDArray[np.int64]) -> NDArray[np.int64]:
        """The lanes that agents want, ``int64[N]``; L outside the city."""
        step = self.steps[np.arange(len(positions)), self.first_option[positions] + options]
        return np.asarray(step.astype(np.int64) & ((1 << self.lane_bits) - 1), np.int64)

    def unpacked(self, agents: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The options of some agents, ``int32[n, E]`` each: the lane, and the position that follows."""
        steps = self.steps[agents].astype(np.int64)
        return (steps & ((1 << self.lane_bits) - 1)).astype(np.int32), (steps >> self.lane_bits).astype(
            np.int32
        )


def choose_routes(
    network: RoadNetwork, paths_of_agent: NDArray[np.int64], config: GridCityConfig
) -> tuple[tuple[Routes, ...], NDArray[np.int64]]:
    """Which paths each agent may take on each of its trips.

    Args:
        network: the roads.
        paths_of_agent: ``int64[N, S]``, the paths that were drawn.
        config: tells whether there is a choice, and of how many routes.

    Returns:
        ``routes`` and ``routes_of_agent`` of :class:`Plans`.
    """
    drawn, index = np.unique(paths_of_agent, return_inverse=True)
    index = index.reshape(paths_of_agent.shape)
    if config.route_choice == "none":
        return tuple((path,) for path in drawn.tolist()), index
    of_pair: dict[tuple[object, object], list[int]] = {}
    pairs = [(network.lanes[lanes[0]][0], network.lanes[lanes[-1]][1]) for lanes in network.paths]
    for path, pair in enumerate(pairs):
        of_pair.setdefault(pair, []).append(path)
    others = {path: [other for other in of_pair[pairs[path]] if other != path] for path in drawn.tolist()}
    if config.routes_per_trip is None:
        return tuple((path, *rest) for path, rest in others.items()), index
    rng = np.random.default_rng((config.path_seed, 1))  # another stream than the one that paths are of
    numbers: dict[Routes, int] = {}
    for place in np.ndindex(paths_of_agent.shape):
        path = int(paths_of_agent[place])
        rest = others[path]
        n_others = min(config.routes_per_trip - 1, len(rest))
        chosen = np.sort(rng.choice(len(rest), n_others, replace=False)) if n_others else ()
        routes = (path, *(rest[other] for other in chosen))
        index[place] = numbers.setdefault(routes, len(numbers))
    return tuple(numbers), index


def trip_positions(paths: Sequence[Sequence[int]], *, at_every_node: bool) -> list[list[tuple[int, int]]]:
    """The positions of a trip that may take several paths, in the order in which they are first reached.

    Args:
        paths: the lanes of each path, all with one origin and destination.
        at_every_node: whether the path may be chosen at every node, or only at the first.

    Returns:
        the options of each position: lane, and index of the position that follows or ARRIVED. A
        position's first option is that of the first of the paths that can still be taken.
    """
    parts: dict[tuple[int, int], int] = {}  # ends of paths, each as its first lane and the end after that
    whole = []
    # From the back, so that paths which end alike share the numbers of their ends.
    for path in paths:
        end = ARRIVED
        for lane in reversed(path):
            end = parts.setdefault((lane, end), len(parts))
        whole.append(end)
    lane_and_rest = list(parts)
    # A position is the set of ends that can still be driven. Sorted, it has one name however it is reached,
    # and the first path's end comes first, as those were numbered first.
    index = {tuple(sorted(set(whole))): 0}
    queue = list(index)
    positions: list[list[tuple[int, int]]] = []
    for remaining in queue:  # which grows while it is walked through: a search in breadth
        by_choice: dict[int, set[int]] = {}
        for end in remaining:
            lane, rest = lane_and_rest[end]
            by_choice.setdefault(lane if at_every_node else end, set()).add(rest)
        # Ends that share a choice (a lane at every node, else a whole end) go on together.
        options = []
        for chosen, rests in by_choice.items():
            following = tuple(sorted(rests))
            if following != (ARRIVED,) and following not in index:
                index[following] = len(index)
                queue.append(following)
            lane = chosen if at_every_node else lane_and_rest[chosen][0]
            options.append((lane, index.get(following, ARRIVED)))
        positions.append(options)
    return positions


@dataclass(frozen=True)
class Layout:
    """How the positions of a slot are numbered, without those of the slots before; see the module.

    Attributes:
        options: ``int64[positions]``, how many options each has.
        blocks: by number of options, where positions with so many begin.
    """

    options: NDArray[np.int64]
    blocks: dict[int, int]

    @classmethod
    def of(cls, trips: Sequence[Sequence[Sequence[object]]], longest: int) -> Layout:
        """The layout that all of some trips fit in; with at least ``longest`` positions of one option."""
        sizes = {1: longest}
        for positions in trips:
            counts = np.bincount([len(options) for options in positions])
            for n in np.flatnonzero(counts).tolist():
                sizes[n] = max(sizes.get(n, 0), int(counts[n]))
        ordered = sorted(sizes)
        starts = np.cumsum([0, *(sizes[n] for n in ordered)])
        return cls(np.repeat(ordered, [sizes[n] for n in ordered]), dict(zip(ordered, starts.tolist())))

    def numbers(self, positions: Sequence[Sequence[object]]) -> list[int]:
        """The number of each position of a trip."""
        used = dict(self.blocks)
        numbers = []
        for options in positions:
            numbers.append(used[len(options)])
            used[len(options)] += 1
        return numbers


def make_plans(network: RoadNetwork, paths_of_agent: NDArray[np.int64], config: GridCityConfig) -> Plans:
    """Make of the paths that were drawn what agents may do in each position on their trips.

    Args:
        network: the roads.
        paths_of_agent: ``int64[N, S]``, the paths that were drawn.
        config: tells what may be chosen.

    Raises:
        ConfigError: when there would be more observations or actions than transitions can number.
    """
    routes, routes_of_agent = choose_routes(network, paths_of_agent, config)
    _warn_of_no_choice(routes, routes_of_agent, config)
    at_every_node = config.route_choice == "node"
    trips = [
        trip_positions([network.paths[path] for path in paths], at_every_node=at_every_node)
        for paths in routes
    ]
    # Fixed paths are numbered for the network's longest, whether or not someone has drawn it.
    layout = Layout.of(trips, network.longest if config.route_choice == "none" else 0)
    per_slot = len(layout.options)
    config.check_size(per_slot, int(layout.options.max()))

    # Steps of each trip in the layout's places, once for all agents and slots that drive it.
    lanes, following = np.zeros((2, len(trips), int(layout.options.sum())), np.int64)
    starts = np.zeros(len(trips), np.int64)
    exists = np.zeros((len(trips), per_slot), np.bool_)
    first_step = np.cumsum(layout.options) - layout.options
    for trip, positions in enumerate(trips):
        numbers = layout.numbers(positions)
        starts[trip] = numbers[0]
        exists[trip, numbers] = True
        for number, options in zip(numbers, positions):
            # A trip's own numbers of positions become the layout's.
            for step, (lane, then) in enumerate(options, first_step[number]):
                lanes[trip, step] = lane
                following[trip, step] = ARRIVED if then == ARRIVED else numbers[then]

    # Position 0 is outside the city, with one option; then the slots follow, one layout each.
    n_agents, n_slots = routes_of_agent.shape
    all_options = np.append(1, np.tile(layout.options, n_slots))
    before_slot = 1 + per_slot * np.arange(n_slots)
    return Plans(
        routes=routes,
        routes_of_agent=routes_of_agent,
        options=all_options,
        first_option=(np.cumsum(all_options) - all_options).astype(np.int32),
        steps=_packed(
            lanes, following, before_slot, 1 + per_slot * n_slots, len(network.lanes), routes_of_agent
        ),
        lane_bits=_lane_bits(len(network.lanes)),
        starts=(before_slot + starts[routes_of_agent]).astype(np.uint16),
        exists=np.hstack([np.ones((n_agents, 1), np.bool_), exists[routes_of_agent].reshape(n_agents, -1)]),
    )


def _warn_of_no_choice(
    routes: tuple[Routes, ...], routes_of_agent: NDArray[np.int64], config: GridCityConfig
) -> None:
    """Say so where agents were to choose their way, and few have another one than that which was drawn."""
    if config.route_choice == "none" or config.routes_per_trip == 1:
        return
    has_choice = np.array([len(paths) > 1 for paths in routes])[routes_of_agent]
    if has_choice.mean() < FEW_CHOICES:
        warnings.warn(
            f"route_choice = {config.route_choice!r}, but only {has_choice.sum()} of {has_choice.size} trips "
            "have more than one path to choose from, as few paths are equally short; k_shortest gives others "
            "(in Python: road_network(..., paths='k_shortest', k=3))",
            stacklevel=2,
        )


def _lane_bits(n_lanes: int) -> int:
    """Bits for the numbers of the lanes and of the one outside the city."""
    return n_lanes.bit_length()


def _packed(
    lanes: NDArray[np.int64],
    following: NDArray[np.int64],
    before_slot: NDArray[np.int64],
    n_positions: int,
    n_lanes: int,
    routes_of_agent: NDArray[np.int64],
) -> NDArray[Any]:
    """The steps of :class:`Plans`, of the lanes and positions of each trip, ``[trips, steps of a slot]``."""
    # The narrowest numbers that hold all: the kernel reads one for each agent in every step.
    bits, n_steps = _lane_bits(n_lanes), lanes.shape[1]
    highest = n_positions << bits
    dtype = next(kind for kind in (np.uint16, np.uint32, np.uint64) if highest <= np.iinfo(kind).max)
    packed = np.empty((len(routes_of_agent), 1 + len(before_slot) * n_steps), dtype)
    packed[:, 0] = n_lanes
    for slot, before in enumerate(before_slot):
        # Positions count from the slot's first one; those of agents' other slots are shifted on.
        then = np.where(following == ARRIVED, 0, before + following)
        of_trip = (then << bits | lanes).astype(dtype)
        packed[:, 1 + slot * n_steps : 1 + (slot + 1) * n_steps] = of_trip[routes_of_agent[:, slot]]
    return packed
