"""The auction's step, compiled; shared by every view, by rollouts and by the mean-field model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.groups import draw_groups
from karma_envs.numerics.random import GOLDEN, mix, next_below
from karma_envs.numerics.sampling import sample_actions

GROUPS, VALUES, REFILLS, BIDS = range(4)
"""Random streams, one per purpose."""
N_STREAMS = 4

DRAW_RANGE = 2**32
"""Refills are drawn as whole numbers below it."""


class AuctionState(NamedTuple):
    """Everything that changes. N agents; money in units."""

    budget: NDArray[np.int16]  # [N] 0 … budget_max
    wins: NDArray[np.int64]  # [N] auctions won since reset
    prices: NDArray[np.int64]  # [N] sum of the prices of these, paid or not
    sat_out: NDArray[np.int64]  # [N] steps without an auction since reset
    reward_total: NDArray[np.float64]  # [N] rewards since reset
    steps: NDArray[np.int64]  # [1] steps since reset
    order: NDArray[np.int32]  # [N] a permutation: who met in the last step, group by group
    streams: NDArray[np.uint64]  # [N_STREAMS]


class AuctionTables(NamedTuple):
    """Everything that does not."""

    n_bidders: int
    budget_max: int
    overbid_penalty: float
    refill_below: int  # of DRAW_RANGE draws as many refill
    values: NDArray[np.float64]  # [V], what winning may be worth


@kernel
def reward_of_winner(value, price, budget, overbid_penalty):
    """What winning is worth at a price: (v - p) - (1 + rho) 1{s < p} (p - s).

    Args:
        value: v.
        price: p.
        budget: s, before paying.
        overbid_penalty: rho.
    """
    return (value - price) - (1.0 + overbid_penalty) * max(price - budget, 0)


@kernel
def budget_of_winner(budget, price):
    """What a winner has left: all that it has goes where it cannot pay."""
    return max(budget - price, 0)


@kernel
def hammer(bids, order, first, n_bidders):
    """Who wins one auction, and at what price: the highest bid, the first of equals, pays the second.

    Written without branches on bids, which no branch predictor can guess.

    Args:
        bids: ``int[N]``.
        order: ``int[N]``; the bidders are the agents at places ``first … first + n_bidders - 1``.
        first: where the group begins.
        n_bidders: M; a bidder alone pays 0.

    Returns:
        the winner, and the second-highest bid.
    """
    winner, highest, second = np.int64(order[first]), np.int64(-1), np.int64(0)
    for place in range(first, first + n_bidders):
        agent = np.int64(order[place])
        bid = np.int64(bids[agent])
        # Of the two highest so far and the new one, the middle one is the second-highest.
        second = max(second, min(bid, highest))
        winner = agent if bid > highest else winner
        highest = max(highest, bid)
    return winner, second


@kernel
def refill(budget, budget_max, refill_below, streams, stream):
    """Give each budget below the cap a unit with a probability; two draws per 64 random bits.

    Args:
        budget: ``int[N]``, changed in place.
        budget_max: the cap.
        refill_below: of :data:`DRAW_RANGE` draws as many refill.
        streams: random streams; ``streams[stream]`` advances by ceil(N/2).
        stream: index of the stream to draw from.
    """
    counter = np.uint64(streams[stream])
    bits = np.uint64(0)
    for agent in range(budget.shape[0]):
        if agent & 1 == 0:
            counter += GOLDEN
            bits = mix(counter)
        draw = np.int64(bits & np.uint64(0xFFFFFFFF))
        bits >>= np.uint64(32)
        held = np.int64(budget[agent])
        budget[agent] = held + ((draw < refill_below) & (held < budget_max))
    streams[stream] = counter


@kernel
def settle(state, tables, bids, rewards):
    """One step of the game after the bids: steps 2 to 6 of the order in the game's docstring."""
    n_agents, n_bidders = bids.shape[0], tables.n_bidders
    n_groups = draw_groups(state.order, n_bidders, state.streams, GROUPS)
    rewards[:] = 0.0
    for group in range(n_groups):
        winner, price = hammer(bids, state.order, group * n_bidders, n_bidders)
        value = tables.values[next_below(state.streams, VALUES, tables.values.shape[0])]
        budget = np.int64(state.budget[winner])
        reward = np.float32(reward_of_winner(value, price, budget, tables.overbid_penalty))
        rewards[winner] = reward
        state.reward_total[winner] += reward
        state.budget[winner] = budget_of_winner(budget, price)
        state.wins[winner] += 1
        state.prices[winner] += price
    for place in range(n_groups * n_bidders, n_agents):
        state.sat_out[state.order[place]] += 1
    refill(state.budget, tables.budget_max, tables.refill_below, state.streams, REFILLS)
    state.steps[0] += 1


@kernel
def observe(state, observations):
    """Tabular observations, the budgets."""
    for agent in range(observations.shape[0]):
        observations[agent] = state.budget[agent]


@kernel
def play(state, tables, thresholds, row_of_agent, observations, actions, rewards):
    """Play a policy for ``len(actions)`` steps, recording observations, actions and rewards."""
    n_steps = actions.shape[0]
    for step in range(n_steps):
        observe(state, observations[step])
        sample_actions(thresholds, row_of_agent, observations[step], state.streams, BIDS, actions[step])
        settle(state, tables, actions[step], rewards[step])
    observe(state, observations[n_steps])
