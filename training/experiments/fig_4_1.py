"""Figure 4.1: greedy exploitability by Algorithm 3 at the beginning and at the end of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.experiments.experiment import Experiment, Published
from training.experiments.monitored import monitored_training
from training.plots.figures import COLOURS, legend_above, new_figure
from training.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOMENTS = {"beginning": 1, "end": -1}


def _run(scale: str, seed: int) -> list[Row]:
    _, estimates = monitored_training(scale, seed)
    rows: list[Row] = []
    for moment, index in _MOMENTS.items():
        found = estimates[index]
        rows.append(
            {
                "case": f"{moment} of training",
                "stretch": -1,
                "greedy": found.mean_greedy.value,
                "payoff_magnitude": abs(found.payoff.value),
                "spread_over_agents": float(found.greedy.std()),
            }
        )
        for number, (greedy, _) in enumerate(found.history):
            rows.append(
                {
                    "case": f"{moment}, stretch {number}",
                    "stretch": number,
                    "greedy": greedy,
                    "payoff_magnitude": float("nan"),
                    "spread_over_agents": float("nan"),
                }
            )
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(7.6, 3.0, 2)
    for panel, moment in zip(axes, _MOMENTS):
        for seed in sorted({row["seed"] for row in rows}):
            chosen = [
                row for row in rows if row["seed"] == seed and row["case"].startswith(f"{moment}, stretch")
            ]
            panel.plot(
                [row["stretch"] for row in chosen], [row["greedy"] for row in chosen], color=COLOURS[0]
            )
        settled = [row["greedy"] for row in rows if row["case"] == f"{moment} of training"]
        panel.axhline(np.mean(settled), color="0.35", linestyle="--", linewidth=1, label="after the burn-in")
        panel.set(xlabel=f"stretch of 5000 steps, {moment} of training", ylabel="greedy exploitability")
        panel.set_ylim(0, None)
        legend_above(panel)
    return figure


EXPERIMENT = Experiment(
    name="fig-4-1",
    title="Figure 4.1: greedy exploitability at the beginning and at the end of training",
    source="Vaishampayan 2024, Figure 4.1",
    run=_run,
    figures={"greedy_exploitability": _figure},
    published=(
        Published(
            "end of training", "payoff_magnitude", 51.2, 1.0, "one unit is 2 %, far above the sampling error"
        ),
    ),
    notes=(
        "The beginning is 1/64 of the run, when the agents have learned something and agree on nothing. "
        "The printed normalisation constant 51.2 would be an efficiency of -1.024, which agents that "
        "explore with 0.05 do not reach in this game; with ours it is -1.109. Exploitability is an "
        "estimate by learned values: see the evaluator for what it is and is not."
    ),
)
