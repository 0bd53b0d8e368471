"""What Figures 5.1 and 5.2 have in common: a condition of theory, over rationality and discount."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agents.evaluators import Violations
from karma_envs.game import MeanFieldModel
from karma_envs.registry import make
from training.experiments.experiment import mean_over_seeds
from training.plots.figures import COLOURS, new_figure
from training.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_RATIONALITIES = (1.0, 2.0, 5.0, 10.0)
_DISCOUNTS = (0.0, 0.3, 0.6, 0.9, 0.98)
_POLICIES = {"quick": 40, "full": 10_000}

Condition = Callable[[MeanFieldModel, float, int, int], Violations]
"""Takes a model, the rationality, the number of policies and a seed."""


def violation_rows(condition: Condition, scale: str, seed: int) -> list[Row]:
    """The fraction of violations over rationality at discount 0.98, and over discount at rationality 1."""
    rows = []
    for mechanism, payment in _PAYMENTS.items():
        settings = [(rationality, 0.98) for rationality in _RATIONALITIES]
        settings += [(1.0, discount) for discount in _DISCOUNTS if discount != 0.98]
        for rationality, discount in settings:
            fields: dict[str, Any] = {"payment": payment, "discount": discount}
            model = make("matching", **fields).mean_field()
            assert model is not None
            found = condition(model, rationality, _POLICIES[scale], seed)
            rows.append(
                {
                    "case": f"{mechanism}, beta {rationality:g}, gamma {discount:g}",
                    "fraction": found.fraction,
                    "binomial_error": found.standard_error,
                    "policies": found.n_tested,
                    "worst": found.worst,
                }
            )
    return rows


def violation_figure(rows: Sequence[Row]) -> Figure:
    """Fractions of violations over regularisation and over discount."""
    figure, axes = new_figure(7.6, 3.0, 2)
    over = (
        (axes[0], [1 / one for one in _RATIONALITIES], [(one, 0.98) for one in _RATIONALITIES]),
        (axes[1], list(_DISCOUNTS), [(1.0, one) for one in _DISCOUNTS]),
    )
    for panel, x, settings in over:
        for colour, mechanism in zip(COLOURS, _PAYMENTS):
            cases = [f"{mechanism}, beta {beta:g}, gamma {gamma:g}" for beta, gamma in settings]
            means = [mean_over_seeds(rows, case, "fraction")[0] for case in cases]
            panel.plot(x, means, color=colour, marker="o", markersize=4, label=mechanism)
        panel.set(ylabel="fraction of violations", ylim=(-0.02, 1.02))
    axes[0].set(xlabel="regularisation 1/beta, discount 0.98")
    axes[1].set(xlabel="discount, beta 1")
    axes[0].legend()
    return figure
