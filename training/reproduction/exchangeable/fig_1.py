"""Figure 1: a team learns its best threshold in the malware game (Algorithm 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from karma_envs.games.malware import smfto
from training.common.tables import Row
from training.reproduction.exchangeable.malware_learning import SETTINGS, SOURCE, figure, learn, verdicts_of
from training.reproduction.experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXACT = smfto()


def _run(scale: str, seed: int) -> list[Row]:
    return learn(scale, seed, cooperative=True, exact=_EXACT)


def _figure(rows: Sequence[Row]) -> Figure:
    return figure(rows, _EXACT)


EXPERIMENT = Experiment(
    name="exchangeable-fig-1",
    title="A team learns its best threshold against malware",
    source=f"{SOURCE}, Figure 1",
    run=_run,
    figures={"learning": _figure},
    published=verdicts_of(
        _EXACT,
        {"payoff": (0.02, "the payoff is flat in the threshold: it, and not the threshold, tells")},
    ),
    notes=SETTINGS
    + (
        "An iteration of Algorithm 5 plays 2 m B + 2 m H = 8e5 samples, as each of its two policies needs a "
        "mean field; the source counts 6e5 for both algorithms, and says 17 iterations where it is 167. The "
        "threshold is still on its way to .2121 after 200 iterations: the payoff is flat there, and Adam's "
        "steps stay small for long after the steep beginning, which its mean of squares remembers."
    ),
)
