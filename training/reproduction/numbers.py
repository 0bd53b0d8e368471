"""Rows of results, and the numbers that tables and verdicts make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.common.tables import Row

_ROUNDING = 1e-12  # a relative error that is no spread


def row_of(
    names: Sequence[str],
    case: str,
    point: int = -1,
    x: float = np.nan,
    y: float = np.nan,
    **summary: float,
) -> Row:
    """A row of a summary, or a point of a curve; NaN where the one says nothing of the other."""
    return {"case": case, "point": point, "x": x, "y": y} | {
        name: summary.get(name, np.nan) for name in names
    }


def points(rows: Sequence[Row], case: str, seed: int, *quantities: str) -> tuple[list[float], ...]:
    """The points of a curve: a list for each quantity, x and y where none is named."""
    chosen = [row for row in rows if row["case"] == case and row["seed"] == seed]
    return tuple([row[quantity] for row in chosen] for quantity in quantities or ("x", "y"))


def mean_over_seeds(rows: Sequence[Row], case: str, quantity: str) -> tuple[float, float]:
    """Mean and standard error (NaN for one seed) of a quantity of a case."""
    values = np.array([row[quantity] for row in rows if row["case"] == case], np.float64)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return float(values.mean()), float(error)


def with_error(value: float, standard_error: float) -> str:
    """A number and its standard error, to two digits of the error; alone where it has none."""
    if not np.isfinite(value):
        return "–"
    if not standard_error > _ROUNDING * abs(value):
        return f"{value:.6g}"
    if standard_error < 1e-8:
        return f"{value:.1e} ± {standard_error:.0e}"
    digits = int(np.clip(1 - np.floor(np.log10(standard_error)), 0, 8))
    return f"{value:.{digits}f} ± {standard_error:.{digits}f}"
