"""Solving what one agent faces among few: values, bounds, and where everybody is in the long run.

All by Krylov methods on the problem's steps, which are products of smaller ones: no matrix of states by
states is made. Errors are told by residuals, which bound them rigorously but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from karma_envs.joint.model import DeviatorProblem

Vector = NDArray[np.float64]

_RELATIVE = "rtol" if "rtol" in signature(gmres).parameters else "tol"  # as SciPy before 1.12 calls it
_BASIS = 40  # vectors of a cycle of GMRES
_CYCLES = 100
_SWEEPS = 1000
_PRECISE = 1e-12  # of a linear solve, relative
_ROUNDING = 1e-12  # of values, over the greatest of them
_AT_REST = 1e-11  # change of a distribution in a step, summed over states


class Evaluated(NamedTuple):
    """The value of a policy, ``float64[S]``, and how far it may be off anywhere."""

    value: Vector
    error: float


@dataclass(frozen=True)
class Bounds:
    """What an optimal policy is worth, from both sides.

    Attributes:
        policy: ``float64[S, A]``, as good as the lower bound says.
        value: ``float64[S]``, within ``error`` of the policy's.
        error: how far ``value`` may be off.
        upper: ``float64[S]``, at least the optimal value.
    """

    policy: NDArray[np.float64]
    value: Vector
    error: float
    upper: Vector


def at_rest(problem: DeviatorProblem, weights: NDArray[np.float64], start: Vector | None = None) -> Vector:
    """Where everybody is in the long run, on average over time, ``float64[S]``.

    With P the chain, mu = start - z where (I - P')z = (I - P')start and z is in the span of (I - P')start,
    its image, and so on. Then mu is at rest, and has in each closed class of the chain what the start puts
    there, also where the chain is periodic. This z is what GMRES from 0 finds.

    Args:
        problem: what the agent faces.
        weights: ``float64[S, A]``, what it does.
        start: where everybody begins; where the game does if None.
    """
    measure = problem.start if start is None else start

    def moved(vector: Vector) -> Vector:
        return vector - problem.pushed(vector[:, None] * weights)

    for _ in range(_CYCLES):
        change = moved(measure)
        if np.abs(change).sum() <= _AT_REST:
            break
        measure = measure - _solved(moved, change, cycles=1)
        # Of a change that is rounding z has any multiple of the measure in it.
        measure = measure / measure.sum()
    # What is below 0 is rounding, or a start that has died out.
    measure = np.maximum(measure, 0.0)
    return np.asarray(measure / measure.sum())


def policy_value(
    problem: DeviatorProblem, weights: NDArray[np.float64], guess: Vector | None = None
) -> Evaluated:
    """V of a policy: the solution of V = r + gamma P V.

    The error is at most that of the equation over 1 - gamma.

    Args:
        problem: what the agent faces.
        weights: ``float64[S, A]``, what it does, also by more than it observes.
        guess: of V.
    """
    reward = (weights * problem.reward).sum(axis=1)

    def residual(value: Vector) -> Vector:
        following = (weights * problem.following(value, weights)).sum(axis=1)
        return np.asarray(value - problem.discount * following)

    value = _solved(residual, reward, guess)
    error = float(np.abs(reward - residual(value)).max()) / (1 - problem.discount)
    return Evaluated(value, error)


def occupancy(problem: DeviatorProblem, weights: NDArray[np.float64], start: Vector) -> Vector:
    """How often states are visited, discounted: the solution of d = start + gamma P' d, ``float64[S]``."""

    def residual(measure: Vector) -> Vector:
        return measure - problem.discount * problem.pushed(measure[:, None] * weights)

    return _solved(residual, start)


def best_response(problem: DeviatorProblem, weights: NDArray[np.float64]) -> Iterator[Bounds]:
    """Ever better policies of an agent that sees where everybody is, with bounds on the best.

    Policy iteration (Howard 1960). Where T is the operator of Bellman's equation and V any function,

        V* <= T V + gamma / (1 - gamma) max(T V - V)

    (MacQueen 1966, Porteus 1971), so that each step gives an upper bound that holds whether or not policy
    iteration has come to its end, and however inexact the values are.

    Args:
        problem: what the agent faces.
        weights: ``float64[S, A]``, to begin with.

    Yields:
        bounds, until they are equal but for rounding.
    """
    evaluated = policy_value(problem, weights)
    upper = np.full(problem.n_states, np.inf)
    for _ in range(_SWEEPS):
        value = evaluated.value
        q = problem.reward + problem.discount * problem.following(value)
        current = (weights * q).sum(axis=1)
        q[problem.legal == 0.0] = -np.inf
        best = q.max(axis=1)
        slack = problem.discount / (1 - problem.discount) * float((best - value).max())
        upper = np.minimum(upper, best + slack)
        yield Bounds(weights, value, evaluated.error, upper)
        # Only a gain beyond rounding changes an action, so that ties cannot make it cycle.
        improves = best > current + _ROUNDING * np.abs(value).max()
        if not improves.any():
            return
        weights = np.where(improves[:, None], np.eye(q.shape[1])[q.argmax(axis=1)], weights)
        evaluated = policy_value(problem, weights, value)


def _solved(
    operator: Callable[[Vector], Vector], right: Vector, guess: Vector | None = None, cycles: int = _CYCLES
) -> Vector:
    """The solution of a linear equation by GMRES (Saad, Schultz 1986), started anew now and then."""
    n = len(right)
    matrix = LinearOperator((n, n), matvec=operator, dtype=np.float64)
    basis = min(_BASIS, n)
    precision = {_RELATIVE: _PRECISE}
    solution, _ = gmres(matrix, right, x0=guess, restart=basis, maxiter=cycles, **precision)
    return np.asarray(solution)
