"""The limit of a population game for N to infinity: a single agent against a statistic of the population.

A :class:`MeanFieldModel` is what solvers ask of any game. One with finite states and actions is a
:class:`FiniteMeanFieldModel`: tables, for which this package has dynamic programming, stationary mean fields
and the exact exploitability of a policy. Where a game ends after T steps, a :class:`FiniteHorizonModel` is
made of the models of its steps.
"""

from karma_envs.mean_field.dynamic_programming import DecisionProblem
from karma_envs.mean_field.exploitability import Exploitability
from karma_envs.mean_field.finite_horizon import FiniteHorizonModel
from karma_envs.mean_field.model import (
    FiniteMeanFieldModel,
    GivenStatistic,
    MeanFieldModel,
    as_finite_model,
)
from karma_envs.mean_field.moves import ProblemMoves

__all__ = [
    "DecisionProblem",
    "Exploitability",
    "FiniteHorizonModel",
    "FiniteMeanFieldModel",
    "GivenStatistic",
    "MeanFieldModel",
    "ProblemMoves",
    "as_finite_model",
]
