"""The city's step, compiled; shared by every view and by rollouts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.karma.surplus import Purses, redistribute, share_by_resource
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import next_below, next_uint64
from karma_envs.numerics.sampling import sample_actions

TIES, REDISTRIBUTION, TRIPS, BIDS = range(4)
"""Random streams, one per purpose."""
N_STREAMS = 4

DIGIT_BITS = 4
DIGITS = 2**DIGIT_BITS
_SIGN = np.uint64(2**63)


class CityState(NamedTuple):
    """All of a city that a step changes, of N agents and L lanes and the dormant one; karma in units."""

    karma: NDArray[np.int16]  # [N] 0 … karma_max
    position: NDArray[np.uint16]  # [N] in the agent's plan; 0 dormant
    urgency: NDArray[np.uint8]  # [N] index into the type's urgency values; 0 if dormant
    accesses: NDArray[np.int64]  # [N] lanes entered since reset
    contests: NDArray[np.int64]  # [N] bids for lanes since reset
    reward_total: NDArray[np.float64]  # [N] rewards since reset
    attempts: NDArray[np.int64]  # [L+1] bids by lane since reset, of the dormant 0
    entries: NDArray[np.int64]  # [L+1] agents that entered, by lane
    bid_total: NDArray[np.int64]  # [L+1] sum of bids by lane
    surplus: NDArray[np.int64]  # [1] karma that nobody could take, offered again next step
    steps: NDArray[np.int64]  # [1] steps since reset
    sharing: NDArray[np.int32]  # [N] a permutation, in which extra units of surplus are dealt out
    streams: NDArray[np.uint64]  # [N_STREAMS]


class CityTables(NamedTuple):
    """All that a step of a city reads and does not change, of N agents.

    A dormant agent is one on the lane L, which has room for all and leads nowhere, so that it needs no
    case of its own.
    """

    karma_max: int
    n_urgencies: int
    n_slots: int  # trips per agent
    per_slot: int  # positions of a trip
    n_options: int  # options in a position, at most
    type_of_agent: NDArray[np.uint8]  # [N]
    urgency_values: NDArray[np.float32]  # [types, U]
    urgency_thresholds: NDArray[np.int64]  # [types, U+1, U] after each urgency, and after none; cumulative
    dormant_threshold: int  # in units of 2**-32
    steps: NDArray[Any]  # [N, E] the options of all positions, see Plans
    first_option: NDArray[np.int32]  # [P] where a position's options begin in a row of steps
    lane_bits: int
    starts: NDArray[np.uint16]  # [N, n_slots] positions in which trips begin
    capacity: NDArray[np.int64]  # [L+1]
    allocation: NDArray[np.float64]  # the rules' parameters
    redistribution: NDArray[np.float64]
    by_resource: bool  # whether what is paid for a lane goes back to those who bid for it


class CityScratch(NamedTuple):
    """Room to work in, written anew in each step."""

    bid: NDArray[np.int32]  # [N]
    lane: NDArray[np.int32]  # [N] wanted
    following: NDArray[np.uint16]  # [N] position after that lane, 0 on arrival
    key: NDArray[np.uint64]  # [N] priority there
    counts: NDArray[np.int32]  # [L+1, DIGITS]
    threshold: NDArray[np.uint64]  # [L+1] key of the last that gets in
    places: NDArray[np.int64]  # [L+1] left for agents with that key
    tied: NDArray[np.int64]  # [L+1] how many have it
    attempts: NDArray[np.int64]  # [L+1] bids
    crowding: NDArray[np.float64]  # [L+1] bids for each place; 0 for the dormant
    paid: NDArray[np.int64]  # [L+1] by those who got in, where redistribution is by lane
    rooms: NDArray[np.int32]  # [L+1, karma_max + 1] for redistribution by lane
    levels: NDArray[np.int64]  # [L+1, 3] likewise


def new_scratch(n_agents: int, n_lanes: int, n_rooms: int = 0) -> CityScratch:
    """Scratch for N agents and L + 1 lanes; ``n_rooms`` is karma_max + 1 for redistribution by lane."""
    return CityScratch(
        bid=np.zeros(n_agents, np.int32),
        lane=np.zeros(n_agents, np.int32),
        following=np.zeros(n_agents, np.uint16),
        key=np.zeros(n_agents, np.uint64),
        counts=np.zeros((n_lanes, DIGITS), np.int32),
        threshold=np.zeros(n_lanes, np.uint64),
        places=np.zeros(n_lanes, np.int64),
        tied=np.zeros(n_lanes, np.int64),
        attempts=np.zeros(n_lanes, np.int64),
        crowding=np.zeros(n_lanes, np.float64),
        paid=np.zeros(n_lanes, np.int64),
        rooms=np.zeros((n_lanes, n_rooms), np.int32),
        levels=np.zeros((n_lanes, 3), np.int64),
    )


@kernel
def whole_key(priority):
    """A whole number as a ``uint64`` of the same order."""
    return np.uint64(np.int64(priority)) ^ _SIGN


@kernel
def real_key(priority):
    """A float as a ``uint64`` of the same order: its bits, of negative ones all turned round."""
    bits = np.float64(priority + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    return ~bits if bits & _SIGN else bits | _SIGN


@kernel
def line_up(state, tables, scratch, actions, priority, key_of):
    """Write down which lane every agent wants and with which priority: the first half of a step.

    Returns:
        ``uint64``: the bits in which keys differ.
    """
    first = np.uint64(0)
    varying = np.uint64(0)
    n_bids = tables.karma_max + 1
    lane_mask = (1 << tables.lane_bits) - 1
    scratch.attempts[:] = 0
    for agent in range(actions.shape[0]):
        position = np.int64(state.position[agent])
        bid = np.int64(actions[agent])
        option = 0
        for candidate in range(1, tables.n_options):  # instead of a division
            option += bid >= candidate * n_bids
        bid -= option * n_bids
        step = np.int64(tables.steps[agent, tables.first_option[position] + option])
        lane = step & lane_mask
        urgency = tables.urgency_values[tables.type_of_agent[agent], state.urgency[agent]]
        key = key_of(priority(bid, urgency, state.accesses[agent], tables.allocation))
        first = key if agent == 0 else first
        varying |= key ^ first
        scratch.bid[agent] = bid
        scratch.lane[agent] = lane
        scratch.following[agent] = step >> tables.lane_bits
        scratch.key[agent] = key
        scratch.attempts[lane] += 1
        state.contests[agent] += position != 0
        state.bid_total[lane] += bid
    for lane in range(tables.capacity.shape[0] - 1):
        state.attempts[lane] += scratch.attempts[lane]
        scratch.crowding[lane] = scratch.attempts[lane] / tables.capacity[lane]
    return varying


@kernel
def find_thresholds(scratch, capacity, varying):
    """For every lane the key of the last that gets in, by counting and without sorting.

    Keys are read digit by digit, the most significant first. Those with the leading digits of the
    threshold are counted by their next digit, and the counts are walked down from the highest digit
    until the places are used up. Digits in which no two keys differ are skipped: bids up to 15 take one
    round.

    Args:
        scratch: lanes and keys; thresholds, places and tied are written. Where there is room for all,
            the threshold is such that all are at or above it.
        capacity: ``int64[lanes]``.
        varying: ``uint64``, the bits in which keys differ.
    """
    lane_of, keys, counts = scratch.lane, scratch.key, scratch.counts
    threshold, places, tied = scratch.threshold, scratch.places, scratch.tied
    for lane in range(capacity.shape[0]):
        threshold[lane] = keys[0]
        places[lane] = capacity[lane]
    varying |= np.uint64(1)  # one digit is counted even if all keys are the same
    settled = np.uint64(0)
    for place in range(64 - DIGIT_BITS, -1, -DIGIT_BITS):
        shift = np.uint64(place)
        mask = np.uint64(DIGITS - 1) << shift
        if varying & mask == 0:
            continue
        counts[:] = 0
        for agent in range(keys.shape[0]):
            lane, key = lane_of[agent], keys[agent]
            digit = np.int64((key & mask) >> shift)
            counts[lane, digit] += ((key ^ threshold[lane]) & settled) == 0
        for lane in range(capacity.shape[0]):
            digit = DIGITS - 1
            while digit > 0 and places[lane] >= counts[lane, digit]:
                places[lane] -= counts[lane, digit]
                digit -= 1
            threshold[lane] = (threshold[lane] & ~mask) | (np.uint64(digit) << shift)
            tied[lane] = counts[lane, digit]
        settled |= mask


@kernel
def begin_trip(state, tables, agent):
    """Draw what comes after an arrival or a dormant step: dormant again, or a trip and an urgency.

    The urgency depends on that of the trip that has ended.
    """
    bits = next_uint64(state.streams, TRIPS)
    ended = np.int64(state.urgency[agent]) if state.position[agent] != 0 else tables.n_urgencies
    state.urgency[agent] = 0
    state.position[agent] = 0
    if np.int64(bits & np.uint64(0xFFFFFFFF)) >= tables.dormant_threshold:
        agent_type = tables.type_of_agent[agent]
        draw = np.int64(bits >> np.uint64(32))
        urgency = 0
        for candidate in range(tables.n_urgencies - 1):
            urgency += tables.urgency_thresholds[agent_type, ended, candidate] <= draw
        state.urgency[agent] = urgency
        slot = next_below(state.streams, TRIPS, tables.n_slots)
        state.position[agent] = tables.starts[agent, slot]


@kernel
def begin_trips(state, tables):
    """Draw for every agent of a new city whether it is dormant or on which trip."""
    for agent in range(state.position.shape[0]):
        begin_trip(state, tables, agent)


@kernel
def move(state, tables, scratch, rewards):
    """Winners pay and move on, losers wait and suffer.

    Of the agents at a lane's threshold each in turn gets in with probability places left over agents
    left, so that every way to fill the places has the same probability.
    """
    surplus = state.surplus[0]
    scratch.paid[:] = 0
    for agent in range(rewards.shape[0]):
        lane, key = scratch.lane[agent], scratch.key[agent]
        won = key > scratch.threshold[lane]
        if key == scratch.threshold[lane]:
            places, tied = scratch.places[lane], scratch.tied[lane]
            won = places >= tied or next_below(state.streams, TIES, tied) < places
            scratch.places[lane] = places - won
            scratch.tied[lane] = tied - 1
        position, following = state.position[agent], scratch.following[agent]
        paid = np.int64(scratch.bid[agent]) * won
        loss = tables.urgency_values[tables.type_of_agent[agent], state.urgency[agent]] * np.float32(1 - won)
        state.karma[agent] -= paid
        if tables.by_resource:
            scratch.paid[lane] += paid
        else:
            surplus += paid
        rewards[agent] = np.float32(0) - loss
        state.reward_total[agent] -= loss
        state.accesses[agent] += won & (position != 0)
        state.entries[lane] += won
        if won and following == 0:
            begin_trip(state, tables, agent)
        else:
            state.position[agent] = following if won else position
    state.surplus[0] = surplus


@kernel
def settle(state, tables, scratch, actions, rewards, priority, key_of, share):
    """One step of the game after the actions: steps 2 to 6 of the order in the game's docstring."""
    varying = line_up(state, tables, scratch, actions, priority, key_of)
    find_thresholds(scratch, tables.capacity, varying)
    move(state, tables, scratch, rewards)
    purses = Purses(state.karma, tables.karma_max, state.surplus, state.sharing)
    lane, streams = scratch.lane, state.streams
    if tables.by_resource:
        share_by_resource(purses, lane, scratch.paid, scratch.rooms, scratch.levels, streams, REDISTRIBUTION)
    redistribute(purses, lane, scratch.crowding, share, tables.redistribution, streams, REDISTRIBUTION)
    state.steps[0] += 1


@kernel
def observe(state, tables, observations):
    """Tabular observations, place * (karma_max + 1) + karma; place: by position and urgency, 0 if dormant."""
    for agent in range(observations.shape[0]):
        place = (np.int64(state.position[agent]) - 1) * tables.n_urgencies + state.urgency[agent] + 1
        observations[agent] = max(place, 0) * (tables.karma_max + 1) + state.karma[agent]


@kernel
def play(state, tables, scratch, thresholds, row_of_agent, columns, priority, key_of, share):
    """Play a policy for as many steps as ``columns``, of transitions, have room for."""
    observations, actions, rewards = columns
    n_steps = actions.shape[0]
    for step in range(n_steps):
        observe(state, tables, observations[step])
        sample_actions(thresholds, row_of_agent, observations[step], state.streams, BIDS, actions[step])
        settle(state, tables, scratch, actions[step], rewards[step], priority, key_of, share)
    observe(state, tables, observations[n_steps])
