"""The logit equilibrium of agents who explore, as learning by SARSA with softmax policies comes to.

With infinitely many data, and epochs in which the others do not change, such agents play

    pi = (1 - epsilon) softmax(beta Q^pi) + epsilon uniform,

Q^pi the value of actions under this very policy: no entropy is taken off of it, and rewards are in their own
unit. For a given statistic of the population pi is found by iterating Q and pi; the statistic that the
population itself makes by Newton's method, whose equations are solved by GMRES, for a few rationalities that
double up to beta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.solvers.continuation.krylov import newton_step
from karma_envs.games.grid_city.mean_field import CityMeanField
from karma_envs.mean_field.dynamic_programming import uniform_policy

_DOUBLINGS = 5  # of the rationality up to beta
_NEWTON_STEPS = 15
_SHORTEST = 1 / 16  # of a Newton step
_ENOUGH, _ON_THE_WAY = 1e-4, 1e-2  # of the norm of the statistic: what it may be off


class ExploringLogit(NamedTuple):
    """What was found.

    Attributes:
        policy: ``float64[G, X, A]``.
        residual: how far the statistic is from the one that the policy's population makes, over its norm.
    """

    policy: NDArray[np.float64]
    residual: float


class _Response(NamedTuple):
    policy: NDArray[np.float64]
    value: NDArray[np.float64]
    inconsistency: NDArray[np.float64]

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.inconsistency))


def exploring_logit(model: CityMeanField, rationality: float, exploration: float) -> ExploringLogit:
    """Solve a city's model for the exploring logit equilibrium; see the module.

    Args:
        model: the city's.
        rationality: beta, per unit of payoff.
        exploration: epsilon, in [0, 1].
    """

    def respond(statistic: NDArray[np.float64], beta: float, value: NDArray[np.float64]) -> _Response:
        problem = model.decision_problem(statistic)
        policy, value = problem.exploring_response(
            model.discounts, rationality=beta, exploration=exploration, start=value
        )
        field = problem.at_rest(policy, model.initial_mean_field)
        return _Response(policy, value, model.inconsistency(statistic, field, policy))

    statistic = model.population_at_rest(uniform_policy(model)).statistic
    solved: list[NDArray[np.float64]] = []
    value = np.zeros((model.n_types, len(model.legal_actions)))
    for beta in rationality * 0.5 ** np.arange(_DOUBLINGS, -1, -1):
        enough = (_ENOUGH if beta == rationality else _ON_THE_WAY) * float(np.linalg.norm(statistic))
        if len(solved) > 1:  # on from the last two, as log beta goes by equal steps
            statistic = 2 * solved[-1] - solved[-2]
        point = respond(statistic, beta, value)
        for _ in range(_NEWTON_STEPS):
            if point.distance <= enough:
                break
            beginning, known = statistic, point.value

            def inconsistency(place: NDArray[np.float64]) -> NDArray[np.float64]:
                return respond(place, beta, known).inconsistency  # noqa: B023  (called before they change)

            move, share = newton_step(inconsistency, beginning, point.inconsistency), 1.0
            while share >= _SHORTEST:
                following = respond(beginning + share * move, beta, known)
                if following.distance < (1 - 0.1 * share) * point.distance:
                    break
                share /= 2
            else:
                break
            statistic, point = beginning + share * move, following
        value = point.value
        solved.append(statistic)
    return ExploringLogit(point.policy, point.distance / float(np.linalg.norm(statistic)))
