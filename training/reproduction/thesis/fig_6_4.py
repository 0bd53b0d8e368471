"""Figure 6.4: convergence of learning in the congested city."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from training.common.figures import COLOURS, new_figure
from training.common.tables import Row, read_table
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import points, row_of
from training.reproduction.thesis.city_training import city_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CURVES = {
    "policy_change_max": "largest policy change in an epoch",
    "payoff_change_max": "largest payoff change in an epoch",
    "efficiency": "efficiency",
    "reward_fairness": "reward fairness from one record to the next",
}
_row = partial(row_of, ("share_of_run", *_CURVES))
_MOMENTS = (0.01, 0.1, 0.3, 1.0)


def _run(scale: str, seed: int) -> list[Row]:
    run = city_run(scale, seed)
    metrics, monitor = run.metrics, read_table(run.folder / "monitor.csv")
    rows = []
    for share in _MOMENTS:
        last = share * run.config.n_steps
        values = {}
        for quantity in _CURVES:
            table = metrics if quantity in metrics[0] else monitor
            near = min(table, key=lambda row: abs(row["step"] - last))
            values[quantity] = near[quantity]
        rows.append(_row(f"after {share:g} of the run", share_of_run=share, **values))
    for quantity in _CURVES:
        table = metrics if quantity in metrics[0] else monitor
        rows += [_row(quantity, at, row["step"], row[quantity]) for at, row in enumerate(table)]
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(13.0, 3.2, 4)
    seeds = sorted({row["seed"] for row in rows})
    for panel, (quantity, label) in zip(axes, _CURVES.items()):
        for colour, seed in zip(COLOURS, seeds):
            steps, values = points(rows, quantity, seed)
            panel.plot(np.array(steps) / 1e6, values, color=colour, linewidth=1.0, label=f"seed {seed}")
        panel.set(xlabel="million steps of training", ylabel=label)
    for panel in axes[:2]:
        panel.set_ylim(0, None)
    axes[0].legend()
    return figure


EXPERIMENT = Experiment(
    name="fig-6-4",
    title="Figure 6.4: convergence of learning in the congested city",
    source="Vaishampayan 2024, Figure 6.4 (a, b), and the progress of efficiency and fairness",
    run=_run,
    figures={"convergence": _figure},
    notes=(
        "The figure prints no numbers. Policy change is Definition 4.1, summed over the 495 observations, "
        "the largest over the 1000 agents and over the epochs since the last record; payoff change is "
        "equation 4.4 between two successive epochs, the largest of all agents, with the same random draws "
        "before and after. Efficiency and fairness are those of the agents as they explore in training."
    ),
)
