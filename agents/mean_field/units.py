"""The unit of reward: what solvers call small, a step or a temperature is told in units of the game's own.

Whether rewards are counted in francs or in centimes changes no equilibrium. So a solver sees the model with
rewards divided by the greatest of them in magnitude, and its result is told in the rewards of the model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel, ProblemMoves
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.rewarded import RewardedModel


class InUnits(RewardedModel):
    """A model with rewards told in another unit.

    Args:
        model: the model.
        unit: of reward, > 0; rewards are divided by it.
    """

    def __init__(self, model: FiniteMeanFieldModel, unit: float) -> None:
        super().__init__(model)
        self.unit = unit

    def rewarded(self, problem: DecisionProblem) -> DecisionProblem:
        """The same in the other unit."""
        return problem.in_unit(self.unit)

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        moves = self.model.problem_moves(statistic)
        return replace(moves, reward=moves.reward / self.unit)


def greatest_reward(model: FiniteMeanFieldModel) -> float:
    """max |r| over types, states and legal actions, as the population begins.

    It is looked for where all play at random, where all take their first legal action and where all take
    their last one (in karma games: bid nothing, bid everything). 1 where all rewards are 0, so that it is a
    unit.
    """
    legal = model.legal_actions
    shape = (model.n_types, *legal.shape)
    last = legal.shape[1] - 1 - legal[:, ::-1].argmax(axis=1)
    pure = (
        np.broadcast_to(np.eye(legal.shape[1])[actions], shape) for actions in (legal.argmax(axis=1), last)
    )
    statistics = [
        model.statistic(model.initial_mean_field, policy) for policy in (uniform_policy(model), *pure)
    ]
    greatest = max(float(np.abs(model.decision_problem(z).reward[:, legal]).max()) for z in statistics)
    return greatest or 1.0


def unit_of(model: FiniteMeanFieldModel) -> float:
    """The unit that a model's rewards are told in."""
    return model.unit if isinstance(model, InUnits) else 1.0


def default_step(model: FiniteMeanFieldModel, per_reward: float, per_payoff: float) -> float:
    """The step of a first-order method unless it is told another, in units of the greatest reward.

    Args:
        model: with rewards in units of the greatest.
        per_reward: of a game without an end.
        per_payoff: of a game that ends, over the greatest payoff: a step must be the smaller the more steps a
            Q sums up.
    """
    return per_reward if model.length is None else per_payoff / model.discounted_length


def in_own_units(model: FiniteMeanFieldModel) -> InUnits:
    """The model with rewards in units of its greatest one."""
    return InUnits(model, greatest_reward(model))
