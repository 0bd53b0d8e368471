"""The best moves of one agent among a flow of densities, by dynamic programming on a grid.

With r_t(y) what an agent gets at y in step t, and V_T = 0,

    V_t(x) = max over y of W_t(y) - eta / 2 |y - x|^2,      W_t(y) = E[(r_t + gamma V_{t+1})(y + sigma eps)],

where y is where a move from x leads if nothing disturbs it. Two things make this fast and precise: the cost
of a move is a sum over the axes, so that the maximum is taken along one axis after the other; and targets y
lie on a grid several times finer than places x, to which W_t is interpolated by cubic splines.

Source: R. Bellman, *Dynamic programming*, 1957; P. Felzenszwalb, D. Huttenlocher, *Distance transforms of
sampled functions*, 2012, for one axis after the other.

Differences from the source:
    Near the edge of the region disturbances are taken to be reflected; in the game they end there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter

from karma_envs.crowds.kernels import maximise
from karma_envs.numerics.density import PlaneGrid

REFINEMENT = 8
"""Targets per cell, along each axis."""

Values = NDArray[np.float64]


def best_targets(
    rewards: Values,
    grid: PlaneGrid,
    *,
    movement_cost: float,
    discount: float,
    noise: float,
    largest_move: float,
) -> tuple[Values, Values]:
    """The best places to move to, and what that is worth.

    Args:
        rewards: ``float64[T, k]``: r_t at the centres of the cells.
        grid: the cells.
        movement_cost: eta, per distance squared; of a game with moves B u it is eta / B^2.
        discount: gamma.
        noise: sigma.
        largest_move: distance along each axis.

    Returns:
        targets ``float64[T, k, 2]`` from the centres of the cells, and V ``float64[T, k]``.
    """
    length = len(rewards)
    targets, values = np.empty((length, *grid.shape, 2)), np.empty((length, *grid.shape))
    fine = PlaneGrid(grid.low, grid.high, (REFINEMENT * grid.shape[0], REFINEMENT * grid.shape[1]))
    to_fine_x, to_fine_y = (
        make_interp_spline(own, np.eye(len(own)))(np.clip(axis, own[0], own[-1]))  # no extrapolation
        for own, axis in zip(grid.axes, fine.axes, strict=True)
    )
    to_come = np.zeros(grid.shape)
    for step in reversed(range(length)):
        worth = rewards[step].reshape(grid.shape) + discount * to_come
        if noise:
            worth = gaussian_filter(worth, tuple(noise / grid.spacing), mode="reflect")
        finely = to_fine_x @ worth @ to_fine_y.T  # splines are linear in what they interpolate
        reach = largest_move
        if movement_cost:  # what is further costs more than any place is worth
            reach = min(reach, math.sqrt(2 * (finely.max() - finely.min()) / movement_cost) + 1e-9)
        across = _best_along(finely.T, grid.axes[0], fine.axes[0], movement_cost, reach)  # [fine y, x]
        along = _best_along(across[0].T, grid.axes[1], fine.axes[1], movement_cost, reach)  # [x, y]
        to_come = values[step] = along[0]
        targets[step, ..., 1] = fine.axes[1][along[1]]
        rows = np.arange(grid.shape[0])[:, None]
        targets[step, ..., 0] = fine.axes[0][across[1][along[1], rows]]
    return targets.reshape(length, -1, 2), values.reshape(length, -1)


def _best_along(
    worth: Values, places: Values, targets: Values, movement_cost: float, reach: float
) -> tuple[Values, NDArray[np.int64]]:
    """The maximum along one axis, from each place, and the target's number; ``[rows, places]`` each."""
    shape = len(worth), len(places)
    best, which = np.empty(shape), np.empty(shape, np.int64)
    first = np.searchsorted(targets, places - reach)
    last = np.searchsorted(targets, places + reach, side="right")
    nearest = np.searchsorted(targets, places)  # that an agent may always stay
    first, last = np.minimum(first, nearest), np.maximum(last, nearest + 1)
    maximise(np.ascontiguousarray(worth), places, targets, movement_cost / 2, first, last, best, which)
    return best, which
