"""A planner for the matching game: how few evaluations it takes to be as good as a fine grid.

The mechanism pays bids to peers; the planner chooses the rate of a tax that is redistributed and the mean
karma, for efficiency at the logit equilibrium of the thesis' rationality, beta = 5. That equilibrium moves
smoothly with both, so that its derivatives say where to go. The grid, of 20 by 20 points at full scale, is
searched whole; Bayesian and random search have a quarter of its evaluations, ascent by derivatives
a twentieth. Methods were tried on this problem while they were being made; `planner-held-out` has others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import agents
from agents.planners import Continuous, Design, Space
from agents.planners.inner.equilibrium import EXPLOITABILITY, EquilibriumInner
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATIONALITY = 5.0
_RATE, _MEAN = Continuous("tax.rate", 0, 0.2), Continuous("karma_mean", 1, 18)
_SPACE = Space([_RATE, _MEAN])
_SIDE = {"quick": 6, "full": 20}  # of the grid
_BUDGETS = {
    "quick": {"Bayesian": 9, "random": 9, "gradient": 9},
    "full": {"Bayesian": 100, "random": 100, "gradient": 20},
}
_AS_IT_IS, _GRID, _POINT = "as it is", "grid", "point of the grid"
_SO_FAR = ", so far"
_ROUNDING = 1e-9  # of equilibria that are solved for
_NUMBERS = (
    "efficiency",
    "short_of_grid",
    "evaluations",
    "evaluations_to_grid",
    "rate",
    "karma_mean",
    EXPLOITABILITY,
    "cpu_seconds",
)


def _inner(*, derivatives: bool) -> EquilibriumInner:
    return EquilibriumInner("matching", rationality=_RATIONALITY, derivatives=derivatives, warm=True)


@cache
def _grid(scale: str) -> tuple[tuple[Row, ...], float]:
    """The grid's rows, which no seed changes, and its best efficiency."""
    inner, began = _inner(derivatives=False), time.process_time()
    places = np.linspace(0.0, 1.0, _SIDE[scale])
    rows: list[Row] = []
    best, best_at = -np.inf, (np.nan, np.nan, np.nan)
    warm = None
    for number, (row, column) in enumerate(np.ndindex(len(places), len(places))):
        # To and fro, so that each point's equilibrium is followed from that of a neighbour.
        along = places[column] if row % 2 == 0 else places[-1 - column]
        point = _SPACE.at(np.array([places[row], along]))
        evaluation = inner.evaluate(point, seed=0, warm=warm)
        values, warm = evaluation.values, evaluation.warm
        rate, mean = float(point["tax.rate"]), float(point["karma_mean"])
        rows.append(row_of(_NUMBERS, _POINT, number, rate, mean, efficiency=values["efficiency"]))
        if values["efficiency"] > best:
            best = values["efficiency"]
            best_at = rate, mean, values[EXPLOITABILITY]
    seconds = time.process_time() - began
    summary = row_of(
        _NUMBERS,
        _GRID,
        efficiency=best,
        short_of_grid=0.0,
        evaluations=len(rows),
        evaluations_to_grid=len(rows),
        cpu_seconds=seconds,
        rate=best_at[0],
        karma_mean=best_at[1],
        exploitability_normalised=best_at[2],
    )
    return (summary, *rows), best


def _rows(case: str, result: Design, grid: float, seconds: float) -> list[Row]:
    """A row of what a method came to, and the best after each evaluation."""
    best, after = result.best, result.best_after()
    reached = np.flatnonzero(after >= grid)
    summary = row_of(
        _NUMBERS,
        case,
        efficiency=best.values["efficiency"],
        short_of_grid=max(0.0, grid - best.values["efficiency"]),
        evaluations=len(result.trials),
        evaluations_to_grid=float(reached[0] + 1) if len(reached) else np.nan,
        rate=float(best.point.get("tax.rate", np.nan)),
        karma_mean=float(best.point.get("karma_mean", np.nan)),
        cpu_seconds=seconds,
        exploitability_normalised=best.values[EXPLOITABILITY],
    )
    curve = [
        row_of(_NUMBERS, case + _SO_FAR, number, number + 1.0, float(value))
        for number, value in enumerate(after)
    ]
    return [summary, *curve]


def _run(scale: str, seed: int) -> list[Row]:
    grid_rows, grid = _grid(scale)
    rows = list(grid_rows)
    for case, budget in {_AS_IT_IS: 1, **_BUDGETS[scale]}.items():
        method = "none" if case == _AS_IT_IS else case.lower()
        inner = _inner(derivatives=method == "gradient")
        began = time.process_time()
        result = agents.design(_SPACE, inner, "efficiency", budget=budget, method=method, seed=seed)
        rows += _rows(case, result, grid, time.process_time() - began)
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    """The grid, and how the methods come up to its best."""
    figure, (left, right) = new_figure(9.0, 3.4, 2)
    seeds = sorted({int(row["seed"]) for row in rows})
    columns = points(rows, _POINT, seeds[0], "x", "y", "efficiency")
    rate, mean, value = (np.array(column) for column in columns)
    order = np.lexsort((mean, rate))  # which goes to and fro
    rate, mean, value = rate[order], mean[order], value[order]
    side = round(len(value) ** 0.5)
    image = left.contourf(
        rate.reshape(side, side), mean.reshape(side, side), value.reshape(side, side), levels=24
    )
    figure.colorbar(image, ax=left, label="efficiency")
    for case, colour, mark in zip(_BUDGETS["full"], COLOURS, "o^x"):
        at = [row for row in rows if row["case"] == case]
        left.plot(
            [row["rate"] for row in at],
            [row["karma_mean"] for row in at],
            mark,
            color=colour,
            markeredgecolor="w" if mark != "x" else colour,
            clip_on=False,
            zorder=3,
        )
        for seed in seeds:
            label = case if seed == seeds[0] else None
            right.plot(*points(rows, case + _SO_FAR, seed), color=colour, linewidth=1.0, label=label)
    best = max(value)
    right.axhline(best, color="0.35", linewidth=0.8, linestyle="--", label=f"best of {len(value)}")
    title = "The grid, and each seed's best"
    left.set(xlabel="tax rate", ylabel="mean karma", xticks=np.linspace(0, 0.2, 5), title=title)
    right.set(xlabel="evaluations", ylabel="best efficiency so far", ylim=(best - 0.05, best + 0.004))
    right.legend(loc="lower right")
    return figure


EXPERIMENT = Experiment(
    name="planner-matching",
    title="A planner against a fine grid, in the matching game",
    source="ours; the planner after Mguni et al. 2018, the game and beta = 5 of Vaishampayan 2024",
    run=_run,
    figures={"evaluations": _figure},
    published=tuple(
        Published(
            case,
            "short_of_grid",
            0.0,
            _ROUNDING,
            f"rounding: as good as the best of the grid, with {share} of its evaluations at full scale",
        )
        for case, share in (("Bayesian", "25 %"), ("gradient", "5 %"))
    ),
    notes=(
        "The equilibrium is a logit equilibrium, beta = 5, bids are paid to peers; it is followed from that "
        "of the nearest trial, or of the neighbour on the grid. The default game, without a tax and with a "
        "mean karma of 10, is `as it is`. `evaluations_to_grid` is after how many evaluations a method was "
        "as good as the grid's best; empty where it was not. Gradient ascent begins at points that are "
        "spread evenly, one after the other. At quick scale all have a quarter of a grid of 36 points."
    ),
    meanings={EXPLOITABILITY: Meaning(None, EXACT, STATIONARY)},
)
