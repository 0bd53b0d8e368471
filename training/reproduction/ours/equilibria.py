"""The several equilibria of the default game, and which of the known ones a search finds.

The efficiencies to compare with were computed independently of this package's solvers, to five
digits. An equilibrium is accepted by its exact exploitability alone. Cases are by the known
efficiencies, so that they are the same for every seed: a case's row holds the equilibrium found that is
nearest to it in efficiency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.solvers.continuation.search import SearchReport, search
from karma_envs.games.matching import MatchingConfig, MatchingGame
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.solving.search import means_on_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STARTS = {"quick": 12, "full": 40}
_KNOWN = {
    "PBP": ("pay_bid_to_peer", (-1.04787, -1.04764, -1.04759, -1.04657, -1.04459, -1.02968)),
    "PBS": ("pay_bid_to_society", (-1.01273, -1.01403, -1.01420)),
}
_TOLERANCE = 2e-5


def _case(mechanism: str, efficiency: float) -> str:
    return f"{mechanism}, known {efficiency:.5f}"


def _rows(mechanism: str, known: Sequence[float], config: MatchingConfig, report: SearchReport) -> list[Row]:
    """A row per known equilibrium: the nearest that was found."""
    found = np.array([one.efficiency for one in report.found])
    homotopy = next(one for one in report.found if "homotopy" in one.origins)
    rows: list[Row] = []
    for efficiency in known:
        nearest = report.found[int(np.abs(found - efficiency).argmin())]
        rows.append(
            {
                "case": _case(mechanism, efficiency),
                "efficiency": nearest.efficiency,
                "exploitability_normalised": nearest.exploitability_normalised,
                **means_on_lines(MatchingGame(config), nearest),
                "times_found": nearest.times_found,
                "is_the_homotopys": int(nearest is homotopy),
                "equilibria_found": len(report.found),
            }
        )
    return rows


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for mechanism, (payment, known) in _KNOWN.items():
        config = MatchingConfig(payment=payment)
        report = search(MatchingMeanField(config), starts=_STARTS[scale], seed=seed)
        rows += _rows(mechanism, known, config, report)
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    """Known efficiencies, and the nearest that were found."""
    figure, axes = new_figure(7.0, 2.8, 2)
    for panel, (mechanism, (_, known)) in zip(axes, _KNOWN.items()):
        for place, efficiency in enumerate(known):
            found = [row["efficiency"] for row in rows if row["case"] == _case(mechanism, efficiency)]
            panel.plot(
                [place] * len(found), found, "x", color=COLOURS[1], label=None if place else "nearest found"
            )
            panel.plot(
                place, efficiency, "o", color=COLOURS[0], fillstyle="none", label=None if place else "known"
            )
        panel.set(title=mechanism, ylabel="efficiency", xticks=range(len(known)))
        panel.set_xticklabels([f"{efficiency:.5f}" for efficiency in known], rotation=40)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


EXPERIMENT = Experiment(
    name="equilibria",
    title="Several equilibria of the default game",
    source="Vaishampayan 2024 reports one; the known efficiencies were computed independently",
    run=_run,
    figures={"efficiencies": _figure},
    published=tuple(
        Published(
            _case(mechanism, efficiency),
            "efficiency",
            efficiency,
            _TOLERANCE,
            "known to five digits; a verdict of disagrees says that the search did not find it",
        )
        for mechanism, (_, known) in _KNOWN.items()
        for efficiency in known
    ),
    notes=(
        "A search finds some equilibria and cannot tell that there are no others. Where a known one was "
        "not found, its row repeats the nearest. Efficiencies are not averaged usefully over seeds where "
        "only some seeds found a known equilibrium: see `results.csv` for each."
    ),
    meanings={"exploitability_normalised": Meaning(None, EXACT, STATIONARY)},
)
