"""Agents of a finite game among infinitely many others: what each faces by itself, as a game.

In a population so large that nobody matters, and that makes a statistic z, an agent faces a Markov decision
problem (:class:`karma_envs.mean_field.DecisionProblem`). Here some agents each face one. It is the inner
problem of every mean-field method: whatever learns in a game learns a best response to z here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal, whole
from karma_envs.finite import Axis, FiniteGame, PlayedPolicy, SamplingPolicy
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel, as_finite_model
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import new_streams, next_uniform
from karma_envs.numerics.sampling import sample_actions, thresholds_of
from karma_envs.outcome import Outcome
from karma_envs.plugins import import_named
from karma_envs.states import LARGEST_COUNT, check_arrays, check_values
from karma_envs.timed import seen_by

if TYPE_CHECKING:
    from karma_envs.transitions import Transitions

_POLICY, _RULES = 0, 1  # random streams
_ROUNDING = 1.01  # room for what sums of rewards gain by rounding


@dataclass(frozen=True)
class AgainstConfig(Config):
    """Which game's agents face which statistic.

    Attributes:
        game: a game with a finite mean-field model: its class, or module:Class.
        game_config: the game's configuration, or its fields that differ from the defaults.
        statistic: z of the game's mean-field model, which the others make; empty for that of a population
            which begins and plays at random.
        n_agents: number of agents, >= 1, of types in the game's proportions (one: of the first type).

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    game: Any = None
    game_config: Any = None
    statistic: tuple[float, ...] = ()
    n_agents: int = 1

    def __post_init__(self) -> None:
        kind = self.game_type.config_class
        fields = {} if self.game_config is None else self.game_config
        if not is_list(self.statistic):
            raise refusal("statistic", self.statistic, "a list of numbers")
        self._set(
            game_config=fields if isinstance(fields, kind) else kind.from_dict(fields, "game_config"),
            statistic=tuple(real("statistic", number) for number in self.statistic),
            n_agents=whole("n_agents", self.n_agents, 1, 10**8),
        )

    @property
    def game_type(self) -> type[FiniteGame]:
        """The class of the game."""
        allowed = "the class of a game with finite observations and actions, or module:Class"
        game = self.game if isinstance(self.game, type) else import_named("game", str(self.game), allowed)
        if not (isinstance(game, type) and issubclass(game, FiniteGame)):
            raise refusal("game", self.game, allowed)
        return game


class Population(NamedTuple):
    """The state of the agents.

    Attributes:
        position: ``int64[N]``, the state x that each agent is in, its tabular observation.
        reward_total: ``float64[N]``.
        steps: ``int64[1]``, since reset.
        elapsed: ``int64[1]``, the same since the game last began.
        streams: ``uint64[2]``: what policies draw from, and what becomes of agents.
    """

    position: NDArray[np.int64]
    reward_total: NDArray[np.float64]
    steps: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    streams: NDArray[np.uint64]


@kernel
def _move(population, kind, reward, cumulative, actions, rewards):  # type: ignore[no-untyped-def]
    """One step of all agents.

    Args:
        population: changed.
        kind: ``uint8[N]``, the agents' types.
        reward: ``float64[types, X, A]``.
        cumulative: ``float64[types, X, A, X]``, distribution functions of the next state.
        actions: ``int[N]``, legal ones.
        rewards: ``float32[N]``, written.
    """
    position, last = population.position, cumulative.shape[3] - 1
    for agent in range(position.shape[0]):
        row = cumulative[kind[agent], position[agent], actions[agent]]
        earned = reward[kind[agent], position[agent], actions[agent]]
        # The first state whose distribution function is above the draw, by bisection.
        draw = next_uniform(population.streams, _RULES)
        low, high = 0, last
        while low < high:
            middle = (low + high) >> 1
            if row[middle] > draw:
                high = middle
            else:
                low = middle + 1
        position[agent] = low
        rewards[agent] = earned
        population.reward_total[agent] += earned
    population.steps[0] += 1
    population.elapsed[0] += 1


@kernel(allocates=True)
def _play(population, kind, reward, cumulative, thresholds, rows, played, actions, rewards):  # type: ignore[no-untyped-def]
    """As many steps of a policy as ``actions[T, N]`` has room for; all three of ``played`` … are written."""
    played[0] = population.position
    taken = np.empty(population.position.shape[0], np.int64)
    for step in range(actions.shape[0]):
        sample_actions(thresholds, rows, population.position, population.streams, _POLICY, taken)
        actions[step] = taken
        _move(population, kind, reward, cumulative, taken, rewards[step])
        played[step + 1] = population.position


class AgainstPopulation(FiniteGame):
    """Agents of a game, each among infinitely many others that make a given statistic.

    Rewards are expectations, as the decision problem has them. Agents observe, as numbers, where they are
    along each axis of the game's observations, from 0 to 1, and their type, one-hot, where there are several.
    They are independent of each other: many agents are many samples. :meth:`FiniteGame.against` makes it.
    Of a game that ends the statistic is a flow, and agents observe the step besides.

    Args:
        config: the configuration; None where ``fields`` are all of it.
        **fields: fields of the configuration that differ from it.

    Attributes:
        problem: what they face.

    Raises:
        ConfigError: for a game without a finite mean-field model, or a statistic that is none of it.
    """

    name = "against_population"
    config_class = AgainstConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    config: AgainstConfig

    def __init__(self, config: AgainstConfig | None = None, **fields: Any) -> None:
        self.config = config = AgainstConfig(**fields) if config is None else config.replace(**fields)
        game = config.game_type(config.game_config)
        model = game.mean_field()
        if model is None:
            raise refusal("game", game.name, "a game with a mean-field model")
        self._model = as_finite_model(model)
        self._game = game = seen_by(game, self._model.n_states)
        self.length = self._model.length
        self._statistic = own = self._model.initial_statistic
        if config.statistic:
            self._statistic = np.array(config.statistic)
        if self._statistic.shape != own.shape:
            raise refusal("statistic", config.statistic, f"{len(own)} numbers, or none")
        self.problem = problem = self._model.decision_problem(self._statistic)
        self.n_agents = config.n_agents
        # Evenly spaced among the game's agents, so that types come in its proportions.
        alike = np.arange(self.n_agents) * game.n_agents // self.n_agents
        self.type_of_agent, self.discounts = game.type_of_agent[alike], game.discounts
        self._reachable = game.reachable()[alike]
        self.legal_actions = self._model.legal_actions
        self.n_observations, self.n_actions = self.legal_actions.shape
        legal_rewards = problem.reward[:, self.legal_actions]
        self.reward_bounds = float(legal_rewards.min()), float(legal_rewards.max())
        self._features = _features(game.axes, len(self.discounts))
        self.observation_space = Box(0.0, 1.0, self._features.shape[2:], np.float32)
        cumulative = np.cumsum(problem.dense(anew=True), axis=3)
        # Rounding must not leave a draw, which is below 1, above the whole row.
        self._cumulative = np.where(cumulative >= cumulative[..., -1:], 1.0, cumulative)
        self._population: Population | None = None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The game's."""
        return self._game.axes

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """The game's."""
        return self._game.action_features

    def reachable(self) -> NDArray[np.bool_]:
        """``bool[N, X]``: as in the game."""
        return self._reachable

    @property
    def population(self) -> Population:
        """The state of the agents; not to be written.

        Raises:
            RuntimeError: before the first reset.
        """
        if self._population is None:
            raise RuntimeError("the game has not begun: call reset(rng) first")
        return self._population

    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew, in the model's initial mean field; where the game ends, at its start."""
        position = np.empty(self.n_agents, np.int64)
        beginning = self.problem.entry(self._model.initial_mean_field)
        for kind, start in enumerate(beginning[: len(self.discounts)]):
            alike = self.type_of_agent == kind
            position[alike] = rng.choice(self.n_observations, size=int(alike.sum()), p=start)
        self._population = Population(
            position,
            np.zeros(self.n_agents),
            np.zeros(1, np.int64),
            np.zeros(1, np.int64),
            new_streams(rng, 2),
        )

    @property
    def elapsed(self) -> int:
        """Steps since the game last began."""
        return int(self.population.elapsed[0])

    def begin_anew(self) -> None:
        """After the end, in which agents were put where the next game begins; totals go on."""
        self.population.elapsed[:] = 0

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """One step of each agent; see the base."""
        self.check_not_over()
        population, taken = self.population, self.actions_of(actions)
        _, replaced = self.admissible(taken)
        if replaced is not None:
            agent = int(replaced.argmax())
            raise IllegalActionError(
                f"agent {agent} takes action {taken[agent]}, which is illegal in observation "
                f"{population.position[agent]}"
            )
        rewards = np.empty(self.n_agents, np.float32)
        _move(population, self.type_of_agent, self.problem.reward, self._cumulative, taken, rewards)
        return rewards

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        """Play a policy for as many steps as ``out`` has room for; see the base."""
        _play(
            self.population,
            self.type_of_agent,
            self.problem.reward,
            self._cumulative,
            policy.thresholds,
            policy.row_of_agent,
            out.observations,
            out.actions,
            out.rewards,
        )

    def observation_index(self) -> NDArray[np.int64]:
        """``int64[N]``: each agent's tabular observation; a new array."""
        return self.population.position.copy()

    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d]``: where agents are along each axis, and their types; a new array."""
        return self._features[self.type_of_agent, self.population.position]

    def outcome(self) -> Outcome:
        """Totals since reset; every step counts."""
        steps = int(self.population.steps[0])
        return Outcome(steps, self.population.reward_total.copy(), np.full(self.n_agents, steps, np.int64))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All arrays that make up the state, random streams included; copies."""
        return {name: array.copy() for name, array in self.population._asdict().items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`; see the base."""
        n = self.n_agents
        count = np.zeros(1, np.int64)
        like = Population(np.zeros(n, np.int64), np.zeros(n), count, count, np.zeros(2, np.uint64))
        check_arrays("game", state, like._asdict())
        check_values("game", state, {"steps": (0, LARGEST_COUNT)})
        most_elapsed = min(int(state["steps"][0]), self.length or LARGEST_COUNT)
        check_values("game", state, {"elapsed": (0, most_elapsed)})
        most = int(state["steps"][0]) * _ROUNDING * np.abs(self.reward_bounds).max()
        check_values("game", state, {"position": (0, self.n_observations - 1), "reward_total": (-most, most)})
        self._population = Population(**{name: array.copy() for name, array in state.items()})

    def mean_field(self, *, by_agent: bool = False) -> AloneModel:
        """The decision problem itself: in the limit, too, agents do not matter to each other."""
        model = self._model
        return AloneModel(self.problem, model, model.initial_mean_field, self._statistic)

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """A best response."""
        best = self.mean_field().best_response(self._statistic)
        policy = PlayedPolicy(thresholds_of(best), self.type_of_agent.astype(np.int32))
        return {"best response": (self.fresh(), policy)}


class AloneModel(FiniteMeanFieldModel):
    """Agents whose decision problem is the same whatever they do.

    Args:
        problem: of some or all types of a model.
        model: tells what is legal, and the types' shares and discounts.
        initial_mean_field: ``float64[types, X]``, of the types of ``problem``, the first ones of the model.
        statistic: what the others make.
    """

    def __init__(
        self,
        problem: DecisionProblem,
        model: FiniteMeanFieldModel,
        initial_mean_field: NDArray[np.float64],
        statistic: NDArray[np.float64],
    ) -> None:
        n_types = len(problem.reward)
        self._problem, self._statistic = problem, statistic
        self.masses = model.masses[:n_types] / model.masses[:n_types].sum()
        self.discounts, self.legal_actions = model.discounts[:n_types], model.legal_actions
        self.length, self._discounted_length = model.length, model.discounted_length
        self.initial_mean_field = initial_mean_field

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the others make."""
        return self._statistic

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        """The same for every statistic."""
        return self._problem

    @property
    def discounted_length(self) -> float:
        """That of the model."""
        return self._discounted_length


def _features(axes: tuple[Axis, ...], n_types: int) -> NDArray[np.float32]:
    """What agents observe, as numbers in [0, 1]: ``float32[types, X, d]``."""
    shape = tuple(len(axis.values) for axis in axes)
    places = np.indices(shape).reshape(len(shape), -1).T / np.maximum(np.subtract(shape, 1), 1)
    if n_types == 1:
        return places[None].astype(np.float32)
    kinds = np.broadcast_to(np.eye(n_types)[:, None], (n_types, len(places), n_types))
    return np.concatenate([np.broadcast_to(places, (n_types, *places.shape)), kinds], axis=2).astype(
        np.float32
    )
