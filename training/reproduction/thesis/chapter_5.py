"""What chapter 5 and Appendix B of the Thesis say of the karma game, in numbers.

Lipschitz constants, the two sides of Lasry-Lions monotonicity, sublinear bids, and what a planner could
reach (ours). All are exact but the planner's optimum, which is a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents import solve
from agents.evaluators import (
    bid_monotonicity_sum,
    counterexample,
    lipschitz_constants,
    sublinearity_in,
)
from agents.solvers.control.social_optimum import social_optimum
from karma_envs.axes import by_axes
from karma_envs.games.matching import MatchingGame
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_URGENCIES = ("urgency 1", "urgency 5")
_PAIRS = {"quick": 100, "full": 10_000}


def _row(case: str, value: float, point: int = -1, x: float = np.nan, y: float = np.nan) -> Row:
    return {"case": case, "point": point, "x": x, "y": y, "value": value}


def _monotonicity(n_pairs: int, rng: np.random.Generator) -> list[Row]:
    """The largest |S| or S of random pairs of bid distributions."""
    pairs = rng.dirichlet(np.ones(21), size=(n_pairs, 2, 2)).swapaxes(2, 3)  # [pairs, 2, bids, urgencies]
    one = [bid_monotonicity_sum(a[:, :1], b[:, :1], [3.0], [1.0]) for a, b in pairs]
    strict = [bid_monotonicity_sum(a[:, :1], b[:, :1], [3.0], [1.0], tie=0.0) for a, b in pairs]
    two = np.array([bid_monotonicity_sum(a, b, [1.0, 5.0], [0.5, 0.5]) for a, b in pairs])
    return [
        _row("S of random pairs, one urgency, largest magnitude", float(np.abs(one).max())),
        _row("S of random pairs, one urgency, only higher bids win, largest", float(np.max(strict))),
        _row("S of random pairs, two urgencies, share above 0", float((two > 0).mean())),
        _row("S of the counterexample", counterexample().total),
    ]


def _run(scale: str, seed: int) -> list[Row]:
    rows = [
        _row("L_Gamma at gamma .9, u_max 1, PBP", lipschitz_constants(0.9, 1.0).update),
        _row("K_rho, PBS, k_max 20", lipschitz_constants(payment="pay_bid_to_society").transition_population),
        *_monotonicity(_PAIRS[scale], np.random.default_rng(seed)),
    ]
    for mechanism, payment in _PAYMENTS.items():
        model = MatchingGame(payment=payment).mean_field()
        assert model is not None
        found = solve(model)
        bids = found.policy.mean_actions()
        for rounding, name in ((0.0, "exactly"), (0.5, "but for rounding")):
            worst = sublinearity_in(
                model, found.policy.probabilities, found.mean_field, rounding=rounding
            ).violation
            rows.append(_row(f"{mechanism}: violation of sublinear bids, {name}", worst))
        optimum = social_optimum(model)
        rows += [
            _row(f"{mechanism}: efficiency of the equilibrium", found.efficiency),
            _row(f"{mechanism}: efficiency of the planner's policy", optimum.efficiency),
            _row(f"{mechanism}: price of anarchy", optimum.price_of_anarchy(found.efficiency)),
        ]
        visited = by_axes(found.mean_field[0], model.axes) > 1e-6
        bid_at = by_axes(bids[0], model.axes)
        for urgency, name in enumerate(_URGENCIES):
            for karma in np.flatnonzero(visited[urgency]):
                bid = float(bid_at[urgency, karma])
                rows.append(_row(f"{mechanism}, {name}", np.nan, int(karma), float(karma), bid))
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    """Mean bids of the equilibria where they go: sublinear but for rounding."""
    figure, axes = new_figure(7.0, 3.0, 2)
    for panel, mechanism in zip(axes, _PAYMENTS):
        for colour, urgency in zip(COLOURS, _URGENCIES):
            chosen = [row for row in rows if row["case"] == f"{mechanism}, {urgency}" and row["seed"] == 0]
            karma, bids = [row["x"] for row in chosen], [row["y"] for row in chosen]
            panel.plot(karma, bids, color=colour, marker=".", label=urgency)
        panel.set(title=mechanism, xlabel="karma", ylabel="mean bid at the equilibrium")
        panel.locator_params(integer=True)
    axes[0].legend()
    return figure


EXPERIMENT = Experiment(
    name="theory",
    title="Chapter 5 and Appendix B in numbers",
    source="Vaishampayan 2024, equations 5.2, 5.4, 5.7, 5.9, Lemma 5.1, Lemma A.1",
    run=_run,
    figures={"mean_bids": _figure},
    published=(
        Published("L_Gamma at gamma .9, u_max 1, PBP", "value", 126.0, 1e-9, "the formulas give it exactly"),
        Published("K_rho, PBS, k_max 20", "value", 41.0, 1e-9, "2 k_max + 1"),
        Published(
            "S of random pairs, one urgency, largest magnitude", "value", 0.0, 1e-12, "zero but for rounding"
        ),
        Published("S of the counterexample", "value", 0.5, 1e-12, "its closed form"),
    ),
    notes=(
        "S > 0 violates Lasry-Lions monotonicity; with one urgency it is 0 for all pairs, and below 0 where "
        "only higher bids win. Bids are sublinear where the violation is not above 0; Lemma A.1 is about "
        "continuous bids, ours are whole. The planner's policy is the best of several starts of an ascent "
        "on a problem that is not concave, so its efficiency is a lower bound of the optimum's, and the "
        "price of anarchy, the equilibrium's loss over the planner's, is one as well."
    ),
)
