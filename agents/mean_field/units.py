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
from karma_envs.mean_field.stationary import StationaryMeanField
from karma_envs.meaning import Meaning


class InUnits(FiniteMeanFieldModel):
    """A model with rewards told in another unit.

    Args:
        model: the model.
        unit: of reward, > 0; rewards are divided by it.
    """

    def __init__(self, model: FiniteMeanFieldModel, unit: float) -> None:
        self.model, self.unit = model, unit
        self.masses, self.discounts = model.masses, model.discounts
        self.legal_actions, self.initial_mean_field = model.legal_actions, model.initial_mean_field
        self.length = model.length

    @property
    def discounted_length(self) -> float:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        return self.model.discounted_length

    @property
    def meaning(self) -> Meaning:
        """See :class:`karma_envs.mean_field.MeanFieldModel`."""
        return self.model.meaning

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        return self.model.statistic(mean_field, policy)

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        return self._in_units(self.model.decision_problem(statistic))

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        moves = self.model.problem_moves(statistic)
        return replace(moves, reward=moves.reward / self.unit)

    def step(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[DecisionProblem, NDArray[np.float64]]:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        problem, following = self.model.step(mean_field, policy)
        return self._in_units(problem), following

    def population_at_rest(
        self,
        policy: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
        tolerance: float | None = None,
    ) -> StationaryMeanField:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`; None for the model's own tolerance."""
        options = {} if tolerance is None else {"tolerance": tolerance}
        field = self.model.population_at_rest(policy, start, **options)
        return replace(field, problem=self._in_units(field.problem))

    def _in_units(self, problem: DecisionProblem) -> DecisionProblem:
        return problem.in_unit(self.unit)

    def inconsistency(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
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
        """See :class:`karma_envs.mean_field.FiniteMeanFieldModel`."""
        return self.model.inconsistency_moves(
            statistic, mean_field, policy, statistic_moves, field_moves, policy_moves
        )


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
