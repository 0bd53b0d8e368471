"""The inner loop of dynamic programming over moves in the plane."""

from __future__ import annotations

import numpy as np

from karma_envs.numerics.compile import kernel


@kernel
def maximise(worth, places, targets, cost, first, last, best, which):
    """For each row and place the target in [first, last) of the greatest worth less cost * distance^2."""
    for row in range(worth.shape[0]):
        for place in range(places.shape[0]):
            here = places[place]
            greatest, where = -np.inf, first[place]
            for target in range(first[place], last[place]):
                distance = targets[target] - here
                value = worth[row, target] - cost * distance * distance
                if value > greatest:
                    greatest, where = value, target
            best[row, place], which[row, place] = greatest, where
