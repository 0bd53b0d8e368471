"""The matching game for N to infinity, from the same rules that the simulation plays by.

Source: Thesis, section 5.1 (setting), Definitions 2.3 and 2.4; several types as in Elokda et al. 2023.

An agent that bids b against a population with joint distribution m of (bid, karma) wins with
probability theta(b) = P(b' < b) + P(b' = b)/2, and karma moves by the payment rule evaluated for
every pair. The surplus is shared by a level l: an agent that shares is offered floor(l), or one more
with probability l - floor(l), and takes what it can hold; l is such that the shares add up to the
surplus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis, by_axes
from karma_envs.config import refusal
from karma_envs.games.matching.kernels import PAIR_CROWDING
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.numerics.compile import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from karma_envs.games.matching.config import MatchingConfig
    from karma_envs.karma.urgency import AgentType


@kernel
def _pair_outcomes(opponents, karma_max, priority, pay, allocation, payment, win, after):
    """Every own (karma, bid) against every opponent's (bid, karma).

    Args:
        opponents: ``float64[K, K]``, m(bid, karma) of the population.
        karma_max: the cap.
        priority: the allocation's function.
        pay: the payment's function.
        allocation: parameters of the allocation.
        payment: parameters of the payment.
        win: ``float64[K]``, written: theta(bid).
        after: ``float64[K, K, K]``, written: distribution of karma after payment by (karma, bid).
    """
    win[:] = 0.0
    after[:] = 0.0
    n = karma_max + 1
    for bid in range(n):
        mine = priority(bid, np.float32(0), 0, allocation)
        for other_bid in range(n):
            theirs = priority(other_bid, np.float32(0), 0, allocation)
            chance = 1.0 if mine > theirs else (0.5 if mine == theirs else 0.0)
            for other_karma in range(other_bid, n):
                weight = opponents[other_bid, other_karma]
                if weight == 0.0:
                    continue
                win[bid] += weight * chance
                for karma in range(bid, n):
                    if chance > 0.0:
                        to_loser, to_society = pay(bid, other_bid, other_karma, karma_max, payment)
                        after[karma, bid, karma - to_loser - to_society] += weight * chance
                    if chance < 1.0:
                        to_loser, to_society = pay(other_bid, bid, karma, karma_max, payment)
                        after[karma, bid, karma + to_loser] += weight * (1.0 - chance)


@kernel
def _tabulate_redistribution(karma_max, rule, parameters, tax, receives):
    """The redistribution rule on every karma of an agent that competed."""
    for karma in range(karma_max + 1):
        due, gets = rule(karma, karma_max, PAIR_CROWDING[1], parameters)
        tax[karma] = due
        receives[karma] = gets


@kernel
def _tabulate_payment(karma_max, pay, parameters, cost, to_society):
    """What a winner pays in all, and to society, by (bid, loser's bid, loser's karma); -1 if impossible."""
    for bid in range(karma_max + 1):
        for other_bid in range(karma_max + 1):
            for karma in range(karma_max + 1):
                cost[bid, other_bid, karma] = -1
                to_society[bid, other_bid, karma] = 0
                if other_bid <= min(bid, karma):
                    paid_to_loser, paid_to_society = pay(bid, other_bid, karma, karma_max, parameters)
                    cost[bid, other_bid, karma] = paid_to_loser + paid_to_society
                    to_society[bid, other_bid, karma] = paid_to_society


class MatchingMeanField(FiniteMeanFieldModel):
    """The mean-field model of a matching game.

    The statistic is the distribution of bids nu (where what a winner pays depends on the loser's
    karma, the joint distribution of bid and karma) followed by the level l of redistribution.

    Attributes:
        config: configuration of the game.
        types: the types of agents.

    Args:
        config: configuration of the game; n_agents is not used.
        types: types in place of the configuration's.

    Raises:
        ConfigError: for an allocation without bids, for which outcomes have closed forms.
    """

    def __init__(self, config: MatchingConfig, types: Sequence[AgentType] = ()) -> None:
        self.config = config
        self._allocation, self._payment, redistribution = (
            config.rule(family) for family in ("allocation", "payment", "redistribution")
        )
        if not self._allocation.uses_bids:
            raise refusal("allocation", config.allocation, "one that looks at bids, for a mean-field model")
        self.types = types = tuple(types or config.agent_types)
        self._n = n = config.karma_max + 1
        self._karma = np.arange(n)
        self.masses = np.array([agent_type.share for agent_type in types])
        self.masses /= self.masses.sum()
        self.discounts = np.array([agent_type.discount for agent_type in types])
        n_urgencies = config.n_urgencies
        self._urgencies = np.zeros((len(types), n_urgencies))
        self._transitions = np.zeros((len(types), n_urgencies, n_urgencies))
        stationary = np.zeros((len(types), n_urgencies))
        for index, agent_type in enumerate(types):
            size = len(agent_type.urgencies)
            self._urgencies[index, :size] = agent_type.urgencies
            self._transitions[index, :size, :size] = agent_type.transition_matrix
            self._transitions[index, size:, 0] = 1.0  # values the type does not have: left at once
            stationary[index, :size] = agent_type.stationary_urgency
        self.legal_actions = self._karma <= np.tile(self._karma, n_urgencies)[:, None]
        self.initial_mean_field = np.einsum("tu,k->tuk", stationary, _initial_karma(config)).reshape(
            len(types), -1
        )

        tax, self._receives = np.zeros(n), np.zeros(n, np.bool_)
        _tabulate_redistribution(
            config.karma_max, redistribution.function, redistribution.parameter_array(), tax, self._receives
        )
        self._taxation = _tax_matrix(tax)
        cost, to_society = np.zeros((2, n, n, n), np.int64)
        _tabulate_payment(
            config.karma_max, self._payment.function, self._payment.parameter_array(), cost, to_society
        )
        lowest = np.where(cost < 0, n, cost).min(axis=2)
        self._looks_at_karma = bool((cost.max(axis=2) > np.where(lowest == n, n, lowest)).any())
        self._karma_is_conserved = bool(self._receives.any() or not (tax.any() or to_society.any()))

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.config.axes

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        return {"bid": self._karma}

    @property
    def type_features(self) -> dict[str, NDArray[np.float64]]:
        return {"mean_urgency": np.array([agent_type.mean_urgency for agent_type in self.types])}

    def rates(self, statistic: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The chance to win, which is what an agent has of the resource."""
        shape = self.n_types, self.n_states, self.n_actions
        return {"access": np.broadcast_to(self.win_probability(statistic), shape)}

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        joint = self._joint(mean_field, policy)
        _, after = self._outcomes(joint)
        before_sharing = np.einsum("bk,kbj->j", joint, after) @ self._taxation
        surplus = joint.sum(axis=0) @ self._karma - before_sharing @ self._karma
        return np.append(self._reduced(joint), self._level(before_sharing, float(surplus)))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        # Just below 0 sharing goes on as a straight line: Newton steps that overshoot find their way back.
        n, level = self._n, float(np.clip(statistic[-1], -0.5, self._n - 1))
        win, after = self._outcomes(self._opponents(statistic))
        karma_kernel = after @ (self._taxation @ self._sharing(level))
        kernel_ = np.einsum("tuv,kbj->tukbvj", self._transitions, karma_kernel)
        reward = -self._urgencies[:, :, None, None] * (1 - win) * np.ones((n, 1))
        shape = (self.n_types, self.n_states, n)
        return DecisionProblem(reward.reshape(shape), kernel_.reshape(*shape, self.n_states))

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if not self._karma_is_conserved:
            return super().inconsistency(statistic, mean_field, policy)
        bids = self._reduced(self._joint(mean_field, policy)) - statistic[:-1]
        return np.append(bids, self.mean_karma(mean_field) - self.config.karma_mean)

    def win_probability(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """theta(b), the chance to win a contest with a bid, ``float64[A]``."""
        return self._outcomes(self._opponents(statistic))[0]

    def mean_karma(self, mean_field: NDArray[np.float64]) -> float:
        """Mean karma of a population."""
        return float(self.masses @ self.karma_distribution(mean_field) @ self._karma)

    def karma_distribution(self, mean_field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution of karma within each type, ``float64[types, karma_max + 1]``."""
        return np.asarray(by_axes(mean_field, self.axes).sum(axis=1), np.float64)

    def _joint(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """m(bid, karma) of the population; its mass is 1 by construction."""
        flow = (self.masses[:, None] * mean_field)[:, :, None] * policy
        joint = flow.reshape(self.n_types, -1, self._n, self._n).sum(axis=(0, 1)).T
        return np.ascontiguousarray(joint / joint.sum())

    def _reduced(self, joint: NDArray[np.float64]) -> NDArray[np.float64]:
        return joint.ravel() if self._looks_at_karma else joint.sum(axis=1)

    def _opponents(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """m(bid, karma) of the population, as far as it matters."""
        if self._looks_at_karma:
            return np.ascontiguousarray(statistic[:-1].reshape(self._n, self._n))
        return np.diag(statistic[:-1])  # any karma that allows the bid does

    def _outcomes(self, opponents: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        win, after = np.empty(self._n), np.empty((self._n, self._n, self._n))
        _pair_outcomes(
            opponents,
            self.config.karma_max,
            self._allocation.function,
            self._payment.function,
            self._allocation.parameter_array(),
            self._payment.parameter_array(),
            win,
            after,
        )
        return win, after

    def _level(self, karma_distribution: NDArray[np.float64], surplus: float) -> float:
        """The level l at which what agents take adds up to the surplus; the cap if they cannot take it."""
        room = self.config.karma_max - self._karma
        taken = np.minimum(np.arange(self._n)[:, None], room) @ (karma_distribution * self._receives)
        if taken[-1] <= 0.0:
            return 0.0
        if surplus >= taken[-1]:
            return float(self.config.karma_max)
        whole = min(int(np.searchsorted(taken, max(surplus, 0.0), side="right")) - 1, self._n - 2)
        return float(whole + (max(surplus, 0.0) - taken[whole]) / (taken[whole + 1] - taken[whole]))

    def _sharing(self, level: float) -> NDArray[np.float64]:
        """Transition matrix of karma when the surplus is shared at a level."""
        matrix = np.zeros((self._n, self._n))
        whole = int(level)
        for offer, probability in ((whole, 1 - (level - whole)), (whole + 1, level - whole)):
            taken = np.minimum(offer, self.config.karma_max - self._karma) * self._receives
            matrix[self._karma, self._karma + taken] += probability
        return matrix


def _tax_matrix(tax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transition matrix of karma when each agent pays its tax, rounded up or down at random."""
    karma = np.arange(len(tax))
    whole = np.floor(tax).astype(np.int64)
    matrix = np.zeros((len(tax), len(tax)))
    matrix[karma, karma - whole] += 1 - (tax - whole)
    matrix[karma, np.maximum(karma - whole - 1, 0)] += tax - whole
    return matrix


def _initial_karma(config: MatchingConfig) -> NDArray[np.float64]:
    """Distribution of karma in an infinite population that begins, ``float64[karma_max + 1]``.

    Where everyone gets the mean, and this is no whole number, it is shared by the two numbers around it.
    """
    distribution = config.initial_distribution()
    if distribution is None:
        distribution = np.zeros(config.karma_max + 1)
        low = int(config.karma_mean)
        distribution[low] = 1 - (config.karma_mean - low)
        distribution[min(low + 1, config.karma_max)] += config.karma_mean - low
    return distribution
