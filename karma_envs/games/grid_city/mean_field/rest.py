"""Populations at rest: the statistic that a city's population makes while it faces what this brings about.

Every kind of agents is at rest in what a statistic z brings about, exactly, and makes a statistic F(z) then;
a fixed point is sought by Anderson acceleration (D. G. Anderson 1965; H. F. Walker, P. Ni, *Anderson
acceleration for fixed-point iterations*, SIAM J. Numer. Anal. 2011), on the logarithms of z: where a lane
is crowded its queue is moved by ratios. On z itself it did not converge for some cities under DICT. Where a
step makes things much worse, it goes on from the best that was seen, by half a plain step and with no
memory. What fixes the level of redistribution is the mean karma: every level is that of a population
with some mean karma, so in place of the level that agents make its step is towards the mean that there is.
With redistribution by lane all levels of lanes are moved so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.mean_field.trips import as_table
from karma_envs.mean_field.stationary import StationaryMeanField

if TYPE_CHECKING:
    from karma_envs.games.grid_city.config import GridCityConfig
    from karma_envs.games.grid_city.mean_field.model import CityMeanField

_MEMORY = 10  # differences that a step is made of
_ITERATIONS = 300
_WORSE = 10.0  # a residual so many times the best one is a step that failed
_SINGULAR = 1e-10  # relative, of differences that say nothing new
_SMALL = 1e-3  # agents per step, and levels: what is below is told apart by differences, above by ratios
_MOST = 30.0  # a logarithm, beyond anything there can be
_LEVEL_STEPS = 12
_LEVEL_NEAR = 0.02  # of mean karma
_NO_KARMA = 1e-9


class _Mixing:
    """Anderson's steps to a fixed point of F, of ``float64[k]``."""

    def __init__(self) -> None:
        self._points: list[NDArray[np.float64]] = []
        self._residuals: list[NDArray[np.float64]] = []

    def forget(self) -> None:
        """Forget the differences, as after a step that failed."""
        self._points, self._residuals = [], []

    def step(self, point: NDArray[np.float64], residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """The next point, of one and its F(z) - z."""
        self._points.append(point)
        self._residuals.append(residual)
        del self._points[: -_MEMORY - 1], self._residuals[: -_MEMORY - 1]
        plain = point + residual
        if len(self._points) == 1:
            return plain
        moves = np.diff(self._points, axis=0).T
        changes = np.diff(self._residuals, axis=0).T
        weights = np.linalg.lstsq(changes, residual, rcond=_SINGULAR)[0]
        return np.asarray(plain - (moves + changes) @ weights)


def population_at_rest(
    model: CityMeanField,
    policy: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
    tolerance: float = 1e-10,
) -> StationaryMeanField:
    """The mean field at rest of a population that plays a policy, and what agents face in it.

    Args:
        model: the city's.
        policy: ``float64[G, X, A]``.
        start: mean field to begin with; the model's initial one if None. Where nobody ever pays, everybody
            keeps the karma of then.
        tolerance: largest change of the statistic (agents per step at a lane, and levels) that is accepted.

    Returns:
        the field, whose ``residual`` tells whether it is at rest.
    """
    begin = model.initial_mean_field if start is None else start
    played = as_table(policy)
    highest = model.highest_statistic

    def response(statistic: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """What a population at rest in a statistic makes instead of it, and what its mean karma is off."""
        field = model.decision_problem(statistic).at_rest(played, begin)
        return model.statistic(field, played), model.karma_amiss(field, statistic)

    z = model.statistic(begin, played)
    held = model.held_levels
    slope = _find_levels(response, z, held, model.game.config) if model.conserves_karma else np.inf
    mixing, best, smallest, failed = _Mixing(), z, np.inf, 0
    best_step = point = np.log(z + _SMALL)
    for _ in range(_ITERATIONS):
        made, amiss = response(z)
        step = np.log(made + _SMALL) - point
        step[held] = (step[held] if model.shares_by_lane else 0.0) - amiss / slope
        size = float(np.abs(made - z).max())
        size = size if np.isinf(slope) else max(size, abs(amiss))
        if size < smallest:
            best, best_step, smallest, failed = z, step, size, 0
        if size <= tolerance:
            break
        if size > _WORSE * smallest:
            mixing.forget()
            failed += 1
            point = np.log(best + _SMALL) + 0.5**failed * best_step
        else:
            point = mixing.step(point, step)
        levels = z[held]
        z = np.clip(np.exp(np.minimum(point, _MOST)) - _SMALL, 0.0, highest)
        if np.isinf(slope):
            z[held] = levels
        point = np.log(z + _SMALL)
    field = model.decision_problem(best).at_rest(played, begin)
    statistic = model.statistic(field, played)
    problem = model.decision_problem(statistic)
    after = problem.pushed(field[..., None] * played)
    return StationaryMeanField(field, statistic, problem, float(np.abs(after - field).max()))


def _find_levels(
    response: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], float]],
    statistic: NDArray[np.float64],
    held: slice,
    config: GridCityConfig,
) -> float:
    """Bring the mean karma near what it is to be by the levels alone, in place.

    Returns:
        by how much the mean karma rises with the logarithm of the levels; infinity where nobody pays, so that
        they are 0.
    """
    first = statistic[held].copy()
    low, high = np.log(1e-3), np.log(config.karma_max / max(first.max(), 1e-3))
    factor, slope = 0.0, max(config.karma_mean, 1e-3)
    last: tuple[float, float] | None = None
    for _ in range(_LEVEL_STEPS):
        amiss = response(statistic)[1]
        if not first.any():
            if abs(amiss) <= _NO_KARMA:
                return np.inf
            first[:] = statistic[held] = 0.1
            high = np.log(config.karma_max / 0.1)
            continue
        if last is not None and factor != last[0]:
            slope = max((amiss - last[1]) / (factor - last[0]), 0.1 * config.karma_mean)
        if abs(amiss) <= _LEVEL_NEAR * config.karma_mean:
            break
        low, high = (factor, high) if amiss < 0 else (low, factor)
        last = (factor, amiss)
        # A secant step that stays well inside of what is left.
        margin = 0.05 * (high - low)
        factor = float(np.clip(factor - amiss / slope, low + margin, high - margin))
        statistic[held] = first * np.exp(factor)
    return float(slope)
