"""A game that ends, as one whose agents observe how much of it is over.

What is best depends on how many steps are left, which a game need not show. Where observations are numbered,
a table for such a game is a policy for each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.seen import SeenGame


class TimedGame(SeenGame):
    """A game in which agents observe the share of it that is over, after what they observe otherwise.

    The game below goes on as it is, and its state is this one's.

    Attributes:
        game: the game below.
        length: T, its length.

    Args:
        game: a game that ends, whose observations are a box of one dimension; its state is shared.

    Raises:
        ConfigError: for a game without an end.

    Example:
        >>> import karma_envs, numpy as np
        >>> game = TimedGame(karma_envs.make("meeting_time", n_agents=2))
        >>> game.reset(np.random.default_rng(0))
        >>> game.observations()[:, 1]
        array([0., 0.], dtype=float32)
    """

    length: int

    def __init__(self, game: PopulationGame) -> None:
        if game.length is None:
            raise refusal("game", game.name, "a game that ends")
        super().__init__(game)
        self.action_space, seen = game.action_space, game.observation_space
        low, high = np.append(seen.low, np.float32(0)), np.append(seen.high, np.float32(1))
        self.observation_space = Box(low, high)

    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d + 1]``: those of the game below, then the share of the game that is over."""
        over = np.full((self.n_agents, 1), self.elapsed / self.length, np.float32)
        return np.concatenate([self.game.observations(), over], axis=1)

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        return self.game.step(actions)

    def actions_of(self, values: Any) -> NDArray[Any]:
        return self.game.actions_of(values)

    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        return self.game.admissible(actions)

    def action_mask(self) -> Any:
        return self.game.action_mask()


class TimedTables(TimedGame, FiniteGame):
    """The same of a game with tables: in step t the tabular observation x is t X + x.

    A table has T X rows, as policies of :class:`karma_envs.mean_field.FiniteHorizonModel` do: what is learned
    here is a policy for each step, which the game below plays, too. After the end, when nobody acts any more,
    they observe what they would in the last step.

    Args:
        game: a game with tables that ends; its state is shared.

    Raises:
        ConfigError: for a game without an end.
    """

    game: FiniteGame

    def __init__(self, game: FiniteGame) -> None:
        super().__init__(game)
        self.n_observations, self.n_actions = self.length * game.n_observations, game.n_actions
        self.legal_actions = np.tile(game.legal_actions, (self.length, 1))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The step, from 0, and what the game's observations are made of."""
        return (Axis("step", tuple(range(self.length))), *self.game.axes)

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        return self.game.action_features

    def observation_values(self) -> dict[str, NDArray[Any]]:
        """The step, and what the game's observations mean to each type: ``[types, T X]`` by name."""
        steps = np.repeat(np.arange(self.length), self.game.n_observations)
        return {
            "step": np.tile(steps, (len(self.discounts), 1)),
            **{name: np.tile(values, self.length) for name, values in self.game.observation_values().items()},
        }

    def reachable(self) -> NDArray[np.bool_]:
        """``bool[N, T X]``: as in the game, in every step."""
        return np.tile(self.game.reachable(), self.length)

    def observation_index(self) -> NDArray[np.int64]:
        return self.game.observation_index() + self._step * self.game.n_observations

    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d + 1]``: those of the game below, then the share t / T of the steps before."""
        before = np.full((self.n_agents, 1), self._step / self.length, np.float32)
        return np.concatenate([self.game.observations(), before], axis=1)

    @property
    def _step(self) -> int:
        """t; after the end that of the last step."""
        return min(self.elapsed, self.length - 1)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """The game's, in which the step is part of a state."""
        return self.game.mean_field(by_agent=by_agent)


def seen_by(game: FiniteGame, n_observations: int) -> FiniteGame:
    """The game whose observations the rows of a table are.

    Args:
        game: the game that the table is for.
        n_observations: of the table: the game's X, or T X where it is a policy for each of its T steps. With
            any other number, of a table that does not fit, it is the game itself.
    """
    by_step = n_observations in game.observations_of_policies[1:]
    return TimedTables(game) if by_step and n_observations != game.n_observations else game
