"""Stationary mean fields: of a chain by a direct solve, and of a policy that makes what it faces itself.

Sources: Thesis, Definitions 2.3 (population update operator) and 2.4 (stable population operator).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field.chains import as_distribution
from karma_envs.mean_field.dynamic_programming import DecisionProblem
from karma_envs.mean_field.moves import rest_moves
from karma_envs.numerics.linear import solve_scaled

if TYPE_CHECKING:
    from karma_envs.mean_field.model import FiniteMeanFieldModel

AT_REST = 1e-9
"""A population whose mean field changes by at most this in a step, in any state, counts as at rest."""

_ITERATIONS = 2000
_NEWTON_AT = (50, 200, 600, 1500)  # steps
_NEWTON_STEPS = 30
_NEWTON_TOLERANCE = 1e-12  # of the change of mu in one step
_NEGATIVE = -1e-12  # a probability below it is no rounding


def advance(
    model: FiniteMeanFieldModel, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One step of the population (Definition 2.3); where the game ends, one episode."""
    return model.step(mean_field, policy)[1]


@dataclass(frozen=True)
class StationaryMeanField:
    """The mean field of a population that plays one policy.

    Attributes:
        mean_field: mu, ``float64[types, X]``.
        statistic: z of that population.
        problem: what an agent faces in it.
        residual: largest change of mu in one more step; above :data:`AT_REST` none was found that is at
            rest, and this is the last one.
    """

    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    problem: DecisionProblem
    residual: float


def stationary_mean_field(
    model: FiniteMeanFieldModel,
    policy: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
    tolerance: float = 1e-13,
) -> StationaryMeanField:
    """The stationary mean field of a policy (Definition 2.4).

    Steps of the population from ``start``, which conserve what the game conserves, and then Newton's
    method on the statistic. Where the stationary mean field depends on the start (as for policies
    that never bid), it is the one that the steps lead to.

    Args:
        model: the model.
        policy: ``float64[types, X, A]``.
        start: mu to begin with; the model's initial one if None.
        tolerance: largest change of mu in one step that is accepted.
    """
    mu = model.initial_mean_field if start is None else start
    residual = np.inf
    for step in range(_ITERATIONS):
        if step in _NEWTON_AT and (root := _newton(model, mu, policy)) is not None:
            residual = float(np.abs(advance(model, root, policy) - root).max())
            if residual <= max(tolerance, _NEWTON_TOLERANCE):
                mu = root
                break
        following = advance(model, mu, policy)
        residual = float(np.abs(following - mu).max())
        if residual <= tolerance:
            break
        mu = following
    else:
        residual = float(np.abs(advance(model, mu, policy) - mu).max())
    statistic = model.statistic(mu, policy)
    return StationaryMeanField(mu, statistic, model.decision_problem(statistic), residual)


def _newton(
    model: FiniteMeanFieldModel, mu: NDArray[np.float64], policy: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Newton's method on the statistic; None where it does not converge."""

    z = model.statistic(mu, policy)
    for _ in range(_NEWTON_STEPS):
        moves, problem = model.problem_moves(z), model.decision_problem(z)
        _, residual, derivative = rest_moves(model, z, problem, moves, policy, mu)
        if np.abs(residual).max() < 1e-14:
            break
        z = z + solve_scaled(derivative, -residual)
        if not np.isfinite(z).all():
            return None
    field = model.decision_problem(z).at_rest(policy, mu)
    return as_distribution(field) if field.min() > _NEGATIVE else None
