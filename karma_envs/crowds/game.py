"""What games of crowds in the plane share: agents move to places that are worth less the more go there."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal, whole
from karma_envs.crowds.mean_field import CrowdMeanField
from karma_envs.exchangeable import ExchangeableGame, States
from karma_envs.game import PopulationGame
from karma_envs.mean_field import GivenStatistic, MeanFieldModel
from karma_envs.numerics.density import DensityEstimator, PlaneGrid
from karma_envs.numerics.random import fill_normal
from karma_envs.states import Allowed

LARGEST = 1e6
"""Of coordinates, scales and costs, so that float32 holds what follows from them."""

_MOST_CELLS = 1000
_START, _NOISE = 0, 1  # random streams
_LARGEST_NOISE = 8.6
"""Above all |eps| that 53 random bits give, sqrt(2 * 53 log 2) = 8.572 by Box and Muller's transform."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CrowdConfig(Config):
    """What configurations of games of crowds in the plane have in common.

    Attributes:
        n_agents: N, number of agents, >= 1.
        crowd_aversion: alpha > 0: what is at a place is divided by (1 + density)^alpha.
        movement_cost: eta >= 0: a move u costs eta / 2 |u|^2.
        length: T, number of steps, >= 1.
        discount: of later steps, in [0, 1); of no effect on a single step.
        start_mean: (x, y), mean of where agents start, within the region.
        start_variance: variance per axis of where agents start, >= 0.
        noise: sigma >= 0, standard deviation per axis of a disturbance of every move.
        region: ((lowest x, highest x), (lowest y, highest y)): agents who would leave it stop at its edge.
        grid_cells: cells of the grid on which the density is estimated, along each side of the region;
            4 to 1000.
        bandwidth: standard deviation per axis of the kernel that smooths the density, from one side of a
            cell to a quarter of the region's shorter side.
        move_scale: B > 0: a move u leads from x to x + B u.
        largest_move: greatest move along each axis in a step, > 0.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 1000
    crowd_aversion: float = 1.0
    movement_cost: float = 0.0
    length: int = 1
    discount: float = 0.99
    start_mean: tuple[float, float] = (1.0, 0.0)
    start_variance: float = 0.1
    noise: float = 0.0
    region: tuple[tuple[float, float], tuple[float, float]] = ((-3.0, 3.0), (-3.0, 3.0))
    grid_cells: int = 100
    bandwidth: float = 0.1
    move_scale: float = 1.0
    largest_move: float = 4.0

    def __post_init__(self) -> None:
        region = points("region", self.region, "an interval (low, high) of x and one of y, low < high")
        if len(region) != 2 or any(low >= high for low, high in region):
            raise refusal("region", self.region, "an interval (low, high) of x and one of y, low < high")
        self._set(
            n_agents=whole("n_agents", self.n_agents, 1),
            crowd_aversion=real("crowd_aversion", self.crowd_aversion, 0, 100, open_low=True),
            movement_cost=real("movement_cost", self.movement_cost, 0, LARGEST),
            length=whole("length", self.length, 1, 10_000),
            discount=real("discount", self.discount, 0, 1, open_high=True),
            start_variance=real("start_variance", self.start_variance, 0, LARGEST),
            noise=real("noise", self.noise, 0, LARGEST),
            region=region,
            grid_cells=whole("grid_cells", self.grid_cells, 4, _MOST_CELLS),
            move_scale=real("move_scale", self.move_scale, 1 / LARGEST, LARGEST),
            largest_move=real("largest_move", self.largest_move, 0, LARGEST, open_low=True),
        )
        (start_mean,) = points("start_mean", [self.start_mean], "a point (x, y)")
        for value, (low, high) in zip(start_mean, region, strict=True):
            if not low <= value <= high:
                raise refusal("start_mean", self.start_mean, f"a point (x, y) in the region {region}")
        self._set(start_mean=start_mean, bandwidth=DensityEstimator(self.grid, self.bandwidth).bandwidth)

    @cached_property
    def grid(self) -> PlaneGrid:
        """The grid of densities."""
        low, high = np.transpose(self.region).tolist()
        return PlaneGrid(tuple(low), tuple(high), (self.grid_cells, self.grid_cells))


def points(field: str, value: Any, allowed: str) -> tuple[tuple[float, float], ...]:
    """Points of the plane, checked.

    Args:
        field: the field that has them, for the error.
        value: a list of pairs of numbers.
        allowed: what the field may be, for the error.

    Raises:
        ConfigError: for anything else.
    """
    if not is_list(value) or not len(value) or not all(is_list(pair) and len(pair) == 2 for pair in value):
        raise refusal(field, value, allowed)
    try:
        pairs = [[real(field, number, -LARGEST, LARGEST) for number in pair] for pair in value]
    except ValueError as error:
        raise refusal(field, value, allowed) from error
    return tuple((x, y) for x, y in pairs)


class CrowdGame(ExchangeableGame):
    """Agents who move in a region of the plane; see :mod:`karma_envs.games.spatial_congestion`.

    In step t an agent at x moves by u, reaches x' = x + B u + sigma eps, or the nearest place in the region,
    and gets g_t(x') / (1 + m(x'))^alpha - eta / 2 |u|^2, where m is the density of the places that agents
    reach in this step. A game says what g_t is, see :meth:`desirability`.

    Args:
        config: the configuration; the class's defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    config_class: ClassVar[type[CrowdConfig]]
    n_streams = 2
    length: int = 1

    config: CrowdConfig

    def __init__(self, config: Any = None, **fields: Any) -> None:
        self.config = config = (config or self.config_class()).replace(**fields)
        self.n_agents, self.length = config.n_agents, config.length
        self.type_of_agent = np.zeros(config.n_agents, np.uint8)
        self.discounts = np.array([config.discount if config.length > 1 else 0.0])
        self.grid: PlaneGrid = config.grid
        self._estimator = DensityEstimator(config.grid, config.bandwidth)
        low, high = np.transpose(config.region)
        if config.length > 1:
            low, high = np.append(low, 0.0), np.append(high, 1.0)
        self.observation_space = Box(low.astype(np.float32), high.astype(np.float32))
        self.action_space = Box(-config.largest_move, config.largest_move, (2,), np.float32)
        costliest_move = float(self.action_space.high @ self.action_space.high)
        self.reward_bounds = (0.0 - config.movement_cost / 2 * costliest_move, self.most_desirable)

    @abstractmethod
    def desirability(self, places: Values, steps: NDArray[np.int64]) -> Values:
        """g_t of places, ``float64[n]``, at least 0.

        Args:
            places: ``float64[n, 2]``.
            steps: ``int64[n]``: the step t = 0 … T - 1 in which each is reached.
        """

    @property
    @abstractmethod
    def most_desirable(self) -> float:
        """No place is more desirable than this, in any step."""

    def desirabilities(self) -> Values:
        """``float64[T, k]``: g_t at the centres of all cells of the grid."""
        places = self.grid.places
        return np.stack(
            [self.desirability(places, np.full(len(places), t)) for t in range(self.config.length)]
        )

    def allowed_states(self) -> dict[str, Allowed]:
        """Places in the region, disturbances as they are drawn, and steps to the end."""
        most = _LARGEST_NOISE * self.config.noise
        return {
            "position": (self.grid.low, self.grid.high),
            "disturbance": (-most, most),
            "step": (0, self.config.length),
        }

    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        """Places of their distribution, and how the first move will be disturbed."""
        config, places = self.config, np.empty(2 * n)
        fill_normal(streams, _START, places)
        spread = math.sqrt(config.start_variance)
        return {
            "position": self._within(config.start_mean + spread * places.reshape(n, 2)),
            "disturbance": self._disturbance(n, streams),
            "step": np.zeros(n, np.int64),
        }

    def observe(self, states: States) -> NDArray[np.float32]:
        """Where an agent is; and where there is more than one step, the share of them that has passed."""
        place = states["position"].astype(np.float32)
        if self.config.length == 1:
            return place
        return np.column_stack([place, (states["step"] / self.config.length).astype(np.float32)])

    def statistic(self, states: States, actions: NDArray[Any]) -> Values:
        """``float64[k]``: the density of the places that these agents reach, on the grid."""
        return self._estimator(self._reached(states, actions))

    def transition(
        self, states: States, actions: NDArray[Any], statistic: Values, streams: NDArray[np.uint64]
    ) -> tuple[States, Values]:
        """Agents at the places that they reach, and what they get there among a density of others."""
        config, steps = self.config, states["step"]
        places = self._reached(states, actions)
        crowd = self.grid.interpolate(statistic, places)
        rewards = self.desirability(places, steps) / (1 + crowd) ** config.crowd_aversion
        if config.movement_cost:
            moves = actions.astype(np.float64)
            rewards -= config.movement_cost / 2 * np.einsum("na,na->n", moves, moves)
        following = {
            "position": places,
            "disturbance": self._disturbance(len(places), streams),
            "step": steps + 1,
        }
        return following, rewards

    def incentive_features(self, states: States, actions: NDArray[Any]) -> Values:
        """``float64[n, 2]``: the places that agents reach; of several steps also the share t / T before."""
        return self.features_of(self._reached(states, actions), states["step"])

    def features_of(self, places: Values, steps: NDArray[np.int64]) -> Values:
        """What incentives may depend on, of places that are reached.

        Args:
            places: ``float64[n, 2]``.
            steps: ``int64[n]``: the step t = 0 … T - 1 in which each is reached.

        Returns:
            ``float64[n, 2]``; where there are several steps ``float64[n, 3]``, with t / T.
        """
        if self.config.length == 1:
            return places
        return np.column_stack([places, steps / self.config.length])

    def _disturbance(self, n: int, streams: NDArray[np.uint64]) -> Values:
        """sigma eps of n agents' next moves."""
        disturbance = np.zeros(2 * n)
        if self.config.noise:
            fill_normal(streams, _NOISE, disturbance)
            disturbance *= self.config.noise
        return disturbance.reshape(n, 2)

    def _reached(self, states: States, actions: NDArray[Any]) -> Values:
        """Where moves lead."""
        moved = states["position"] + self.config.move_scale * actions.astype(np.float64)
        return self._within(moved + states["disturbance"])

    def _within(self, places: Values) -> Values:
        """The nearest places in the region."""
        return np.clip(places, self.grid.low, self.grid.high)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel:
        """The limit for infinitely many agents, who are all of one type."""
        model = CrowdMeanField(self)
        return model if self.given_statistic is None else GivenStatistic(model, self.given_statistic)

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """Where moves are free the equilibrium; for agents among a given density the best response to it."""
        model = CrowdMeanField(self)
        if self.given_statistic is not None:
            return {"best response": (self.fresh(), model.best_response(self.given_statistic))}
        if not model.moves_are_free:
            return {}
        return {"equilibrium": (self.fresh(), model.water_filling())}

    def record(self) -> dict[str, float]:
        """Where agents are on average, and how far apart: E|x - E x|^2; nothing before the first step."""
        if self.last_step is None:
            return {}
        places = self.states["position"]
        (x, y), spread = places.mean(axis=0), float(places.var(axis=0).sum())
        return {"mean_x": float(x), "mean_y": float(y), "spread": spread}

    def scene(self) -> dict[str, Any]:
        """Where agents are, and what they met in the last step; of it nothing after reset.

        Returns:
            ``steps`` and ``outcome`` since reset, ``title``, ``n_agents``, ``region``, ``positions[N, 2]``,
            ``desirability[grid_cells, grid_cells]`` of the last step, or the first; and of the last step, if
            there is one, ``density[grid_cells, grid_cells]`` and ``rewards[N]``.
        """
        outcome, grid, positions = self.outcome(), self.grid, self.states["position"]
        step = max(int(self.states["step"][0]) - 1, 0)
        field = self.desirability(grid.places, np.full(len(grid), step))
        scene: dict[str, Any] = {
            "steps": outcome.steps,
            "outcome": outcome,
            "title": self.name.replace("_", " ").capitalize(),
            "n_agents": self.n_agents,
            "region": self.config.region,
            "positions": positions.copy(),
            "desirability": field.reshape(grid.shape),
        }
        if self.last_step is None:
            return scene
        return scene | {
            "density": self.last_step.statistic.reshape(grid.shape),
            "rewards": self.last_step.rewards.copy(),
        }
