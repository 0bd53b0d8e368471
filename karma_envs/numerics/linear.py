"""Systems of linear equations that may be badly scaled, or nearly singular."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SINGULAR = 1e8  # a solution that much greater than the right-hand side is one of singular equations


def solve_scaled(jacobian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares solution of ``jacobian @ x = right``, rows and columns brought to one scale first."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a step that is refused for what it is
        return _scaled_solution(jacobian, right)


def _scaled_solution(jacobian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.abs(jacobian).max(axis=1, keepdims=True)
    rows[rows == 0.0] = 1.0
    columns = np.abs(jacobian / rows).max(axis=0)
    columns[columns == 0.0] = 1.0  # of an unknown that nothing depends on, which least squares leave be
    scaled, right = jacobian / rows / columns, right / rows[:, 0]
    try:
        solution = np.linalg.solve(scaled, right) if len(rows) == len(columns) else None
    except np.linalg.LinAlgError:
        solution = None
    # Where solutions are not isolated, rounding decides how far along them a direct solve goes.
    largest = _SINGULAR * np.abs(right).max()
    if solution is None or not np.isfinite(solution).all() or np.abs(solution).max() > largest:
        solution = np.linalg.lstsq(scaled, right, rcond=1e-13)[0]
    return np.asarray(solution / columns)
