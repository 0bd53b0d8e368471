"""Contests of pairs in an infinite population: what becomes of one's karma, and its derivatives.

A pair of bids has few outcomes, so the rules are asked once and their answers are kept in tables. What a
contest makes of one's karma is then linear in the distribution m(b', k') of an opponent's bid and karma:

    theta(b) = sum over b' of m(b') chance(b, b'),
    P(k -> k - cost(b, b', k'))  gets  m(b', k') chance(b, b'),
    P(k -> k + gain(b', b, k))   gets  m(b') chance(b', b),

with chance(b, b') = 1, 1/2 or 0 that b wins against b'. Its derivative along an opponent is what happens
against this opponent alone, without differences. Tax and redistribution follow, as a matrix of karma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import DecisionProblem, ProblemMoves
from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def _tabulate(karma_max, priority, pay, allocation, payment, chance, cost, gain):
    """The rules' answers for every pair; cost is -1 where no such pair has this winner."""
    n = karma_max + 1
    for bid in range(n):
        mine = priority(bid, np.float32(0), 0, allocation)
        for other_bid in range(n):
            theirs = priority(other_bid, np.float32(0), 0, allocation)
            chance[bid, other_bid] = 1.0 if mine > theirs else (0.5 if mine == theirs else 0.0)
            for other_karma in range(n):
                cost[bid, other_bid, other_karma] = -1
                gain[bid, other_bid, other_karma] = 0
                if chance[bid, other_bid] > 0.0 and other_bid <= other_karma:
                    to_loser, to_society = pay(bid, other_bid, other_karma, karma_max, payment)
                    cost[bid, other_bid, other_karma] = to_loser + to_society
                    gain[bid, other_bid, other_karma] = to_loser


@kernel
def _outcomes(opponents, chance, cost, gain, bids, paid, win, after):
    """Every own (karma, bid) against a population m(bid, karma)."""
    n = len(opponents)
    win[:] = 0.0
    paid[:] = 0.0
    after[:] = 0.0
    for bid in range(n):
        for other_bid in range(n):
            won = chance[bid, other_bid]
            if won > 0.0:
                win[bid] += won * bids[other_bid]
                for other_karma in range(other_bid, n):
                    weight = won * opponents[other_bid, other_karma]
                    if weight != 0.0:
                        paid[bid, cost[bid, other_bid, other_karma]] += weight
    for karma in range(n):
        for bid in range(karma + 1):
            for price in range(karma + 1):
                after[karma, bid, karma - price] += paid[bid, price]
            for other_bid in range(n):
                lost = chance[other_bid, bid] * bids[other_bid]
                if lost != 0.0:
                    after[karma, bid, karma + gain[other_bid, bid, karma]] += lost


@kernel
def _redistributed(after, shares, first, last, kernel_):
    """The rows of ``after`` times a matrix of which row j is 0 but in the columns first[j] … last[j]."""
    n = len(shares)
    kernel_[:] = 0.0
    for karma in range(n):
        for bid in range(karma + 1):
            for between in range(n):
                weight = after[karma, bid, between]
                if weight != 0.0:
                    for final in range(first[between], last[between] + 1):
                        kernel_[karma, bid, final] += weight * shares[between, final]


@kernel
def _values_against(others, values, chance, cost, gain, expected):
    """The expected value after a contest with each of some opponents (bid, karma), by own karma and bid."""
    n = values.shape[1]
    for other in range(len(others)):
        other_bid, other_karma = others[other]
        for row in range(len(values)):
            for karma in range(n):
                for bid in range(karma + 1):
                    value = 0.0
                    won = chance[bid, other_bid]
                    if won > 0.0 and other_bid <= other_karma:
                        value = won * values[row, karma - cost[bid, other_bid, other_karma]]
                    lost = chance[other_bid, bid]
                    if lost > 0.0:
                        value += lost * values[row, karma + gain[other_bid, bid, karma]]
                    expected[other, row, karma, bid] = value


@kernel
def _moved_against(others, flows, chance, cost, gain, after):
    """Where a population's karma is after all meet one of some opponents (bid, karma)."""
    n = flows.shape[1]
    after[:] = 0.0
    for other in range(len(others)):
        other_bid, other_karma = others[other]
        for row in range(len(flows)):
            for karma in range(n):
                for bid in range(karma + 1):
                    flow = flows[row, karma, bid]
                    won = chance[bid, other_bid]
                    if won > 0.0 and other_bid <= other_karma:
                        after[other, row, karma - cost[bid, other_bid, other_karma]] += won * flow
                    lost = chance[other_bid, bid]
                    if lost > 0.0:
                        after[other, row, karma + gain[other_bid, bid, karma]] += lost * flow


class Answers(NamedTuple):
    """What a rule's answers depend on: its function and its parameters."""

    function: Callable[..., Any]
    parameters: tuple[float, ...]

    @staticmethod
    def of(rule: Rule) -> Answers:
        """Those of a rule."""
        return Answers(rule.function, tuple(rule.parameter_array().tolist()))


class Contests:
    """The outcomes of contests of pairs under an allocation and a payment, tabulated.

    Args:
        karma_max: the cap; K is one more.
        allocation: of a rule that looks at bids.
        payment: of the payment rule.

    Attributes:
        chance: ``float64[K, K]``, that a bid wins against another.
        cost: ``int32[K, K, K]``, what a winner pays in all, by its bid and the loser's bid and karma; -1
            where there is no such pair.
        gain: ``int32[K, K, K]``, what the loser gets of it.
    """

    def __init__(self, karma_max: int, allocation: Answers, payment: Answers) -> None:
        n = karma_max + 1
        self.chance = np.empty((n, n))
        self.cost, self.gain = np.empty((2, n, n, n), np.int32)
        _tabulate(
            karma_max,
            allocation.function,
            payment.function,
            np.array(allocation.parameters),
            np.array(payment.parameters),
            self.chance,
            self.cost,
            self.gain,
        )

    @staticmethod
    def of(karma_max: int, allocation: Rule, payment: Rule) -> Contests:
        """The contests of two rules; those asked for again, as of models
        that differ in what agents want, are kept.

        Args:
            karma_max: the cap.
            allocation: a rule that looks at bids.
            payment: the payment rule.
        """
        return _contests(karma_max, Answers.of(allocation), Answers.of(payment))

    @cached_property
    def looks_at_karma(self) -> bool:
        """Whether what a winner pays depends on the loser's karma."""
        highest = self.cost.max(axis=2)
        lowest = np.where(self.cost < 0, highest[..., None], self.cost).min(axis=2)
        return bool((highest > lowest).any())

    @cached_property
    def pays_society(self) -> bool:
        """Whether any of what a winner pays does not go to the loser."""
        return bool((self.cost > self.gain).any())

    def outcomes(self, opponents: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What contests with a population lead to.

        Args:
            opponents: m(b', k'), ``float64[K, K]``.

        Returns:
            theta(b), ``float64[K]``, and the distribution of karma after payment by karma and bid,
            ``float64[K, K, K]``, 0 for bids that exceed one's karma.
        """
        n = len(opponents)
        win, after, paid = np.empty(n), np.empty((n, n, n)), np.empty((n, n))
        _outcomes(opponents, self.chance, self.cost, self.gain, opponents.sum(axis=1), paid, win, after)
        return win, after


_contests = lru_cache(maxsize=2)(Contests)


def redistributed(after: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distributions of karma ``[K, K, K]`` after tax and redistribution, a matrix near its diagonal."""
    moves = shares != 0.0
    first, last = moves.argmax(axis=1), moves.shape[1] - 1 - moves[:, ::-1].argmax(axis=1)
    kernel_ = np.empty_like(after)
    _redistributed(after, shares, first, last, kernel_)
    return kernel_


@dataclass(frozen=True)
class ContestProblem(DecisionProblem):
    """What an agent faces in the matching game: urgency moves by itself, karma with the bid alone.

    Attributes:
        reward: ``float64[types, X, A]``, expected reward of a step.
        kernel: ``float64[K, A, K]``, distribution of karma after the step by karma and bid.
        urgency_chain: ``float64[types, U, U]``, phi(u' | u).
    """

    urgency_chain: NDArray[np.float64]

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        n = len(self.kernel)
        ahead = expected_over_urgency(self.urgency_chain, value)
        following = ahead.reshape(-1, n) @ self.kernel.reshape(-1, n).T
        return following.reshape(*value.shape, n)

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        n = len(self.kernel)
        moved = flow.reshape(-1, n * n) @ self.kernel.reshape(-1, n)
        return urgency_moved(self.urgency_chain, moved.reshape(flow.shape[:-1]))

    def dense(self, *, anew: bool) -> NDArray[np.float64]:
        """See the base."""
        shape = self.reward.shape
        dense = np.einsum("tuv,kbj->tukbvj", self.urgency_chain, self.kernel)
        return dense.reshape(*shape, shape[1])

    def chain(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        n, (n_types, n_states, _) = len(self.kernel), policy.shape
        by_karma = policy.reshape(-1, n, n).swapaxes(0, 1) @ self.kernel  # [karma, type and urgency, karma']
        moves = by_karma.swapaxes(0, 1).reshape(n_types, -1, n, 1, n)
        chain = moves * self.urgency_chain[:, :, None, :, None]
        return chain.reshape(n_types, n_states, n_states)


@dataclass(frozen=True)
class ContestMoves(ProblemMoves):
    """Exact derivatives of a :class:`ContestProblem` along each number of m(b', k'), and along the level l.

    Attributes:
        reward: ``float64[Z, types, X, A]``.
        contests: of the game.
        others: ``int64[Z - 1, 2]``, bid and karma of the opponents that the numbers of m are of.
        after: ``float64[K, A, K]``, distribution of karma after payment.
        shares: ``float64[K, K]``, tax and redistribution.
        shares_moves: their derivative along the level.
        urgency_chain: ``float64[types, U, U]``.
    """

    contests: Contests
    others: NDArray[np.int64]
    after: NDArray[np.float64]
    shares: NDArray[np.float64]
    shares_moves: NDArray[np.float64]
    urgency_chain: NDArray[np.float64]

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        n, tables = len(self.shares), self.contests
        ahead = expected_over_urgency(self.urgency_chain, value).reshape(-1, n)
        following = np.zeros((len(self.others) + 1, len(ahead), n, n))
        values = ahead @ self.shares.T
        _values_against(self.others, values, tables.chance, tables.cost, tables.gain, following)
        moved = (ahead @ self.shares_moves.T) @ self.after.reshape(-1, n).T
        following[-1] = moved.reshape(-1, n, n)
        return following.reshape(-1, *value.shape, n)

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        n, tables = len(self.shares), self.contests
        flows = flow.reshape(-1, n, n)
        before_sharing = np.empty((len(self.others), len(flows), n))
        _moved_against(self.others, flows, tables.chance, tables.cost, tables.gain, before_sharing)
        after = flows.reshape(-1, n * n) @ self.after.reshape(-1, n)
        moved = np.concatenate([before_sharing @ self.shares, (after @ self.shares_moves)[None]])
        return urgency_moved(self.urgency_chain, moved.reshape(-1, *flow.shape[:-1]))


def expected_over_urgency(
    urgency_chain: NDArray[np.float64], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The sum over u' of phi(u' | u) V(u', k), ``float64[..., types, X]`` as V is."""
    n_types, n_urgencies, _ = urgency_chain.shape
    by_urgency = value.reshape(*value.shape[:-2], n_types, n_urgencies, -1)
    return np.asarray((urgency_chain @ by_urgency).reshape(value.shape))


def urgency_moved(urgency_chain: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where mass ``float64[..., types, X]`` is once urgency has moved, karma as it is."""
    return expected_over_urgency(urgency_chain.swapaxes(1, 2), mass)
