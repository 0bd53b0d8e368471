"""The matching game's step, compiled; shared by every view and by rollouts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.karma.surplus import Purses, redistribute
from karma_envs.karma.urgency import step_urgency
from karma_envs.mechanisms.contest import first_wins
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import next_below, next_uint64
from karma_envs.numerics.sampling import sample_actions

MATCHING, TIES, REDISTRIBUTION, URGENCY, BIDS = range(5)
"""Random streams, one per purpose."""
N_STREAMS = 5

PAIR_CROWDING = np.array([0.0, 2.0])
"""Agents that want the resource, by ``active``: none where an agent sits out, two in a pair."""


class MatchingState(NamedTuple):
    """All of a matching game that a step changes, of N agents; karma in units."""

    karma: NDArray[np.int16]  # [N] 0 … karma_max
    urgency: NDArray[np.uint8]  # [N] index into the type's urgency values
    active: NDArray[np.uint8]  # [N] 1 if matched in the last step, 0 if it sat out
    accesses: NDArray[np.int64]  # [N] contests won since reset
    sat_out: NDArray[np.int64]  # [N] steps without a contest since reset
    reward_total: NDArray[np.float64]  # [N] rewards since reset
    surplus: NDArray[np.int64]  # [1] karma that nobody could take, offered again next step
    steps: NDArray[np.int64]  # [1] steps since reset
    pairing: NDArray[np.int32]  # [N] agents 2i and 2i+1 of this permutation met in the last step
    sharing: NDArray[np.int32]  # [N] a permutation, in which extra units of surplus are dealt out
    streams: NDArray[np.uint64]  # [N_STREAMS]


class MatchingTables(NamedTuple):
    """All that a step of a matching game reads and does not change, of N agents."""

    karma_max: int
    type_of_agent: NDArray[np.uint8]  # [N]
    urgency_values: NDArray[np.float32]  # [types, U]
    urgency_thresholds: NDArray[np.int64]  # [types, U, U]
    allocation: NDArray[np.float64]  # the rules' parameters
    payment: NDArray[np.float64]
    redistribution: NDArray[np.float64]


@kernel
def match(state):
    """Draw a uniformly random perfect matching; with odd N, the last of the permutation sits out.

    Each agent in turn that has no peer yet draws one among those after it: N/2 draws. Whatever
    permutation it starts from, the matching is uniform.
    """
    pairing, streams = state.pairing, state.streams
    n_agents = pairing.shape[0]
    matched = n_agents - (n_agents & 1)
    if matched < n_agents:
        state.active[pairing[matched]] = 1
        pick = next_below(streams, MATCHING, n_agents)
        idle = pairing[pick]
        pairing[pick] = pairing[matched]
        pairing[matched] = idle
        state.active[idle] = 0
        state.sat_out[idle] += 1
    for first in range(0, matched, 2):
        second = first + 1
        pick = second + next_below(streams, MATCHING, matched - second)
        peer = pairing[pick]
        pairing[pick] = pairing[second]
        pairing[second] = peer


@kernel
def contest(state, tables, bids, rewards, priority, pay):
    """Every pair's contest: who wins, what it costs the loser, what the winner pays to whom.

    Written without branches on the outcome, which no branch predictor can guess.
    """
    pairing = state.pairing
    n_agents = pairing.shape[0]
    matched = n_agents - (n_agents & 1)
    surplus = state.surplus[0]
    coins = np.uint64(0)
    for first in range(0, matched, 2):
        if first & 127 == 0:
            coins = next_uint64(state.streams, TIES)
        coin = (coins & np.uint64(1)) != 0
        coins >>= np.uint64(1)
        a, b = np.int64(pairing[first]), np.int64(pairing[first + 1])
        bid_a, bid_b = np.int64(bids[a]), np.int64(bids[b])
        urgency_a = tables.urgency_values[tables.type_of_agent[a], state.urgency[a]]
        urgency_b = tables.urgency_values[tables.type_of_agent[b], state.urgency[b]]
        a_wins = first_wins(
            priority(bid_a, urgency_a, state.accesses[a], tables.allocation),
            priority(bid_b, urgency_b, state.accesses[b], tables.allocation),
            coin,
        )
        winner = a if a_wins else b
        loser = b if a_wins else a
        loser_karma = np.int64(state.karma[loser])
        to_loser, to_society = pay(
            bid_a if a_wins else bid_b,
            bid_b if a_wins else bid_a,
            loser_karma,
            tables.karma_max,
            tables.payment,
        )
        state.karma[winner] -= to_loser + to_society
        state.karma[loser] = loser_karma + to_loser
        surplus += to_society
        loss = urgency_b if a_wins else urgency_a
        rewards[winner] = 0.0
        rewards[loser] = -loss
        state.accesses[winner] += 1
        state.reward_total[loser] -= loss
    if matched < n_agents:
        rewards[pairing[matched]] = 0.0
    state.surplus[0] = surplus


@kernel
def settle(state, tables, bids, rewards, priority, pay, share):
    """One step of the game after the bids: steps 1 and 3 to 7 of the order in the game's docstring."""
    match(state)
    contest(state, tables, bids, rewards, priority, pay)
    purses = Purses(state.karma, tables.karma_max, state.surplus, state.sharing)
    redistribute(
        purses, state.active, PAIR_CROWDING, share, tables.redistribution, state.streams, REDISTRIBUTION
    )
    step_urgency(state.urgency, tables.type_of_agent, tables.urgency_thresholds, state.streams, URGENCY)
    state.steps[0] += 1


@kernel
def observe(state, karma_max, observations):
    """Tabular observations, urgency_index * (karma_max + 1) + karma."""
    for agent in range(observations.shape[0]):
        observations[agent] = np.int64(state.urgency[agent]) * (karma_max + 1) + state.karma[agent]


@kernel
def play(state, tables, thresholds, row_of_agent, columns, priority, pay, share):
    """Play a policy for as many steps as ``columns``, of transitions, have room for."""
    observations, actions, rewards = columns
    n_steps = actions.shape[0]
    for step in range(n_steps):
        observe(state, tables.karma_max, observations[step])
        sample_actions(thresholds, row_of_agent, observations[step], state.streams, BIDS, actions[step])
        settle(state, tables, actions[step], rewards[step], priority, pay, share)
    observe(state, tables.karma_max, observations[n_steps])
