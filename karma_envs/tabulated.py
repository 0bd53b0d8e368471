"""Any game as one with tables: observations and actions of boxes fall into cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import ArrayLike, NDArray

from karma_envs.actions import IllegalActionError
from karma_envs.config import refusal, whole
from karma_envs.exchangeable import ExchangeableGame
from karma_envs.finite import (
    MOST_INDICES,
    Axis,
    FiniteGame,
    PlayedPolicy,
    SamplingPolicy,
    check_thresholds,
)
from karma_envs.game import PolicyError, PopulationGame
from karma_envs.numerics.sampling import padded_width, probabilities_of, sample_actions
from karma_envs.saved_policy import SavedPolicy
from karma_envs.seen import SeenGame

if TYPE_CHECKING:
    from karma_envs.mean_field import MeanFieldModel


class Grid:
    """Evenly spaced points of a space, to the nearest of which everything in it belongs.

    A box has ``cells`` points in each dimension, its ends among them, numbered with the last dimension
    fastest; numbered things are points themselves.

    Attributes:
        space: where they are.
        cells: points in each dimension of a box.
        size: how many points there are.
        values: ``float32[size, d]`` of a box, ``int64[size]`` of numbered things.
        axes: the points of each dimension, by name.

    Args:
        space: a Box of one dimension, or Discrete.
        cells: points in each dimension of a box.
        name: what its dimensions are called.

    Raises:
        ConfigError: for a box without bounds, or too many points.
    """

    def __init__(self, space: Discrete[Any] | Box, cells: int, name: str) -> None:
        self.space, self.cells = space, cells
        if not isinstance(space, Box):
            self.size = int(space.n)
            self.values: NDArray[Any] = np.arange(self.size)
            self.axes: tuple[Axis, ...] = (Axis(name, tuple(range(self.size))),)
            return
        if not space.is_bounded():
            raise refusal("cells", cells, f"in a game whose boxes have bounds; what is {name} is in {space}")
        low, high = space.low.ravel(), space.high.ravel()
        self.size = cells ** len(low)
        if self.size > MOST_INDICES:
            raise refusal(
                "cells",
                cells,
                f"such that there are at most {MOST_INDICES} in the {len(low)} dimensions of what is {name}",
            )
        points = np.linspace(low, high, cells, axis=1, dtype=np.float32)
        names = [name] if len(low) == 1 else [f"{name} {dimension}" for dimension in range(len(low))]
        self.axes = tuple(Axis(each, tuple(values.tolist())) for each, values in zip(names, points))
        self.values = np.stack(np.meshgrid(*points, indexing="ij"), axis=-1).reshape(self.size, *space.shape)
        span = np.where(high > low, high.astype(np.float64) - low, 1.0)
        self._low, self._per_unit = low.astype(np.float64), (cells - 1) / span
        self._weights = cells ** np.arange(len(low))[::-1]

    def index_of(self, values: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """The numbers of the points that are nearest to ``values[n, d]`` in a box, ``int64[n]``."""
        cell = np.rint((values.reshape(len(values), -1) - self._low) * self._per_unit)
        return np.asarray(np.clip(cell, 0, self.cells - 1).astype(np.int64) @ self._weights)


class TabulatedGame(SeenGame, FiniteGame):
    """A game with boxes, seen and played on a grid: an observation is the nearest of evenly spaced points.

    The game below goes on as it is, and its state is this one's; only what agents observe and do is rounded.
    Agents observe the point in place of what the game shows. An action is one of the points of the action
    space, or of the game's own actions where these are numbered; one that is not legal now is played as the
    game plays it, :meth:`~karma_envs.game.PopulationGame.admissible`.

    Attributes:
        game: the game below.
        cells: points in each dimension, the ends of the box among them.

    Args:
        game: any game; its state is shared.
        cells: at least 2.

    Raises:
        ConfigError: for boxes without bounds, or too many cells.
    """

    def __init__(self, game: PopulationGame, cells: int = 21) -> None:
        super().__init__(game)
        self.cells = whole("cells", cells, 2)
        self._seen = Grid(game.observation_space, self.cells, "observed")
        self._done = Grid(game.action_space, self.cells, "taken")
        self.n_observations, self.n_actions = self._seen.size, self._done.size
        self.legal_actions = np.ones((self.n_observations, self.n_actions), np.bool_)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The points of each dimension of an observation."""
        return self._seen.axes

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """The action that is played, a number for each of its dimensions."""
        columns = self._done.values.reshape(self.n_actions, -1).T
        return {axis.name: column for axis, column in zip(self._done.axes, columns)}

    def fresh(self) -> Self:
        return type(self)(self.game.fresh(), self.cells)

    def against(self, statistic: ArrayLike, *, n_agents: int | None = None) -> Self:  # type: ignore[override]
        """What one agent faces where the population of the game below makes a statistic, in cells.

        Args:
            statistic: z of the game below.
            n_agents: of the new game; None for as many as this one has. They are independent of each other.

        Raises:
            ConfigError: where the game below is not written against a statistic.
            ValueError: for a statistic that is none of it.
        """
        if not isinstance(self.game, ExchangeableGame):
            raise refusal("game", self.game.name, "one written against a statistic, an ExchangeableGame")
        return type(self)(self.game.against(statistic, n_agents=n_agents), self.cells)

    def acting(self, policy: SamplingPolicy) -> CellPolicy:
        """A tabular policy for this game as one that the game below plays.

        Raises:
            PolicyError: when it does not fit the game, or is a policy for each step, which are not told.
        """
        self.check_policy(policy)
        if policy.thresholds.shape[1] != self.n_observations:
            raise PolicyError(f"a policy for each step cannot be played in the game {self.name} below")
        return CellPolicy(policy, self._seen, self._done)

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        chosen = self.actions_of(actions)
        if (bad := (chosen < 0) | (chosen >= self.n_actions)).any():
            agent = int(bad.argmax())
            raise IllegalActionError(
                f"agent {agent} takes action {chosen[agent]}; allowed: 0 … {self.n_actions - 1}"
            )
        return self.game.step(self.game.admissible(self._done.values[chosen])[0])

    def observation_index(self) -> NDArray[np.int64]:
        return self._seen.index_of(self.game.observations())

    def observations(self) -> NDArray[np.float32]:
        """The points, ``float32[N, d]``."""
        return np.asarray(self._seen.values[self.observation_index()], np.float32)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """Of the game below on these points, if it has such a model."""
        return self.game.cell_model(self._seen, self._done, by_agent=by_agent)


class CellPolicy(SavedPolicy):
    """A tabular policy as one for the game that was tabulated: it sees the nearest point, and does a point.

    Args:
        policy: tables, of all agents.
        seen: the observations.
        done: the actions.
    """

    FORMAT = "karma_envs.tabulated:CellPolicy"

    def __init__(self, policy: SamplingPolicy, seen: Grid, done: Grid) -> None:
        self._policy, self._seen, self._done = policy, seen, done

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """See :class:`karma_envs.game.Policy`."""
        actions = np.empty(len(observations), np.int64)
        index = self._seen.index_of(observations)
        sample_actions(self._policy.thresholds, self._policy.row_of_agent, index, streams, 0, actions)
        return self._done.values[actions]

    def table(self) -> dict[str, NDArray[np.float64]]:
        """What the first agent does on average, by the points observed: a column for each dimension."""
        first = self._policy.thresholds[self._policy.row_of_agent[0]]
        mean = probabilities_of(first, self._done.size) @ self._done.values.reshape(self._done.size, -1)
        seen, done = self._seen.values.reshape(self._seen.size, -1).T, mean.T
        columns = [*zip((axis.name for axis in self._seen.axes), seen)]
        columns += zip((axis.name for axis in self._done.axes), done)
        return {name: np.asarray(column, np.float64) for name, column in columns}

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Points of each dimension, and how many numbered actions; the tables, and the boxes' bounds."""
        numbered = isinstance(self._done.space, Discrete)
        values = {"cells": self._seen.cells, "n_actions": self._done.size if numbered else None}
        arrays: dict[str, NDArray[Any]] = {
            "thresholds": self._policy.thresholds,
            "row_of_agent": self._policy.row_of_agent,
        }
        boxes = {"observed": self._seen.space, "taken": self._done.space}
        for name, space in boxes.items():
            if isinstance(space, Box):
                arrays |= {f"{name}_low": space.low, f"{name}_high": space.high}
        return values, arrays

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> CellPolicy:
        """The policy of :meth:`to_parts`.

        Raises:
            ValueError, KeyError, TypeError: for parts that are of no policy, as of a damaged file.
        """
        cells, n_actions = whole("cells", values["cells"], 2), values["n_actions"]
        observed, taken = (
            Discrete(whole("n_actions", n_actions, 1, MOST_INDICES))
            if name == "taken" and n_actions is not None
            else Box(arrays[f"{name}_low"], arrays[f"{name}_high"], dtype=np.float32)
            for name in ("observed", "taken")
        )
        seen, done = Grid(observed, cells, "observed"), Grid(taken, cells, "taken")
        thresholds, rows = np.ascontiguousarray(arrays["thresholds"]), arrays["row_of_agent"]
        if thresholds.shape[1:] != (seen.size, padded_width(done.size)) or thresholds.dtype != np.uint16:
            raise ValueError(
                f"thresholds of {thresholds.dtype}{list(thresholds.shape)} for {seen.size} points"
            )
        check_thresholds(thresholds, np.ones((seen.size, done.size), np.bool_))
        if rows.ndim != 1 or not len(rows) or not 0 <= rows.min() <= rows.max() < len(thresholds):
            raise ValueError(f"rows {rows} of {len(thresholds)}")
        return cls(PlayedPolicy(thresholds, rows.astype(np.int32)), seen, done)


def tabulated(game: PopulationGame, cells: int = 21) -> FiniteGame:
    """A game with tables: the game itself if it has them, else :class:`TabulatedGame`.

    Args:
        game: any game.
        cells: points in each dimension of a box.

    Raises:
        ConfigError: for boxes without bounds, or too many cells.
    """
    return game if isinstance(game, FiniteGame) else TabulatedGame(game, cells)
