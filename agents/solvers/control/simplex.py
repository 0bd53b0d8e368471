"""Grids on sets of distributions: evenly spaced points, interpolation between them, and nets of policies."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray


class SimplexGrid:
    """The distributions over n things whose probabilities are multiples of 1/steps.

    Between them functions are interpolated linearly on the simplices of Freudenthal's triangulation, which
    is an average with weights of n points, and exact for linear functions.

    Attributes:
        n: how many things.
        steps: 1 over the spacing of probabilities.
        points: ``float64[G, n]``, G = binomial(steps + n - 1, n - 1); the first is all of the first thing.

    Args:
        n: at least 1.
        steps: at least 1.
    """

    def __init__(self, n: int, steps: int) -> None:
        self.n, self.steps = n, steps
        # A point is told by how many steps are beyond each of the things, numbers that do not rise.
        rising = itertools.combinations_with_replacement(range(steps + 1), n - 1)
        beyond = np.array([numbers[::-1] for numbers in rising], np.int64).reshape(self.size(n, steps), n - 1)
        padded = np.pad(beyond, ((0, 0), (1, 1)), constant_values=((0, 0), (steps, 0)))
        self.points = -np.diff(padded, axis=1) / steps
        self._strides = (steps + 1) ** np.arange(n - 1)
        self._number = np.zeros((steps + 1) ** (n - 1), np.int64)
        self._number[beyond @ self._strides] = np.arange(len(beyond))

    @staticmethod
    def size(n: int, steps: int) -> int:
        """G, without making them."""
        return math.comb(steps + n - 1, n - 1)

    def places(self, distributions: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The points around distributions ``[..., n]``, and their weights, of sum 1: ``[..., n]`` each."""
        beyond = self.steps * np.flip(np.cumsum(np.flip(distributions, -1), axis=-1), -1)[..., 1:]
        # Rounding may have them rise a little, or leave the grid.
        beyond = np.minimum.accumulate(np.clip(beyond, 0.0, self.steps), axis=-1)
        corner = np.floor(beyond)
        rest = beyond - corner
        order = np.argsort(-rest, axis=-1, kind="stable")
        levels = np.take_along_axis(rest, order, axis=-1)
        ones = np.ones((*levels.shape[:-1], 1))
        weights = -np.diff(np.concatenate([ones, levels, 0 * ones], axis=-1), axis=-1)
        # From the corner to the next vertices: a step along each axis, in the order of what is left over.
        steps = (order[..., None] == np.arange(self.n - 1)).cumsum(axis=-2)
        vertices = corner.astype(np.int64)[..., None, :] + np.concatenate(
            [np.zeros((*steps.shape[:-2], 1, self.n - 1), np.int64), steps], axis=-2
        )
        vertices = np.minimum(vertices, self.steps)  # beyond the grid only where the weight is 0
        return self._number[vertices @ self._strides], weights

    def nearest(self, distributions: NDArray[np.float64]) -> NDArray[np.int64]:
        """The number of the point with the largest weight of those around each distribution ``[..., n]``."""
        numbers, weights = self.places(distributions)
        chosen = weights.argmax(axis=-1)[..., None]
        return np.asarray(np.take_along_axis(numbers, chosen, axis=-1)[..., 0])


def policy_net_size(legal_actions: NDArray[np.bool_], steps: int) -> int:
    """How many policies :func:`policy_net` makes."""
    return math.prod(SimplexGrid.size(int(count), steps) for count in legal_actions.sum(axis=1))


def policy_net(legal_actions: NDArray[np.bool_], steps: int) -> NDArray[np.float64]:
    """All local policies whose probabilities are multiples of 1/steps.

    Args:
        legal_actions: ``bool[X, A]``.
        steps: at least 1.

    Returns:
        ``float64[H, X, A]``, a net H_epsilon of the local policies with epsilon = 1/steps.
    """
    by_state = []
    for legal in legal_actions:
        mixtures = SimplexGrid(int(legal.sum()), steps).points
        rows = np.zeros((len(mixtures), len(legal)))
        rows[:, legal] = mixtures
        by_state.append(rows)
    numbers = np.meshgrid(*(np.arange(len(rows)) for rows in by_state), indexing="ij")
    return np.stack([rows[number.ravel()] for rows, number in zip(by_state, numbers)], axis=1)
