"""Anderson acceleration of a fixed-point iteration.

Where plain steps x + r(x) to a root of r are too slow, or lead away from it, the last steps tell how r
changes along their directions; the next one leads to where r would be least if it were linear there. So it is
a secant method of several directions that costs one evaluation of r a step.

Sources: D. G. Anderson 1965, *Iterative procedures for nonlinear integral equations*; H. F. Walker, P. Ni
2011, *Anderson acceleration for fixed-point iterations*, SIAM J. Numer. Anal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SINGULAR = 1e-10  # relative, of differences that say nothing new


class Anderson:
    """Steps to a root of r, of ``float64[k]``.

    Args:
        memory: the most differences that a step is made of, at least 1.
        singular: of the differences of r, what is smaller than that, relative to the greatest, says nothing.
    """

    def __init__(self, memory: int, singular: float = _SINGULAR) -> None:
        self._memory, self._singular = memory, singular
        self._points: list[NDArray[np.float64]] = []
        self._residuals: list[NDArray[np.float64]] = []

    def forget(self) -> None:
        """Forget the differences, as after a step that failed."""
        self._points, self._residuals = [], []

    def step(self, point: NDArray[np.float64], residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """The next point, of one and its r: a plain step where there is no other yet."""
        self._points.append(point)
        self._residuals.append(residual)
        del self._points[: -self._memory - 1], self._residuals[: -self._memory - 1]
        plain = point + residual
        if len(self._points) == 1:
            return plain
        moves = np.diff(self._points, axis=0).T
        changes = np.diff(self._residuals, axis=0).T
        weights = np.linalg.lstsq(changes, residual, rcond=self._singular)[0]
        return np.asarray(plain - (moves + changes) @ weights)
