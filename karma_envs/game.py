"""The contract of a population game: N agents, arrays in and out; every view is made from this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config
from karma_envs.metrics import Outcome
from karma_envs.numerics.sampling import NEVER, padded_width
from karma_envs.states import check_arrays as check_arrays  # where games of users look for it

LARGEST_RETURN = 1e27
"""Returns, at most ``max|r| / (1 - gamma)``, that learning in single precision has room for."""

MOST_INDICES = 65535
"""Observations, and actions, that a game may have, so that ``uint16`` numbers them in transitions."""


class IllegalActionError(ValueError):
    """An action that the game's rules do not allow in the agent's state."""


class PolicyError(ValueError):
    """A policy that does not fit the game: its shape, or an illegal action with probability > 0."""


class SamplingPolicy(Protocol):
    """What a rollout needs of a policy: tables to draw from (``agents.TabularPolicy`` has them)."""

    @property
    def thresholds(self) -> NDArray[np.uint16]:
        """``uint16[rows, observations, width]``, see :func:`karma_envs.numerics.sampling.thresholds_of`."""

    @property
    def row_of_agent(self) -> NDArray[np.int32]:
        """``int32[N]``: the row that each agent plays."""


@dataclass(frozen=True)
class Transitions:
    """What happened in T steps, by column (the Thesis' data buffer, section 3.2).

    Attributes:
        observations: ``uint16[T+1, N]``, tabular observation of each agent before each step, and
            after the last.
        actions: ``uint16[T, N]``.
        rewards: ``float32[T, N]``.
    """

    observations: NDArray[np.uint16]
    actions: NDArray[np.uint16]
    rewards: NDArray[np.float32]

    @classmethod
    def empty(cls, n_steps: int, n_agents: int) -> Transitions:
        """Room for ``n_steps`` steps of ``n_agents`` agents."""
        return cls(
            np.empty((n_steps + 1, n_agents), np.uint16),
            np.empty((n_steps, n_agents), np.uint16),
            np.empty((n_steps, n_agents), np.float32),
        )

    @classmethod
    def room(cls, out: Transitions | None, n_steps: int, n_agents: int) -> Transitions:
        """The first ``n_steps`` steps of ``out``, or new room for them if None.

        Raises:
            ValueError: when they do not fit in ``out``, or when there is no step.
        """
        out = cls.empty(n_steps, n_agents) if out is None else out
        out.check(n_agents)
        if not 1 <= n_steps <= len(out):
            raise ValueError(
                f"n_steps = {n_steps} do not fit in out, which has room for {len(out)} steps; "
                "at least one step must be played"
            )
        return out[:n_steps]

    def check(self, n_agents: int) -> None:
        """Refuse arrays that kernels would read or write beyond their ends, or in which numbers wrap.

        Raises:
            ValueError: naming the array.
        """
        n_steps = len(self)
        for name, dtype, length in (
            ("observations", np.uint16, n_steps + 1),
            ("actions", np.uint16, n_steps),
            ("rewards", np.float32, n_steps),
        ):
            array = getattr(self, name)
            if array.shape != (length, n_agents) or array.dtype != dtype:
                raise ValueError(
                    f"transitions of {n_steps} steps of {n_agents} agents have {name} "
                    f"{np.dtype(dtype)}[{length}, {n_agents}]; these are {array.dtype}{list(array.shape)}"
                )

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, steps: slice) -> Transitions:
        """The first ``steps.stop`` steps, as views on the same arrays (only ``[:n]`` is allowed)."""
        if steps.start not in (None, 0) or steps.step not in (None, 1):
            raise IndexError("transitions can only be cut as [:n]")
        n_steps = len(range(*steps.indices(len(self))))
        return Transitions(self.observations[: n_steps + 1], self.actions[:n_steps], self.rewards[:n_steps])


def whole_actions(actions: NDArray[np.integer[Any]], n_agents: int) -> NDArray[np.int64]:
    """Actions as ``int64[N]``, a new array.

    Raises:
        IllegalActionError: when they are not ``n_agents`` whole numbers that fit in 64 bits.
    """
    array = np.asarray(actions)
    if array.shape != (n_agents,) or array.dtype.kind not in "iu":
        raise IllegalActionError(
            f"actions must be {n_agents} whole numbers; these are {array.dtype}{list(array.shape)}"
        )
    if array.dtype == np.uint64 and n_agents and array.max() >= 2**63:
        raise IllegalActionError(f"agent {array.argmax()} takes action {array.max()}, which no game has")
    return array.astype(np.int64)


class PopulationGame(ABC):
    """N agents that act at once, in arrays.

    A game is made from a configuration and holds its state from ``reset`` on. Observations and
    actions are finite: an agent in tabular observation x may take the actions that
    ``legal_actions[x]`` marks; action 0 is always legal.

    Attributes:
        name: the game's name in the registry.
        title: CamelCase name for ids such as ``karma_envs/Matching-v0``.
        config_class: the configuration's class.
        presets: named configurations, as the fields they change.
        trained_with: how the game's source trains it: fields of the learner and of the run that differ
            from the defaults, by preset; under "" those of every preset.
        exchangeable: whether agents of one type face the same, so that evaluators may pool what they learn
            from them; not where agents of one type have paths of their own.
        picture: the module that holds the ``Painter`` of the game's pictures, beside the game, see
            :mod:`karma_envs.rendering`; None for a game without pictures.
        config: the configuration.
        n_agents: N.
        n_observations: number of tabular observations.
        n_actions: number of actions, legal or not.
        legal_actions: ``bool[n_observations, n_actions]``.
        type_of_agent: ``uint8[N]``.
        discounts: ``float64[types]``, discount factor of each type.
        observation_bounds: ``(low, high)``, each ``float32[d]``.
        best_reward: the largest reward of a step; ``worst_reward``: the smallest.
        followed: the agent that pictures show besides the population, where they can; None for nobody.
        urgency_of_observation: ``int64[n_observations]``, in karma games: which of its type's urgencies an
            agent has in an observation, -1 for none; None in games without.
        bid_of_action: ``int64[n_actions]``, in karma games: the bid that an action makes; None in games
            without.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config_class: ClassVar[type[Config]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    exchangeable: ClassVar[bool] = True
    picture: ClassVar[str | None] = None

    config: Config
    n_agents: int
    n_observations: int
    n_actions: int
    legal_actions: NDArray[np.bool_]
    type_of_agent: NDArray[np.uint8]
    discounts: NDArray[np.float64]
    observation_bounds: tuple[NDArray[np.float32], NDArray[np.float32]]
    best_reward: float
    worst_reward: float
    followed: int | None = None
    urgency_of_observation: NDArray[np.int64] | None = None
    bid_of_action: NDArray[np.int64] | None = None
    _policy_checked: tuple[object, ...] = ()

    @abstractmethod
    def __init__(self, config: Any = None, **fields: Any) -> None:
        """Make a game of a configuration (None: the defaults), some of its fields changed."""

    @abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew: a fresh state and random streams, seeded from ``rng``."""

    @abstractmethod
    def step(self, actions: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """One step with ``actions[N]``, all legal.

        Returns:
            ``float32[N]``: a new array of rewards.

        Raises:
            IllegalActionError: when an action is not legal; nothing has changed then.
        """

    @abstractmethod
    def rollout(self, policy: SamplingPolicy, n_steps: int, out: Transitions | None = None) -> Transitions:
        """Play ``policy`` for ``n_steps`` steps.

        Args:
            policy: what the agents play, fixed for all steps.
            n_steps: T >= 1.
            out: where to write; its first T steps are overwritten. A new one if None.

        Returns:
            the transitions.

        Raises:
            PolicyError: when the policy does not fit the game.
        """

    @abstractmethod
    def observation_index(self) -> NDArray[np.int64]:
        """``int64[N]``: each agent's tabular observation; a new array."""

    @abstractmethod
    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d]`` within ``observation_bounds``: the same in numbers; a new array."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Totals since reset, for the metrics; new arrays."""

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """What happened since reset to each part of the game, as the columns of tables by name.

        By default one table, ``agents``: mean reward, accesses and contests per step, and karma now.
        """
        outcome = self.outcome()
        steps = max(outcome.steps, 1)
        agents: dict[str, NDArray[Any]] = {
            "agent": np.arange(self.n_agents),
            "type": self.type_of_agent,
            "reward": outcome.rewards / steps,
            "accesses": outcome.accesses / steps,
            "contests": outcome.contests / steps,
            "karma": outcome.karma,
        }
        return {"agents": agents}

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

    @abstractmethod
    def scene(self) -> dict[str, Any]:
        """What a renderer draws of the last step; read only."""

    @property
    def type_names(self) -> tuple[str, ...]:
        """Names of the types for tables and figures: their number, from 0 as in data, and what differs."""
        discounts = [f" (discount {discount:g})" for discount in self.discounts]
        return tuple(
            f"type {number}" + (discount if len({*discounts}) > 1 else "")
            for number, discount in enumerate(discounts)
        )

    def observation_values(self) -> dict[str, NDArray[Any]]:
        """What observations mean to each type, for tables: numbers ``[types, n_observations]`` by name.

        By default nothing but their own numbers.
        """
        return {}

    def conserved(self) -> Mapping[str, float]:
        """Totals that no step changes, by name: of a karma economy its karma, wherever it is.

        Nothing by default; a game whose agents hold karma must say what becomes of it.
        """
        return {}

    def truthful_actions(self) -> NDArray[np.int64] | None:
        """``int64[types, n_observations]``: the legal action that reports an agent's need truthfully.

        None where the game has none, as by default.
        """
        return None

    def reachable(self) -> NDArray[np.bool_]:
        """``bool[N, n_observations]``: the tabular observations that an agent may be in; by default all."""
        return np.ones((self.n_agents, self.n_observations), bool)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """The game's limit for N to infinity; None if there is no such model.

        Args:
            by_agent: make every agent a type of its own, for populations whose agents play policies of
                their own; the model then takes N times the memory.
        """
        return None

    def action_mask(self) -> NDArray[np.int8]:
        """``int8[N, n_actions]``: 1 where an action is legal now; a new array."""
        return self.legal_actions.view(np.int8).take(self.observation_index(), axis=0)

    def check_policy(self, policy: SamplingPolicy) -> None:
        """Refuse a policy that cannot be played here; a policy that was accepted is not read again.

        Raises:
            PolicyError: naming what does not fit.
        """
        thresholds, row_of_agent = policy.thresholds, policy.row_of_agent
        if len(self._policy_checked) == 2 and (
            thresholds is self._policy_checked[0] and row_of_agent is self._policy_checked[1]
        ):
            return
        expected = (self.n_observations, padded_width(self.n_actions))
        if thresholds.ndim != 3 or thresholds.shape[1:] != expected or thresholds.dtype != np.uint16:
            raise PolicyError(
                f"a policy for this game has {self.n_observations} observations and {self.n_actions} "
                f"actions; this one's thresholds are {thresholds.dtype}{list(thresholds.shape)}, not "
                f"uint16[rows, {expected[0]}, {expected[1]}]"
            )
        if not thresholds.flags.c_contiguous:
            raise PolicyError("a policy's thresholds must be contiguous in memory; these are not")
        if row_of_agent.dtype.kind not in "iu":
            raise PolicyError(f"row_of_agent must be whole numbers; it is {row_of_agent.dtype}")
        if row_of_agent.shape != (self.n_agents,):
            raise PolicyError(
                f"the policy names rows for {len(row_of_agent)} agents; the game has {self.n_agents}"
            )
        if len(row_of_agent) and not 0 <= row_of_agent.min() <= row_of_agent.max() < len(thresholds):
            raise PolicyError(
                f"row_of_agent has values {row_of_agent.min()} … {row_of_agent.max()}; "
                f"allowed: 0 … {len(thresholds) - 1}"
            )
        self._check_legality(thresholds)
        self._policy_checked = (thresholds, row_of_agent)

    def _check_legality(self, thresholds: NDArray[np.uint16]) -> None:
        check_thresholds(thresholds, self.legal_actions)


def check_thresholds(thresholds: NDArray[np.uint16], legal_actions: NDArray[np.bool_]) -> None:
    """Refuse tables that no policy is drawn from: :mod:`karma_envs.numerics.sampling` says what they are.

    Args:
        thresholds: ``uint16[rows, observations, width]``.
        legal_actions: ``bool[observations, actions]``; others must have no probability, which is when their
            threshold equals the one before.

    Raises:
        PolicyError: naming the row.
    """
    n_actions = legal_actions.shape[1]
    illegal = np.ones(thresholds.shape[1:], bool)
    illegal[:, :n_actions] = ~legal_actions
    illegal[:, 0] = False
    for row, table in enumerate(thresholds):
        rises = np.diff(table.astype(np.int32), axis=1)
        last_reached = table[:, n_actions - 1] == NEVER
        if (rises < 0).any() or not last_reached.all():
            raise PolicyError(f"policy row {row}: thresholds must rise to {NEVER}")
        if (bad := (rises > 0) & illegal[:, 1:]).any():
            observation, action = (int(index[0]) for index in np.nonzero(bad))
            raise PolicyError(
                f"policy row {row} takes action {action + 1} in observation {observation}, "
                "where it is illegal"
            )


@dataclass(frozen=True)
class Environment:
    """What a single agent faces in a population that behaves in a fixed way: a Markov decision process.

    Attributes:
        reward: ``float64[types, X, A]``, expected reward of a step.
        kernel: ``float64[types, X, A, X]``, probability of the next state; rows of legal actions sum to
            1, those of illegal ones are 0.
    """

    reward: NDArray[np.float64]
    kernel: NDArray[np.float64]


class MeanFieldModel(ABC):
    """The limit of a population game for N to infinity, with finite states and actions.

    An agent of type omega in state x (its tabular observation) that takes action a meets the
    population only through a *statistic* z, a vector such as the distribution of bids. The mean field
    mu(omega, x) is the distribution of states within each type.

    Attributes:
        masses: ``float64[types]``, shares of the population, sum 1.
        discounts: ``float64[types]``, gamma.
        legal_actions: ``bool[X, A]``; action 0 is always legal.
        initial_mean_field: ``float64[types, X]``, where the population starts.
    """

    masses: NDArray[np.float64]
    discounts: NDArray[np.float64]
    legal_actions: NDArray[np.bool_]
    initial_mean_field: NDArray[np.float64]

    @property
    def n_types(self) -> int:
        """Number of types."""
        return len(self.masses)

    @property
    def n_states(self) -> int:
        """X, the number of states."""
        return int(self.legal_actions.shape[0])

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return int(self.legal_actions.shape[1])

    @abstractmethod
    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """z of a population in ``mean_field[types, X]`` that plays ``policy[types, X, A]``."""

    @abstractmethod
    def environment(self, statistic: NDArray[np.float64]) -> Environment:
        """What an agent faces; also for a z slightly off those of any population, as Newton steps give."""

    def inconsistency(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """As many numbers as z has, all 0 if and only if z is that of the population.

        ``mean_field`` is stationary in ``environment(statistic)`` under ``policy``. Where a quantity is
        conserved, one number of the difference is 0 for every such mean field; a model then puts the
        conservation law in its place.
        """
        return self.statistic(mean_field, policy) - statistic
