"""Configuration of the spatial congestion game."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import importable_name, is_list, real, refusal
from karma_envs.crowds.game import LARGEST, CrowdConfig, points
from karma_envs.karma.config import code_of
from karma_envs.plugins import call_named, import_named

_FIELD = (
    "None for the peaks; or a function of x and y, or its name as module:function; or rows of numbers, one "
    "row for each of the grid's cells along x: numbers from 0 up, some above 0"
)


@dataclass(frozen=True)
class SpatialCongestionConfig(CrowdConfig):
    """Configuration of the spatial congestion game; the defaults are those of the source where it has any.

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
        peaks: mu_i, the places (x, y) of Gaussian peaks of desirability.
        scales: s_i > 0 of the peaks, Sigma_i = s_i^2 times the identity; one for each, or one for all.
        weights: w_i > 0 of the peaks; one for each, or one for all.
        desirability: a field in place of the peaks: a function of x and y, jitted or not, that gives a
            number, or its name as module:function; or rows of numbers, ``[grid_cells, grid_cells]``, along x
            and then along y. Either is taken at the centres of the cells, and is linear between them.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    peaks: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    scales: tuple[float, ...] = (1.0,)
    weights: tuple[float, ...] = (1.0,)
    desirability: str | tuple[tuple[float, ...], ...] | Callable[[float, float], float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(peaks=points("peaks", self.peaks, "places (x, y), at least one"))
        self._set(scales=self._one_each("scales"), weights=self._one_each("weights"))
        if is_list(self.desirability):
            rows = np.array(self.desirability, np.float64) if _is_table(self.desirability) else np.empty(0)
            if rows.shape != self.grid.shape:
                raise refusal("desirability", self.desirability, _FIELD)
            self._set(desirability=tuple(map(tuple, rows.tolist())))
        if self.desirability is not None:
            field = self.field
            if not np.isfinite(field).all() or field.min() < 0 or not 0 < field.max() <= LARGEST:
                raise refusal("desirability", self.desirability, _FIELD)

    def _one_each(self, name: str) -> tuple[float, ...]:
        """A positive number for each peak."""
        values, n_peaks = getattr(self, name), len(self.peaks)
        values = values if is_list(values) else (values,)
        if len(values) not in (1, n_peaks):
            raise refusal(name, values, f"one number for each of the {n_peaks} peaks, or one for all")
        checked = tuple(real(name, value, 1 / LARGEST, LARGEST) for value in values)
        return checked * n_peaks if len(checked) == 1 else checked

    @cached_property
    def field(self) -> NDArray[np.float64]:
        """``float64[k]``: ``desirability`` at the centres of the cells, where there is any."""
        if is_list(self.desirability):
            return np.array(self.desirability, np.float64).ravel()
        return np.array(
            [
                real("desirability", call_named("desirability", self.desirability, _FIELD, x, y))
                for x, y in self.grid.places.tolist()
            ]
        )

    def heights(self) -> NDArray[np.float64]:
        """``float64[peaks]``: w_i / (2 pi s_i^2), the desirability at each peak of that peak alone."""
        return np.asarray(np.divide(self.weights, 2 * math.pi * np.square(self.scales)))

    def provenance(self) -> dict[str, str]:
        """The code of a function of the user's."""
        if self.desirability is None or is_list(self.desirability):
            return super().provenance()
        function: Any = self.desirability
        if isinstance(function, str):
            function = import_named("desirability", function, _FIELD)
        return super().provenance() | code_of({f"desirability {importable_name(function)}": function})


def _is_table(value: Any) -> bool:
    """Whether a value is rows of numbers of equal length."""
    return all(
        is_list(row) and len(row) == len(value[0]) and all(np.isreal(number) for number in row)
        for row in value
    )
