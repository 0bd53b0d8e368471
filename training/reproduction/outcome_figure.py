"""Social outcomes of several mechanisms in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.numbers import mean_over_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = ("efficiency", "access_fairness", "reward_fairness")
"""Columns that the rows must have."""


def outcome_figure(rows: Sequence[Row]) -> Figure:
    """Fairness against efficiency, a point per case."""
    figure, axes = new_figure(8.4, 3.4, 2)
    for panel, quantity in zip(axes, MEASURES[1:]):
        for number, case in enumerate(dict.fromkeys(row["case"] for row in rows)):
            x, x_error = mean_over_seeds(rows, case, "efficiency")
            y, y_error = mean_over_seeds(rows, case, quantity)
            panel.errorbar(
                x, y, np.nan_to_num(y_error), np.nan_to_num(x_error), markersize=5,
                fmt="os^"[number // len(COLOURS)], color=COLOURS[number % len(COLOURS)], label=case,
            )  # fmt: skip
        panel.set(xlabel="efficiency", ylabel=f"{quantity.replace('_', ' ')} over 10,000 steps")
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
