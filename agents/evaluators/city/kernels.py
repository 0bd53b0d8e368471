"""What the others leave to an agent on every lane, counted in play: with the bid that it made and others.

In each step each agent at a lane is asked what would have become of it with a bid of any rank (of priority)
r, the others' bids as they were: with h of the others above r and t of them of r, it gets one of the lane's
``capacity`` places with probability

    w_r = min(1, max(0, (capacity - h) / (t + 1))).

With the rank that an agent really bid, the w of a lane's agents add up to min(agents, capacity). They are
summed by who bids, its type and urgency: who loses stays and meets those who lost with it, so that who bids
low is there when it is crowded. And of all ranks at every visit, so that none is empty where the lane was
ever wanted. The draws of ties add no noise.

Ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel


class LaneCounts(NamedTuple):
    """What is counted, of L lanes, C classes of bids, which have R ranks, and karma 0 … K.

    G groups are types and urgencies of who bids.
    """

    flows: NDArray[np.int64]  # [L, C] bids made
    wins: NDArray[np.float64]  # [L, R] sum over visits of the chance of a bid of each rank
    own_bids: NDArray[np.float64]  # [L, G, R] bids of each rank
    own_wins: NDArray[np.float64]  # [L, G, R] sum over these of their chance
    received: NDArray[np.int64]  # [K+1, K+1] active agents by karma after paying, and units received
    here: NDArray[np.int64]  # [L, G, R] scratch: bids of a step


def new_counts(n_lanes: int, n_groups: int, ranks: NDArray[np.int64], karma_max: int) -> LaneCounts:
    """Counts of nothing yet, of classes with some ``ranks[C]``."""
    n_ranks = int(ranks.max()) + 1
    return LaneCounts(
        flows=np.zeros((n_lanes, len(ranks)), np.int64),
        wins=np.zeros((n_lanes, n_ranks)),
        own_bids=np.zeros((n_lanes, n_groups, n_ranks)),
        own_wins=np.zeros((n_lanes, n_groups, n_ranks)),
        received=np.zeros((karma_max + 1, karma_max + 1), np.int64),
        here=np.zeros((n_lanes, n_groups, n_ranks), np.int64),
    )


class Roads(NamedTuple):
    """What tells lanes and classes from observations and actions, of N agents; see ``Plans`` of the city."""

    steps: NDArray[np.uint64]  # [N, E]
    first_option: NDArray[np.int32]  # [P]
    lane_bits: int
    capacity: NDArray[np.int64]  # [L]
    class_of: NDArray[np.int32]  # [types, U, K+1] class of a bid
    ranks: NDArray[np.int64]  # [C] of priority, the highest first served
    suffers: NDArray[np.bool_]  # [types, U] whether a loss shows in the reward
    type_of_agent: NDArray[np.int64]  # [N]


@kernel
def chance(capacity, above, tied):
    """Probability of a place where ``above`` others go first and ``tied`` others draw lots with it."""
    return min(1.0, max(0.0, (capacity - above) / (tied + 1.0)))


@kernel
def count_chances(here, capacity, wins, own_bids, own_wins):
    """Ask everyone at a lane in a step, whose bids are ``here[L, G, R]``; sums are added to the others."""
    n_lanes, n_groups, n_ranks = here.shape
    for lane in range(n_lanes):
        visits = 0
        for group in range(n_groups):
            for rank in range(n_ranks):
                visits += here[lane, group, rank]
        above = 0
        for rank in range(n_ranks - 1, -1, -1):
            tied = 0
            for group in range(n_groups):
                tied += here[lane, group, rank]
            below = visits - above - tied
            # Who is asked is not among its own competitors: of those above one is itself, and so on.
            if above > 0:
                wins[lane, rank] += above * chance(capacity[lane], above - 1, tied)
            if tied > 0:
                own = chance(capacity[lane], above, tied - 1)
                wins[lane, rank] += tied * own
                for group in range(n_groups):
                    own_bids[lane, group, rank] += here[lane, group, rank]
                    own_wins[lane, group, rank] += here[lane, group, rank] * own
            wins[lane, rank] += below * chance(capacity[lane], above, tied)
            above += tied


@kernel
def count_play(columns, roads, counts):
    """Count all steps of some transitions.

    Args:
        columns: :class:`karma_envs.transitions.Columns` of the N agents.
        roads: :class:`Roads`.
        counts: :class:`LaneCounts`; what is counted is added.
    """
    observations, actions, rewards = columns
    flows, wins, own_bids, own_wins, received, here = counts
    steps, first_option, lane_bits, capacity, class_of, ranks, suffers, type_of_agent = roads
    n_urgencies, n_bids = class_of.shape[1], class_of.shape[2]
    lane_mask = (1 << lane_bits) - 1
    for step in range(actions.shape[0]):
        here[:] = 0
        for agent in range(actions.shape[1]):
            observation, action = np.int64(observations[step, agent]), np.int64(actions[step, agent])
            place, karma = observation // n_bids, observation % n_bids
            if place == 0:  # dormant
                continue
            position, urgency = (place + n_urgencies - 1) // n_urgencies, (place - 1) % n_urgencies
            option, bid = action // n_bids, action % n_bids
            lane = np.int64(steps[agent, first_option[position] + option]) & lane_mask
            kind = type_of_agent[agent]
            bids = class_of[kind, urgency, bid]
            flows[lane, bids] += 1
            here[lane, kind * n_urgencies + urgency, ranks[bids]] += 1
            # Winners are told from losers by their reward, if it tells; and who bids nothing pays nothing.
            if bid == 0 or suffers[kind, urgency]:
                after = karma - bid * (rewards[step, agent] == 0.0)
                units = np.int64(observations[step + 1, agent]) % n_bids - after
                received[after, max(units, 0)] += 1
        count_chances(here, capacity, wins, own_bids, own_wins)
