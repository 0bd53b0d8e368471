"""Configuration of the supply game."""

from __future__ import annotations

import math
from dataclasses import dataclass

from karma_envs.config import real, refusal
from karma_envs.crowds.game import LARGEST, CrowdConfig, points

_HALF_CIRCLE = (
    (-0.9, 0.15), (-0.86, 0.46), (-0.74, 0.75), (-0.55, 1.0), (-0.3, 1.19), (-0.01, 1.31), (0.3, 1.35),
    (0.61, 1.31), (0.9, 1.19), (1.15, 1.0), (1.34, 0.75), (1.46, 0.46), (1.5, 0.15),
)  # fmt: skip


@dataclass(frozen=True)
class SupplyConfig(CrowdConfig):
    """Configuration of the supply game; numbers of agents, steps, costs and starts are the source's.

    Attributes:
        n_agents: N, number of firms, >= 1.
        crowd_aversion: alpha > 0: demand at a place is divided by (1 + density)^alpha.
        movement_cost: eta >= 0: a move u costs eta / 2 |u|^2.
        length: T, number of steps, >= 2.
        discount: of later steps, in [0, 1).
        start_mean: (x, y), mean of where firms start, within the region.
        start_variance: variance per axis of where firms start, >= 0.
        noise: sigma >= 0, standard deviation per axis of a disturbance of every move.
        region: ((lowest x, highest x), (lowest y, highest y)): firms that would leave it stop at its edge.
        grid_cells: cells of the grid on which the density is estimated, along each side of the region;
            4 to 1000.
        bandwidth: standard deviation per axis of the kernel that smooths the density, from one side of a
            cell to a quarter of the region's shorter side.
        move_scale: B > 0: a move u leads from x to x + B u.
        largest_move: greatest move along each axis in a step, > 0.
        path: places (x, y) which demand passes, the first in the first step and the last in the last, with as
            much time from each to the next.
        demand_scale: s > 0: demand falls with the distance d from its peak as exp(-d^2 / s^2).
        demand: w > 0: all of demand, times 2; at the peak it is w / (2 pi s^2).

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 200
    crowd_aversion: float = 0.1
    movement_cost: float = 2.0
    length: int = 30
    start_mean: tuple[float, float] = (-0.2, 0.0)
    region: tuple[tuple[float, float], tuple[float, float]] = ((-2.0, 2.0), (-2.0, 2.0))
    grid_cells: int = 60
    move_scale: float = 0.125
    largest_move: float = 16.0
    path: tuple[tuple[float, float], ...] = _HALF_CIRCLE
    demand_scale: float = 0.5
    demand: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(
            path=points("path", self.path, "places (x, y), at least one"),
            demand_scale=real("demand_scale", self.demand_scale, 1 / LARGEST, LARGEST),
            demand=real("demand", self.demand, 1 / LARGEST, LARGEST),
        )
        if self.length < 2:
            raise refusal("length", self.length, "a whole number from 2 to 10000: demand moves")

    @property
    def peak_demand(self) -> float:
        """w / (2 pi s^2), demand where there is most of it."""
        return self.demand / (2 * math.pi * self.demand_scale**2)
