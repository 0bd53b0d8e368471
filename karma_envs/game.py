"""The contract of a population game: N agents, arrays in and out; every view is made from this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from karma_envs.actions import IllegalActionError as IllegalActionError
from karma_envs.actions import UniformPolicy, action_limits, as_actions
from karma_envs.config import Config
from karma_envs.moved import old_names
from karma_envs.outcome import EFFICIENCY, REWARD_FAIRNESS, Metric, Outcome
from karma_envs.states import check_arrays as check_arrays  # where games of users look for it
from karma_envs.transitions import Transitions

if TYPE_CHECKING:
    from karma_envs.mean_field import MeanFieldModel
    from karma_envs.parametric import ParametricPolicy
    from karma_envs.tabulated import Grid

LARGEST_RETURN = 1e27
"""Returns, at most ``max|r| / (1 - gamma)``, that learning in single precision has room for."""


class PolicyError(ValueError):
    """A policy that does not fit the game: its shape, or an illegal action with probability > 0."""


class Policy(Protocol):
    """What agents do who observe numbers: all that a game asks of a policy, unless it says otherwise."""

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """An action for each agent.

        Args:
            observations: ``float32[N, d]``.
            streams: random streams (:mod:`karma_envs.numerics.random`); all is drawn from the first, which
                advances.

        Returns:
            ``[N, ...]``, each of the shape of the game's action space.
        """


Baseline = Callable[[Any], Any]
"""A function of a game that gives a policy for all of its agents."""


class PopulationGame(ABC):
    """N agents that act at once, in arrays, whatever they observe and do.

    A game is made from a configuration and holds its state from ``reset`` on. It goes on without an end, or
    is over for all agents at once after ``length`` steps. A game with finite observations and actions is a
    :class:`karma_envs.finite.FiniteGame`.

    Attributes:
        name: the game's name in the registry.
        config_class: the configuration's class.
        presets: named configurations, as the fields they change.
        learner: the kind of learner that trains it unless told otherwise.
        trained_with: how the game's source trains it: fields of the learner and of the run that differ
            from the defaults, by preset; under "" those of every preset.
        exchangeable: whether agents of one type face the same, so that evaluators may pool what they learn
            from them; not where agents of one type have paths of their own.
        cooperative: whether all agents want the mean reward of all.
        VERSION: of the ids of the game's environments; raised when a change alters trajectories.
        metrics: what is measured, in the order of reports; the first is the one that is looked at first.
        baselines: simple policies to compare with and to fill a population with, by name.
        picture: the module that holds the ``Painter`` of the game's pictures, beside the game, see
            :mod:`karma_envs.rendering`; None for a game without pictures.
        config: the configuration.
        n_agents: N.
        type_of_agent: ``uint8[N]``.
        discounts: ``float64[types]``, discount factor of each type.
        observation_space: of one agent, a Box of ``float32[d]``.
        action_space: of one agent: Discrete, or a Box of ``float32``.
        reward_bounds: the smallest and the largest reward of a step; may be infinite.
        length: steps after which the game is over; None: it has no end.
        followed: the agent that pictures show besides the population, where they can; None for nobody.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[Config]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    learner: ClassVar[str] = "tabular"
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    exchangeable: ClassVar[bool] = True
    cooperative: bool = False
    VERSION: ClassVar[int] = 0
    metrics: ClassVar[tuple[Metric, ...]] = (EFFICIENCY, REWARD_FAIRNESS)
    baselines: ClassVar[Mapping[str, Baseline]] = {"random": lambda game: game.uniform_policy()}
    picture: ClassVar[str | None] = None

    config: Config
    n_agents: int
    type_of_agent: NDArray[np.uint8]
    discounts: NDArray[np.float64]
    observation_space: Box
    action_space: Discrete[Any] | Box
    reward_bounds: tuple[float, float]
    length: int | None = None
    followed: int | None = None

    @abstractmethod
    def __init__(self, config: Any = None, **fields: Any) -> None:
        """Make a game of a configuration (None: the defaults), some of its fields changed."""

    def fresh(self) -> Self:
        """Another game of the same configuration, not yet begun."""
        return type(self)(self.config)

    @abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew: a fresh state and random streams, seeded from ``rng``; all totals are 0."""

    @abstractmethod
    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """One step.

        Args:
            actions: ``[N, ...]``, of all agents, all legal.

        Returns:
            ``float32[N]``: a new array of rewards.

        Raises:
            IllegalActionError: when an action is not legal; nothing has changed then.
            RuntimeError: when the game is over.
        """

    @abstractmethod
    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d]`` within the observation space: what each agent observes; a new array."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Totals since reset, for the metrics; new arrays."""

    @abstractmethod
    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All arrays that make up the state, random streams included; copies."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`, of a game with the same configuration.

        Raises:
            ValueError: when a name, shape or dtype differs, or for values that no game with this
                configuration has; nothing has changed then.
        """

    # --- of a game with an end -------------------------------------------------------------------------

    @property
    def elapsed(self) -> int:
        """Steps since the game last began, which is part of the state; asked only where there is an end."""
        raise NotImplementedError(f"{type(self).__name__} has an end: its state must tell the steps played")

    @property
    def is_over(self) -> bool:
        """Whether there is no further step before the game begins anew."""
        return self.length is not None and self.elapsed == self.length

    def check_not_over(self) -> None:
        """Refuse a step after the end, for :meth:`step` of a game that has one.

        Raises:
            RuntimeError: when the game is over.
        """
        if self.is_over:
            raise RuntimeError(f"the game is over after {self.length} steps: call reset(rng) or begin_anew()")

    def begin_anew(self) -> None:
        """After the end, a fresh start, drawn from the game's own random streams; totals go on."""
        raise NotImplementedError(f"{type(self).__name__} has an end: it must say how it begins anew")

    # --- actions ---------------------------------------------------------------------------------------

    def actions_of(self, values: Any) -> NDArray[Any]:
        """The actions of all agents as one new array, of an array or of a value for each.

        Args:
            values: an array, or a sequence of N numbers, arrays or tensors. Whole numbers beyond int64 become
                its bounds, which are as illegal.

        Returns:
            ``int64[N]`` where actions are numbered, else ``float32[N, ...]`` of the action space's shape.

        Raises:
            IllegalActionError: when they are not N such values, or not finite.
        """
        return as_actions(values, self.n_agents, self.action_space)

    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """What is played where actions may be any: the nearest in the action space.

        Args:
            actions: ``[N, ...]``, of :meth:`actions_of`.

        Returns:
            legal actions, a new array; and whose was replaced, ``bool[N]``, or None for nobody's.
        """
        played = np.clip(actions, *action_limits(self.action_space)).astype(actions.dtype, copy=False)
        replaced = (played != actions).reshape(self.n_agents, -1).any(axis=1)
        return played, replaced if replaced.any() else None

    def action_mask(self) -> NDArray[np.int8] | None:
        """Which actions are legal now.

        Returns:
            ``int8[N, n_actions]``, 1 where an action is legal, a new array; None where actions are not
            numbered. As it stands here, all numbered actions are always legal.
        """
        if isinstance(self.action_space, Box):
            return None
        return np.ones((self.n_agents, int(self.action_space.n)), np.int8)

    # --- playing a policy ------------------------------------------------------------------------------

    def check_policy(self, policy: Any) -> None:
        """Refuse a policy that cannot be played here.

        Raises:
            PolicyError: naming what does not fit.
        """
        if not callable(getattr(policy, "act", None)):
            raise PolicyError(
                f"a policy for the game {self.name} has act(observations, streams); this is {policy!r}"
            )

    def fitted(self, policy: Any) -> Any:
        """The policy as all agents of this game play it, checked; where one row is enough, of one row.

        Raises:
            PolicyError: when it does not fit the game.
        """
        self.check_policy(policy)
        return policy

    def uniform_policy(self) -> Any:
        """Every action that is legal, with the same probability.

        Raises:
            ConfigError: where actions have no bounds.
        """
        return UniformPolicy(self.action_space)

    @property
    def policy_streams(self) -> NDArray[np.uint64]:
        """``uint64[1]``, of the state itself: a stream that nothing but rollouts draws from, the actions."""
        raise NotImplementedError(
            f"{type(self).__name__} must say which stream its rollouts draw actions from"
        )

    def sample(self, policy: Any, streams: NDArray[np.uint64]) -> NDArray[Any]:
        """What agents do now under a policy.

        Args:
            policy: one that fits the game.
            streams: ``uint64[n]``; drawn from ``streams[0]``, which advances.

        Returns:
            ``[N, ...]``, legal actions.
        """
        actions = self.actions_of(policy.act(self.observations(), streams))
        return self.admissible(actions)[0]

    def transitions(self, n_steps: int) -> Transitions:
        """Room for transitions of this game, of its own dtypes and shapes."""
        return Transitions.empty(n_steps, self.n_agents, *self._columns())

    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        """Play a policy on. If the game is over it begins anew first; where it ends, the rollout ends.

        Args:
            policy: what the agents play, fixed for all steps.
            n_steps: T >= 1.
            out: where to write; its first T steps are overwritten. A new one if None.

        Returns:
            the transitions: T steps, or as many as there are to the end of the game.

        Raises:
            PolicyError: when the policy does not fit the game.
            ValueError: when T steps do not fit in ``out``.
        """
        self.check_policy(policy)
        out = self._room(n_steps, out)
        if self.is_over:
            self.begin_anew()
        if self.length is not None:
            out = out.first(min(n_steps, self.length - self.elapsed))
        self.play(policy, out)
        return replace(out, ended=self.is_over)

    def play(self, policy: Any, out: Transitions) -> None:
        """Play a policy for as many steps as ``out`` has room for, and write them there.

        Args:
            policy: one that :meth:`check_policy` accepts.
            out: of this game's dtypes and shapes; the game is not over before its last step.
        """
        out.observations[0] = self._observed()
        for step in range(len(out)):
            actions = self.sample(policy, self.policy_streams)
            out.actions[step] = actions
            out.rewards[step] = self.step(actions)
            out.observations[step + 1] = self._observed()

    def _columns(self) -> tuple[Any, Any]:
        """An observation and an action of one agent as they stand in transitions: dtypes with shapes."""
        space = self.action_space
        action = (np.float32, space.shape) if isinstance(space, Box) else np.uint16
        return (np.float32, self.observation_space.shape), action

    def _observed(self) -> NDArray[Any]:
        """What each agent observes, as it stands in transitions."""
        return self.observations()

    def _room(self, n_steps: int, out: Transitions | None) -> Transitions:
        """The first ``n_steps`` of ``out``, checked; new room for them if None."""
        if out is None:
            out = self.transitions(max(n_steps, 0))
        out.check(self.n_agents, *self._columns())
        return out.first(n_steps)

    # --- what there is to tell and to compare with -----------------------------------------------------

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """What outcomes are compared with, by name: a game that is like this one, and a policy for it."""
        return {}

    def policy_family(self) -> ParametricPolicy | None:
        """The family that gradient methods move in, at the parameters they start from; None: none suits."""
        return None

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """The game's limit for N to infinity; None if there is no such model.

        Args:
            by_agent: make every agent a type, for agents with policies of their own; N times the memory.
        """
        return None

    @classmethod
    def mean_field_of(cls, config: Any) -> MeanFieldModel | None:
        """:meth:`mean_field` of a configuration's game, without the game where it can be had so."""
        return cls(config).mean_field()

    def cell_model(self, observed: Grid, taken: Grid, *, by_agent: bool = False) -> MeanFieldModel | None:
        """:meth:`mean_field` of the game where observations and actions are the nearest points of grids."""
        return None

    @property
    def type_names(self) -> tuple[str, ...]:
        """Names of the types for tables and figures: their number, from 0 as in data, and what differs."""
        names = [f" (discount {discount:g})" for discount in self.discounts]
        differ = len({*names}) > 1
        return tuple(f"type {number}{name if differ else ''}" for number, name in enumerate(names))

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """What happened since reset to each part of the game, as the columns of tables by name.

        As it stands here one table, ``agents``, with their types and mean rewards per step.
        """
        outcome = self.outcome()
        agents: dict[str, NDArray[Any]] = {
            "agent": np.arange(self.n_agents),
            "type": self.type_of_agent,
            "reward": outcome.rewards / max(outcome.steps, 1),
        }
        return {"agents": agents}

    def record(self) -> dict[str, float]:
        """What is written down while training besides the metrics: numbers of now, by column."""
        return {}

    def distributions(self) -> dict[str, dict[str, NDArray[Any]]]:
        """How agents are spread now, which is written down while training: the columns of tables by name.

        A table has a row for each place or value where there is somebody, and a column ``share``: of the
        agents.
        """
        return {}

    def conserved(self) -> Mapping[str, float]:
        """Totals that no step changes, by name: of a karma economy its karma, wherever it is.

        Nothing by default; a game whose agents hold karma must say what becomes of it.
        """
        return {}

    def scene(self) -> dict[str, Any]:
        """What a renderer draws of the last step; read only."""
        return {}


__getattr__ = old_names(__name__)
