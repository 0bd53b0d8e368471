"""What two members of a coalition do who meet and know each other: both bids, chosen together.

An agreement says for every pair of states (type, urgency, karma) what each of the two bids. All that a
population feels of it is who gets the resource, and the karma that both have after payment, so that an
agreement is kept as these two tables; agreements of which one or the other is drawn in each meeting are then
the mean of theirs. Bids are paid for by the mechanism's own rules: members cannot hand over karma in another
way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.matching.contests import Contests
from karma_envs.numerics.compile import kernel

_ROUNDING = 1e-12  # of what an outcome is worth, over the greatest: bids that differ by less count as equal


@kernel
def _add_meeting(one, other, bid, other_bid, weight, n, tables, won, after):
    """Add what a meeting of two states comes to in which they bid so; the first agent's side only."""
    chance, cost, gain = tables
    karma, other_karma = one % n, other % n
    wins = weight * chance[bid, other_bid]
    if wins > 0.0:
        won[one, other] += wins
        after[one, other, karma - cost[bid, other_bid, other_karma]] += wins
    loses = weight * chance[other_bid, bid]
    if loses > 0.0:
        after[one, other, karma + gain[other_bid, bid, karma]] += loses


@kernel
def _met(bids, n, tables, won, after):
    """Meetings in which an agent in state s bids bids[s, s']; two alike bid in one role or the other."""
    won[:] = 0.0
    after[:] = 0.0
    for one in range(len(won)):
        for other in range(len(won)):
            if one == other:
                high, low = bids[one, one, 0], bids[one, one, 1]
                _add_meeting(one, one, high, low, 0.5, n, tables, won, after)
                _add_meeting(one, one, low, high, 0.5, n, tables, won, after)
            else:
                _add_meeting(one, other, bids[one, other, 0], bids[one, other, 1], 1.0, n, tables, won, after)


@kernel
def _played(policy, n, tables, won, after):
    """Meetings in which both bid by a policy, each on its own."""
    won[:] = 0.0
    after[:] = 0.0
    for one in range(len(won)):
        for other in range(len(won)):
            for bid in range(one % n + 1):
                for other_bid in range(other % n + 1):
                    weight = policy[one, bid] * policy[other, other_bid]
                    if weight > 0.0:
                        _add_meeting(one, other, bid, other_bid, weight, n, tables, won, after)


@kernel
def _best_bids(urgency, worth, n, tables, slack, bids):
    """The bids of two who meet for which rewards and what karma is worth to them add up to the most."""
    chance, cost, gain = tables
    for one in range(len(bids)):
        karma = one % n
        for other in range(one + 1):
            other_karma = other % n
            best = -np.inf
            for bid in range(karma + 1):
                for other_bid in range(other_karma + 1):
                    value = 0.0
                    wins = chance[bid, other_bid]
                    if wins > 0.0:
                        paid = cost[bid, other_bid, other_karma]
                        got = gain[bid, other_bid, other_karma]
                        value += wins * (
                            urgency[one] + worth[one, karma - paid] + worth[other, other_karma + got]
                        )
                    loses = chance[other_bid, bid]
                    if loses > 0.0:
                        paid = cost[other_bid, bid, karma]
                        got = gain[other_bid, bid, karma]
                        value += loses * (
                            urgency[other] + worth[other, other_karma - paid] + worth[one, karma + got]
                        )
                    if value > best + slack:
                        best = value
                        bids[one, other, 0] = bids[other, one, 1] = bid
                        bids[one, other, 1] = bids[other, one, 0] = other_bid


@dataclass(frozen=True)
class Agreement:
    """What comes of meetings of two members, for each pair of states s = (type, urgency, karma).

    Attributes:
        won: ``float64[S, S]``, chance that an agent in s gets the resource when it meets one in s'; the
            two chances add up to 1.
        after: ``float64[S, S, K]``, distribution of the karma of the agent in s after payment.
    """

    won: NDArray[np.float64]
    after: NDArray[np.float64]

    def towards(self, other: Agreement, share: float) -> Agreement:
        """This agreement, or with probability ``share``, drawn in each meeting, another one."""
        return Agreement(
            self.won + share * (other.won - self.won), self.after + share * (other.after - self.after)
        )


def agreement_on(contests: Contests, bids: NDArray[np.int64]) -> Agreement:
    """The agreement in which members bid as a table says.

    Args:
        contests: of the game.
        bids: ``int64[S, S, 2]``, what an agent in s bids when it meets one in s', and what that one bids;
            where the two are in the same state a coin says who bids which. S is a multiple of K, karma last.
    """
    won, after = _empty(len(bids), contests)
    _met(bids, len(contests.chance), _tables(contests), won, after)
    return Agreement(won, after)


def as_strangers(contests: Contests, policy: NDArray[np.float64]) -> Agreement:
    """The agreement in which members bid against each other as they bid against anyone.

    Args:
        contests: of the game.
        policy: of members, ``float64[types, X, A]``.
    """
    rows = policy.reshape(-1, policy.shape[-1])
    won, after = _empty(len(rows), contests)
    _played(rows, len(contests.chance), _tables(contests), won, after)
    return Agreement(won, after)


def first_pays(order: NDArray[np.float64], karma_max: int, price: int) -> NDArray[np.int64]:
    """Bids with which the first one in an order gets the resource for a price, and the other bids nothing.

    Who has less than the price bids all it has; with no karma it bids nothing either, and a coin decides, as
    between two that are equal in the order.

    Args:
        order: ``float64[S]``, who is greater goes first, such as the more urgent one.
        karma_max: the cap.
        price: bid of the first.

    Returns:
        ``int64[S, S, 2]``, for :func:`agreement_on`.
    """
    karma = np.arange(len(order)) % (karma_max + 1)
    first = (order[:, None] > order) * np.minimum(karma, price)[:, None]
    return np.stack([first, first.T], axis=-1)


def best_bids(
    contests: Contests, urgency: NDArray[np.float64], worth: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Bids of two who meet for which their rewards and the worth of their karma add up to the most.

    Of equally good ones it is those in which the one in the later state, and then the other, bids less.

    Args:
        contests: of the game.
        urgency: ``float64[S]``, what the resource is worth in a state.
        worth: ``float64[S, K]``, what karma after payment is worth to an agent that was in s.

    Returns:
        ``int64[S, S, 2]``, for :func:`agreement_on`.
    """
    n = len(contests.chance)
    bids = np.zeros((len(urgency), len(urgency), 2), np.int64)
    slack = _ROUNDING * (np.abs(worth).max() + np.abs(urgency).max())
    _best_bids(urgency, worth, n, _tables(contests), slack, bids)
    return bids


def _tables(
    contests: Contests,
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]:
    return contests.chance, contests.cost, contests.gain


def _empty(n_states: int, contests: Contests) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.empty((n_states, n_states)), np.empty((n_states, n_states, len(contests.chance)))
