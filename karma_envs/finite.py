"""Games with finite observations and actions: tables of legal actions, tabular policies, compiled play."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import ArrayLike, NDArray

from karma_envs.axes import Axis as Axis  # where games look for it
from karma_envs.axes import axis_values
from karma_envs.config import refusal
from karma_envs.game import PolicyError, PopulationGame
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.sampling import NEVER, padded_width, sample_actions, thresholds_of, uniform_over

ILLEGAL = np.float32(-1e30)
"""Q of an illegal action: lower than any return, and finite, so that no arithmetic makes NaN of it."""

if TYPE_CHECKING:
    from karma_envs.against import AgainstPopulation
    from karma_envs.joint import JointModel

MOST_INDICES = 65535
"""Observations, and actions, that a finite game may have, so that ``uint16`` numbers them in transitions."""


class SamplingPolicy(Protocol):
    """What a finite game needs of a policy: tables to draw from (``agents.TabularPolicy`` has them)."""

    @property
    def thresholds(self) -> NDArray[np.uint16]:
        """``uint16[rows, observations, width]``, see :func:`karma_envs.numerics.sampling.thresholds_of`."""

    @property
    def row_of_agent(self) -> NDArray[np.int32]:
        """``int32[N]``: the row that each agent plays."""


class PlayedPolicy(NamedTuple):
    """A tabular policy as games play it, without a name or a file: a :class:`SamplingPolicy`."""

    thresholds: NDArray[np.uint16]
    row_of_agent: NDArray[np.int32]


class FiniteGame(PopulationGame):
    """A game in which agents observe one of X things and do one of A.

    An agent in tabular observation x may take the actions that ``legal_actions[x]`` marks; action 0 is
    always legal. Policies are tables (:class:`SamplingPolicy`). A game of many agents overrides
    :meth:`~karma_envs.game.PopulationGame.play` by a compiled one; as it stands there it goes step by step.

    In a game that ends after T steps, what is best depends on how many are left. A table of T X observations
    is a policy for each step: its row t X + x is for observation x in step t. Where the author of such a
    game has a model of a step, ``mean_field()`` is the line
    ``return FiniteHorizonModel([StepModel(self.config)] * self.length)``, see
    :mod:`karma_envs.mean_field.finite_horizon`; :class:`karma_envs.timed.TimedTables` is the game in which
    agents observe the step.

    Attributes:
        n_observations: X, the number of tabular observations.
        n_actions: A, the number of actions, legal or not.
        legal_actions: ``bool[X, A]``.
    """

    n_observations: int
    n_actions: int
    legal_actions: NDArray[np.bool_]
    _policy_checked: tuple[object, ...] = ()

    @cached_property
    def action_space(self) -> Discrete[Any]:  # type: ignore[override]
        """Of one agent: 0 … A - 1."""
        return Discrete(self.n_actions)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What a tabular observation is made of: x counts their combinations, the last axis fastest.

        As it stands here one axis, the observation's own number.
        """
        return (Axis("observation", tuple(range(self.n_observations))),)

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """What actions mean, by name: a number for each, ``[A]``; in karma games their bids."""
        return {}

    @abstractmethod
    def observation_index(self) -> NDArray[np.int64]:
        """``int64[N]``: each agent's tabular observation; a new array."""

    def against(self, statistic: ArrayLike, *, n_agents: int | None = None) -> AgainstPopulation:
        """What one agent faces among infinitely many that make a given statistic, as a game.

        Args:
            statistic: z of the game's mean-field model, ``float[k]``; of a game that ends after T steps the
                flow of them, ``float[T, k]`` or ``float[T k]``.
            n_agents: of the new game; None for as many as this one has. They are independent of each other.

        Raises:
            ConfigError: for a game without such a model, or a statistic that is none of it.
        """
        from karma_envs.against import AgainstPopulation

        return AgainstPopulation(
            game=type(self),
            game_config=self.config,
            statistic=tuple(np.ravel(np.asarray(statistic, np.float64)).tolist()),
            n_agents=self.n_agents if n_agents is None else n_agents,
        )

    def observation_values(self) -> dict[str, NDArray[Any]]:
        """What observations mean to each type, for tables and figures: values ``[types, X]`` by name.

        As it stands here, for every type the values of the axes. A game in which a type has values of its
        own says so; NaN stands where an observation has no such value, or none that this type could have.
        """
        n_types = len(self.discounts)
        return {name: np.tile(values, (n_types, 1)) for name, values in axis_values(self.axes).items()}

    @property
    def kind_of_agent(self) -> NDArray[np.int64]:
        """``int64[N]``: which type of the mean-field model an agent is, numbered in the order of the agents.

        As it stands here that of the game. Where agents of one type differ for good, as in the paths that
        they have in a city, the model has more types than the game, each with a row in its policies.
        """
        return self.type_of_agent.astype(np.int64)

    @property
    def table_size(self) -> int:
        """How many numbers the largest table has that its mean-field model makes, where it has one.

        A :attr:`row_size` for each type of the model.
        """
        return max(len(self.discounts), int(self.kind_of_agent.max()) + 1) * self.row_size

    @property
    def row_size(self) -> int:
        """How many of these numbers a type of the mean-field model takes.

        As it stands here transitions, ``[X, A, X]``, for each step of a game that ends.
        """
        return self.n_observations**2 * self.n_actions * (self.length or 1)

    def rows_of_agents(self, n_rows: int) -> NDArray[np.int64]:
        """``int64[N]``: which row each agent plays of a table with so many.

        Raises:
            PolicyError: where that is neither one for all, nor one for each type of the game or of its model.
        """
        if n_rows == 1:
            return np.zeros(self.n_agents, np.int64)
        if n_rows == len(self.discounts):
            return self.type_of_agent.astype(np.int64)
        kinds = self.kind_of_agent
        sizes = sorted({1, len(self.discounts), int(kinds.max()) + 1})
        if n_rows != sizes[-1]:
            raise PolicyError(
                f"the policy has {n_rows} rows; one for this game has {' or '.join(map(str, sizes))}"
            )
        return kinds

    def joint_model(self, kind_of_agent: ArrayLike | None = None) -> JointModel | None:
        """The game of N agents exactly, where there is such a model; as it stands here there is none.

        Args:
            kind_of_agent: ``int[N]``, numbers from 0 on; agents of one kind have one type and play alike.
                None for :attr:`kind_of_agent`.

        Raises:
            ConfigError: for a configuration that the model is not for.
        """
        return None

    def reachable(self) -> NDArray[np.bool_]:
        """``bool[N, X]``: the tabular observations that an agent may be in; by default all."""
        return np.ones((self.n_agents, self.n_observations), bool)

    def reachable_by_type(self) -> NDArray[np.bool_]:
        """``bool[types, X]``: the tabular observations that some agent of a type may be in."""
        reachable = self.reachable()
        return np.array(
            [reachable[self.type_of_agent == kind].any(axis=0) for kind in range(len(self.discounts))]
        )

    def action_mask(self) -> NDArray[np.int8]:
        """``int8[N, A]``: 1 where an action is legal now; a new array."""
        return self.legal_actions.view(np.int8).take(self.observation_index(), axis=0)

    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """What is played where actions may be any: the highest legal action below an illegal one.

        Args:
            actions: ``int64[N]``, any numbers; 0 is played for those below 0.

        Returns:
            legal actions, a new array; and whose was replaced, ``bool[N]``, or None for nobody's.
        """
        played, replaced = np.empty_like(actions), np.empty(len(actions), np.bool_)
        count = make_legal(actions, self.observation_index(), self._highest_legal, played, replaced)
        return played, replaced if count else None

    def sample(self, policy: SamplingPolicy, streams: NDArray[np.uint64]) -> NDArray[np.int64]:
        """What agents do now under a policy, ``int64[N]``, drawn from ``streams[0]``."""
        actions, index = np.empty(self.n_agents, np.int64), self.observation_index()
        if policy.thresholds.shape[1] != self.n_observations:
            index += self.elapsed * self.n_observations
        sample_actions(policy.thresholds, policy.row_of_agent, index, streams, 0, actions)
        return actions

    @property
    def observations_of_policies(self) -> tuple[int, ...]:
        """How many observations a table may have: X; and T X in a game that ends and goes step by step."""
        if self.length is None or type(self).play is not PopulationGame.play:
            return (self.n_observations,)
        return (self.n_observations, self.length * self.n_observations)

    def fitted(self, policy: SamplingPolicy) -> PlayedPolicy:
        """The policy as all agents of this game play it, checked; one of one agent is for all.

        Raises:
            PolicyError: when it does not fit the game.
        """
        thresholds, rows = policy.thresholds, policy.row_of_agent
        if len(thresholds) == 1 and len(rows) == 1:
            rows = np.zeros(self.n_agents, np.int32)
        played = PlayedPolicy(thresholds, rows)
        self.check_policy(played)
        return played

    def uniform_policy(self) -> PlayedPolicy:
        """Every legal action with the same probability."""
        return PlayedPolicy(
            thresholds_of(uniform_over(self.legal_actions)[None]), np.zeros(self.n_agents, np.int32)
        )

    def policy_of(self, probabilities: NDArray[np.float64]) -> PlayedPolicy:
        """A table as a policy of all agents.

        Args:
            probabilities: ``float64[rows, X, A]``, see :meth:`rows_of_agents`.

        Raises:
            PolicyError: for a number of rows that does not fit.
        """
        rows = self.rows_of_agents(len(probabilities)).astype(np.int32)
        return PlayedPolicy(thresholds_of(probabilities), rows)

    def acting(self, policy: SamplingPolicy) -> Any:
        """A policy for this game as it is played in the game whose tables these are: here itself."""
        return policy

    def check_policy(self, policy: SamplingPolicy) -> None:
        """Refuse a policy that cannot be played here; a policy that was accepted is not read again.

        Raises:
            PolicyError: naming what does not fit.
        """
        if not (hasattr(policy, "thresholds") and hasattr(policy, "row_of_agent")):
            raise PolicyError(
                f"a policy for the game {self.name} has thresholds and row_of_agent, as "
                f"agents.TabularPolicy does; this is {policy!r}"
            )
        thresholds, row_of_agent = policy.thresholds, policy.row_of_agent
        if len(self._policy_checked) == 2 and (
            thresholds is self._policy_checked[0] and row_of_agent is self._policy_checked[1]
        ):
            return
        expected = [(n, padded_width(self.n_actions)) for n in self.observations_of_policies]
        if thresholds.ndim != 3 or thresholds.shape[1:] not in expected or thresholds.dtype != np.uint16:
            sizes = " or ".join(str(n) for n in self.observations_of_policies)
            raise PolicyError(
                f"a policy for this game has {sizes} observations and {self.n_actions} "
                f"actions; this one's thresholds are {thresholds.dtype}{list(thresholds.shape)}, not "
                + " or ".join(f"uint16[rows, {n}, {width}]" for n, width in expected)
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
        steps = thresholds.shape[1] // self.n_observations
        check_thresholds(thresholds, np.tile(self.legal_actions, (steps, 1)))
        self._policy_checked = (thresholds, row_of_agent)

    @cached_property
    def _highest_legal(self) -> NDArray[np.int64]:
        return highest_legal(self.legal_actions)

    def _columns(self) -> tuple[Any, Any]:
        return np.uint16, np.uint16

    def _observed(self) -> NDArray[np.int64]:
        return self.observation_index()


def as_finite(game: PopulationGame) -> FiniteGame:
    """The game, if it has tables.

    Raises:
        ConfigError: for a game without; it says how a game with tables is made of it.
    """
    if not isinstance(game, FiniteGame):
        raise refusal(
            "game",
            game.name,
            "a game with finite observations and actions, which this needs; "
            "karma_envs.tabulated.tabulated(game, cells=...) makes one of any game",
        )
    return game


def check_endless(game: PopulationGame) -> None:
    """Refuse a game that ends, for what is about play that goes on for ever.

    Raises:
        ConfigError: naming the game and its length.
    """
    if game.length is not None:
        raise refusal(
            "game",
            game.name,
            f"a game without an end, as this is about stationary play; it is over after {game.length} steps: "
            "compare outcomes of whole episodes instead, or the exploitability of its mean-field model",
        )


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


def highest_legal(legal_actions: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What each action is played as: ``int64[n, actions]``, itself or the highest legal one below it."""
    actions = np.arange(legal_actions.shape[1])
    return np.asarray(np.maximum.accumulate(np.where(legal_actions, actions, 0), axis=1))


@kernel
def make_legal(actions, observations, highest_legal, taken, replaced):  # type: ignore[no-untyped-def]
    """Replace illegal actions by the highest legal ones below them.

    Args:
        actions: ``int64[N]``, any numbers.
        observations: ``int64[N]``, tabular observations.
        highest_legal: ``int64[observations, actions]``, the highest legal action up to each action.
        taken: ``int64[N]``, written.
        replaced: ``bool[N]``, written: whose action was illegal.

    Returns:
        how many were illegal.
    """
    highest, count = highest_legal.shape[1] - 1, 0
    for agent in range(actions.shape[0]):
        action = actions[agent]
        legal = highest_legal[observations[agent], min(max(action, 0), highest)]
        taken[agent] = legal
        replaced[agent] = legal != action
        count += legal != action
    return count
