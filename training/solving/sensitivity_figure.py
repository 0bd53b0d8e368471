"""A tornado: which parameters move an equilibrium most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.common.figures import COLOURS, paper_style, what_it_is
from training.common.tables import Row
from training.solving.sensitivity import read_sensitivity
from training.solving.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MORE = 0.01  # of itself that a parameter is moved by, or this much where it is 0
_MOST_OUTPUTS, _PER_ROW = 6, 3
_MOST_BARS = 12
_NOTHING = 1e-9  # a move, over the output, that is not worth a bar


@paper_style()
def tornado(solution: Solution) -> Figure:
    """What each output moves by when each parameter does by 1 %, to first order; a panel per output."""
    return tornado_of(read_sensitivity(solution))


def tornado_of(rows: Sequence[Row]) -> Figure:
    """The same, of rows as :func:`training.solving.sensitivity.read_sensitivity` gives them."""
    outputs = [name for name in dict.fromkeys(row["output"] for row in rows) if _moves(rows, name)]
    shown = outputs[:_MOST_OUTPUTS] or [rows[0]["output"]]
    from training.common.notebook import PaperFigure

    longest = max(len(_moves(rows, name)) for name in shown)
    columns = min(len(shown), _PER_ROW)
    bands = -(-len(shown) // columns)
    height = 0.9 + 0.24 * min(max(longest, 2), _MOST_BARS)
    figure = PaperFigure(figsize=(3.1 * columns, height * bands + 0.6), layout="constrained")
    axes = figure.subplots(bands, columns, squeeze=False).ravel()
    for spare in axes[len(shown) :]:
        spare.set_axis_off()
    for panel, name in zip(axes, shown):
        _bars(panel, name, _moves(rows, name))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    what_it_is(
        figure,
        "change of an equilibrium of the mean field, to first order, when a parameter moves by 1 % of itself "
        "(by .01 where it is 0); it may turn before, see sensitivity.csv",
    )
    return figure


def _moves(rows: Sequence[Row], output: str) -> dict[str, tuple[float, bool]]:
    """What an output moves by, and whether also the other way, by parameter; the greatest last."""
    moves = {}
    for row in rows:
        if row["output"] != output or not np.isfinite(row["derivative"]):
            continue
        move = row["derivative"] * _MORE * (abs(row["parameter_value"]) or 1.0)
        if abs(move) > _NOTHING * max(abs(row["output_value"]), _NOTHING):
            moves[str(row["parameter"])] = move, row["two_sided"] in (True, "True")
    return dict(sorted(moves.items(), key=lambda item: abs(item[1][0])))


def _bars(panel: Axes, output: str, moves: dict[str, tuple[float, bool]]) -> None:
    """A bar to each side for each parameter; to one side where the parameter may move but one way."""
    names = list(moves)[-_MOST_BARS:]
    for place, name in enumerate(names):
        move, two_sided = moves[name]
        panel.barh(place, move, height=0.7, color=COLOURS[0], label=None if place else "1 % more")
        if two_sided:
            panel.barh(place, -move, height=0.7, color=COLOURS[4], label=None if place else "1 % less")
    panel.axvline(0.0, color="0.2", linewidth=0.8)
    panel.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    panel.set_title(output.replace("_", " "), fontsize="medium")
    panel.locator_params(axis="x", nbins=4)
    panel.ticklabel_format(axis="x", scilimits=(-2, 4))  # 5 of 1e-3 in place of 0.005, which would overlap
    panel.grid(visible=False, axis="y")
