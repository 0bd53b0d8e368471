"""Figure 4.3: exploitability, policy change and payoff change over the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import mean_over_seeds
from training.reproduction.thesis.monitored_training import (
    ESTIMATED,
    ESTIMATED_OF_ONE,
    EXACTLY,
    EXACTLY_OF_ONE,
    monitored_training,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {
    "greedy exploitability over |J|": {
        "greedy_algorithm_3": f"Algorithm 3 ({ESTIMATED.of})",
        "greedy_exact": EXACTLY.of,
        "greedy_exact_without_exploration": f"{EXACTLY.of}, no exploration",
    },
    "advantage over equilibrium policy / |J|": {
        "advantage_algorithm_3": f"Algorithm 3 ({ESTIMATED.of})",
        "advantage_exact": EXACTLY.of,
        "advantage_exact_without_exploration": f"{EXACTLY.of}, no exploration",
    },
    "largest policy change in an epoch": {"policy_change": "Definition 4.1"},
    "largest payoff change in an epoch": {"payoff_change": "equation 4.4"},
}


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for moment in monitored_training(scale, seed):
        estimate, exact, unexploring = moment.estimate, moment.exact, moment.unexploring
        rows.append(
            {
                "case": f"after {moment.share:.4g} of training",
                "step": moment.step,
                "payoff": estimate.payoff.value,
                "payoff_exact": exact.payoff,
                "greedy_algorithm_3": estimate.mean_greedy_normalised.value,
                "greedy_exact": exact.normalised,
                "greedy_exact_without_exploration": unexploring.normalised,
                "advantage_algorithm_3": -estimate.mean_to_targets_normalised[0].value,
                "advantage_exact": -float(exact.to_targets.mean()) / abs(exact.payoff),
                "advantage_exact_without_exploration": -float(unexploring.to_targets.mean())
                / abs(unexploring.payoff),
                "policy_change": float(moment.policy_change.max()),
                "payoff_change": moment.payoff_change,
            }
        )
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(13.0, 3.2, 4)
    cases = list(dict.fromkeys(row["case"] for row in rows))
    steps = [mean_over_seeds(rows, case, "step")[0] / 1e6 for case in cases]
    for panel, (label, lines) in zip(axes, _PANELS.items()):
        for colour, (quantity, name) in zip(COLOURS, lines.items()):
            means, errors = zip(*(mean_over_seeds(rows, case, quantity) for case in cases))
            panel.errorbar(steps, means, errors, color=colour, marker="o", markersize=3, label=name)
        panel.axhline(0, color="0.3", linewidth=0.8)
        panel.set(xlabel="million steps of training", ylabel=label)
        panel.legend()
    return figure


EXPERIMENT = Experiment(
    name="fig-4-3",
    title="Figure 4.3: convergence measures over training",
    source="Vaishampayan 2024, Figure 4.3 and Table 4.1",
    run=_run,
    figures={"convergence": _figure},
    notes=(
        "The figure prints no numbers. What it says: greedy exploitability falls from large to small, the "
        "advantage over the mean-field equilibrium's policy rises from negative to small and positive, and "
        "the largest changes of policies and payoffs fall with them. Exploring with 0.05 costs about 1.8, or "
        "3 % of |J|; without exploration the advantage ends at about zero. Its sign there depends on the "
        "equilibrium: against the one compared with here (efficiency -1.0479) it is negative, against "
        "another exact one (-1.0466) it was +.007 in one run. At step 0 all agents play uniformly at random, "
        "so no policy has changed yet."
    ),
    meanings={
        "greedy_algorithm_3": ESTIMATED,
        "greedy_exact": EXACTLY,
        "greedy_exact_without_exploration": EXACTLY,
        "advantage_algorithm_3": ESTIMATED_OF_ONE,
        "advantage_exact": EXACTLY_OF_ONE,
        "advantage_exact_without_exploration": EXACTLY_OF_ONE,
    },
)
