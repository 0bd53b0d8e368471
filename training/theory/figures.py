"""Figures of what theory says of a game: the counterexample, sublinear bids, ways to the equilibrium."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from karma_envs.karma.config import type_names
from training.common.figures import (
    COLOURS,
    FolderFigures,
    legend_above,
    new_figure,
    paper_style,
    require_matplotlib,
    save_figures,
    title_of_type,
)
from training.theory.tools import Theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@paper_style()
def lasry_lions(theory: Theory) -> Figure:
    """The bids of the two populations that violate Lasry-Lions monotonicity, by urgency."""
    numbers = theory.numbers["lasry-lions"]
    found = numbers["counterexample"]
    figure, axes = new_figure(6.0, 3.0, 2)
    for panel, name in zip(axes, ("first", "second")):
        by_urgency = np.array(found[f"{name}_bids"])[:, :3] * np.array(numbers["probabilities"])[:, None]
        below = np.zeros(3)
        for index, (urgency, shares) in enumerate(zip(numbers["urgencies"], by_urgency)):
            colour = COLOURS[index % len(COLOURS)]
            panel.bar(range(3), shares, bottom=below, width=0.6, color=colour, label=f"urgency {urgency:g}")
            below += shares
        panel.set(title=f"{name} population", xlabel="bid", xticks=range(3), ylim=(0, 1), axisbelow=True)
    axes[0].set_ylabel("share of agents")
    axes[1].legend(loc="upper right")
    figure.suptitle(f"S = {found['total']:.4g} > 0: not monotone", fontsize="medium")
    return figure


@paper_style()
def sublinearity(theory: Theory) -> Figure:
    """Mean bids of the equilibrium where it goes, beside proportional ones; and bids over karma, per type.

    Bids are sublinear where the bid over karma never rises.
    """
    numbers = theory.numbers["sublinearity"]
    worst = numbers["exact"]
    types = theory.config.game_config.agent_types
    figure, axes = new_figure(6.4 * len(types) + 0.4, 3.2, 2 * len(types))
    for kind, one in enumerate(types):
        bids_panel, ratio_panel = axes[2 * kind : 2 * kind + 2]
        bids = np.where(numbers["visited"][kind], numbers["mean_bids"][kind], np.nan)
        karma = np.arange(bids.shape[1])
        for number, urgency in enumerate(one.urgencies):
            colour = COLOURS[number % len(COLOURS)]
            bids_panel.plot(karma, bids[number], color=colour, marker=".", label=f"urgency {urgency:g}")
            ratio_panel.plot(karma[1:], bids[number, 1:] / karma[1:], color=colour, marker=".")
        if kind == worst["type"] and worst["first_karma"] is not None:
            at, to = worst["karma"], worst["scaled_karma"]
            slope = bids[worst["urgency"], at] / at
            bids_panel.plot([0, to], [0, slope * to], "--", color="0.3", label=f"in proportion to karma {at}")
            bids_panel.annotate(
                "",
                (to, bids[worst["urgency"], to]),
                (to, slope * to),
                arrowprops={"arrowstyle": "<->", "color": "0.3"},
            )
        bids_panel.set(ylabel="mean bid", xlabel="karma")
        ratio_panel.set(ylabel="mean bid over karma", xlabel="karma", ylim=(0, 1.45))  # room for the legend
        for panel in (bids_panel, ratio_panel):
            panel.locator_params(axis="x", integer=True)
        if len(types) > 1:
            title_of_type(bids_panel, type_names(types)[kind])
        ratio_panel.legend(*bids_panel.get_legend_handles_labels(), loc="upper right")
    return figure


@paper_style()
def contractivity(theory: Theory) -> Figure:
    """Distance to the equilibrium over updates of policy mirror ascent, from random policies."""
    numbers = theory.numbers["contractivity"]
    figure, (panel,) = new_figure(4.6, 3.2)
    for way in numbers["distances"]:
        distances = np.array(way)
        (line,) = panel.plot(distances, color=COLOURS[0], alpha=0.45, linewidth=1)
        away = np.flatnonzero(np.diff(distances) > 1e-9) + 1  # not by rounding
        (mark,) = panel.plot(away, distances[away], ".", color=COLOURS[1])
    line.set_label("from a random policy")
    mark.set_label("after an update away")
    panel.set(xlabel="update", ylabel="distance to the equilibrium", yscale="log")
    least = min(min(way) for way in numbers["distances"])
    panel.set_ylim(min(0.05, 0.7 * max(least, 1e-7)), 3)  # no two policies are further apart than 2
    panel.set_xticks(range(0, numbers["updates"] + 1, 5))
    legend_above(panel)
    return figure


def plot_theory(theory: Theory, formats: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Draw the figures of the tools that had something to say, into the ``figures`` folder.

    Raises:
        ResultsError: when matplotlib is not installed.
        ConfigError: for a file ending that matplotlib does not know.
    """
    require_matplotlib()
    numbers = theory.numbers
    drawable: dict[str, tuple[str, Callable[[Theory], Figure]]] = {
        "lasry-lions": ("counterexample", lasry_lions),
        "sublinearity": ("mean_bids", sublinearity),
        "contractivity": ("distances", contractivity),
    }
    figures: dict[str, Callable[[], Figure]] = {
        draw.__name__: functools.partial(draw, theory)
        for tool, (needed, draw) in drawable.items()
        if numbers.get(tool, {}).get(needed)
    }
    return save_figures(theory.folder, figures, formats)


FOLDER = FolderFigures(
    "theory.json", lambda folder, formats, trust: plot_theory(Theory.open(folder, trust), formats)
)
