"""The city's step, compiled; shared by every view and by rollouts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.compile import kernel
from karma_envs.mechanisms.surplus import redistribute
from karma_envs.random import next_below, next_uint64
from karma_envs.sampling import sample_actions

TIES, REDISTRIBUTION, TRIPS, BIDS = range(4)
"""Random streams, one per purpose."""
N_STREAMS = 4

DIGIT_BITS = 4
DIGITS = 2**DIGIT_BITS
_SIGN = np.uint64(2**63)


class CityState(NamedTuple):
    """Everything that changes. N agents; L lanes and the dormant one; karma in units."""

    karma: NDArray[np.int16]  # [N] 0 … karma_max
    leg: NDArray[np.uint16]  # [N] 0 dormant, else 1 + slot * longest + z: next lane z of the path in a slot
    urgency: NDArray[np.uint8]  # [N] index into the type's urgency values; 0 if dormant
    active: NDArray[np.uint8]  # [N] 1 if it bid in the last step, 0 if it was dormant
    accesses: NDArray[np.int32]  # [N] lanes entered since reset
    contests: NDArray[np.int32]  # [N] bids for lanes since reset
    reward_total: NDArray[np.float64]  # [N] rewards since reset
    attempts: NDArray[np.int64]  # [L+1] bids by lane since reset
    entries: NDArray[np.int64]  # [L+1] agents that entered, by lane
    bid_total: NDArray[np.int64]  # [L+1] sum of bids by lane
    surplus: NDArray[np.int64]  # [1] karma that nobody could take, offered again next step
    steps: NDArray[np.int64]  # [1] steps since reset
    sharing: NDArray[np.int32]  # [N] a permutation, in which extra units of surplus are dealt out
    streams: NDArray[np.uint64]  # [N_STREAMS]


class CityTables(NamedTuple):
    """Everything that does not.

    A dormant agent is one on the lane L, which has room for all and leads nowhere, so that it needs no
    case of its own.
    """

    karma_max: int
    n_urgencies: int
    n_slots: int  # paths per agent
    longest: int  # lanes of the longest path
    type_of_agent: NDArray[np.uint8]  # [N]
    urgency_values: NDArray[np.float32]  # [types, U]
    urgency_thresholds: NDArray[np.int64]  # [types, U] cumulative, in units of 2**-32
    dormant_threshold: int  # in units of 2**-32
    routes: NDArray[np.int16] | NDArray[np.int32]  # [N, legs] lane of each leg; ~lane if it is a path's last
    capacity: NDArray[np.int64]  # [L+1]
    allocation: NDArray[np.float64]  # the rules' parameters
    redistribution: NDArray[np.float64]


class CityScratch(NamedTuple):
    """Room to work in, written anew in each step."""

    lane: NDArray[np.int32]  # [N] wanted
    key: NDArray[np.uint64]  # [N] priority there
    counts: NDArray[np.int32]  # [L+1, DIGITS]
    threshold: NDArray[np.uint64]  # [L+1] key of the last that gets in
    places: NDArray[np.int64]  # [L+1] left for agents with that key
    tied: NDArray[np.int64]  # [L+1] how many have it


def new_scratch(n_agents: int, n_lanes: int) -> CityScratch:
    """Scratch for N agents and L + 1 lanes."""
    return CityScratch(
        np.zeros(n_agents, np.int32),
        np.zeros(n_agents, np.uint64),
        np.zeros((n_lanes, DIGITS), np.int32),
        np.zeros(n_lanes, np.uint64),
        np.zeros(n_lanes, np.int64),
        np.zeros(n_lanes, np.int64),
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
def line_up(state, tables, scratch, bids, priority, key_of):
    """Who wants which lane, how much.

    Returns:
        ``uint64``: the bits in which keys differ.
    """
    first = np.uint64(0)
    varying = np.uint64(0)
    for agent in range(bids.shape[0]):
        leg = state.leg[agent]
        route = np.int64(tables.routes[agent, leg])
        lane = route ^ (route >> 63)  # ~route if negative
        bid = np.int64(bids[agent])
        urgency = tables.urgency_values[tables.type_of_agent[agent], state.urgency[agent]]
        key = key_of(priority(bid, urgency, state.accesses[agent], tables.allocation))
        first = key if agent == 0 else first
        varying |= key ^ first
        scratch.lane[agent] = lane
        scratch.key[agent] = key
        state.active[agent] = leg != 0
        state.contests[agent] += leg != 0
        state.attempts[lane] += 1
        state.bid_total[lane] += bid
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
    """Draw what comes after an arrival or a dormant step: dormant again, or a path and an urgency."""
    bits = next_uint64(state.streams, TRIPS)
    state.urgency[agent] = 0
    state.leg[agent] = 0
    if np.int64(bits & np.uint64(0xFFFFFFFF)) >= tables.dormant_threshold:
        agent_type = tables.type_of_agent[agent]
        draw = np.int64(bits >> np.uint64(32))
        urgency = 0
        for candidate in range(tables.n_urgencies - 1):
            urgency += tables.urgency_thresholds[agent_type, candidate] <= draw
        state.urgency[agent] = urgency
        slot = next_below(state.streams, TRIPS, tables.n_slots)
        state.leg[agent] = 1 + slot * tables.longest


@kernel
def begin_trips(state, tables):
    """A new trip for everyone."""
    for agent in range(state.leg.shape[0]):
        begin_trip(state, tables, agent)


@kernel
def move(state, tables, scratch, bids, rewards):
    """Winners pay and move on, losers wait and suffer.

    Of the agents at a lane's threshold each in turn gets in with probability places left over agents
    left, so that every way to fill the places has the same probability.
    """
    surplus = state.surplus[0]
    for agent in range(bids.shape[0]):
        lane, key = scratch.lane[agent], scratch.key[agent]
        won = key > scratch.threshold[lane]
        if key == scratch.threshold[lane]:
            places, tied = scratch.places[lane], scratch.tied[lane]
            won = places >= tied or next_below(state.streams, TIES, tied) < places
            scratch.places[lane] = places - won
            scratch.tied[lane] = tied - 1
        leg = state.leg[agent]
        paid = np.int64(bids[agent]) * won
        loss = tables.urgency_values[tables.type_of_agent[agent], state.urgency[agent]] * np.float32(1 - won)
        state.karma[agent] -= paid
        surplus += paid
        rewards[agent] = np.float32(0) - loss
        state.reward_total[agent] -= loss
        state.accesses[agent] += won & (leg != 0)
        state.entries[lane] += won
        if won and tables.routes[agent, leg] < 0:
            begin_trip(state, tables, agent)
        else:
            state.leg[agent] = leg + won
    state.surplus[0] = surplus


@kernel
def settle(state, tables, scratch, bids, rewards, priority, key_of, share):
    """One step of the game after the bids: steps 2 to 6 of the order in the game's docstring."""
    varying = line_up(state, tables, scratch, bids, priority, key_of)
    find_thresholds(scratch, tables.capacity, varying)
    move(state, tables, scratch, bids, rewards)
    redistribute(
        state.karma,
        state.active,
        tables.karma_max,
        state.surplus,
        state.sharing,
        share,
        tables.redistribution,
        state.streams,
        REDISTRIBUTION,
    )
    state.steps[0] += 1


@kernel
def observe(state, tables, observations):
    """Tabular observations, place * (karma_max + 1) + karma; place: 0 if dormant, else by leg and urgency."""
    for agent in range(observations.shape[0]):
        place = (np.int64(state.leg[agent]) - 1) * tables.n_urgencies + state.urgency[agent] + 1
        observations[agent] = max(place, 0) * (tables.karma_max + 1) + state.karma[agent]


@kernel
def play(
    state, tables, scratch, thresholds, row_of_agent, observations, actions, rewards, priority, key_of, share
):
    """Play a policy for ``len(actions)`` steps, recording observations, actions and rewards."""
    n_steps = actions.shape[0]
    for step in range(n_steps):
        observe(state, tables, observations[step])
        sample_actions(thresholds, row_of_agent, observations[step], state.streams, BIDS, actions[step])
        settle(state, tables, scratch, actions[step], rewards[step], priority, key_of, share)
    observe(state, tables, observations[n_steps])
