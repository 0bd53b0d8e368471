"""Several equilibria side by side: what agents do, and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.finite import as_finite
from training.common.figures import colours, paper_style, positions_on_line
from training.common.lines import action_features, lines_of
from training.solving.search import read_equilibria
from training.solving.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 8  # equilibria shown
_PER_ROW = 4
_VISITED = 1e-9  # what is done where nobody is says nothing
_STYLES = ("-", "--", ":", "-.")  # of types


@paper_style()
def several_equilibria(solution: Solution) -> Figure:
    """Mean actions along a quantity, and below it where agents are along it, for each equilibrium.

    In the matching game: mean bids by karma, a line per urgency, and the distribution of karma. Lines are
    drawn where agents are; types differ by line style.
    """
    from training.common.notebook import PaperFigure

    game = as_finite(solution.game())
    types = lines_of(game)
    feature, worth = next(iter(action_features(game).items()))
    rows, policies, mean_fields = read_equilibria(solution)
    shown = min(len(rows), _MOST)
    columns = min(shown, _PER_ROW)
    bands = -(-shown // _PER_ROW)
    figure = PaperFigure(figsize=(1.75 * columns + 0.6, 3.1 * bands + 0.5), layout="constrained")
    axes = figure.subplots(
        2 * bands,
        columns,
        squeeze=False,
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": [1.5, 1] * bands},
    )
    for place in range(bands * columns):
        band, column = divmod(place, columns)
        upper, lower = axes[2 * band, column], axes[2 * band + 1, column]
        if place >= shown:
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        row, actions = rows[place], policies[place].mean_actions(worth)
        for kind, (lines, mass) in enumerate(zip(types, mean_fields[place])):
            style = _STYLES[kind % len(_STYLES)]
            name = game.type_names[kind] if len(types) > 1 else ""
            positions = positions_on_line(lower, lines.values)
            means = lines.means(actions[kind], np.where(mass > _VISITED, mass, 0))
            for mean, label, colour in zip(means, lines.labels, colours(len(means))):
                label = ", ".join(filter(None, [label, name]))
                upper.plot(positions, mean, style, color=colour, label=label)
                alone = _alone(mean)  # which no line shows
                upper.plot(positions[alone], mean[alone], ".", color=colour)
            shares = lines.sums(mass).sum(axis=0)
            lower.plot(positions, shares, style, color="0.25")
            lower.fill_between(positions, shares, color="0.25", alpha=0.15, linewidth=0)
        upper.set_title(f"{row['number']}: efficiency {row['efficiency']:.5f}", fontsize=8)
        lower.set(xlabel=types[0].along)
        upper.margins(x=0)
        lower.margins(x=0)
        lower.tick_params(labelbottom=True)
        if column == 0:
            upper.set_ylabel(f"mean {feature}")
            lower.set_ylabel("share of agents")
    for number, panel in enumerate(axes[:, 0]):  # once all that share its axis are drawn
        panel.set_ylim(bottom=0 if number % 2 or (worth >= 0).all() else None)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if any(labels):
        columns = 1 if len(types) > 1 else min(4, columns + 1)
        figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    if len(rows) > shown:
        figure.supxlabel(f"the {shown} most efficient of {len(rows)} equilibria found", fontsize=8)
    return figure


def _alone(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where numbers are that have none (but NaN) on either side."""
    is_number = np.isfinite(np.pad(values, 1, constant_values=np.nan))
    return is_number[1:-1] & ~is_number[:-2] & ~is_number[2:]
