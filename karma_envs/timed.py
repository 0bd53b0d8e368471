"""A game that ends, in which agents observe the step: a policy for each step is one table of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.finite import FiniteGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.seen import SeenGame


class TimedGame(SeenGame):
    """A game that ends after T steps, in which an agent observes how many were played, besides x.

    Its tabular observation is t X + x, of which a table has T X rows, as policies of
    :class:`karma_envs.mean_field.FiniteHorizonModel` do; in numbers the share t / T stands before the others.
    After the end it is that of the last step, in which nobody acts any more. What is learned here is a policy
    for each step, which the game below plays, too.

    Args:
        game: a game with tables and an end; its state is shared.

    Raises:
        ConfigError: for a game without an end.
    """

    game: FiniteGame
    length: int

    def __init__(self, game: FiniteGame) -> None:
        super().__init__(game)
        if game.length is None:
            raise refusal("game", game.name, "a game that ends: without an end steps do not matter")
        self.n_observations, self.n_actions = game.length * game.n_observations, game.n_actions
        self.legal_actions = np.tile(game.legal_actions, (game.length, 1))
        space = game.observation_space
        self.observation_space = Box(
            np.append(np.float32(0), space.low), np.append(np.float32(1), space.high), dtype=np.float32
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The step, from 0, and what the game's observations are made of."""
        return (Axis("step", tuple(range(self.length))), *self.game.axes)

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """The game's."""
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

    def fresh(self) -> Self:
        return type(self)(self.game.fresh())

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        return self.game.step(actions)

    def observation_index(self) -> NDArray[np.int64]:
        step = min(self.elapsed, self.length - 1)
        return self.game.observation_index() + step * self.game.n_observations

    def observations(self) -> NDArray[np.float32]:
        """``float32[N, 1 + d]``: the share of the steps that were played, and what the game shows."""
        step = min(self.elapsed, self.length - 1)
        share = np.full((self.n_agents, 1), step / self.length, np.float32)
        return np.concatenate([share, self.game.observations()], axis=1)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """The game's, in which the step is part of a state."""
        return self.game.mean_field(by_agent=by_agent)


def timed(game: FiniteGame) -> TimedGame:
    """A game that ends, in which agents observe the step; see :class:`TimedGame`.

    Raises:
        ConfigError: for a game without an end.
    """
    return TimedGame(game)


def seen_by(game: FiniteGame, n_observations: int) -> FiniteGame:
    """The game whose observations the rows of a table are.

    Args:
        game: the game that the table is for.
        n_observations: of the table: the game's X, or T X where it is a policy for each of its T steps.
    """
    return game if n_observations == game.n_observations else TimedGame(game)
