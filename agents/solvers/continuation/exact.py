"""From nearly an equilibrium to an exact one: Newton's method on a support, changed until it is right.

The equations are those of :mod:`agents.solvers.continuation.support`. States that nobody is ever in keep one
best action. A root with a negative probability, or with a better action outside its support, is not an
equilibrium: the worst offender is dropped or added, and the root sought again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.solvers.continuation.quantal_response import LogitPoint
from agents.solvers.continuation.support import Support
from agents.solvers.equilibrium import Assessment, assess
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values
from karma_envs.numerics.linear import solve_scaled

_NEVER_VISITED = 1e-12
_NEWTON_STEPS = 12
_LIMIT = 2.5e7  # per greatest payoff: until then only the path's own support is tried, and what is near it
_NEAR = 0.02  # total variation of what agents do


def exact_equilibrium(
    model: FiniteMeanFieldModel,
    statistic: NDArray[np.float64],
    value: NDArray[np.float64],
    policy: NDArray[np.float64],
    *,
    tolerance: float,
    played: float = 1e-4,
    most_supports: int = 12,
) -> Assessment | None:
    """An exact equilibrium near a policy that is nearly one.

    Args:
        model: the model.
        statistic: z of the policy.
        value: V of the policy, ``[types, X]``.
        policy: ``[types, X, A]``.
        tolerance: normalised exploitability to reach.
        played: actions with at least this probability make up the first support.
        most_supports: how many supports to try.

    Returns:
        the least exploitable policy found, exactly assessed; None if there was none.
    """
    favourite = np.eye(model.n_actions, dtype=bool)[policy.argmax(axis=2)]
    visits = model.decision_problem(statistic).at_rest(policy)
    support = favourite | ((policy >= played) & (visits > _NEVER_VISITED)[..., None])
    best: Assessment | None = None
    tried: set[bytes] = set()
    for _ in range(most_supports):
        if support.tobytes() in tried:
            break
        tried.add(support.tobytes())
        root = _root(model, statistic, value, policy, support)
        if root is None:
            break
        statistic, value, probabilities, mean_field = root
        clipped = np.clip(probabilities, 0.0, None)
        policy = clipped / clipped.sum(axis=2, keepdims=True)
        assessment = assess(model, policy, np.clip(mean_field, 0.0, None))
        if best is None or assessment.exploitability.normalised < best.exploitability.normalised:
            best = assessment
        if best.exploitability.normalised <= tolerance:
            break
        support = _repaired(model, statistic, value, probabilities, mean_field, support)
    return best


def _root(
    model: FiniteMeanFieldModel,
    statistic: NDArray[np.float64],
    value: NDArray[np.float64],
    policy: NDArray[np.float64],
    support: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Newton's method for the equations of a support; None where it does not converge."""
    size, n_z, equations = value.size, len(statistic), Support(support)
    inside = np.where(support, np.maximum(policy, 1e-9), 0.0)
    inside /= inside.sum(axis=2, keepdims=True)

    probabilities = equations.pure + inside * equations.free
    for step in range(_NEWTON_STEPS):
        mean_field, residual, jacobian = equations.around(model, statistic, value, probabilities)
        if np.abs(residual).max() < 1e-12 or (step > 3 and np.abs(residual).max() < 1e-10):
            return statistic, value, probabilities, mean_field
        move = solve_scaled(jacobian, -residual)
        if not np.isfinite(move).all() or np.abs(move).max() > 1e6:
            return None
        statistic = statistic + move[:n_z]
        value = value + move[n_z : n_z + size].reshape(value.shape)
        probabilities = probabilities.copy()
        probabilities[equations.free] += move[n_z + size :]
    return None


def _repaired(
    model: FiniteMeanFieldModel,
    statistic: NDArray[np.float64],
    value: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    mean_field: NDArray[np.float64],
    support: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """The support without its most negative probability, or with the best action that it lacks."""
    support = support.copy()
    q = q_values(model, model.decision_problem(statistic), value)
    visited = mean_field > _NEVER_VISITED
    unvisited_best = np.eye(model.n_actions, dtype=bool)[q.argmax(axis=2)]
    support[~visited] = unvisited_best[~visited]
    if probabilities.min() < 0:
        support[np.unravel_index(probabilities.argmin(), probabilities.shape)] = False
        return support
    gain = np.where(support | ~visited[..., None], -np.inf, q - value[..., None])
    if gain.max() > 0:
        support[np.unravel_index(gain.argmax(), gain.shape)] = True
    return support


def exact_near(
    model: FiniteMeanFieldModel, point: LogitPoint, here: Assessment, tolerance: float
) -> Assessment | None:
    """The equilibrium that the path through a point leads to, if it can be told by now.

    Args:
        model: the mean-field model.
        point: on a path of logit equilibria.
        here: the point's policy, assessed.
        tolerance: normalised exploitability to reach.
    """
    early = point.rationality < _LIMIT / model.discounted_length
    exact = exact_equilibrium(
        model,
        point.statistic,
        point.value,
        here.policy,
        tolerance=tolerance,
        most_supports=1 if early else 12,
    )
    if exact is None or not exact.within(tolerance):
        return None
    return None if early and _distance(exact, here) >= _NEAR else exact


def _distance(one: Assessment, other: Assessment) -> float:
    """Total variation distance of what agents do in the states they are in."""
    flow = one.mean_field[..., None] * (one.policy - other.policy)
    return float(np.abs(flow).sum(axis=(1, 2)).max() / 2)
