"""What agents of a crowd do who know where to go: to places drawn of a density, or the best from theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import refusal
from karma_envs.numerics.density import PlaneGrid
from karma_envs.numerics.random import fill_uniform
from karma_envs.saved_policy import SavedPolicy

Values = NDArray[np.float64]


class PlanPolicy(SavedPolicy):
    """A plan on a grid, for each step: what is common to policies made of one.

    Args:
        plan: ``float64[T, k]`` or ``float64[T, k, 2]``, for each step and cell.
        grid: the cells.
        move_scale: B of the game, in which a move u leads from x to x + B u.

    Raises:
        ConfigError: for a plan that does not fit the grid, or is not finite.
    """

    _SHAPE: tuple[int, ...]

    def __init__(self, plan: ArrayLike, grid: PlaneGrid, move_scale: float = 1.0) -> None:
        self.plan, self.grid, self.move_scale = np.array(plan, np.float64), grid, move_scale
        own = (len(grid), *self._SHAPE)
        if self.plan.ndim < 1 or self.plan.shape[1:] != own or not np.isfinite(self.plan).all():
            allowed = f"finite, of shape [T, {', '.join(map(str, own))}]"
            raise refusal("plan", f"float64{list(self.plan.shape)}", allowed)

    def _moves(self, observations: NDArray[np.float32], targets: Values) -> NDArray[np.float32]:
        """Moves to targets from where agents are."""
        return np.asarray((targets - observations[:, :2]) / self.move_scale, np.float32)

    def _steps(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        """The steps t, below T, in which agents are who observe so."""
        length = len(self.plan)
        if length == 1:
            return np.zeros(len(observations), np.int64)
        return np.clip(np.rint(observations[:, 2] * length), 0, length - 1).astype(np.int64)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The grid, the scale of moves, and the plan."""
        grid = {"low": self.grid.low, "high": self.grid.high, "shape": self.grid.shape}
        return {"grid": grid, "move_scale": self.move_scale}, {"plan": self.plan}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The policy of :meth:`to_parts`."""
        grid = {name: tuple(values["grid"][name]) for name in ("low", "high", "shape")}
        return cls(arrays["plan"], PlaneGrid(**grid), values["move_scale"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.plan)} steps, {len(self.grid)} cells)"


class DispersalPolicy(PlanPolicy):
    """Wherever they are, agents draw a place of a given density, and move there.

    Args:
        plan: ``float64[T, k]``, for each step a density on the grid, >= 0 and somewhere > 0; within a cell
            all places are as likely. It is scaled to mass 1.
        grid: the cells.
        move_scale: B of the game, in which a move u leads from x to x + B u.

    Raises:
        ConfigError: for a plan that does not fit the grid, or is no density.
    """

    FORMAT = "karma_envs.crowds.policy:DispersalPolicy"
    _SHAPE = ()

    def __init__(self, plan: ArrayLike, grid: PlaneGrid, move_scale: float = 1.0) -> None:
        super().__init__(plan, grid, move_scale)
        mass = self.plan.sum(axis=1, keepdims=True) * grid.cell_area
        if not (self.plan >= 0).all() or not (mass > 0).all():
            raise refusal("plan", self.plan, "numbers from 0 up, in each step some above 0")
        self.plan /= mass
        self._cumulative = np.cumsum(self.plan, axis=1) * grid.cell_area

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        """``float32[N, 2]``: moves to places that are drawn; see :class:`karma_envs.game.Policy`."""
        n, steps = len(observations), self._steps(observations)
        draws = np.empty(3 * n)
        fill_uniform(streams, 0, draws)
        shares, within = draws[:n], draws[n:].reshape(n, 2) - 0.5
        cells = np.empty(n, np.int64)
        for step in np.unique(steps):
            agents = steps == step
            cumulative = self._cumulative[step]
            cells[agents] = np.searchsorted(cumulative[:-1], shares[agents] * cumulative[-1], side="right")
        return self._moves(observations, self.grid.places[cells] + within * self.grid.spacing)

    def table(self) -> dict[str, NDArray[Any]]:
        """The density where there is somebody, in columns: ``x``, ``y``, ``density``; ``step`` if several."""
        steps, cells = np.nonzero(self.plan)
        return _columns(steps, self.grid.places[cells], len(self.plan)) | {"density": self.plan[steps, cells]}


class TargetPolicy(PlanPolicy):
    """From every place agents move to a target of their own.

    Args:
        plan: ``float64[T, k, 2]``, for each step and each cell the place to go to from its centre; linear
            between centres.
        grid: the cells.
        move_scale: B of the game, in which a move u leads from x to x + B u.

    Raises:
        ConfigError: for a plan that does not fit the grid, or is not finite.
    """

    FORMAT = "karma_envs.crowds.policy:TargetPolicy"
    _SHAPE = (2,)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        """``float32[N, 2]``: moves to the targets; nothing is drawn from ``streams``."""
        steps, places = self._steps(observations), observations[:, :2].astype(np.float64)
        targets = np.empty_like(places)
        for step in np.unique(steps):
            agents = steps == step
            for axis in range(2):
                plan = self.plan[step, :, axis]
                targets[agents, axis] = self.grid.interpolate(plan, places[agents])
        return self._moves(observations, targets)

    def table(self) -> dict[str, NDArray[Any]]:
        """Targets by place, in columns: ``x``, ``y``, ``target_x``, ``target_y``; ``step`` if several."""
        steps, cells = (index.ravel() for index in np.indices(self.plan.shape[:2]))
        target_x, target_y = self.plan.reshape(-1, 2).T
        return _columns(steps, self.grid.places[cells], len(self.plan)) | {
            "target_x": target_x,
            "target_y": target_y,
        }


def _columns(steps: NDArray[np.int64], places: Values, length: int) -> dict[str, NDArray[Any]]:
    """Which step, where there are several, and where."""
    step = {"step": steps} if length > 1 else {}
    return {**step, "x": places[:, 0], "y": places[:, 1]}
