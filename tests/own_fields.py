"""Small games without karma that have a mean field: harvests lower their price, and roads get full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.finite import Axis, FiniteGame
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.states import Allowed
from tests.own_games import OwnConfig, OwnGame, RoadsGame

FULL = 3  # units in stock
ACTIONS = np.arange(3)
SEASONS = ("dry", "wet")


class HarvestGame(OwnGame, FiniteGame):
    """An agent takes up to 2 units of its stock, at 1 less half of what all take on average.

    Dry and wet seasons come by chance; a wet one adds a unit to the stock.
    """

    name = "harvest"
    own_fields: ClassVar[Mapping[str, Allowed]] = {"stock": (0, FULL), "season": (0, 1)}

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.n_observations, self.n_actions = 2 * (FULL + 1), 3
        self.legal_actions = np.tile(np.arange(FULL + 1), 2)[:, None] >= ACTIONS
        self.observation_space = Box(0, 1, (2,), np.float32)
        self.reward_bounds = 0.0, 2.0

    @property
    def axes(self) -> tuple[Axis, ...]:
        return Axis("season", SEASONS), Axis("stock", tuple(range(FULL + 1)))

    @property
    def action_features(self) -> dict[str, NDArray[Any]]:
        return {"harvest": ACTIONS, "effort": ACTIONS**2 / 4}

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {"stock": (draws * (FULL + 1)).astype(np.int64), "season": (draws > 0.5).astype(np.int64)}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        stock, season = self.state["stock"], self.state["season"]
        self.state["stock"] = np.minimum(stock - actions + season, FULL)
        self.state["season"] = 1 - season  # of each agent in turn, so that half of all are wet
        return np.asarray(actions * (1 - actions.mean() / 2), np.float32)

    def observation_index(self) -> NDArray[np.int64]:
        return self.state["season"] * (FULL + 1) + self.state["stock"]

    def observations(self) -> NDArray[np.float32]:
        return np.stack([self.state["stock"] / FULL, self.state["season"]], axis=1).astype(np.float32)

    def mean_field(self, *, by_agent: bool = False) -> HarvestField:
        return HarvestField(self)


class _Field(FiniteMeanFieldModel):
    """The mean field of a game of one type that begins in all states alike."""

    def __init__(self, game: FiniteGame) -> None:
        self.masses, self.discounts, self.legal_actions = np.ones(1), game.discounts, game.legal_actions
        self.initial_mean_field = np.full((1, game.n_observations), 1 / game.n_observations)


class HarvestField(_Field):
    """Of the game of harvests; the statistic is what is taken on average."""

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.atleast_1d(np.einsum("tx,txa,a->", mean_field, policy, ACTIONS))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        kernel = np.zeros((1, 2, FULL + 1, 3, 2, FULL + 1))
        for season in (0, 1):
            for stock in range(FULL + 1):
                for action in ACTIONS:
                    after = min(max(stock - action, 0) + season, FULL)
                    kernel[0, season, stock, action, 1 - season, after] = 1
        shape = 1, self.n_states, self.n_actions
        reward = np.broadcast_to(ACTIONS * (1 - statistic[0] / 2), shape)
        return DecisionProblem(reward.copy(), kernel.reshape(*shape, self.n_states))

    def rates(self, statistic: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"harvest": np.broadcast_to(ACTIONS * 1.0, (1, self.n_states, self.n_actions))}


class FullRoadsGame(RoadsGame):
    """The game of roads with its mean field: one axis, and actions without a meaning."""

    def mean_field(self, *, by_agent: bool = False) -> FiniteMeanFieldModel:
        return RoadsField(self)


class RoadsField(_Field):
    """Of the game of roads; the statistic is the share of agents on each."""

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("tx,txa->a", mean_field, policy))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        reward = -RoadsGame.delay * statistic - 0.05 * (1 - np.eye(3))
        kernel = np.broadcast_to(np.eye(3), (1, 3, 3, 3))
        return DecisionProblem(reward[None], kernel.copy())
