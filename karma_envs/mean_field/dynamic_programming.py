"""Values and best responses of a single agent in a population that behaves in a fixed way, by linear solves.

Policies, values and Q are arrays over types: ``policy[types, X, A]``, ``value[types, X]``,
``q[types, X, A]``. Illegal actions have Q = -inf.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field.chains import class_means, stationary_distribution
from karma_envs.mean_field.smoothed import smoothed_response
from karma_envs.numerics.sampling import uniform_over

if TYPE_CHECKING:
    from karma_envs.mean_field.model import FiniteMeanFieldModel

_MOST_SWEEPS = 1000
_ROUNDING = 1e-13  # of values, over the greatest of them


@dataclass(frozen=True)
class DecisionProblem:
    """What a single agent faces in a population that behaves in a fixed way: a Markov decision process.

    Solvers ask its methods, so that a problem with structure, as that of a game which ends
    (:class:`karma_envs.mean_field.finite_horizon.EpisodeProblem`), may store its kernel as it likes.

    Attributes:
        reward: ``float64[types, X, A]``, expected reward of a step.
        kernel: ``float64[types, X, A, X]``, probability of the next state; rows of legal actions sum to
            1, those of illegal ones are 0.
    """

    reward: NDArray[np.float64]
    kernel: NDArray[np.float64]

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over x' of P(x' | x, a) V(x'), ``float64[..., types, X, A]``.

        Args:
            value: V, ``float64[..., types, X]``.
        """
        return np.asarray(np.einsum("txay,...ty->...txa", self.kernel, value, optimize=True))

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a population is after a step, ``float64[..., types, X]``.

        Args:
            flow: mu(x) pi(a | x), ``float64[..., types, X, A]``.
        """
        n_states = self.kernel.shape[-1]
        rows = self.kernel.reshape(*self.kernel.shape[:-3], -1, n_states)
        return np.asarray((flow.reshape(*flow.shape[:-2], 1, -1) @ rows)[..., 0, :])

    def dense(self, *, anew: bool) -> NDArray[np.float64]:
        """The kernel as ``float64[types, X, A, X]``, whatever its storage.

        Args:
            anew: where the game ends, whether what follows is a new game, as for a population; if not, the
                last step leads nowhere, as for values. Without an end there is no difference.
        """
        return self.kernel

    def chain(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """P under a policy, ``float64[types, X, X]``; where the game ends it begins anew."""
        return np.asarray(np.einsum("txa,txay->txy", policy, self.dense(anew=True), optimize=True))

    def at_rest(
        self, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The mean field of agents who play a policy in this problem for ever, ``float64[types, X]``.

        Args:
            policy: ``float64[types, X, A]``.
            start: where they begin, which matters for a chain with several closed classes; uniform if None.
        """
        return stationary_distribution(self.chain(policy), start)

    def long_run_means(
        self, policy: NDArray[np.float64], mean_field: NDArray[np.float64], values: NDArray[np.float64]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """What agents have on average over infinitely many steps: the mean over the states they come back to.

        Args:
            policy: ``float64[types, X, A]``.
            mean_field: mu at rest, ``float64[types, X]``.
            values: what a state is worth per step, in several ways: ``float64[n, types, X]``.

        Returns:
            of each type the shares of groups of agents who come back to the same states for ever, and the
            means in each, ``float64[n, groups]``.
        """
        by_type = np.moveaxis(values, 1, 0)
        return [class_means(*each) for each in zip(self.chain(policy), mean_field, by_type)]

    def entry(self, mean_field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where an agent is whose payoff is counted, ``float64[types, X]``: anywhere in the mean field."""
        return mean_field

    def in_unit(self, unit: float) -> DecisionProblem:
        """The same with rewards told in another unit: divided by ``unit`` > 0."""
        return replace(self, reward=self.reward / unit)

    def smoothed_response(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        rationality: float,
        start: NDArray[np.float64] | None = None,
        scores: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A best response that is smooth in what the agent faces, and its value; see
        :func:`karma_envs.mean_field.smoothed.smoothed_response`.
        """
        return smoothed_response(self, discounts, legal_actions, rationality, start, scores)

    def policy_value(
        self, discounts: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """V of a policy: the solution of V = r + gamma P V, ``float64[types, X]``."""
        reward = (policy * self.reward).sum(axis=2)
        matrix = np.eye(reward.shape[1]) - discounts[:, None, None] * self.chain(policy)
        return np.asarray(np.linalg.solve(matrix, reward[..., None])[..., 0])

    def best_response(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        start: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """An optimal policy and its value, by policy iteration; see :func:`best_response`."""
        q = np.where(legal_actions, self.reward, -np.inf)
        policy = greedy(q) if start is None else start
        value = self.policy_value(discounts, policy)
        for _ in range(_MOST_SWEEPS):
            q = self.reward + discounts[:, None, None] * self.following(value)
            scale = np.abs(value).max(axis=1, keepdims=True)
            policy, improves = improved(policy, np.where(legal_actions, q, -np.inf), scale)
            if not improves:
                break
            value = self.policy_value(discounts, policy)
        return policy, value


def improved(
    policy: NDArray[np.float64], q: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """A policy with the best action wherever that is better, and whether it is so anywhere.

    Only a gain beyond rounding changes an action, so that ties cannot make policy iteration cycle.

    Args:
        policy: ``float64[types, X, A]``.
        q: ``float64[types, X, A]``, -inf where illegal.
        scale: the greatest magnitude of values, which is what rounding is told in; ``float64[types, 1]``.
    """
    current = (policy * np.where(np.isfinite(q), q, 0.0)).sum(axis=2)
    improves = q.max(axis=2) > current + _ROUNDING * scale
    return np.where(improves[..., None], greedy(q), policy), bool(improves.any())


def q_values(
    model: FiniteMeanFieldModel, problem: DecisionProblem, value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Q(x, a) = r(x, a) + gamma * sum over x' of P(x' | x, a) V(x')."""
    q = problem.reward + model.discounts[:, None, None] * problem.following(value)
    return np.asarray(np.where(model.legal_actions, q, -np.inf))


def transition_matrix(problem: DecisionProblem, policy: NDArray[np.float64]) -> NDArray[np.float64]:
    """P under a policy, ``float64[types, X, X]``."""
    return problem.chain(policy)


def policy_value(
    model: FiniteMeanFieldModel, problem: DecisionProblem, policy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """V of a policy: the solution of V = r + gamma P V, ``float64[types, X]``."""
    return problem.policy_value(model.discounts, policy)


def uniform_policy(model: FiniteMeanFieldModel) -> NDArray[np.float64]:
    """Every legal action equally likely, ``float64[types, X, A]``."""
    return np.repeat(uniform_over(model.legal_actions)[None], model.n_types, axis=0)


def greedy(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The policy that takes the best action, the lowest of several."""
    return np.asarray(np.eye(q.shape[2])[q.argmax(axis=2)])


def best_response(
    model: FiniteMeanFieldModel, problem: DecisionProblem, start: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An optimal policy and its value, exact but for rounding.

    By policy iteration (Howard 1960); where the game ends, by backward induction.

    Args:
        model: the model.
        problem: what the agent faces.
        start: a policy to begin with.

    Returns:
        ``policy[types, X, A]``, deterministic but where ``start`` is optimal, and ``value[types, X]``.
    """
    return problem.best_response(model.discounts, model.legal_actions, start)
