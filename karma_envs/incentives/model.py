"""The limit of a game with tables, with incentives among the rewards of its decision problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.mean_field import DecisionProblem, FiniteHorizonModel, FiniteMeanFieldModel, ProblemMoves
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.mean_field.stationary import StationaryMeanField
from karma_envs.meaning import Meaning


class IncentivisedModel(FiniteMeanFieldModel):
    """A finite model whose agents get incentives besides their rewards.

    Incentives depend on what an agent is and does and on nobody else: they move rewards by a constant, and
    nothing else of the model.

    Args:
        model: the model without.
        table: Theta, ``float64[types, X, A]``, 0 where an action is illegal.
    """

    def __init__(self, model: FiniteMeanFieldModel, table: NDArray[np.float64]) -> None:
        self.model, self.table = model, table
        self.masses, self.discounts = model.masses, model.discounts
        self.legal_actions, self.initial_mean_field = model.legal_actions, model.initial_mean_field
        self.length, self.solver = model.length, model.solver

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
        """That of the model, with incentives among the rewards."""
        return self._paid(self.model.decision_problem(statistic))

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        return self.model.problem_moves(statistic)

    def step(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[DecisionProblem, NDArray[np.float64]]:
        problem, following = self.model.step(mean_field, policy)
        return self._paid(problem), following

    def population_at_rest(
        self,
        policy: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
        tolerance: float | None = None,
    ) -> StationaryMeanField:
        """That of the model: incentives move nobody who has a policy. None for its own tolerance."""
        options = {} if tolerance is None else {"tolerance": tolerance}
        field = self.model.population_at_rest(policy, start, **options)
        return replace(field, problem=self._paid(field.problem))

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

    def incentive(self, policy: Any) -> NDArray[np.float64]:
        """Mean incentive per agent and step of a population at rest that plays a policy, ``float64[types]``.

        A budget is kept where the mean over types, by their masses, is not above 0.
        """
        table = type_policies(self, policy)
        flow = self.model.population_at_rest(table).mean_field[..., None] * table
        return np.asarray((flow * self.table).sum(axis=(1, 2)))

    def _paid(self, problem: DecisionProblem) -> DecisionProblem:
        return replace(problem, reward=problem.reward + self.table)


def incentivised_model(
    model: FiniteMeanFieldModel, table: NDArray[np.float64]
) -> FiniteMeanFieldModel | None:
    """A finite model with incentives; of a game that ends, in each of its steps.

    Args:
        model: the model without.
        table: Theta, ``float64[types, X, A]``, 0 where an action is illegal.

    Returns:
        None for a model whose problem keeps no table of rewards, as that of a city.
    """
    if isinstance(model, FiniteHorizonModel):
        return FiniteHorizonModel([IncentivisedModel(stage, table) for stage in model.stages])
    # Problems with structure of their own compute their rewards when they are asked for.
    keeps_rewards = "reward" in vars(model.decision_problem(model.initial_statistic))
    return IncentivisedModel(model, table) if keeps_rewards else None
