"""Figure 4.2: the learned policies against the mean-field equilibrium's, at both ends of training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from training.common.figures import COLOURS, legend_above, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import points, row_of
from training.reproduction.thesis.monitored_training import (
    ESTIMATED_OF_ONE,
    EXACTLY_OF_ONE,
    MOMENTS,
    coarse,
    monitored_training,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUMMARY = ("algorithm_3", "exact", "exact_without_exploration")


_row = partial(row_of, _SUMMARY)


def _run(scale: str, seed: int) -> list[Row]:
    moments = monitored_training(scale, seed)
    rows: list[Row] = []
    for name, index in MOMENTS.items():
        found = moments[index]
        rows.append(
            _row(
                f"{name} of training",
                algorithm_3=-found.estimate.mean_to_targets[0].value,
                exact=-float(found.exact.to_targets.mean()),
                exact_without_exploration=-float(found.unexploring.to_targets.mean()),
            )
        )
        curve = zip(*coarse(-found.estimate.history[:, 1], found.estimate.stretch))
        rows += [_row(f"{name}: estimate", point, *place) for point, place in enumerate(curve)]
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, (panel,) = new_figure(4.8, 3.2)
    seeds = sorted({row["seed"] for row in rows})
    for colour, moment in zip(COLOURS, MOMENTS):
        for seed in seeds:
            steps, gains = points(rows, f"{moment}: estimate", seed)
            label = f"{moment} of training" if seed == seeds[0] else None
            panel.plot([step / 1e6 for step in steps], gains, color=colour, label=label)
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set(
        xlabel="million steps of evaluation",
        ylabel=f"J learned less J equilibrium's policy\n({ESTIMATED_OF_ONE.of})",
    )
    legend_above(panel)
    return figure


EXPERIMENT = Experiment(
    name="fig-4-2",
    title="Figure 4.2: exploitability with respect to the mean-field equilibrium",
    source="Vaishampayan 2024, Figure 4.2",
    run=_run,
    figures={"against_equilibrium_policy": _figure},
    notes=(
        "Payoff of an agent's learned policy less that of the mean-field equilibrium's policy in the same "
        "population: the sign that the figure has, and minus the gain of deviating to it. The figure prints "
        "no numbers; it shows a large negative value at the beginning of training and a small positive one "
        "at the end, where the learned policies do slightly better. Ours rises to about zero without "
        "exploration, which costs about 1.8 at .05; whether it ends above or below zero depends on which of "
        "the exact equilibria it is compared with (below against the one that our homotopy finds, of "
        "efficiency -1.0479; above, +.4 in one run, against one of -1.0466)."
    ),
    meanings={
        "algorithm_3": ESTIMATED_OF_ONE,
        "exact": EXACTLY_OF_ONE,
        "exact_without_exploration": EXACTLY_OF_ONE,
    },
)
