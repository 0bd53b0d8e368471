"""A mean-field model in which some types do as they are told: what the others come to among themselves.

Whatever a type that is told may choose, it plays its policy: what it faces does not depend on its action. So
each policy is a best response for it, and an equilibrium of the model is one of the other types alone, given
what those that are told play.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel, ProblemMoves
from karma_envs.mean_field.rewarded import RewardedModel
from karma_envs.mean_field.stationary import StationaryMeanField


@dataclass(frozen=True)
class ToldMoves(ProblemMoves):
    """Derivatives of what agents face where some types do as they are told.

    Attributes:
        reward: ``float64[Z, types, X, A]``.
        free: derivatives of the model in which all choose.
        told: of which model it is.
    """

    free: ProblemMoves
    told: ToldModel

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return self.told.averaged(self.free.following(value))

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return self.free.pushed(self.told.told_flow(flow))


class ToldModel(RewardedModel):
    """A model of which some types play a policy that they are told. See the module's docstring.

    Args:
        model: in which all types choose.
        policy: of those that are told, ``float64[types, X, A]``; other rows do not matter.
        told: ``bool[types]``, which they are.
    """

    def __init__(
        self, model: FiniteMeanFieldModel, policy: NDArray[np.float64], told: NDArray[np.bool_]
    ) -> None:
        super().__init__(model)
        self.policy, self.told = policy, told

    def played(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is played where the others play ``policy[types, X, A]``."""
        return np.where(self.told[:, None, None], self.policy, policy)

    def averaged(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of actions ``[..., types, X, A]``; of types that are told their mean, for each action."""
        mean = (self.policy * values).sum(axis=-1, keepdims=True) * self.legal_actions
        return np.where(self.told[:, None, None], mean, values)

    def told_flow(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """mu(x) pi(a | x), ``[..., types, X, A]``, with what is played in place of what was chosen."""
        return np.where(self.told[:, None, None], flow.sum(axis=-1, keepdims=True) * self.policy, flow)

    def rewarded(self, problem: DecisionProblem) -> DecisionProblem:
        """The problem in which actions of types that are told make no difference."""
        kernel = problem.dense(anew=True)
        told = np.einsum("txa,txay->txy", self.policy[self.told], kernel[self.told])
        kernel = np.where(self.told[:, None, None, None], 0.0, kernel)
        kernel[self.told] = told[:, :, None] * self.legal_actions[..., None]
        return DecisionProblem(self.averaged(problem.reward), kernel)

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return self.model.statistic(mean_field, self.played(policy))

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        """See the base."""
        free = self.model.problem_moves(statistic)
        return ToldMoves(self.averaged(free.reward), free, self)

    def step(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[DecisionProblem, NDArray[np.float64]]:
        """See the base."""
        problem, following = self.model.step(mean_field, self.played(policy))
        return self.rewarded(problem), following

    def population_at_rest(
        self,
        policy: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
        tolerance: float | None = None,
    ) -> StationaryMeanField:
        """See the base."""
        return super().population_at_rest(self.played(policy), start, tolerance)

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See the base."""
        return self.model.inconsistency(statistic, mean_field, self.played(policy))

    def inconsistency_moves(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
        statistic_moves: NDArray[np.float64],
        field_moves: NDArray[np.float64],
        policy_moves: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """See the base."""
        if policy_moves is not None:
            policy_moves = np.where(self.told[:, None, None], 0.0, policy_moves)
        return self.model.inconsistency_moves(
            statistic, mean_field, self.played(policy), statistic_moves, field_moves, policy_moves
        )
