"""The inner loop of dynamic programming over moves in the plane."""

from __future__ import annotations

import numpy as np

from karma_envs.numerics.compile import kernel


@kernel
def maximise(worth, places, targets, cost, first, last, best, which):
    """For each row and place the target in [first, last) of the greatest worth less cost * distance^2.

    From a place further on the best target is never further back, as the cost is convex in the distance, and
    neither are first and last. So every place is looked at between the targets of its neighbours that are
    known: first every 2^n-th place, then the ones in the middle, and so on.
    """
    n_places = places.shape[0]
    for row in range(worth.shape[0]):
        stride = 1
        while stride < n_places:
            stride *= 2
        while stride >= 1:
            # At the coarsest stride there is place 0 alone; each finer one adds the odd multiples.
            for place in range(stride if stride < n_places else 0, n_places, 2 * stride):
                low, high = first[place], last[place]
                if place >= stride and stride < n_places:
                    low = max(low, which[row, place - stride])
                    if place + stride < n_places:
                        high = min(high, which[row, place + stride] + 1)
                here = places[place]
                greatest, where = -np.inf, low
                for target in range(low, high):
                    distance = targets[target] - here
                    value = worth[row, target] - cost * distance * distance
                    if value > greatest:
                        greatest, where = value, target
                best[row, place], which[row, place] = greatest, where
            stride //= 2
