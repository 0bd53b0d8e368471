"""Values and best responses of a single agent in a population that behaves in a fixed way, by linear solves.

Policies, values and Q are arrays over types: ``policy[types, X, A]``, ``value[types, X]``,
``q[types, X, A]``. Illegal actions have Q = -inf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.sampling import uniform_over

if TYPE_CHECKING:
    from karma_envs.mean_field.model import FiniteMeanFieldModel

_MOST_SWEEPS = 1000
_ROUNDING = 1e-13  # of values, over the greatest of them


@dataclass(frozen=True)
class DecisionProblem:
    """What a single agent faces in a population that behaves in a fixed way: a Markov decision process.

    Attributes:
        reward: ``float64[types, X, A]``, expected reward of a step.
        kernel: ``float64[types, X, A, X]``, probability of the next state; rows of legal actions sum to
            1, those of illegal ones are 0.
    """

    reward: NDArray[np.float64]
    kernel: NDArray[np.float64]


def q_values(
    model: FiniteMeanFieldModel, problem: DecisionProblem, value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Q(x, a) = r(x, a) + gamma * sum over x' of P(x' | x, a) V(x')."""
    following = np.einsum("txay,ty->txa", problem.kernel, value, optimize=True)
    q = problem.reward + model.discounts[:, None, None] * following
    return np.asarray(np.where(model.legal_actions, q, -np.inf))


def transition_matrix(problem: DecisionProblem, policy: NDArray[np.float64]) -> NDArray[np.float64]:
    """P under a policy, ``float64[types, X, X]``."""
    return np.asarray(np.einsum("txa,txay->txy", policy, problem.kernel, optimize=True))


def policy_value(
    model: FiniteMeanFieldModel, problem: DecisionProblem, policy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """V of a policy: the solution of V = r + gamma P V, ``float64[types, X]``."""
    reward = (policy * problem.reward).sum(axis=2)
    matrix = np.eye(model.n_states) - model.discounts[:, None, None] * transition_matrix(problem, policy)
    return np.asarray(np.linalg.solve(matrix, reward[..., None])[..., 0])


def uniform_policy(model: FiniteMeanFieldModel) -> NDArray[np.float64]:
    """Every legal action equally likely, ``float64[types, X, A]``."""
    return np.repeat(uniform_over(model.legal_actions)[None], model.n_types, axis=0)


def greedy(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The policy that takes the best action, the lowest of several."""
    return np.asarray(np.eye(q.shape[2])[q.argmax(axis=2)])


def best_response(
    model: FiniteMeanFieldModel, problem: DecisionProblem, start: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An optimal policy and its value, by policy iteration (Howard 1960); exact but for rounding.

    Args:
        model: the model.
        problem: what the agent faces.
        start: a policy to begin with.

    Returns:
        ``policy[types, X, A]``, deterministic but where ``start`` is optimal, and ``value[types, X]``.
    """
    q = np.where(model.legal_actions, problem.reward, -np.inf)
    policy = greedy(q) if start is None else start
    value = policy_value(model, problem, policy)
    for _ in range(_MOST_SWEEPS):
        q = q_values(model, problem, value)
        # Only a gain beyond rounding changes an action, so that ties cannot make it cycle.
        current = (policy * np.where(model.legal_actions, q, 0.0)).sum(axis=2)
        rounding = _ROUNDING * np.abs(value).max(axis=1, keepdims=True)
        improves = q.max(axis=2) > current + rounding
        if not improves.any():
            break
        policy = np.where(improves[..., None], greedy(q), policy)
        value = policy_value(model, problem, policy)
    return policy, value
