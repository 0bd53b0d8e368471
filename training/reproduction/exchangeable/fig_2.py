"""Figure 2: selfish agents learn the equilibrium threshold in the malware game (Algorithm 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from karma_envs.games.malware import smfe
from training.common.tables import Row
from training.reproduction.exchangeable.malware_learning import SETTINGS, SOURCE, figure, learn, verdicts_of
from training.reproduction.experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXACT = smfe()


def _run(scale: str, seed: int) -> list[Row]:
    return learn(scale, seed, cooperative=False, exact=_EXACT)


def _figure(rows: Sequence[Row]) -> Figure:
    return figure(rows, _EXACT)


EXPERIMENT = Experiment(
    name="exchangeable-fig-2",
    title="Selfish agents learn the equilibrium threshold against malware",
    source=f"{SOURCE}, Figure 2",
    run=_run,
    figures={"learning": _figure},
    published=verdicts_of(
        _EXACT,
        {
            "threshold": (0.03, "three steps of Adam's size .01"),
            "payoff": (0.02, "what it moves by with the threshold, by .46 per unit"),
            "mean_health": (0.01, "the same, by .25 per unit"),
        },
    ),
    notes=f"{SETTINGS}The source says 17 iterations where its 10^8 samples are 167.",
)
