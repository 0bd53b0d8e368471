"""Linear equations of a function's derivatives, of which only products with directions are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_WIDTH = 1e-5  # of differences, in the direction's greatest number
_DIRECTIONS = 40
_ENOUGH = 0.1  # of the residual that the linear equations leave


def newton_step(
    residual: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    point: NDArray[np.float64],
    value: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The step s with value + J s = 0, nearly, by GMRES (Saad and Schultz 1986) on differences.

    Args:
        residual: the function, of ``float64[n]``, with as many values.
        point: where J is its Jacobian.
        value: what it is there.
    """
    size = float(np.linalg.norm(value))
    most = min(_DIRECTIONS, len(point))
    basis: list[NDArray[np.float64]] = [value / size]
    hessenberg = np.zeros((most + 1, most))
    weights: NDArray[np.float64] = np.zeros(0)
    for column in range(most):
        direction = basis[column]
        width = _WIDTH / float(np.abs(direction).max())
        image: NDArray[np.float64] = (residual(point + width * direction) - value) / width
        for _ in range(2):  # Gram-Schmidt, twice against rounding
            for row, vector in enumerate(basis):
                share = float(vector @ image)
                hessenberg[row, column] += share
                image -= share * vector
        length = float(np.linalg.norm(image))
        hessenberg[column + 1, column] = length
        right = np.zeros(column + 2)
        right[0] = -size
        used = hessenberg[: column + 2, : column + 1]
        weights = np.asarray(np.linalg.lstsq(used, right, rcond=None)[0], np.float64)
        if length == 0.0 or np.linalg.norm(used @ weights - right) <= _ENOUGH * size:
            break
        basis.append(image / length)
    return np.asarray(sum(weight * vector for weight, vector in zip(weights, basis)))
