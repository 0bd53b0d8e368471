"""The limit of a game with tables, with incentives among the rewards of its decision problem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import DecisionProblem, FiniteHorizonModel, FiniteMeanFieldModel
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.mean_field.rewarded import RewardedModel


class IncentivisedModel(RewardedModel):
    """A finite model whose agents get incentives besides their rewards.

    Incentives depend on what an agent is and does and on nobody else: they move rewards by a constant, and
    nothing else of the model.

    Args:
        model: the model without.
        table: Theta, ``float64[types, X, A]``, 0 where an action is illegal.
    """

    def __init__(self, model: FiniteMeanFieldModel, table: NDArray[np.float64]) -> None:
        super().__init__(model)
        self.table, self.solver = table, model.solver

    def incentive(self, policy: Any) -> NDArray[np.float64]:
        """Mean incentive per agent and step of a population at rest that plays a policy, ``float64[types]``.

        A budget is kept where the mean over types, by their masses, is not above 0.
        """
        table = type_policies(self, policy)
        flow = self.model.population_at_rest(table).mean_field[..., None] * table
        return np.asarray((flow * self.table).sum(axis=(1, 2)))

    def rewarded(self, problem: DecisionProblem) -> DecisionProblem:
        """The same with incentives among the rewards."""
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
