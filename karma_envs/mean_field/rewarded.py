"""A finite model with other rewards: all but the rewards of what agents face is that of another model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.mean_field.dynamic_programming import DecisionProblem
from karma_envs.mean_field.model import FiniteMeanFieldModel
from karma_envs.mean_field.moves import ProblemMoves
from karma_envs.mean_field.stationary import StationaryMeanField
from karma_envs.meaning import Meaning


class RewardedModel(FiniteMeanFieldModel):
    """A model whose agents are where those of another one are, and go where they go, for other rewards.

    Args:
        model: the other one.
    """

    def __init__(self, model: FiniteMeanFieldModel) -> None:
        self.model = model
        self.masses, self.discounts = model.masses, model.discounts
        self.legal_actions, self.initial_mean_field = model.legal_actions, model.initial_mean_field
        self.length = model.length

    @abstractmethod
    def rewarded(self, problem: DecisionProblem) -> DecisionProblem:
        """What agents face in place of a problem of the other model: the same with other rewards."""

    @property
    def discounted_length(self) -> float:
        return self.model.discounted_length

    @property
    def meaning(self) -> Meaning:
        return self.model.meaning

    @property
    def contests(self) -> NDArray[np.bool_]:
        return self.model.contests

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.model.axes

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        return self.model.action_features

    @property
    def type_features(self) -> Mapping[str, NDArray[np.float64]]:
        return self.model.type_features

    def rates(self, statistic: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        return self.model.rates(statistic)

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.model.statistic(mean_field, policy)

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        """That of the model, with other rewards."""
        return self.rewarded(self.model.decision_problem(statistic))

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        return self.model.problem_moves(statistic)

    def step(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[DecisionProblem, NDArray[np.float64]]:
        problem, following = self.model.step(mean_field, policy)
        return self.rewarded(problem), following

    def population_at_rest(
        self,
        policy: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
        tolerance: float | None = None,
    ) -> StationaryMeanField:
        """That of the model: rewards move nobody who has a policy. None for its own tolerance."""
        options = {} if tolerance is None else {"tolerance": tolerance}
        field = self.model.population_at_rest(policy, start, **options)
        return replace(field, problem=self.rewarded(field.problem))

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return self.model.inconsistency(statistic, mean_field, policy)

    def inconsistency_moves(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
        statistic_moves: NDArray[np.float64],
        field_moves: NDArray[np.float64],
        policy_moves: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        return self.model.inconsistency_moves(
            statistic, mean_field, policy, statistic_moves, field_moves, policy_moves
        )
