"""Good policies of an agent that sees its own state alone, in the exact game of N agents.

Such an agent does not know where the others are: its problem is a partially observed one, for which no
method finds the best policy but by enumeration. What any policy is worth is a linear solve, however, so that
any policy that is found bounds the best from below, rigorously.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from karma_envs.joint import DeviatorProblem
from karma_envs.joint.solution import occupancy, policy_value

_STEPS = 100
_HALVINGS = 6
_SUFFICIENT = 1e-4  # of the gain that the slopes promise (Armijo)
_FLAT = 1e-9  # of the payoff: slopes that count as none
_SMALL = 1e-7  # of the payoff: a step that is not worth another


class Found(NamedTuple):
    """A policy of an agent's own state, and what it is worth at least.

    Attributes:
        policy: ``float64[X, A]``.
        payoff: mean of its value over the measure of states that the agent begins in, less the error of it.
    """

    policy: NDArray[np.float64]
    payoff: float


def averaged(
    problem: DeviatorProblem, weights: NDArray[np.float64], measure: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What a policy that sees everything does on average in each own observation, ``float64[X, A]``.

    Args:
        problem: what the agent faces.
        weights: ``float64[S, A]``, the policy.
        measure: ``float64[S]``, where the agent begins.
    """
    flow = _by_observation(problem) @ (occupancy(problem, weights, measure)[:, None] * weights)
    visits = flow.sum(axis=1, keepdims=True)
    never = np.eye(flow.shape[1])[np.zeros(len(flow), np.int64)]  # action 0 is legal everywhere
    flow = np.maximum(flow, 0.0)
    return np.where(visits > 0, flow / np.where(visits > 0, flow.sum(axis=1, keepdims=True), 1.0), never)


def own_state_ascent(
    problem: DeviatorProblem, policy: NDArray[np.float64], measure: NDArray[np.float64]
) -> Iterator[Found]:
    """Ever better policies of an agent's own state, up to one that no policy nearby is better than.

    With d the discounted visits to states and Q the policy's values there, the payoff rises towards a policy
    theta' as fast as sum_x sum_b (theta' - theta)(b | x) sum_{s at x} d(s) Q(s, b): the policy gradient,
    exactly. The best theta' takes in each observation what is best on average over where the others may be.
    That is tried first; where the payoff does not rise enough, in half as many observations, those of the
    steepest slopes, and so on down to one; and where that fails, a shorter way towards theta' in all
    (conservative policy iteration, Kakade and Langford 2002), so that the policy may end up random.

    Args:
        problem: what the agent faces.
        policy: ``float64[X, A]``, to begin with.
        measure: ``float64[S]``, where the agent begins.

    Yields:
        the policy to begin with, and better ones.
    """
    observed = _by_observation(problem)
    evaluated = policy_value(problem, problem.played(policy))
    payoff = float(measure @ evaluated.value)
    for _ in range(_STEPS):
        yield Found(policy, payoff - evaluated.error)
        q = problem.reward + problem.discount * problem.following(evaluated.value)
        visits = occupancy(problem, problem.played(policy), measure)
        slopes = np.where(problem.legal_actions, observed @ (visits[:, None] * q), -np.inf)
        towards = np.eye(q.shape[1])[slopes.argmax(axis=1)]
        gains = slopes.max(axis=1) - (policy * np.where(problem.legal_actions, slopes, 0.0)).sum(axis=1)
        # Observations that are never made, and ties but for rounding, stay as they are.
        steepest = [x for x in np.argsort(-gains) if gains[x] > _FLAT * abs(payoff) / len(gains)]
        before = payoff
        for n_changed, step in _trials(len(steepest)):
            changed = steepest[:n_changed]
            trial = policy.copy()
            trial[changed] += step * (towards[changed] - policy[changed])
            tried = policy_value(problem, problem.played(trial), evaluated.value)
            reached = float(measure @ tried.value)
            if reached > payoff + _SUFFICIENT * step * gains[changed].sum():
                policy, evaluated, payoff = trial, tried, reached
                break
        if payoff - before <= _SMALL * abs(payoff):
            break
    yield Found(policy, payoff - evaluated.error)


def _trials(n_observations: int) -> Iterator[tuple[int, float]]:
    """In how many observations to change the policy, and how far."""
    n_changed = n_observations
    while n_changed:
        yield n_changed, 1.0
        n_changed //= 2
    yield from ((n_observations, 0.5**halving) for halving in range(1, _HALVINGS) if n_observations)


def _by_observation(problem: DeviatorProblem) -> csr_array:
    """Sums over the states of each own observation, ``csr[X, S]``."""
    places = problem.own_observation, np.arange(problem.n_states)
    return csr_array(
        (np.ones(problem.n_states), places), shape=(len(problem.legal_actions), problem.n_states)
    )
