"""Several equilibria side by side: what is bid, and where the karma is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from karma_envs.karma.config import type_names
from training.common.figures import COLOURS, paper_style
from training.solving.search import read_equilibria
from training.solving.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 8  # equilibria shown
_PER_ROW = 4
_VISITED = 1e-9  # what is bid where nobody is says nothing
_STYLES = ("-", "--", ":", "-.")  # of types


@paper_style()
def several_equilibria(solution: Solution) -> Figure:
    """Mean bid by karma and urgency, and below it the distribution of karma, for each equilibrium.

    Lines are drawn where agents are; types differ by line style.
    """
    from training.common.notebook import PaperFigure

    config = solution.config.game_config
    types, karma = config.agent_types, np.arange(config.karma_max + 1)
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
    shape = (len(types), config.n_urgencies, len(karma))
    for place in range(bands * columns):
        band, column = divmod(place, columns)
        upper, lower = axes[2 * band, column], axes[2 * band + 1, column]
        if place >= shown:
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        row, mass = rows[place], mean_fields[place].reshape(shape)
        bids = np.where(mass > _VISITED, policies[place].mean_actions().reshape(shape), np.nan)
        for kind, one in enumerate(types):
            style = _STYLES[kind % len(_STYLES)]
            for number, urgency in enumerate(one.urgencies):
                label = f"urgency {urgency:g}" + (f", {type_names(types)[kind]}" if len(types) > 1 else "")
                colour = COLOURS[number % len(COLOURS)]
                upper.plot(karma, bids[kind, number], style, color=colour, label=label)
            lower.plot(karma, mass[kind].sum(axis=0), style, color="0.25")
            lower.fill_between(karma, mass[kind].sum(axis=0), color="0.25", alpha=0.15, linewidth=0)
        upper.set_title(f"{row['number']}: efficiency {row['efficiency']:.5f}", fontsize=8)
        lower.set(xlabel="karma", xlim=(0, karma[-1]))
        lower.locator_params(axis="x", integer=True)
        lower.tick_params(labelbottom=True)
        if column == 0:
            upper.set_ylabel("mean bid")
            lower.set_ylabel("share of agents")
    for panel in axes[:, 0]:  # once all that share its axis are drawn
        panel.set_ylim(bottom=0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    columns = 1 if len(types) > 1 else min(4, columns + 1)
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    if len(rows) > shown:
        figure.supxlabel(f"the {shown} most efficient of {len(rows)} equilibria found", fontsize=8)
    return figure
