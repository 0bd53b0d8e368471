"""From nearly an equilibrium to an exact one: Newton's method on a support, changed until it is right.

Given for each state the actions that are played (the support), an equilibrium is a root in the
statistic z, the value V and the probabilities p of

    Q(x, a) = V(x) for a in the support,   sum over a of p(a | x) = 1,   z = z(mu, p),

where mu is stationary. States that nobody is ever in keep one best action. A root with a negative
probability, or with a better action outside its support, is not an equilibrium: the worst offender is
dropped or added, and the root sought again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.linearisation import Linearisation
from agents.solvers.continuation.quantal_response import LogitPoint
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
    size, n_z = value.size, len(statistic)
    # Probabilities are unknowns only in states with several supported actions; elsewhere they are 0 and 1.
    mixed = support.sum(axis=2) > 1
    free = support & mixed[..., None]
    pure = (support & ~mixed[..., None]).astype(np.float64)
    inside = np.where(support, np.maximum(policy, 1e-9), 0.0)
    inside /= inside.sum(axis=2, keepdims=True)

    probabilities = pure + inside * free
    for step in range(_NEWTON_STEPS):
        here = Linearisation(model, statistic, value)
        at = np.argwhere(free)
        policy_moves = np.zeros((n_z + len(at), *policy.shape))
        policy_moves[(n_z + np.arange(len(at)), *at.T)] = 1.0
        mean_field, gap, gap_moves = here.inconsistency(probabilities, policy_moves, 0)
        indifference = (here.q - value[..., None])[support]
        leak = probabilities.sum(axis=2)[mixed] - 1
        residual = np.concatenate([gap, indifference, leak])
        if np.abs(residual).max() < 1e-12 or (step > 3 and np.abs(residual).max() < 1e-10):
            return statistic, value, probabilities, mean_field

        # Unknowns: z, V, the free probabilities. Equations: consistency, indifference, sums of 1.
        jacobian = np.zeros((len(residual), n_z + size + len(at)))
        jacobian[:n_z, :n_z] = gap_moves[:, :n_z]
        jacobian[:n_z, n_z + size :] = gap_moves[:, n_z:]
        rows = slice(n_z, n_z + len(indifference))
        jacobian[rows, :n_z] = here.q_moves[size:, support].T
        jacobian[rows, n_z : n_z + size] = here.q_moves[:size, support].T
        # Indifference: Q(x, a) = V(x) for every supported action, so each row has -1 in the column of its V.
        supported = np.argwhere(support)
        states = np.ravel_multi_index((supported[:, 0], supported[:, 1]), value.shape)
        jacobian[n_z + np.arange(len(states)), n_z + states] -= 1.0
        for row, (kind, state) in enumerate(np.argwhere(mixed), rows.stop):
            jacobian[row, n_z + size :] = (at[:, 0] == kind) & (at[:, 1] == state)

        move = solve_scaled(jacobian, -residual)
        if not np.isfinite(move).all() or np.abs(move).max() > 1e6:
            return None
        statistic = statistic + move[:n_z]
        value = value + move[n_z : n_z + size].reshape(value.shape)
        probabilities = probabilities.copy()
        probabilities[free] += move[n_z + size :]
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
