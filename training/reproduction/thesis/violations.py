"""What Figures 5.1 and 5.2 have in common: a condition of theory, over rationality and discount."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agents.evaluators import Violations
from karma_envs.mean_field import FiniteMeanFieldModel, as_finite_model
from karma_envs.registry import make
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.numbers import mean_over_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_RATIONALITIES = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0)
_DISCOUNTS = (0.0, 0.3, 0.6, 0.9, 0.98)
_STYLES = ("o-", "x:", "s--")

Condition = Callable[[FiniteMeanFieldModel, float, int, int], Violations]
"""Takes a model, the rationality, the number of policies and a seed."""


def violation_rows(condition: Condition, n_policies: int, seed: int) -> list[Row]:
    """The fraction of violations over rationality at discount 0.98, and over discount at rationality 1.

    Differences from the source: the Thesis' 10,000 policies for each setting would take hours; the figure
    says how many there were, and the error that is due to it. Its values of rationality and discount are
    not printed; these are ours.
    """
    rows = []
    for mechanism, payment in _PAYMENTS.items():
        settings = [(rationality, 0.98) for rationality in _RATIONALITIES]
        settings += [(1.0, discount) for discount in _DISCOUNTS if discount != 0.98]
        for rationality, discount in settings:
            fields: dict[str, Any] = {"payment": payment, "discount": discount}
            model = make("matching", **fields).mean_field()
            assert model is not None
            found = condition(as_finite_model(model), rationality, n_policies, seed)
            rows.append(
                {
                    "case": case_name(mechanism, rationality, discount),
                    "fraction": found.fraction,
                    "binomial_error": found.standard_error,
                    "policies": found.n_tested,
                    "worst": found.worst,
                }
            )
    return rows


def case_name(mechanism: str, rationality: float, discount: float) -> str:
    """What a setting is called."""
    return f"{mechanism}, beta {rationality:g}, gamma {discount:g}"


def violation_figure(rows: Sequence[Row], variants: Sequence[str] = ("",)) -> Figure:
    """Fractions of violations over regularisation and over discount.

    Args:
        rows: of all seeds.
        variants: what is appended to a case's name; a line style each.
    """
    figure, axes = new_figure(7.6, 3.4, 2)
    strengths = [1 / one for one in _RATIONALITIES]
    over = (
        (axes[0], strengths, [(one, 0.98) for one in _RATIONALITIES]),
        (axes[1], list(_DISCOUNTS), [(1.0, one) for one in _DISCOUNTS]),
    )
    for panel, x, settings in over:
        for colour, mechanism in zip(COLOURS, _PAYMENTS):
            for variant, style in zip(variants, _STYLES):
                cases = [case_name(mechanism, beta, gamma) + variant for beta, gamma in settings]
                means, errors = zip(*(mean_over_seeds(rows, case, "fraction") for case in cases))
                label = mechanism + variant
                panel.errorbar(x, means, errors, fmt=style, color=colour, markersize=4, label=label)
        panel.set(ylabel="fraction of violations", ylim=(-0.02, 1.02))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    axes[0].set(xlabel="regularisation 1/beta, discount 0.98", xscale="log", xticks=strengths)
    axes[0].set_xticklabels([f"1/{one:g}" if one > 1 else "1" for one in _RATIONALITIES])
    axes[0].minorticks_off()
    axes[1].set(xlabel="discount, beta 1")
    return figure
