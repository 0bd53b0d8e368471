"""What the trials of an ascent say of a gain around the best of them: planes, of which the lowest counts.

At a ridge where slopes differ on the two sides one slope promises what is not there, and every step along it
leads down on the other side. The lowest of the planes of both sides has the ridge in it, and says where it
rises: of slopes alone, that is the convex combination with the least norm.

Source: proximal bundles, Kiwiel 1990, "Proximity control in bundle methods for convex nondifferentiable
minimization"; with the metric of second derivatives, Luksan and Vlcek 1998, "A bundle-Newton method for
nonsmooth unconstrained minimization". Solved for as a least-distance problem, Lawson and Hanson 1974,
"Solving Least Squares Problems", chapter 23.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

_BEND = 0.01  # of the gain that is promised, over what one plane alone would promise
_ROUNDING = 1e-9
_LEAST_EIGENVALUE = 1e-12  # over the greatest


def lowest(heights: NDArray[np.float64], slopes: NDArray[np.float64], move: NDArray[np.float64]) -> float:
    """The gain after a move, over that before it, as the lowest of planes has it.

    Args:
        heights: of the planes before the move, over the gain there, ``float64[B]``.
        slopes: of the planes, ``float64[B, P]``.
        move: ``float64[P]``.
    """
    return float(np.min(heights + slopes @ move))


def best_move(
    heights: NDArray[np.float64],
    slopes: NDArray[np.float64],
    at: NDArray[np.float64],
    inverse: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The move within the box [0, 1]^P of the most gain, as the lowest of planes has it, less its cost.

    The cost is half of its square in the metric of second derivatives. With one plane, and no end of the box
    nearby, it is Newton's step.

    Args:
        heights: of the planes, over the gain at the place, ``float64[B]``; the first, of the place itself, 0.
        slopes: of the planes, ``float64[B, P]``.
        at: coordinates of the place, ``float64[P]`` in [0, 1].
        inverse: of minus the second derivative, ``float64[P, P]``, positive definite.

    Returns:
        ``float64[P]``.
    """
    size = len(at)
    # A root of it, safe from what rounding does to eigenvalues that are small.
    lengths, axes = np.linalg.eigh(inverse)
    root = axes * np.sqrt(np.maximum(lengths, _LEAST_EIGENVALUE * lengths[-1]))
    scale = float(slopes[0] @ inverse @ slopes[0])  # the most that can be gained, twice over
    if scale <= 0:
        return np.zeros(size)
    # The gain t is maximised as t - _BEND t^2 / (2 scale), of which t is most: then all is one square, of
    # z = (root^-1 move, (_BEND t / scale - 1) sqrt(scale / _BEND)), the least of which is sought.
    unit = np.sqrt(scale / _BEND)
    sides = np.column_stack([slopes @ root, np.full(len(heights), -unit)])
    box = np.column_stack([np.vstack([root, -root]), np.zeros(2 * size)])
    least = np.concatenate([unit**2 - heights, -at, at - 1.0])
    # Least distance with sides z >= least, by least squares without negative weights.
    rows = np.vstack([np.vstack([sides, box]).T, least])
    aim = np.append(np.zeros(size + 1), 1.0)
    weights, _ = nnls(rows, aim)
    rest = rows @ weights - aim
    end = at + root @ (-rest[:size] / rest[-1])
    # An end of the box is met but for rounding.
    end = np.where(end < _ROUNDING, 0.0, np.where(end > 1.0 - _ROUNDING, 1.0, end))
    return np.asarray(end - at)
