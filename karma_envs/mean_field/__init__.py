"""The limit of a population game for N to infinity: a single agent against a statistic of the population.

A :class:`MeanFieldModel` is what solvers ask of any game. One with finite states and actions is a
:class:`FiniteMeanFieldModel`: tables, for which this package has dynamic programming, stationary mean fields
and the exact exploitability of a policy.
"""

from karma_envs.mean_field.dynamic_programming import DecisionProblem
from karma_envs.mean_field.exploitability import Exploitability
from karma_envs.mean_field.model import (
    FiniteMeanFieldModel,
    GivenStatistic,
    MeanFieldModel,
    as_finite_model,
)

__all__ = [
    "DecisionProblem",
    "Exploitability",
    "FiniteMeanFieldModel",
    "GivenStatistic",
    "MeanFieldModel",
    "as_finite_model",
]
