"""Figure 4.2: what an agent gains by the mean-field equilibrium's policy, at both ends of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.experiments.experiment import Experiment
from training.experiments.monitored import monitored_training
from training.plots.figures import COLOURS, new_figure
from training.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOMENTS = {"beginning": 1, "end": -1}


def _run(scale: str, seed: int) -> list[Row]:
    _, estimates = monitored_training(scale, seed)
    rows: list[Row] = []
    for moment, index in _MOMENTS.items():
        found = estimates[index]
        settled = found.mean_to_targets[0].value
        rows.append({"case": f"{moment} of training", "stretch": -1, "to_equilibrium": settled})
        rows += [
            {"case": f"{moment}, stretch {number}", "stretch": number, "to_equilibrium": gain}
            for number, (_, gain) in enumerate(found.history)
        ]
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, (panel,) = new_figure(4.8, 3.2)
    for colour, moment in zip(COLOURS, _MOMENTS):
        for seed in sorted({row["seed"] for row in rows}):
            chosen = [
                row for row in rows if row["seed"] == seed and row["case"].startswith(f"{moment}, stretch")
            ]
            label = f"{moment} of training" if seed == 0 else None
            gains = [row["to_equilibrium"] for row in chosen]
            panel.plot([row["stretch"] for row in chosen], gains, color=colour, label=label)
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set(xlabel="stretch of 5000 steps", ylabel="gain by the equilibrium's policy")
    panel.legend()
    return figure


EXPERIMENT = Experiment(
    name="fig-4-2",
    title="Figure 4.2: exploitability with respect to the mean-field equilibrium",
    source="Vaishampayan 2024, Figure 4.2",
    run=_run,
    figures={"gain_by_equilibrium_policy": _figure},
    notes=(
        "The figure prints no numbers. What it says: a large negative value at the beginning of training, "
        "a small positive one at the end. The equilibrium is the one that our homotopy finds."
    ),
)
