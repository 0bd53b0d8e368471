"""Figure 4.3: exploitability and policy change over the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.experiments.experiment import Experiment, mean_over_seeds
from training.experiments.monitored import monitored_training
from training.plots.figures import COLOURS, new_figure
from training.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {
    "greedy_normalised": "greedy exploitability over |J|",
    "to_equilibrium_normalised": "gain by the equilibrium over |J|",
    "policy_change": "largest policy change in an epoch",
}


def _run(scale: str, seed: int) -> list[Row]:
    return monitored_training(scale, seed)[0]


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(10.0, 3.0, 3)
    cases = list(dict.fromkeys(row["case"] for row in rows))
    steps = [mean_over_seeds(rows, case, "step")[0] for case in cases]
    for panel, (quantity, label) in zip(axes, _PANELS.items()):
        means, errors = zip(*(mean_over_seeds(rows, case, quantity) for case in cases))
        panel.errorbar(steps, means, errors, color=COLOURS[0], marker="o", markersize=4)
        panel.axhline(0, color="0.3", linewidth=0.8)
        panel.set(xlabel="timestep", ylabel=label)
    return figure


EXPERIMENT = Experiment(
    name="fig-4-3",
    title="Figure 4.3: convergence measures over training",
    source="Vaishampayan 2024, Figure 4.3",
    run=_run,
    figures={"convergence": _figure},
    notes=(
        "The figure prints no numbers. What it says: greedy exploitability falls from large to small, the "
        "gain by the equilibrium's policy rises from negative to about zero, policy change falls with them. "
        "At step 0 all agents play uniformly at random, so nobody has a policy to improve on yet."
    ),
)
