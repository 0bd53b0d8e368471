"""Equilibria of the matching game's mean field: how exact, and in what time.

Ours. The homotopy on the games that the Thesis and its appendix look at and beyond, one first-order method,
and logit equilibria whose efficiencies were computed independently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agents import solve
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from karma_envs.registry import make
from training.common.figures import COLOURS, legend_above, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import mean_over_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_DISCOUNTS = {
    "quick": (0.5, 0.9, 0.98),
    "full": (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99),
}
_VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    ", U = {1, 9}, P(9) = 1/4": {"preset": "rare-high-urgency"},
    ", types of discount .7 and .9": {"preset": "two-discounts"},
    ", types of mean urgency 3 and 2": {"preset": "two-urgencies"},
    ", karma_max 10": {"karma_max": 10, "karma_mean": 5},
    ", karma_max 40": {"karma_max": 40, "karma_mean": 20},
    ", tax": {"redistribution": "tax"},
}
_LOGIT = {
    ("PBP", 5.0, 0.0): (-1.13688, 2e-5),
    ("PBP", 50.0, 0.0): (-1.04724, 2e-5),
    ("PBS", 5.0, 0.0): (-1.06067, 2e-5),
    ("PBS", 50.0, 0.0): (-1.01379, 2e-5),
    ("PBP", 1000.0, 0.05): (-1.0889, 1e-4),
    ("PBS", 1000.0, 0.05): (-1.0513, 1e-4),
}
"""Efficiency and half a unit of its last digit, twice, by mechanism, rationality and exploration."""


def _logit_case(mechanism: str, rationality: float, exploration: float) -> str:
    mixed = f", exploring {exploration:g}" if exploration else ""
    return f"{mechanism}, logit with beta {rationality:g}{mixed}"


def _solved(
    case: str, fields: Mapping[str, Any], method: str = "homotopy", *, nash: bool = True, **options: Any
) -> Row:
    model = make("matching", **fields).mean_field()
    assert model is not None
    found = solve(model, method, **options)
    return {
        "case": case,
        "efficiency": found.efficiency,
        "exploitability_normalised": found.exploitability_normalised if nash else float("nan"),
        "converged": int(found.converged),
        "seconds": found.seconds,
    }


def _run(scale: str, seed: int) -> list[Row]:
    _solved("to compile", {}, "fictitious_play")  # so that no case pays for it
    rows = []
    for mechanism, payment in _PAYMENTS.items():
        for name, fields in _VARIANTS.items():
            if scale == "full" or not name:
                rows.append(_solved(mechanism + name, {"payment": payment, **fields}))
        for discount in _DISCOUNTS[scale]:
            case = f"{mechanism}, gamma {discount:g}"
            rows.append(_solved(case, {"payment": payment, "discount": discount}))
    rows.append(_solved("second price", {"payment": "second_price"}))
    rows.append(_solved("PBP, fictitious play to 1e-3", {}, "fictitious_play", tolerance=1e-3))
    for mechanism, rationality, exploration in _LOGIT:
        rows.append(
            _solved(
                _logit_case(mechanism, rationality, exploration),
                {"payment": _PAYMENTS[mechanism]},
                nash=False,
                rationality=rationality,
                exploration=exploration,
            )
        )
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    cases = [case for case in dict.fromkeys(row["case"] for row in rows) if "gamma" in case]
    figure, axes = new_figure(8.0, 3.2, 2)
    for colour, mechanism in zip(COLOURS, _PAYMENTS):
        chosen = [case for case in cases if case.startswith(mechanism)]
        discounts = [float(case.rpartition(" ")[2]) for case in chosen]
        for panel, quantity in zip(axes, ("efficiency", "seconds")):
            means = [mean_over_seeds(rows, case, quantity)[0] for case in chosen]
            panel.plot(discounts, means, color=colour, marker="o", markersize=3, label=mechanism)
            panel.set(xlabel="discount", ylabel=f"{quantity} of the equilibrium found")
    axes[1].set(ylabel="seconds to solve", ylim=(0, None))
    for panel in axes:
        legend_above(panel)
    return figure


EXPERIMENT = Experiment(
    name="solvers",
    title="Mean-field equilibria: exactness and time",
    source="Games of Vaishampayan 2024 and its appendix; what is published was computed independently",
    run=_run,
    figures={"by_discount": _figure},
    published=(
        Published("PBP", "efficiency", -1.0479, 2e-4, "one of several exact equilibria"),
        *(
            Published(_logit_case(*key), "efficiency", value, tolerance, "the digits given")
            for key, (value, tolerance) in _LOGIT.items()
        ),
        *(
            Published(case, "exploitability_normalised", 0.0, 1e-10, "what is asked for")
            for case in ("PBP", "PBS")
        ),
        *(Published(case, "seconds", 0.0, 4.0, "what is asked for, one core") for case in ("PBP", "PBS")),
        Published("PBP, fictitious play to 1e-3", "seconds", 0.0, 1.0, "what is asked for, one core"),
    ),
    notes=(
        "Exploitability is that of the policy returned, evaluated exactly, over |J|; it is not listed for "
        "logit equilibria, which are none of the unregularised game. `converged` is whether the solver says "
        "that it is within its tolerance, 1e-10 for the homotopy. Times are of one process on one core."
    ),
    meanings={"exploitability_normalised": Meaning(None, EXACT, STATIONARY)},
)
