"""The matching game for N to infinity, from the same rules that the simulation plays by.

Source: Thesis, section 5.1 (setting), Definitions 2.3 and 2.4; several types as in Elokda et al. 2023.

An agent that bids b against a population with joint distribution m of (bid, karma) wins with
probability theta(b) = P(b' < b) + P(b' = b)/2, and karma moves by the payment rule evaluated for
every pair. The surplus is shared by a level l: an agent that shares is offered floor(l), or one more
with probability l - floor(l), and takes what it can hold; l is such that the shares add up to the
surplus.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.games.matching.contests import ContestMoves, ContestProblem, Contests, redistributed
from karma_envs.games.matching.kernels import PAIR_CROWDING
from karma_envs.karma.level import karma_at_start, level_of, sharing_matrix, tax_matrix
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel, ProblemMoves
from karma_envs.numerics.compile import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from karma_envs.games.matching.config import MatchingConfig
    from karma_envs.karma.urgency import AgentType


@kernel
def _tabulate_redistribution(karma_max, rule, parameters, tax, receives):
    """The redistribution rule on every karma of an agent that competed."""
    for karma in range(karma_max + 1):
        due, gets = rule(karma, karma_max, PAIR_CROWDING[1], parameters)
        tax[karma] = due
        receives[karma] = gets


@lru_cache(maxsize=4)
def _offered(offer: int, receives: bytes) -> NDArray[np.float64]:
    """The sharing matrix of a whole offer; the next model asks for the same as a rule."""
    return sharing_matrix(offer, np.frombuffer(receives, np.bool_))


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
        allocation, payment, redistribution = (
            config.rule(family) for family in ("allocation", "payment", "redistribution")
        )
        if not allocation.uses_bids:
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
        self.initial_mean_field = np.einsum("tu,k->tuk", stationary, karma_at_start(config)).reshape(
            len(types), -1
        )

        tax, self._receives = np.zeros(n), np.zeros(n, np.bool_)
        _tabulate_redistribution(
            config.karma_max, redistribution.function, redistribution.parameter_array(), tax, self._receives
        )
        self._taxation = tax_matrix(tax)
        self._contests = Contests.of(config.karma_max, allocation, payment)
        self._looks_at_karma = self._contests.looks_at_karma
        self._karma_is_conserved = bool(
            self._receives.any() or not (tax.any() or self._contests.pays_society)
        )
        # The opponents that the numbers of the statistic are of; any karma that allows a bid stands for all.
        pairs = np.indices((n, n)).reshape(2, -1) if self._looks_at_karma else np.tile(self._karma, (2, 1))
        self._others = np.ascontiguousarray(pairs.T)

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
        _, after = self._contests.outcomes(joint)
        before_sharing = joint.T.ravel() @ after.reshape(-1, self._n) @ self._taxation
        surplus = joint.sum(axis=0) @ self._karma - before_sharing @ self._karma
        return np.append(self._reduced(joint), level_of(before_sharing * self._receives, float(surplus)))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        win, after = self._contests.outcomes(self._opponents(statistic[:-1]))
        shares, _ = self._shares(float(statistic[-1]))
        return ContestProblem(self._rewards(win - 1), redistributed(after, shares), self._transitions)

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        _, after = self._contests.outcomes(self._opponents(statistic[:-1]))
        won = self._contests.chance[:, self._others[:, 0]].T  # against each of the others, by bid
        rewards = self._rewards(np.vstack([won, np.zeros(self._n)]))
        shares, shares_moves = self._shares(float(statistic[-1]))
        return ContestMoves(
            rewards, self._contests, self._others, after, shares, shares_moves, self._transitions
        )

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if not self._karma_is_conserved:
            return super().inconsistency(statistic, mean_field, policy)
        bids = self._reduced(self._joint(mean_field, policy)) - statistic[:-1]
        return np.append(bids, self.mean_karma(mean_field) - self.config.karma_mean)

    def inconsistency_moves(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
        statistic_moves: NDArray[np.float64],
        field_moves: NDArray[np.float64],
        policy_moves: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        if not self._karma_is_conserved:
            return super().inconsistency_moves(
                statistic, mean_field, policy, statistic_moves, field_moves, policy_moves
            )
        n, masses = self._n, self.masses[:, None]
        # m(bid, karma) is linear in mu and in pi, but for its mass, which is 1 by construction.
        axes = "bk" if self._looks_at_karma else "b"
        flow = np.einsum(f"rk,rkb->{axes}", (masses * mean_field).reshape(-1, n), policy.reshape(-1, n, n))
        weights = (masses * field_moves).reshape(len(field_moves), -1, n)
        moves = np.einsum(f"nrk,rkb->n{axes}", weights, policy.reshape(-1, n, n))
        if policy_moves is not None:
            inhabited = (masses * mean_field).reshape(-1, n)
            moves += np.einsum(f"rk,nrkb->n{axes}", inhabited, policy_moves.reshape(len(moves), -1, n, n))
        flow, moves = flow.ravel(), moves.reshape(len(moves), -1)
        mass = flow.sum()
        moves = (moves - moves.sum(axis=1, keepdims=True) * flow / mass) / mass
        karma = (masses * field_moves).reshape(len(moves), -1, n).sum(axis=1) @ self._karma
        return np.vstack([moves.T - statistic_moves[:, :-1].T, karma])

    def win_probability(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """theta(b), the chance to win a contest with a bid, ``float64[A]``."""
        return self._contests.outcomes(self._opponents(statistic[:-1]))[0]

    def mean_karma(self, mean_field: NDArray[np.float64]) -> float:
        """Mean karma of a population."""
        return float(self.masses @ self.karma_distribution(mean_field) @ self._karma)

    def karma_distribution(self, mean_field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution of karma within each type, ``float64[types, karma_max + 1]``."""
        return mean_field.reshape(self.n_types, -1, self._n).sum(axis=1)

    def _joint(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """m(bid, karma) of the population; its mass is 1 by construction."""
        flow = (self.masses[:, None] * mean_field)[:, :, None] * policy
        joint = flow.reshape(self.n_types, -1, self._n, self._n).sum(axis=(0, 1)).T
        return np.ascontiguousarray(joint / joint.sum())

    def _reduced(self, joint: NDArray[np.float64]) -> NDArray[np.float64]:
        return joint.ravel() if self._looks_at_karma else joint.sum(axis=1)

    def _opponents(self, reduced: NDArray[np.float64]) -> NDArray[np.float64]:
        """m(bid, karma) of agents, as far as it matters, from what the statistic says of it."""
        if self._looks_at_karma:
            return np.ascontiguousarray(reduced.reshape(self._n, self._n))
        return np.diag(reduced)  # any karma that allows the bid does

    def _rewards(self, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """u times a number for each bid, ``float64[..., A]``, as ``float64[..., types, X, A]``."""
        by_urgency = self._urgencies[..., None] * gains[..., None, None, :]  # [..., types, U, A]
        shape = *gains.shape[:-1], self.n_types, self.n_states, self._n
        return np.repeat(by_urgency, self._n, axis=-2).reshape(shape)

    def _shares(self, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Transition matrix of karma by tax and by the surplus shared at a level, and its derivative."""
        # Just below 0 sharing goes on as a straight line: Newton steps that overshoot find their way back.
        highest = float(self.config.karma_max)
        inside = np.clip(level, -0.5, highest)
        whole = int(inside)
        receives = self._receives.tobytes()
        low, high = (_offered(offer, receives) for offer in (whole, whole + 1))
        shares = self._taxation @ (low + (inside - whole) * (high - low))
        moves = self._taxation @ (high - low) if -0.5 <= level < highest else np.zeros_like(low)
        return shares, moves
