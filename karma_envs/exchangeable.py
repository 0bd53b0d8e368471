"""Games of exchangeable agents, written for one agent against a statistic of the population.

An agent meets the others only through a *statistic* z, such as the mean of their states, a distribution of
places, or the time when a meeting starts. So a game is two rules: what becomes of an agent, given z
(:meth:`ExchangeableGame.transition`), and which z a population makes (:meth:`ExchangeableGame.statistic`).
From these follow

- the game of N agents, in which z is that of the population itself, and
- what one agent faces in a population that behaves in a given way (:meth:`ExchangeableGame.against`), in
  which z is given and agents do not matter to each other: the inner problem of every mean-field method, and
- fictitious play (:meth:`ExchangeableGame.believing`), in which agents meet what they believe of z, a mean
  over what they have seen of it, that moves the more slowly the more they have seen.

A fixed point of "a best response to z, then the z that a population makes which plays it" is an equilibrium
of infinitely many agents.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.actions import action_limits
from karma_envs.config import real
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.numerics.random import new_streams
from karma_envs.outcome import Outcome
from karma_envs.states import LARGEST_COUNT, Allowed, check_arrays, check_values

States: TypeAlias = dict[str, NDArray[Any]]
"""What n agents are, by name: arrays ``[n, ...]``, row i of each is agent i's."""

_LARGEST = float(np.finfo(np.float64).max)
_BELIEFS: Mapping[str, Allowed] = {
    "believed_statistic": (-_LARGEST, _LARGEST),
    "believed_seen": (0, LARGEST_COUNT),
}
_ROUNDING = 1.01
"""Room for what sums of rewards gain by rounding."""


class PlayedStep(NamedTuple):
    """A step that was played, for pictures and records; not to be written.

    Attributes:
        states: of the agents, before the step.
        actions: ``[N, ...]``.
        statistic: z that they met, ``float64[k]``.
        rewards: ``float[N]``.
    """

    states: States
    actions: NDArray[Any]
    statistic: NDArray[np.float64]
    rewards: NDArray[np.floating[Any]]


class Believed(NamedTuple):
    """What agents believe of z, part of a game's state; of each step of a game that ends, else of all.

    Attributes:
        statistic: ``float64[steps, k]``, 0 where nothing has been seen yet.
        seen: ``int64[steps]``, how often z has been seen.
    """

    statistic: NDArray[np.float64]
    seen: NDArray[np.int64]


class ExchangeableGame(PopulationGame):
    """A game in which agents meet through a statistic of the population. See the module's docstring.

    A game's class sets the attributes of :class:`karma_envs.game.PopulationGame` in ``__init__``, its
    configuration has a field ``n_agents``, and it fills in :meth:`start`, :meth:`observe`,
    :meth:`statistic` and :meth:`transition`, which treat any number of agents alike, row by row, and change
    none of their arguments but the streams they draw from.

    Attributes:
        n_streams: how many random streams (:mod:`karma_envs.numerics.random`) the rules draw from.
        given_statistic: None in the game of N agents. In a game made by :meth:`against` the z of each step,
            ``float64[k]``, or ``float64[length, k]``.
        belief_rate: None where z is met as it is; in a game made by :meth:`believing` the rate at which a
            belief of it moves, and the power of time with which the rate falls.
        last_step: the step that was played last; None after a reset, a new beginning, or loading a state.
    """

    n_streams: ClassVar[int] = 1

    given_statistic: NDArray[np.float64] | None = None
    belief_rate: tuple[float, float] | None = None
    last_step: PlayedStep | None = None
    _believed: Believed | None = None
    _states: States | None = None

    # --- the rules -------------------------------------------------------------------------------------

    @abstractmethod
    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        """Fresh states of ``n`` agents, drawn independently of each other.

        Args:
            n: how many.
            streams: ``uint64[n_streams]``, to draw from; they advance.
        """

    @abstractmethod
    def observe(self, states: States) -> NDArray[np.float32]:
        """``float32[n, d]`` within the observation space: what agents in these states observe; new."""

    @abstractmethod
    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        """z of a population, ``float64[k]``.

        Args:
            states: of its n >= 1 agents, before the step.
            actions: ``[n, ...]``, what they do.
        """

    @abstractmethod
    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.floating[Any]]]:
        """What becomes of agents in a step, each on its own.

        Args:
            states: of n agents, before the step.
            actions: ``[n, ...]``, legal ones.
            statistic: z, ``float64[k]``.
            streams: ``uint64[n_streams]``, to draw from; they advance.

        Returns:
            their states after the step, and their rewards ``float[n]``.
        """

    def incentive_features(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        """What incentives may depend on, ``float64[n, d]``: as it stands here what is observed, and done.

        Args:
            states: of n agents, before the step.
            actions: ``[n, ...]``, legal ones.
        """
        parts = [np.reshape(part, (len(actions), -1)) for part in (self.observe(states), actions)]
        return np.concatenate(parts, axis=1).astype(np.float64)

    def allowed_states(self) -> Mapping[str, Allowed]:
        """Lowest and highest values of the states' arrays, to check those that come from files by."""
        return {}

    # --- what follows ----------------------------------------------------------------------------------

    def against(self, statistic: ArrayLike, *, n_agents: int | None = None) -> Self:
        """What one agent faces in a population that makes a given statistic, as a game.

        Args:
            statistic: z of every step, ``float[k]``; or a flow of them, ``float[length, k]``, in a game that
                ends.
            n_agents: of the new game; None for as many as this one has. They are independent of each other:
                many agents are many samples.

        Returns:
            a game of the same spaces and length, not yet reset, with ``given_statistic`` set.

        Raises:
            ValueError: when the statistic has another shape, or is not finite.
        """
        given = np.array(statistic, np.float64)
        k = self._size_of_statistic()
        shapes = [(k,)] if self.length is None else [(k,), (self.length, k)]
        if given.shape not in shapes or not np.isfinite(given).all():
            allowed = " or ".join(f"float64{list(shape)}" for shape in shapes)
            raise ValueError(
                f"a statistic of the game {self.name} is {allowed}, all finite; this is "
                f"{given.dtype}{list(given.shape)}"
            )
        game = type(self)(self.config.replace(n_agents=self.n_agents if n_agents is None else n_agents))
        game.given_statistic = given
        return game

    def believing(self, exponent: float = 0.85, *, rate: float = 1.0) -> Self:
        """The game of agents who meet their belief of z in place of z: two-timescale fictitious play.

        A step is met with the belief m as it is, and then ``m += rate n^-exponent (z - m)``, where z is what
        the population makes and n counts how often it has been seen, this time included; the first z is
        believed as it is. In a game that ends there is a belief for each of its steps, a flow. With rate 1
        and exponent 1 the belief is the mean of all z, as in fictitious play; exponents in (1/2, 1] are those
        of stochastic approximation; with exponent 0 the belief forgets at a constant rate. Beliefs are part
        of the state, and begin anew with :meth:`reset` only.

        Args:
            exponent: in [0, 1].
            rate: in (0, 1].

        Returns:
            a game of the same spaces and length, not yet reset, with ``belief_rate`` set.

        Raises:
            ConfigError: for a value out of range.
        """
        game = type(self)(self.config)
        game.belief_rate = (
            real("rate", rate, 0, 1, open_low=True),
            real("exponent", exponent, 0, 1),
        )
        return game

    @property
    def belief(self) -> NDArray[np.float64] | None:
        """What agents believe of z, ``float64[length, k]``, or ``float64[1, k]`` without an end; a copy.

        None in a game whose agents meet z as it is.
        """
        return None if self._believed is None else self._believed.statistic.copy()

    def fresh(self) -> Self:
        """Another game of the same configuration and the same rule of what is met, not yet begun."""
        game = super().fresh()
        game.given_statistic, game.belief_rate = self.given_statistic, self.belief_rate
        return game

    @property
    def states(self) -> States:
        """What the agents are now; not to be written.

        Raises:
            RuntimeError: before the first reset.
        """
        if self._states is None:
            raise RuntimeError("the game has not begun: call reset(rng) first")
        return self._states

    @property
    def policy_streams(self) -> NDArray[np.uint64]:
        """``uint64[1]``, of the state itself: the stream that rollouts draw actions from."""
        return self._streams[:1]

    @property
    def _rule_streams(self) -> NDArray[np.uint64]:
        return self._streams[1:]

    @property
    def elapsed(self) -> int:
        """Steps since the game last began."""
        return int(self._elapsed[0])

    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew: a fresh state and random streams, seeded from ``rng``; all totals are 0."""
        self._streams = new_streams(rng, 1 + self.n_streams)
        self._steps, self._reward_total = np.zeros(1, np.int64), np.zeros(self.n_agents)
        if self.belief_rate is not None:
            steps = self.length or 1
            self._believed = Believed(np.zeros((steps, self._size_of_statistic())), np.zeros(steps, np.int64))
        self.begin_anew()

    def begin_anew(self) -> None:
        """A fresh start, drawn from the game's own random streams; totals go on."""
        self._states = self.start(self.n_agents, self._rule_streams)
        self._elapsed = np.zeros(1, np.int64)
        self.last_step = None

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """One step, in which all meet the statistic of the population; see the base."""
        states = self.states
        self.check_not_over()
        taken = self.actions_of(actions)
        _, replaced = self.admissible(taken)
        if replaced is not None:
            agent = int(replaced.argmax())
            low, high = action_limits(self.action_space)
            raise IllegalActionError(f"agent {agent} takes action {taken[agent]}; allowed: {low} … {high}")
        faced = self._faced(states, taken)
        self._states, rewards = self.transition(states, taken, faced, self._rule_streams)
        self._steps += 1
        self._elapsed += 1
        self._reward_total += rewards
        self.last_step = PlayedStep(states, taken, faced, rewards)
        return np.asarray(rewards).astype(np.float32)

    def _faced(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        """z of this step."""
        given = self.given_statistic
        if given is None:
            own = self.statistic(states, actions)
            return own if self.belief_rate is None else self._believed_of(own)
        return given if given.ndim == 1 else np.asarray(given[self.elapsed])

    def _believed_of(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is believed before this step, a copy; and move the belief towards the population's own z."""
        assert self._believed is not None
        assert self.belief_rate is not None
        rate, exponent = self.belief_rate
        step = 0 if self.length is None else self.elapsed
        seen = self._believed.seen
        belief: NDArray[np.float64] = self._believed.statistic[step]
        if seen[step] == 0:
            belief[:] = own
        met = belief.copy()
        seen[step] += 1
        belief += rate * float(seen[step]) ** -exponent * (own - belief)
        return met

    def _size_of_statistic(self) -> int:
        """k, seen from one agent that does what is nearest to 0."""
        unused = np.zeros(self.n_streams, np.uint64)
        nothing = np.zeros((1, *(self.action_space.shape or ())), self.action_space.dtype)
        low, high = action_limits(self.action_space)
        return len(self.statistic(self.start(1, unused), np.clip(nothing, low, high)))

    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d]``: what each agent observes; a new array."""
        return self.observe(self.states)

    def outcome(self) -> Outcome:
        """Totals since reset; every step counts."""
        steps = int(self._steps[0])
        return Outcome(steps, self._reward_total.copy(), np.full(self.n_agents, steps, np.int64))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The state, not copied: the agents' and the game's own."""
        return {
            **self.states,
            "steps": self._steps,
            "elapsed": self._elapsed,
            "reward_total": self._reward_total,
            "streams": self._streams,
            **{f"believed_{name}": array for name, array in self._believed_arrays().items()},
        }

    def _believed_arrays(self) -> dict[str, NDArray[Any]]:
        """The belief's arrays by name; none where z is met as it is."""
        return {} if self._believed is None else self._believed._asdict()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All arrays that make up the state, random streams included; copies."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`; see the base."""
        like = self.fresh()
        like.reset(np.random.default_rng(0))
        expected = like._arrays()
        check_arrays("game", state, expected)
        check_values("game", state, {"steps": (0, LARGEST_COUNT)})
        steps = int(state["steps"][0])
        most_elapsed = steps if self.length is None else min(steps, self.length)
        lowest, highest = (
            float(np.clip(bound * _ROUNDING * steps if steps else 0.0, -_LARGEST, _LARGEST))
            for bound in self.reward_bounds
        )
        check_values(
            "game",
            state,
            {
                "elapsed": (0, most_elapsed),
                "reward_total": (min(lowest, 0.0), max(highest, 0.0)),
                **self.allowed_states(),
                **({} if self.belief_rate is None else _BELIEFS),
            },
        )
        arrays = {name: array.copy() for name, array in state.items()}
        self._steps, self._elapsed, self._reward_total, self._streams = (
            arrays.pop(name) for name in ("steps", "elapsed", "reward_total", "streams")
        )
        if self.belief_rate is not None:
            self._believed = Believed(*(arrays.pop(f"believed_{name}") for name in Believed._fields))
        self._states, self.last_step = arrays, None
