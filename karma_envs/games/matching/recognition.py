"""A coalition in the matching game whose members recognise each other, for N to infinity.

A share m of each type are members. A member that meets an outsider bids by the members' policy; two members
who meet know each other's type, urgency and karma, and bid as they agreed
(:mod:`karma_envs.games.matching.agreements`). Outsiders recognise nobody. With nu_o and nu_c the
distributions of bids (where what a winner pays depends on the loser's karma, the joint distributions of bid
and karma) that outsiders and members place against outsiders, and p(s') the states of members,

    an outsider meets (1 - m) nu_o + m nu_c,
    a member in s meets (1 - m) nu_o, and with probability m p(s') what was agreed on in (s, s').

Members are types of their own: a model of T types becomes one of 2 T, the outsiders first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import real
from karma_envs.games.matching.agreements import (
    Agreement,
    agreement_on,
    as_strangers,
    best_bids,
    first_pays,
)
from karma_envs.games.matching.contests import ContestMoves, expected_over_urgency, urgency_moved
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.karma.level import level_of
from karma_envs.mean_field import DecisionProblem, ProblemMoves
from karma_envs.mean_field.moves import differenced_inconsistency

_WIDTH = 1e-7  # of the difference that the level's derivative is


class _Faced(NamedTuple):
    """What contests hold for agents: chances to win, and karma after payment."""

    won: NDArray[np.float64]  # [2 T, X, A]
    after: NDArray[np.float64]  # [2 T, X, A, K]


@dataclass(frozen=True)
class RecognitionMoves(ProblemMoves):
    """Exact derivatives of what agents face along the numbers of the statistic.

    Attributes:
        reward: ``float64[Z, 2 T, X, A]``.
        strangers: derivatives along the bids of agents who all meet alike.
        met: ``float64[T, X, S, K]``, m times karma of a member after payment, by the state of the other one.
        after: ``float64[2 T, X, A, K]``, karma after payment.
        mass: m.
        legal_actions: ``bool[X, A]``.
    """

    strangers: ContestMoves
    met: NDArray[np.float64]
    after: NDArray[np.float64]
    mass: float
    legal_actions: NDArray[np.bool_]

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        strangers, n = self.strangers, self.after.shape[-1]
        n_types, n_states = value.shape
        ahead = expected_over_urgency(strangers.urgency_chain, value)
        # What karma is worth after sharing, and with the shares also before it, whatever happens to urgency.
        by_karma = np.repeat(ahead.reshape(n_types, -1, 1, n), n, axis=2).reshape(n_types, n_states, n)
        worth = by_karma @ strangers.shares.T  # of karma after payment, by the state before
        by_state = np.zeros((self.met.shape[2], n_types, n_states))
        by_state[:, n_types // 2 :] = np.einsum("txsk,txk->stx", self.met, worth[n_types // 2 :])
        by_level = np.einsum("txak,txk->txa", self.after, by_karma @ strangers.shares_moves.T)
        return np.concatenate(
            [
                bids_moves(strangers.following(value)[:-1], self.mass),
                by_state[..., None] * self.legal_actions,
                by_level[None],
            ]
        )

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        strangers, n = self.strangers, self.after.shape[-1]
        n_types, n_states, _ = flow.shape
        # In a meeting of members what they bid against strangers does not matter.
        members = flow[n_types // 2 :].sum(axis=2)
        by_state = np.zeros((self.met.shape[2], n_types, n_states // n, n))
        shape = *members.shape[:1], -1, n, *self.met.shape[2:]
        by_state[:, n_types // 2 :] = np.einsum(
            "tuk,tuksj->stuj", members.reshape(shape[:3]), self.met.reshape(shape), optimize=True
        )
        after = np.einsum("txa,txaj->txj", flow, self.after).reshape(n_types, -1, n, n).sum(axis=2)
        moved = np.concatenate([by_state @ strangers.shares, (after @ strangers.shares_moves)[None]])
        return np.concatenate(
            [
                bids_moves(strangers.pushed(flow)[:-1], self.mass),
                urgency_moved(strangers.urgency_chain, moved.reshape(-1, n_types, n_states)),
            ]
        )


def bids_moves(alike: NDArray[np.float64], mass: float) -> NDArray[np.float64]:
    """Derivatives along the bids of outsiders, then of members, which only outsiders meet.

    Args:
        alike: ``float64[Z, 2 T, ...]``, along the bids of a population that all meet.
        mass: m.

    Returns:
        ``float64[2 Z, 2 T, ...]``.
    """
    of_members = mass * alike
    of_members[:, alike.shape[1] // 2 :] = 0.0
    return np.concatenate([(1 - mass) * alike, of_members])


class RecognisingMeanField(MatchingMeanField):
    """The matching game's model with members who recognise each other. See the module's docstring.

    The statistic is nu_o and nu_c, p, and the level of redistribution.

    Args:
        model: of the game, of T types.
        mass: m, the share of each type that are members, in [0, 1].
        agreement: what comes of meetings of members; None: the more urgent one bids 1 and the other
            nothing.

    Attributes:
        model: of the game.
        mass: m.
        agreement: of members.

    Raises:
        ConfigError: for a mass out of range.
    """

    def __init__(self, model: MatchingMeanField, mass: float, agreement: Agreement | None = None) -> None:
        super().__init__(model.config, (*model.types, *model.types))
        self.model, self.mass = model, real("mass", mass, 0, 1)
        self.masses = np.concatenate([(1 - self.mass) * model.masses, self.mass * model.masses])
        self._urgency = np.repeat(self._urgencies[model.n_types :].ravel(), self._n)  # of a member, [S]
        self.agreement = self.urgent_first(1) if agreement is None else agreement

    @property
    def members(self) -> NDArray[np.bool_]:
        """``bool[2 T]``: which types are of members."""
        return np.arange(self.n_types) >= self.n_types // 2

    def agreeing(self, agreement: Agreement) -> RecognisingMeanField:
        """The same with another agreement."""
        return RecognisingMeanField(self.model, self.mass, agreement)

    def urgent_first(self, price: int) -> Agreement:
        """The agreement that the more urgent one bids a price, as far as it has it, and the other nothing."""
        return agreement_on(self._contests, first_pays(self._urgency, self.config.karma_max, price))

    def as_strangers(self, policy: NDArray[np.float64]) -> Agreement:
        """The agreement to bid as against anyone: by the members' policy ``float64[T, X, A]``."""
        return as_strangers(self._contests, policy)

    def better_agreement(
        self,
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
        value: NDArray[np.float64],
        worth_of_level: float,
        unit: float = 1.0,
    ) -> tuple[Agreement, float]:
        """The agreement that is best to first order, and how much better than the one that is.

        Args:
            mean_field: at rest, ``float64[2 T, X]``.
            policy: ``float64[2 T, X, A]``.
            value: ``float64[2 T, X]``, by how much the members' mean reward moves per unit of mass of a type
                that is in a state after the step.
            worth_of_level: the same per unit of the level of redistribution.
            unit: of reward that both are told in.

        Returns:
            the agreement, and by how much the members' mean reward rises on the way to it, to first order.
        """
        n = self._n
        statistic = self.statistic(mean_field, policy)
        shares, _ = self._shares(float(statistic[-1]))
        inside = value[self.members] / self.model.masses[:, None]
        ahead = expected_over_urgency(self._transitions[self.members], inside).reshape(-1, n)
        worth = np.repeat(ahead @ shares.T, n, axis=0)  # of karma after payment, by the state before: [S, K]
        worth += self.mass * worth_of_level * self._level_moves(mean_field, policy)
        urgency = self._urgency / unit
        best = agreement_on(self._contests, best_bids(self._contests, urgency, worth))
        p = self._parts(statistic)[2]
        won, after = best.won - self.agreement.won, best.after - self.agreement.after
        gains = urgency[:, None] * won + np.einsum("srk,sk->sr", after, worth)
        return best, float(self.mass * (p @ gains @ p))

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        before, karma, parts = self._before_sharing(mean_field, policy)
        return np.append(np.concatenate(parts), self._level(before, karma))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        faced = self._faced(statistic)
        shares, _ = self._shares(float(statistic[-1]))
        # Urgency moves by itself, and karma with the bid.
        karma = (faced.after @ shares).reshape(self.n_types, -1, self._n, self.n_actions, 1, self._n)
        kernel = karma * self._transitions[:, :, None, None, :, None]
        shape = self.n_types, self.n_states, self.n_actions
        urgency = np.repeat(self._urgencies, self._n, axis=1)
        return DecisionProblem(urgency[..., None] * (faced.won - 1), kernel.reshape(*shape, self.n_states))

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        faced, n_types = self._faced(statistic), self.model.n_types
        shares, shares_moves = self._shares(float(statistic[-1]))
        won = self._contests.chance[:, self._others[:, 0]].T  # against each of the others, by bid
        alike = self._rewards(won)
        strangers = ContestMoves(
            np.concatenate([alike, np.zeros_like(alike[:1])]),
            self._contests,
            self._others,
            np.zeros((self._n, self._n, self._n)),  # nobody meets all alike
            shares,
            shares_moves,
            self._transitions,
        )
        met = (self.mass * self.agreement.after).reshape(n_types, self.n_states, -1, self._n)
        by_state = np.zeros((len(self.agreement.won), *alike.shape[1:]))
        gained = (self.mass * self._urgency[:, None] * self.agreement.won).T
        by_state[:, self.members] = gained.reshape(-1, n_types, self.n_states, 1)
        reward = np.concatenate([bids_moves(alike, self.mass), by_state, np.zeros_like(alike[:1])])
        return RecognitionMoves(reward, strangers, met, faced.after, self.mass, self.legal_actions)

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if not self._karma_is_conserved:
            return self.statistic(mean_field, policy) - statistic
        outsiders, members, states = self._joints(mean_field, policy)
        made = np.concatenate([self._reduced(outsiders), self._reduced(members), states])
        return np.append(made - statistic[:-1], self.mean_karma(mean_field) - self.config.karma_mean)

    def inconsistency_moves(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
        statistic_moves: NDArray[np.float64],
        field_moves: NDArray[np.float64],
        policy_moves: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        return differenced_inconsistency(
            self, statistic, mean_field, policy, statistic_moves, field_moves, policy_moves
        )

    def win_probability(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chance of an outsider to win a contest with a bid, ``float64[A]``."""
        outsiders, members, _, _ = self._parts(statistic)
        return super().win_probability(np.append((1 - self.mass) * outsiders + self.mass * members, 0.0))

    def rates(self, statistic: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The chance to get the resource."""
        return {"access": self._faced(statistic).won}

    def _parts(
        self, statistic: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
        """nu_o, nu_c, p, and the level."""
        n_bids = self._n**2 if self._looks_at_karma else self._n
        outsiders, members, states, level = np.split(
            statistic, [n_bids, 2 * n_bids, 2 * n_bids + len(self._urgency)]
        )
        return outsiders, members, states, float(level[0])

    def _joints(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """m(bid, karma) of outsiders and of members, and the states of members; each has the mass 1."""
        n_types = self.model.n_types
        outsiders, members = (
            self.model._joint(mean_field[half], policy[half])
            for half in (slice(n_types), slice(n_types, None))
        )
        states = (self.model.masses[:, None] * mean_field[n_types:]).ravel()
        return outsiders, members, states / states.sum()

    def _inside(self, states: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What comes of a meeting with another member, by state: who gets the resource, and karma after."""
        return self.agreement.won @ states, states @ self.agreement.after

    def _faced(self, statistic: NDArray[np.float64]) -> _Faced:
        outsiders, members, states, _ = self._parts(statistic)
        m, n, n_types = self.mass, self._n, self.model.n_types
        mixed = (1 - m) * outsiders + m * members
        outside_won, outside_after = self._contests.outcomes(self._opponents(mixed))
        strangers_won, strangers_after = self._contests.outcomes(self._opponents(outsiders))
        inside_won, inside_after = self._inside(states)
        shape = n_types, self.n_states, self.n_actions
        won = np.empty((2 * n_types, *shape[1:]))
        won[:n_types] = outside_won
        won[n_types:] = (1 - m) * strangers_won + m * inside_won.reshape(*shape[:2], 1)
        # Karma after payment by karma and bid alone, [K, A, K], the same in each urgency.
        after = np.empty((2 * n_types, self.n_states // n, n, n, n))
        after[:n_types] = outside_after
        after[n_types:] = (1 - m) * strangers_after + m * inside_after.reshape(n_types, -1, n, 1, n)
        after = after.reshape(2 * n_types, self.n_states, n, n) * self.legal_actions[..., None]
        return _Faced(won, after)

    def _before_sharing(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float, list[NDArray[np.float64]]]:
        """Karma after payment ``[K]``, mean karma before it, and the statistic but for the level."""
        outsiders, members, states = self._joints(mean_field, policy)
        m = self.mass
        # A member is met by outsiders with what it bids, and meets them alone with that.
        _, outside = self._contests.outcomes((1 - m) * outsiders + m * members)
        _, strangers = self._contests.outcomes(outsiders)
        _, inside = self._inside(states)
        of_outsiders = outsiders.T.ravel() @ outside.reshape(-1, self._n)
        of_members = (1 - m) * (members.T.ravel() @ strangers.reshape(-1, self._n)) + m * (states @ inside)
        karma = ((1 - m) * outsiders + m * members).sum(axis=0) @ self._karma
        parts = [self._reduced(outsiders), self._reduced(members), states]
        return (1 - m) * of_outsiders + m * of_members, float(karma), parts

    def _level(self, after: NDArray[np.float64], karma: float) -> float:
        """The level at which what is left of a mean karma after payment and tax is shared."""
        before_sharing = after @ self._taxation
        return level_of(before_sharing * self._receives, float(karma - before_sharing @ self._karma))

    def _level_moves(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How the level moves with the share of agents that have some karma after payment, ``float64[K]``."""
        after, karma, _ = self._before_sharing(mean_field, policy)
        here = self._level(after, karma)
        moved = after + _WIDTH * np.eye(self._n)
        return np.array([self._level(row, karma) - here for row in moved]) / _WIDTH
