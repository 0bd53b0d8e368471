"""What agents see of a game of N that all play one policy per kind: own states, and what these are worth.

An agent sees its own state x only. Among N who play a policy the joint process comes to rest, and what an
action is worth to one who sees x is the mean over where the others then are:

    Q(x, a) = sum over s of mu(s | x) Q^pi(s, a),

with mu the joint distribution at rest. The policy's own-state gradient is mu(x) Q(x, a) / (1 - gamma): to
first order, an agent gains by moving to actions of greater Q, and where all that are played are of the
greatest, no small change of the policy gains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.joint import DeviatorProblem, JointModel
from karma_envs.joint.solution import at_rest, policy_value

_FAINT = 1e-10  # weight of all joint states, for what an agent seldom or never sees to be defined
_PRECISION = 1e-7  # of distributions, and of values over rewards


@dataclass(frozen=True)
class OwnStates:
    """A policy that N agents play, as each of them sees it.

    Attributes:
        policy: ``float64[kinds, X, A]``.
        masses: ``float64[kinds]``, shares of the population.
        discounts: ``float64[kinds]``.
        mean_field: mu(x), the distribution of an agent's own state, ``float64[kinds, X]``.
        q: Q(x, a), ``float64[kinds, X, A]``, minus infinity for illegal actions.
        payoff_by_kind: J, ``float64[kinds]``, discounted, from the joint distribution at rest.
        efficiency_by_kind: mean reward per agent and step, ``float64[kinds]``.
        residual: largest change of the joint distribution in one more step.
    """

    policy: NDArray[np.float64]
    masses: NDArray[np.float64]
    discounts: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    q: NDArray[np.float64]
    payoff_by_kind: NDArray[np.float64]
    efficiency_by_kind: NDArray[np.float64]
    residual: float

    @property
    def value(self) -> NDArray[np.float64]:
        """V(x), ``float64[kinds, X]``."""
        return self._worth(self.policy)

    @property
    def gain(self) -> float:
        """What moving to actions of the greatest Q gains to first order, mean over the population."""
        return self.gain_of(self.policy)

    def gain_of(self, policy: NDArray[np.float64]) -> float:
        """The same of an agent that plays another policy, ``[kinds, X, A]``, among others as here."""
        better = self.mean_field * (self.q.max(axis=2) - self._worth(policy))
        return float(self.masses @ (better.sum(axis=1) / (1 - self.discounts)))

    def _worth(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((policy * np.where(np.isfinite(self.q), self.q, 0.0)).sum(axis=2))

    @property
    def payoff(self) -> float:
        """J, mean over the population."""
        return float(self.masses @ self.payoff_by_kind)

    @property
    def efficiency(self) -> float:
        """Mean reward per agent and step."""
        return float(self.masses @ self.efficiency_by_kind)

    @property
    def gain_normalised(self) -> float:
        """``gain`` over |J|."""
        return self.gain / abs(self.payoff) if self.payoff else float(self.gain > 0)


class _Joint(NamedTuple):
    """Where everybody is and what that is worth to an agent, for the next policy to begin from."""

    measure: NDArray[np.float64]
    value: NDArray[np.float64]


class Watch:
    """Evaluates policies of a game of N agents that change little from one to the next.

    What is known of the last policy is where linear solves begin.

    Args:
        model: the game, exactly.
    """

    def __init__(self, model: JointModel) -> None:
        self._model = model
        self._last: dict[int, _Joint] = {}

    def own_states(self, policy: NDArray[np.float64]) -> OwnStates:
        """What agents see of themselves where all play ``policy[kinds, X, A]``."""
        model = self._model
        n_kinds, legal = len(model.discounts), model.legal_actions
        q = np.full((n_kinds, *legal.shape), -np.inf)
        fields = np.zeros((n_kinds, legal.shape[0]))
        payoffs, efficiencies, residuals = np.zeros((3, n_kinds))
        for kind in range(n_kinds):
            problem = model.deviator(kind, policy)
            actions = problem.played(policy[kind])
            rewards = (actions * problem.reward).sum(axis=1)
            last = self._last.get(kind, _Joint(problem.start, rewards / (1 - problem.discount)))
            measure = at_rest(problem, actions, last.measure, _PRECISION)
            value = policy_value(problem, actions, last.value, _PRECISION).value
            joint = self._last[kind] = _Joint(measure, value)
            of_state = problem.reward + problem.discount * problem.following(joint.value)
            fields[kind], q[kind][legal] = _seen(problem, joint.measure, of_state)
            efficiencies[kind] = joint.measure @ rewards
            payoffs[kind] = efficiencies[kind] / (1 - problem.discount)  # at rest every step is alike
            moved = problem.pushed(joint.measure[:, None] * actions) - joint.measure
            residuals[kind] = np.abs(moved).max()
        residual = float(residuals.max())
        return OwnStates(policy, model.masses, model.discounts, fields, q, payoffs, efficiencies, residual)


def _seen(
    problem: DeviatorProblem, measure: NDArray[np.float64], of_state: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distribution of what an agent sees, and the mean of something there over where the others are.

    Args:
        problem: what the agent faces.
        measure: of joint states, ``float64[S]``.
        of_state: ``float64[S, A]``.

    Returns:
        ``float64[X]``, and a number for each legal action of each observation.
    """
    legal, own = problem.legal_actions, problem.own_observation
    n_seen = len(legal)
    # What is never seen is judged as if the others could be anywhere.
    weights = measure + _FAINT / len(measure)
    total = np.bincount(own, weights, n_seen)
    sums = np.stack([np.bincount(own, weights * column, n_seen) for column in of_state.T], axis=1)
    seen = sums / np.where(total > 0, total, 1.0)[:, None]
    return np.asarray(np.bincount(own, measure, n_seen), np.float64), seen[legal]
