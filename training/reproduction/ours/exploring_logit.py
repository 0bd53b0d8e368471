"""The logit equilibrium of agents who explore, as learning by SARSA with softmax policies comes to.

With infinitely many data, and epochs in which the others do not change, such agents play

    pi = (1 - epsilon) sigma + epsilon uniform,    sigma = softmax(beta Q^pi),

Q^pi the value of actions under this very policy: no entropy is taken off of it, and rewards are in their own
unit. Solved by rounds, as prior descent does it (:mod:`agents.solvers.continuation.prior_descent`): in each

    sigma_k proportional to sigma_(k-1)^m exp(beta_k Q^pi),

and the statistic is the one that the population itself makes, by Newton's method, whose equations are solved
by GMRES. Where beta_k = (1 - m) beta and sigma_k = sigma_(k-1), that is the equilibrium. Beta_k grows until
there; how far a round's policy is from the equilibrium is told by the best answer of such agents to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.solvers.continuation.krylov import newton_step
from karma_envs.games.grid_city.mean_field import CityMeanField
from karma_envs.mean_field.dynamic_programming import uniform_policy

_MEMORY = 0.6
_FIRST = 1 / 50  # of beta_k where it ends
_GROWTH, _FALL, _AFTER_FAILURE = 1.6, 0.7, 0.4
_FEW, _MANY, _NEWTON_STEPS = 3, 6, 8
_SHORTEST = 1 / 8  # of a Newton step
_ENOUGH, _CLOSELY = 1e-2, 1e-3  # of the norm of the statistic: what it may be off in a round, and at the end
_NEAR, _SETTLED = 0.05, 5e-3  # the same without a prior: to try that, and to be done
_LEAST = 1e-12  # a probability


class ExploringLogit(NamedTuple):
    """What was found.

    Attributes:
        policy: ``float64[G, X, A]``.
        residual: how far the statistic is from the one that is made by agents who meet it and choose with
            beta and no prior, over its norm.
        rounds: how many there were.
    """

    policy: NDArray[np.float64]
    residual: float
    rounds: int


class _Response(NamedTuple):
    policy: NDArray[np.float64]
    value: NDArray[np.float64]
    inconsistency: NDArray[np.float64]

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.inconsistency))


_Respond = Callable[[NDArray[np.float64], NDArray[np.float64]], _Response]


def exploring_logit(
    model: CityMeanField,
    rationality: float,
    exploration: float,
    *,
    iterations: int = 60,
    observer: Callable[[int, float, float], None] | None = None,
) -> ExploringLogit:
    """Solve a city's model for the exploring logit equilibrium; see the module.

    Args:
        model: the city's.
        rationality: beta, per unit of payoff.
        exploration: epsilon, in [0, 1).
        iterations: the most rounds; the last one's policy is returned where they are not enough.
        observer: called after each round with its number, beta_k and the residual.
    """
    scores: NDArray[np.float64] | None = None
    uniform = uniform_policy(model)

    def responding(beta: float, prior: NDArray[np.float64] | None) -> _Respond:
        def respond(statistic: NDArray[np.float64], value: NDArray[np.float64]) -> _Response:
            problem = model.decision_problem(statistic)
            policy, value = problem.exploring_response(model.discounts, beta, exploration, value, prior)
            field = problem.at_rest(policy, model.initial_mean_field)
            return _Response(policy, value, model.inconsistency(statistic, field, policy))

        return respond

    statistic = model.population_at_rest(uniform).statistic
    value = np.zeros((model.n_types, len(model.legal_actions)))
    last = (1 - _MEMORY) * rationality
    beta, policy, residual, number = _FIRST * last, uniform, np.inf, 0
    for number in range(1, iterations + 1):
        arrived, point, steps = _newton(responding(beta, scores), statistic, value, _ENOUGH)
        if steps > _NEWTON_STEPS:
            beta *= _AFTER_FAILURE
            continue
        statistic, policy, value = arrived, point.policy, point.value
        answer = responding(rationality, None)(statistic, value)
        residual = answer.distance / float(np.linalg.norm(statistic))
        if observer is not None:
            observer(number, beta, residual)
        if residual <= _NEAR:
            ends_at, answer, _ = _newton(responding(rationality, None), statistic, value, _CLOSELY)
            end = answer.distance / float(np.linalg.norm(ends_at))
            if end <= _SETTLED:
                policy, residual = answer.policy, end
                break
        if steps <= _FEW:
            beta *= _GROWTH
        elif steps >= _MANY:
            beta *= _FALL
        beta = min(beta, last)
        chosen = (policy - exploration * uniform) / (1 - exploration)
        scores = _MEMORY * np.log(np.maximum(chosen, _LEAST))
    return ExploringLogit(policy, residual, number)


def _newton(
    respond: _Respond, begin: NDArray[np.float64], known: NDArray[np.float64], share_off: float
) -> tuple[NDArray[np.float64], _Response, int]:
    """Where Newton's method ends, and after how many steps, too many if at no equilibrium of the round."""
    statistic, point = begin, respond(begin, known)
    enough = share_off * float(np.linalg.norm(begin))
    for steps in range(_NEWTON_STEPS + 1):
        if point.distance <= enough:
            return statistic, point, steps
        value = point.value

        def inconsistency(place: NDArray[np.float64]) -> NDArray[np.float64]:
            return respond(place, value).inconsistency  # noqa: B023  (called before it changes)

        move, share = newton_step(inconsistency, statistic, point.inconsistency), 1.0
        while share >= _SHORTEST:
            following = respond(statistic + share * move, value)
            if following.distance < (1 - 0.1 * share) * point.distance:
                break
            share /= 2
        else:
            break
        statistic, point = statistic + share * move, following
    return statistic, point, _NEWTON_STEPS + 1
