"""Populations at rest: the statistic that a city's population makes while it faces what this brings about.

Every kind of agents is at rest in what a statistic z brings about, exactly, and makes a statistic F(z) then;
a fixed point is sought by Anderson acceleration (D. G. Anderson 1965; H. F. Walker, P. Ni, *Anderson
acceleration for fixed-point iterations*, SIAM J. Numer. Anal. 2011). Where a step makes things worse, it
goes on from the best that was seen, by half a plain step and with no memory: without that it diverged from
some starts. What fixes the level of redistribution is the mean karma: every level is that of a population
with some mean karma, so in place of the level that agents make its step is towards the mean that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field.stationary import StationaryMeanField

if TYPE_CHECKING:
    from karma_envs.games.grid_city.mean_field.model import CityMeanField

_MEMORY = 10  # differences that a step is made of
_ITERATIONS = 300
_WORSE = 2.0  # a residual so many times the best one is a step that failed
_SINGULAR = 1e-10  # relative, of differences that say nothing new
_LEVEL_STEPS = 12
_LEVEL_NEAR = 0.02  # of mean karma


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
    tolerance: float = 1e-11,
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
    played = np.ascontiguousarray(policy, np.float64)
    level_at, karma_max = model.level_at, model.game.config.karma_max

    def difference(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a population at rest in a statistic makes instead of it; of the level, what karma is amiss."""
        field = model.decision_problem(statistic).at_rest(played, begin)
        return model.inconsistency(statistic, field, played)

    z = model.statistic(begin, played)
    slope = None
    if model.conserves_karma:
        slope = _find_level(difference, z, level_at, model.game.config.karma_mean, karma_max)
    mixing, best, best_residual, smallest = _Mixing(), z, np.zeros_like(z), np.inf
    for _ in range(_ITERATIONS):
        residual = difference(z)
        if slope is not None:
            residual[level_at] /= -slope
        if model.conserves_karma and slope is None:
            residual[level_at] = 0.0  # nobody pays
        size = float(np.abs(residual).max())
        if size > _WORSE * smallest:
            mixing.forget()
            z = best + 0.5 * best_residual
            best_residual = 0.5 * best_residual
        else:
            if size < smallest:
                best, best_residual, smallest = z, residual, size
            if size <= tolerance:
                break
            z = mixing.step(z, residual)
        z = np.maximum(z, 0.0)
        z[level_at:] = np.minimum(z[level_at:], karma_max)
    field = model.decision_problem(best).at_rest(played, begin)
    statistic = model.statistic(field, played)
    problem = model.decision_problem(statistic)
    after = problem.pushed(field[..., None] * played)
    return StationaryMeanField(field, statistic, problem, float(np.abs(after - field).max()))


def _find_level(difference, statistic, level_at, karma_mean, karma_max):
    """Bring the mean karma near what it is to be by the level alone, in place.

    Returns:
        by how much the mean karma rises with the level; None where nobody pays, so that it is 0.
    """
    low, high, last = 0.0, float(karma_max), None
    slope = karma_mean / max(statistic[level_at], 0.1)
    for step in range(_LEVEL_STEPS):
        level = float(statistic[level_at])
        amiss = float(difference(statistic)[level_at])
        if level == 0.0 and step == 0 and abs(amiss) <= 1e-9:
            return None
        if last is not None and amiss != last[1]:
            slope = max((amiss - last[1]) / (level - last[0]), 1e-3)
        if abs(amiss) <= _LEVEL_NEAR * karma_mean:
            break
        low, high = (level, high) if amiss < 0 else (low, level)
        last = (level, amiss)
        # A secant step that stays well inside of what is left.
        margin = 0.05 * (high - low)
        statistic[level_at] = np.clip(level - amiss / slope, low + margin, high - margin)
    return slope
