"""How the equilibria of Table 6.1 move with the numbers that the game is made of.

For the mean-field rows of the table, PBP and PBS, over discounts: the derivatives of efficiency and of mean
bids by the discount, the high urgency and its probability, the mean karma, and the rate of a tax, from 0 on;
each beside the same from equilibria that were solved for anew on both sides, and how far the branch of
equilibria goes on before other bids are made or it turns back. Urgencies scaled alike scale efficiency and
leave bids as they are, so that elasticities by all of them add up to 1 and 0.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import agents
from karma_envs.registry import make
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import mean_over_seeds, row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DISCOUNTS = {"quick": (0.9, 0.98), "full": (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)}
_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_PARAMETERS = {
    "discount": "discount",
    "urgencies[1]": "high urgency",
    "urgency_transition[1]": "P(high)",
    "karma_mean": "mean karma",
    "redistribution.rate": "tax rate",
}
_NUMBERS = (
    "efficiency",
    "by_parameter",
    "elasticity",
    "mean_bid_by_parameter",
    "low",
    "high",
    "turns_low",
    "turns_high",
    "relative_error",
    "share_of_a_solve",
    "units_efficiency",
    "units_bid",
)


def _case(mechanism: str, discount: float, parameter: str = "") -> str:
    return ", ".join(filter(None, [f"{mechanism} {discount:g}", _PARAMETERS.get(parameter, parameter)]))


def _rows(mechanism: str, discount: float) -> list[Row]:
    """A row per parameter, and one of what urgencies in other units do."""
    game = make("matching", payment=_PAYMENTS[mechanism], discount=discount, redistribution="tax(rate=0)")
    began = time.process_time()
    found = agents.solve(game)
    solving = time.process_time() - began
    result = agents.sensitivity(found, game, list(_PARAMETERS), check=True)
    assert result.check is not None
    rows = []
    for j, (parameter, branch) in enumerate(zip(result.parameters, result.branches)):
        began = time.process_time()
        agents.sensitivity(found, game, [parameter])
        share = (time.process_time() - began) / solving
        i = result.outputs.index("efficiency")
        rows.append(
            row_of(
                _NUMBERS,
                _case(mechanism, discount, parameter),
                efficiency=found.efficiency,
                by_parameter=float(result.derivatives[i, j]),
                elasticity=float(result.elasticities[i, j]),
                mean_bid_by_parameter=result.derivative("mean_bid", parameter),
                low=branch.low.value,
                high=branch.high.value,
                turns_low=float(branch.low.turns),
                turns_high=float(branch.high.turns),
                relative_error=float(np.nanmax(result.check.relative_errors[:, j])),
                share_of_a_solve=share,
            )
        )
    units = agents.sensitivity(found, game, ["urgencies[0]", "urgencies[1]"])
    total = dict(zip(units.outputs, units.elasticities.sum(axis=1)))
    summary = row_of(
        _NUMBERS,
        _case(mechanism, discount, "units"),
        efficiency=found.efficiency,
        units_efficiency=float(total["efficiency"]),
        units_bid=float(total["mean_bid"]),
    )
    return [*rows, summary]


def _run(scale: str, seed: int) -> list[Row]:
    return [
        row for mechanism in _PAYMENTS for discount in _DISCOUNTS[scale] for row in _rows(mechanism, discount)
    ]


def _figure(rows: Sequence[Row]) -> Figure:
    """Elasticities of efficiency by discount; by the tax rate, which is 0, the derivative."""
    figure, axes = new_figure(9.0, 3.4, 2)
    for panel, mechanism in zip(axes, _PAYMENTS):
        cases = dict.fromkeys(str(row["case"]) for row in rows)
        discounts = sorted(
            {float(case.split()[1].rstrip(",")) for case in cases if case.startswith(mechanism)}
        )
        for colour, (parameter, name) in zip(COLOURS, _PARAMETERS.items()):
            quantity = "by_parameter" if parameter == "redistribution.rate" else "elasticity"
            values = [
                mean_over_seeds(rows, _case(mechanism, one, parameter), quantity)[0] for one in discounts
            ]
            panel.plot(discounts, values, "o:", linewidth=0.8, markersize=4, color=colour, label=name)
        panel.axhline(0.0, color="0.35", linewidth=0.8)
        panel.set(title=mechanism, xlabel="discount", ylabel="elasticity of efficiency (tax: slope)")
        panel.set_yscale("symlog", linthresh=0.01)
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


EXPERIMENT = Experiment(
    name="sensitivity-table-6-1",
    title="How the equilibria of Table 6.1 move with the game's numbers",
    source="Games of Vaishampayan 2024, Table 6.1 and Figure 6.1; nobody has published derivatives",
    run=_run,
    figures={"elasticities": _figure},
    published=tuple(
        item
        for mechanism in _PAYMENTS
        for discount in _DISCOUNTS["quick"]
        for item in (
            *(
                Published(
                    _case(mechanism, discount, parameter),
                    "relative_error",
                    0.0,
                    1e-3,
                    "asked for: the greatest of all outputs against equilibria solved anew",
                )
                for parameter in _PARAMETERS
            ),
            Published(
                _case(mechanism, discount, "units"),
                "units_efficiency",
                1.0,
                1e-6,
                "a law: urgencies in other units are rewards in other units",
            ),
            Published(
                _case(mechanism, discount, "units"),
                "units_bid",
                0.0,
                1e-6,
                "a law: urgencies in other units change no bid",
            ),
        )
    ),
    notes=(
        "Derivatives are of the equilibrium that the homotopy finds; there are several, and others move in "
        "other ways. `low` and `high` are, to first order, the values of the parameter at which other bids "
        "are made, `turns` whether the branch of equilibria turns back there (1) or goes on (0): mostly it "
        "turns back, so that an equilibrium of the game at .98 has none near it at .99. Efficiency is "
        "negative, so that a positive elasticity is that of a loss which grows; the slope of the tax, which "
        "is 0, is positive where a small tax makes agents better off. The relative error is the greatest "
        "over all outputs: efficiency, payoff and mean bids by urgency. `share of a solve` is the CPU "
        "time of the derivatives by one parameter over that of the equilibrium. Dotted lines join equilibria "
        "that need not lie on one branch: their slopes are not the derivatives."
    ),
)
