"""Smoothed best responses: what an agent does best if it pays for leaving a policy that it has.

An agent that plays pi is charged, in every step, the distance of pi to a prior rho, such as acting at random,
over a rationality beta > 0:

    V = max over pi of E sum over t of gamma^t [r(x_t, a_t) - KL(pi(. | x_t) || rho(. | x_t)) / beta],
    pi(a | x) proportional to rho(a | x) exp(beta Q(x, a)),
    V(x) = log(sum over legal a of rho(a | x) exp(beta Q(x, a))) / beta.

There is one such policy, it is a smooth function of what the agent faces, and for beta to infinity it is a
best response: what equilibria are sought with where Newton's method is to find them.

Sources: Geist, Scherrer and Pietquin 2019, *A theory of regularized Markov decision processes*; Cui and
Koeppl 2021, *Approximately solving mean field games via entropy-regularized deep reinforcement learning*
(relative entropy to a prior policy).

Differences from the source:
    By policy iteration, which is Newton's method on V, in place of iterations of the value.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.sampling import softmax

if TYPE_CHECKING:
    from karma_envs.mean_field.dynamic_programming import DecisionProblem

_MOST_SWEEPS = 200
_NEAR = 1e-7  # change of values, over the greatest of them; the step after it is exact but for rounding
_TINY = 1e-300


def smoothed_response(
    problem: DecisionProblem,
    discounts: NDArray[np.float64],
    legal_actions: NDArray[np.bool_],
    rationality: float,
    start: NDArray[np.float64] | None = None,
    scores: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smoothed best response of a problem with tables, by policy iteration.

    Args:
        problem: what an agent faces.
        discounts: gamma, ``float64[types]``.
        legal_actions: ``bool[X, A]``.
        rationality: beta > 0, per unit of reward.
        start: V to begin with, ``float64[types, X]``; 0 if None.
        scores: log rho but for a constant in each state, ``float64[types, X, A]``; None: uniform.

    Returns:
        the policy, ``float64[types, X, A]``, and V, ``float64[types, X]``.
    """
    n_types, n_states = problem.reward.shape[:2]
    legal_scores = np.where(legal_actions, 0.0 if scores is None else scores, -np.inf)
    prior = np.maximum(softmax(np.broadcast_to(legal_scores, problem.reward.shape)), _TINY)
    value = np.zeros((n_types, n_states)) if start is None else start

    def soften(value: NDArray[np.float64]) -> NDArray[np.float64]:
        q = problem.reward + discounts[:, None, None] * problem.following(value)
        return softmax(np.where(legal_actions, rationality * q, 0.0) + legal_scores)

    for _ in range(_MOST_SWEEPS):
        policy = soften(value)
        distance = (policy * (np.log(np.maximum(policy, _TINY)) - np.log(prior))).sum(axis=2)
        charged = replace(problem, reward=problem.reward - distance[..., None] / rationality)
        following = charged.policy_value(discounts, policy)
        change = np.abs(following - value).max()
        value = following
        if change <= _NEAR * np.abs(value).max():
            break
    # Errors of policy iteration are squared from step to step: one more step of the policy is exact.
    return soften(value), value
