"""Stationary mean fields: of a chain by a direct solve, and of a policy that makes its own environment.

Sources: Thesis, Definitions 2.3 (population update operator) and 2.4 (stable population operator).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.dynamic_programming import transition_matrix
from karma_envs.game import Environment, MeanFieldModel

_ITERATIONS = 2000
_NEWTON_STEPS = 30


def stationary_distribution(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stationary distribution of each of several chains, ``[..., X, X]`` to ``[..., X]``.

    A direct solve; in the least-squares sense for a chain with several classes, so that it has one too.
    """
    n = matrix.shape[-1]
    equations = np.swapaxes(matrix, -1, -2) - np.eye(n)
    square = equations.copy()
    square[..., -1, :] = 1.0
    unit = np.zeros((*matrix.shape[:-1], 1))
    unit[..., -1, 0] = 1.0
    try:
        solution = np.linalg.solve(square, unit)[..., 0]
        if np.abs(np.einsum("...xy,...y->...x", equations, solution)).max() < 1e-12:
            return np.asarray(solution)
    except np.linalg.LinAlgError:
        solution = unit[..., 0]  # several classes: the solution is not unique
    equations = np.concatenate([equations, np.ones((*matrix.shape[:-2], 1, n))], axis=-2)
    right = np.zeros(n + 1)
    right[-1] = 1.0
    flat = equations.reshape(-1, n + 1, n)
    solved = np.stack([np.linalg.lstsq(one, right, rcond=None)[0] for one in flat])
    return np.asarray((solved / solved.sum(axis=1, keepdims=True)).reshape(matrix.shape[:-1]))


def advance(
    model: MeanFieldModel, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One step of the population (Definition 2.3)."""
    environment = model.environment(model.statistic(mean_field, policy))
    following = np.einsum("tx,txy->ty", mean_field, transition_matrix(environment, policy))
    return np.asarray(following / following.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class StationaryMeanField:
    """The mean field of a population that plays one policy.

    Attributes:
        mean_field: mu, ``float64[types, X]``.
        statistic: z of that population.
        environment: what an agent faces in it.
        residual: largest change of mu in one more step.
    """

    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    environment: Environment
    residual: float


def stationary_mean_field(
    model: MeanFieldModel,
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
    best: tuple[float, NDArray[np.float64]] = (np.inf, mu)
    for step in range(1, _ITERATIONS + 1):
        following = advance(model, mu, policy)
        residual = float(np.abs(following - mu).max())
        mu = following
        best = (residual, mu)
        if residual <= tolerance:
            break
        if step in (50, 200, 600, 1500):
            newton = _newton(model, mu, policy)
            if newton is not None:
                residual = float(np.abs(advance(model, newton, policy) - newton).max())
                if residual <= max(tolerance, 1e-12):
                    best = (residual, newton)
                    break
    residual, mu = best
    statistic = model.statistic(mu, policy)
    return StationaryMeanField(mu, statistic, model.environment(statistic), residual)


def _newton(
    model: MeanFieldModel, mu: NDArray[np.float64], policy: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Newton's method on the statistic with a numerical Jacobian; None where it does not converge."""

    def field_of(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        return stationary_distribution(transition_matrix(model.environment(statistic), policy))

    def residual_of(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        return model.inconsistency(statistic, field_of(statistic), policy)

    z = model.statistic(mu, policy)
    for _ in range(_NEWTON_STEPS):
        residual = residual_of(z)
        if np.abs(residual).max() < 1e-14:
            break
        z = z + np.linalg.lstsq(jacobian(residual_of, z, residual), -residual, rcond=1e-12)[0]
        if not np.isfinite(z).all():
            return None
    found = field_of(z)
    return found if found.min() > -1e-12 else None


def jacobian(function, point, value, step: float = 1e-7):  # type: ignore[no-untyped-def]
    """Jacobian of a vector function by forward differences."""
    columns = []
    for index in range(len(point)):
        moved = point.copy()
        width = step * max(1.0, abs(point[index]))
        moved[index] += width
        columns.append((function(moved) - value) / width)
    return np.stack(columns, axis=1)
