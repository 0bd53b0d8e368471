"""Populations as a planner has them: in a distribution mu of states, told a local policy h at each step.

    r(mu, h) = sum of mu(s) h(a | s) r(s, a; z),    Phi(mu, h) = sum of mu(s) h(a | s) P(. | s, a; z),

sums over s and a, with z the statistic of (mu, h). A :class:`Population` is what a learner needs of one: to
act, and to look. There is the infinite one of a mean-field model, and the one of a game of N agents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.finite import FiniteGame, as_finite, check_endless
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.numerics.sampling import uniform_over

LocalPolicy = NDArray[np.float64]
"""h, ``float64[X, A]``: what agents do by their state, at one step."""

_TRIALS = 8
"""Random populations at which it is looked whether the statistic depends on the policy."""


class Population(Protocol):
    """A population that a planner acts on."""

    @property
    def mean_field(self) -> NDArray[np.float64]:
        """mu now, ``float64[X]``: the share of agents in each state."""

    def play(self, policy: LocalPolicy) -> float:
        """All agents play h for one step; their mean reward."""


class PopulationProblem:
    """A planner's problem in the limit of infinitely many agents: r(mu, h) and Phi(mu, h).

    Attributes:
        model: of one type.
        discount: gamma.
        is_of_states: whether what agents face depends on mu alone, and not on h; looked at in some random
            populations.

    Args:
        model: the mean-field model.

    Raises:
        ConfigError: for a model without tables, of several types, or of a game that ends.
    """

    def __init__(self, model: MeanFieldModel) -> None:
        self.model = as_finite_model(model)
        if len(model.masses) != 1:
            raise refusal("model", f"{len(model.masses)} types", "a mean-field model of one type")
        if self.model.length is not None:
            raise refusal("model", f"a game of {self.model.length} steps", "a model of a game without an end")
        self.discount = float(model.discounts[0])
        self.is_of_states = _statistic_is_of_states(self.model)

    def at(self, mean_fields: NDArray[np.float64]) -> Populations:
        """Some populations, ``float64[n, X]``, for which it can be asked what local policies do."""
        if not self.is_of_states:
            return Populations(self, mean_fields, ())
        any_policy = uniform_over(self.model.legal_actions)
        faced = [self.faced(mean_field, any_policy) for mean_field in mean_fields]
        return Populations(self, mean_fields, tuple(np.stack(tables) for tables in zip(*faced)))

    def faced(
        self, mean_field: NDArray[np.float64], policy: LocalPolicy
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """r(s, a) and P(s' | s, a) that an agent faces where all play h in mu; 0 for illegal actions."""
        problem = self.model.decision_problem(self.model.statistic(mean_field[None], policy[None]))
        return np.where(self.model.legal_actions, problem.reward[0], 0.0), problem.dense(anew=True)[0]


@dataclass(frozen=True)
class Populations:
    """Populations in given distributions of states, and what local policies do to them.

    Attributes:
        problem: of a planner.
        mean_fields: mu, ``float64[n, X]``.
        tables: ``float64[n, X, A]`` and ``float64[n, X, A, X]``, r and P that agents face, where these do not
            depend on h; else nothing.
    """

    problem: PopulationProblem
    mean_fields: NDArray[np.float64]
    tables: tuple[NDArray[np.float64], ...]

    def __getitem__(self, which: slice) -> Populations:
        """Some of them."""
        tables = tuple(table[which] for table in self.tables)
        return Populations(self.problem, self.mean_fields[which], tables)

    def outcomes(self, policies: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """r and Phi.

        Args:
            policies: h, ``float64[n, C, X, A]``, or ``float64[1, C, X, A]`` for all populations.

        Returns:
            rewards ``float64[n, C]`` and next mean fields ``float64[n, C, X]``.
        """
        n, n_candidates = len(self.mean_fields), policies.shape[1]
        if self.tables:
            reward, kernel = self.tables
            flows = (self.mean_fields[:, None, :, None] * policies).reshape(n, n_candidates, -1)
            rewards = flows @ reward.reshape(n, -1, 1)
            return rewards[..., 0], flows @ kernel.reshape(n, -1, kernel.shape[-1])
        rewards = np.empty((n, n_candidates))
        following = np.empty((n, n_candidates, self.mean_fields.shape[1]))
        for index, mean_field in enumerate(self.mean_fields):
            for candidate, policy in enumerate(policies[index % len(policies)]):
                reward, kernel = self.problem.faced(mean_field, policy)
                flow = mean_field[:, None] * policy
                rewards[index, candidate] = (flow * reward).sum()
                following[index, candidate] = np.einsum("xa,xay->y", flow, kernel)
        return rewards, following


def _statistic_is_of_states(model: FiniteMeanFieldModel) -> bool:
    """Whether the statistic depends on mu alone, whatever agents do; looked at in random populations."""
    rng = np.random.default_rng(0)
    for _ in range(_TRIALS):
        mean_field = rng.dirichlet(np.ones(model.n_states))[None]
        weights = rng.exponential(size=(2, *model.legal_actions.shape)) * model.legal_actions
        one, other = weights / weights.sum(axis=-1, keepdims=True)
        if not np.array_equal(
            model.statistic(mean_field, one[None]), model.statistic(mean_field, other[None])
        ):
            return False
    return True


class LimitPopulation:
    """Infinitely many agents, which follow Phi without noise.

    Args:
        model: of one type.
        mean_field: where they begin, ``float64[X]``; the model's own beginning if None.
    """

    def __init__(self, model: MeanFieldModel, mean_field: NDArray[np.float64] | None = None) -> None:
        self._problem = PopulationProblem(model)
        beginning = self._problem.model.initial_mean_field[0] if mean_field is None else mean_field
        self._mean_field = np.asarray(beginning, np.float64)

    @property
    def mean_field(self) -> NDArray[np.float64]:
        """mu now."""
        return self._mean_field

    def play(self, policy: LocalPolicy) -> float:
        """All agents play h for one step; r(mu, h)."""
        rewards, following = self._problem.at(self._mean_field[None]).outcomes(policy[None, None])
        # Over the sum, so that rounding of the mass is not carried on.
        self._mean_field = following[0, 0] / following[0, 0].sum()
        return float(rewards[0, 0])


class GamePopulation:
    """The N agents of a game that goes on, whose state is this one's.

    Args:
        game: begun, of one type, without an end.

    Raises:
        ConfigError: for a game without tables, with an end, or of several types.
    """

    def __init__(self, game: PopulationGame) -> None:
        self._game: FiniteGame = as_finite(game)
        check_endless(game)
        if len(game.discounts) != 1:
            raise refusal("game", f"{game.name} of {len(game.discounts)} types", "a game of one type")
        self._room = game.transitions(1)

    @property
    def mean_field(self) -> NDArray[np.float64]:
        """The share of the N agents in each state now."""
        counts = np.bincount(self._game.observation_index(), minlength=self._game.n_observations)
        return np.asarray(counts / self._game.n_agents)

    def play(self, policy: LocalPolicy) -> float:
        """All agents play h for one step; their mean reward."""
        played = self._game.rollout(self._game.policy_of(policy[None]), 1, out=self._room)
        return float(played.rewards.mean(dtype=np.float64))


@dataclass(frozen=True)
class Trajectory:
    """What became of a population under a planner.

    Attributes:
        mean_fields: ``float64[T + 1, X]``.
        policies: ``float64[T, X, A]``, what was played.
        rewards: ``float64[T]``, the mean reward of each step.
    """

    mean_fields: NDArray[np.float64]
    policies: NDArray[np.float64]
    rewards: NDArray[np.float64]

    def payoff(self, discount: float) -> float:
        """The discounted sum of the rewards."""
        return float(self.rewards @ discount ** np.arange(len(self.rewards)))


def follow(
    population: Population, planner: Callable[[NDArray[np.float64]], LocalPolicy], n_steps: int
) -> Trajectory:
    """Have a population do as a planner says, who sees mu.

    Args:
        population: it moves.
        planner: gives h of mu, such as the ``policy`` of a solution.
        n_steps: T.
    """
    mean_fields, policies, rewards = [population.mean_field], [], []
    for _ in range(n_steps):
        policies.append(planner(mean_fields[-1]))
        rewards.append(population.play(policies[-1]))
        mean_fields.append(population.mean_field)
    return Trajectory(np.array(mean_fields), np.array(policies), np.array(rewards))
