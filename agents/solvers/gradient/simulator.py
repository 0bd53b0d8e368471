"""What policy gradients ask of a game: populations, the statistic that they make, and agents against it.

The methods need two simulators (the source's assumptions A3 and A4): of single agents against a given z, and
of the population as a whole. Both are the game: ``game.against(z)``, and the game of m agents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.softmax import SoftmaxPolicy
from karma_envs.config import refusal
from karma_envs.exchangeable import ExchangeableGame
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.mean_field import as_finite_model
from karma_envs.parametric import DifferentiablePolicy, ParametricPolicy
from karma_envs.tabulated import TabulatedGame
from karma_envs.transitions import Transitions, chunks, play_on

_PIECE = 500_000
"""Bytes of what is played at once, so that it is summed up while it is still in the cache."""

_MOST_SCORES = 2_000_000
"""Numbers of a table of scores that is made at once."""


class Simulator(ABC):
    """A game as policy gradients see it; z is ``float64[k]``, or ``float64[length, k]`` where it ends.

    Args:
        game: what is learned.

    Attributes:
        game: the game.
        model: its mean-field model, which tells how good a policy really is; None where there is none.
        family: the policy that learning starts from.
    """

    def __init__(self, game: ExchangeableGame | FiniteGame) -> None:
        self.game, self.model = game, game.mean_field()
        family = game.policy_family() or self._own_family()
        if family is None:
            raise refusal(
                "game",
                game.name,
                "a game with tables, or one that names a family of policies with parameters (policy_family)",
            )
        self.family: ParametricPolicy = family

    def _own_family(self) -> ParametricPolicy | None:
        """What is learned where the game does not say."""
        return None

    def population(self, n_agents: int) -> Any:
        """The game of so many agents; who meet a given statistic still meet it."""
        return _of_so_many(self.game, n_agents)

    @abstractmethod
    def statistic(self, population: Any, policy: Any) -> NDArray[np.float64]:
        """z of a population as it is now and plays a policy; of a game that ends, of one episode of it."""

    def against(self, statistic: NDArray[np.float64], n_agents: int) -> PopulationGame:
        """Independent agents, each against z."""
        return self.game.against(statistic, n_agents=n_agents)

    def played(self, policy: Any, game: PopulationGame) -> Any:
        """The policy as the agents of a game play it."""
        return policy

    def in_model(self, policy: Any) -> Any:
        """The policy as the mean-field model has policies."""
        return policy

    @abstractmethod
    def log_gradient(
        self,
        policy: DifferentiablePolicy,
        game: PopulationGame,
        played: Transitions,
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The sum of weight * (gradient of log pi(a | x)) over all that was played, ``float64[p]``.

        Args:
            policy: what was played.
            game: in which it was.
            played: T steps of m agents.
            weights: ``float64[T, m]``.
        """

    def steps_of_update(self, n_steps: int) -> int:
        """How many steps a population really plays where it is to play ``n_steps``: whole episodes."""
        length = self.game.length
        return n_steps if length is None else max(n_steps // length, 1) * length

    def update(self, population: Any, policy: Any, n_steps: int) -> NDArray[np.float64]:
        """Algorithm 1, MF_Update: ``n_steps`` times z <- Phi(z, pi), in which the population is z.

        The population goes on from where it is. Agents of a game that ends play as many episodes as there
        is time for, at least one, and z is the mean of their flows.
        """
        fitted = self.played(policy, population)
        if population.length is None:
            play_on(population, fitted, n_steps)
            return self.statistic(population, fitted)
        flows = []
        for _ in range(self.steps_of_update(n_steps) // population.length):
            population.begin_anew()
            flows.append(self.statistic(population, fitted))
        return np.asarray(np.mean(flows, axis=0))

    def stationary(self, population: Any, policy: Any, n_steps: int, seed: int) -> NDArray[np.float64]:
        """Algorithm 4, Stationary_MF: z of a population that starts anew and plays for ``n_steps``."""
        population.reset(np.random.default_rng(seed))
        return self.update(population, policy, n_steps)

    def payoffs(
        self, policy: Any, statistic: NDArray[np.float64], n_agents: int, horizon: int, seed: int
    ) -> NDArray[np.float64]:
        """PolicyEvaluation by Monte Carlo: the discounted payoffs of single agents against z.

        Args:
            policy: what they play.
            statistic: z.
            n_agents: m, how many trajectories there are.
            horizon: H, their steps, or as many as there are to the end of the game.
            seed: of all that is random.

        Returns:
            ``float64[m]``: sum of gamma^t r_t over t < H.
        """
        game = self.against(statistic, n_agents)
        game.reset(np.random.default_rng(seed))
        n_steps = horizon if game.length is None else min(horizon, game.length)
        totals = np.zeros((len(game.discounts), n_agents))
        for done, piece in chunks(game, self.played(policy, game), n_steps, most_bytes=_PIECE):
            weights = game.discounts[:, None] ** np.arange(done, done + len(piece))
            totals += weights.astype(np.float32) @ piece.rewards
        return totals[game.type_of_agent, np.arange(n_agents)]


class ExchangeableSimulator(Simulator):
    """Of a game that is written for one agent against a statistic."""

    game: ExchangeableGame

    def statistic(self, population: Any, policy: Any) -> NDArray[np.float64]:
        """z of the population's states and of what they do; of a game that ends the flow of an episode."""
        streams = population.policy_streams
        if population.length is None:
            actions = population.sample(policy, streams)
            return np.asarray(population.statistic(population.states, actions))
        flow = []
        while not population.is_over:
            population.step(population.sample(policy, streams))
            assert population.last_step is not None, "a step was played"
            flow.append(population.last_step.statistic)
        return np.array(flow) if len(flow) > 1 else flow[0]

    def log_gradient(
        self,
        policy: DifferentiablePolicy,
        game: PopulationGame,
        played: Transitions,
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Actions that were clipped to their bounds count as if they had been meant so."""
        total = np.zeros(len(policy.parameters))
        for observed, done, weight in zip(played.observations, played.actions, weights):
            total += weight @ policy.score(observed, done)
        return total


class FiniteSimulator(Simulator):
    """Of a game with tables, whose mean-field model tells the statistic of a population."""

    game: FiniteGame

    def __init__(self, game: FiniteGame) -> None:
        super().__init__(game)
        if self.model is None or game.length is not None:
            raise refusal("game", game.name, "one with a mean-field model and no end, where it has tables")
        self._tables = as_finite_model(self.model)

    def _own_family(self) -> ParametricPolicy:
        return SoftmaxPolicy.uniform(self.game)

    def played(self, policy: Any, game: PopulationGame) -> Any:
        """With the row of each agent's type, or the only one."""
        return policy.fitted_to(game)

    def in_model(self, policy: Any) -> NDArray[np.float64]:
        """``float64[types, X, A]``."""
        table = np.asarray(policy.probabilities, np.float64)
        return np.broadcast_to(table, (self._tables.n_types, *table.shape[1:])).copy()

    def statistic(self, population: Any, policy: Any) -> NDArray[np.float64]:
        """z by the model, of the distribution of the population's observations."""
        shape = self._tables.n_types, self._tables.n_states
        places = population.type_of_agent.astype(np.int64) * shape[1] + population.observation_index()
        counts = np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)
        mean_field = counts / counts.sum(axis=1, keepdims=True)
        return self._tables.statistic(mean_field, self.in_model(policy))

    def log_gradient(
        self,
        policy: DifferentiablePolicy,
        game: PopulationGame,
        played: Transitions,
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """As there are few pairs of observations and actions, weights are summed up by pair first."""
        rows = self.played(policy, game).row_of_agent.astype(np.int64)
        observed = rows * self._tables.n_states + played.observations[:-1]
        pairs = observed * self._tables.n_actions + played.actions
        totals = np.bincount(pairs.ravel(), weights.ravel())
        gradient = np.zeros(len(policy.parameters))
        for some in _pieces(np.flatnonzero(totals), _MOST_SCORES // len(gradient)):
            seen, done = np.divmod(some, self._tables.n_actions)
            gradient += totals[some] @ policy.score(seen, done)
        return gradient


class CellSimulator(FiniteSimulator):
    """Of a game that is seen and played on a grid."""

    game: TabulatedGame

    def population(self, n_agents: int) -> Any:
        """The game of so many agents, in as many cells."""
        return type(self.game)(_of_so_many(self.game.game, n_agents), self.game.cells)


def _of_so_many(game: PopulationGame, n_agents: int) -> Any:
    """The same game of another number of agents; who meet a given statistic still meet it."""
    if isinstance(game, ExchangeableGame) and game.given_statistic is not None:
        return game.against(game.given_statistic, n_agents=n_agents)
    return type(game)(game.config.replace(n_agents=n_agents))


def _pieces(items: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """Parts of an array, each of at most so many items, at least one."""
    for begin in range(0, len(items), max(size, 1)):
        yield items[begin : begin + max(size, 1)]


def simulator_of(game: PopulationGame) -> Simulator:
    """What policy gradients see of a game.

    Raises:
        ConfigError: for a game without ``against``, or without a family of policies.
    """
    if isinstance(game, ExchangeableGame):
        return ExchangeableSimulator(game)
    if isinstance(game, TabulatedGame):
        return CellSimulator(game)
    if isinstance(game, FiniteGame):
        return FiniteSimulator(game)
    raise refusal(
        "game", game.name, "a game of exchangeable agents, or one with tables and a mean-field model"
    )
