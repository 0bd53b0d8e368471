"""Figures of an equilibrium: its policy, mean actions, where its population is, the solver's history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.finite import FiniteGame, as_finite
from training.common.figures import (
    COLOURS,
    FolderFigures,
    colours,
    legend_above,
    legend_of_lines,
    new_figure,
    new_panels,
    paper_style,
    positions_of_cells,
    positions_on_line,
    require_matplotlib,
    save_figures,
    what_it_is,
)
from training.common.lane_figures import bid_against_congestion, lane_maps
from training.common.lines import action_features, distinct, is_there, lines_of
from training.common.policy_figures import draw_limit, frame_means, title_panel
from training.common.tables import read_table
from training.solving.search import has_equilibria
from training.solving.search_figure import several_equilibria
from training.solving.sensitivity import has_sensitivity
from training.solving.sensitivity_figure import tornado
from training.solving.solution import TRACE, Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANES = "lanes"
"""The table of a network's lanes."""
BIDS_BY_LUCK = "bids_by_luck"
"""The table of bids by the luck that agents have with their paths."""

_FEW = 12  # points of a curve that are marked
_NEARLY_SQUARE = 3.0  # a map with sides of such a ratio has square cells


@paper_style()
def policy_heat_maps(solution: Solution) -> Figure:
    """Probability of each action along a quantity, a panel per type and all others.

    In the matching game: of each bid by karma, a panel per type and urgency.
    """
    game = solution.seen()
    probabilities = solution.policy_of_types
    name, worth = next(iter(action_features(game).items()))
    if len(np.unique(worth)) < len(worth) or (np.diff(worth) < 0).any():  # it says not which action it is
        name, worth = "action", np.arange(game.n_actions)
    types = lines_of(game)
    panels = [(kind, line) for kind, lines in enumerate(types) for line in range(len(lines.others))]
    height = 2.9 if len(types) == 1 else 3.3  # a title of more lines
    figure, axes = new_panels(len(panels), 2.9, height, margin=0.6)
    for panel, (kind, line) in zip(axes, panels):
        lines = types[kind]
        cells = lines.means(probabilities[min(kind, len(probabilities) - 1)])[line].T
        image = panel.imshow(cells, origin="lower", cmap="Blues", vmin=0, vmax=1)
        if max(cells.shape) > _NEARLY_SQUARE * min(cells.shape):
            panel.set_aspect("auto")
        title_panel(panel, game, kind, lines.labels[line])
        panel.set(xlabel=lines.along, ylabel=name)
        panel.grid(visible=False)
        positions_of_cells(panel, "x", lines.values)
        positions_of_cells(panel, "y", worth)
    figure.colorbar(image, ax=axes, label="probability", shrink=0.8)
    return figure


@paper_style()
def mean_feature(solution: Solution, feature: str) -> Figure:
    """Mean of an action feature along a quantity, a line per all others, a panel per type.

    In the matching game: the mean bid by karma, a line per urgency.
    """
    game = solution.seen()
    worth = action_features(game)[feature]
    means = solution.policy_of_types @ worth
    types = lines_of(game)
    figure, axes = new_panels(len(types), 3.4, 3.0, margin=0.4)
    for kind, (panel, lines) in enumerate(zip(axes, types)):
        positions = positions_on_line(panel, lines.values)
        of_lines = lines.means(means[min(kind, len(means) - 1)])
        for values, label, colour in zip(of_lines, lines.labels, colours(len(of_lines))):
            panel.plot(positions, values, color=colour, label=label)
        draw_limit(panel, game, worth, lines)
        frame_means(panel, lines, feature, worth)
        legend_of_lines(panel)
        title_panel(panel, game, kind)
    return figure


@paper_style()
def distribution(solution: Solution, quantity: str) -> Figure:
    """Distribution of one of the quantities observed, by type where there are several.

    At rest; of a game that ends, over all its steps.
    """
    game = solution.seen()
    values, masses = game.observation_values()[quantity], solution.masses
    figure, (panel,) = new_figure(4.4, 3.0)
    is_number, has_value, all_values = values.dtype.kind in "iuf", is_there(values), distinct(values)
    all_values = np.sort(all_values) if is_number else all_values
    positions = positions_of_cells(panel, "x", all_values)
    width = 0.8 / len(masses)
    for kind, mass in enumerate(solution.mean_field):
        shares = [mass[values[kind] == value].sum() for value in all_values]
        label = game.type_names[kind] if len(masses) > 1 else None
        offset = (kind - (len(masses) - 1) / 2) * width
        panel.bar(positions + offset, shares, width=width, color=COLOURS[kind % len(COLOURS)], label=label)
    if is_number:
        population = masses[:, None] * solution.mean_field * has_value
        mean = (population * np.where(has_value, values, 0)).sum() / population.sum()
        at = np.interp(mean, all_values, positions)
        panel.axvline(at, color="0.2", linewidth=0.8, linestyle="--", label="mean")
        legend_above(panel, columns=1 if len(masses) > 1 else 4)
    panel.set(xlabel=quantity, ylabel="share of agents")
    return figure


@paper_style()
def curve(columns: Mapping[str, NDArray[Any]]) -> Figure:
    """A table of the mean-field model: its columns along the first one, as lines, with marks where few."""
    (name, values), *others = columns.items()
    figure, (panel,) = new_figure(4.4, 3.0)
    positions = positions_on_line(panel, values)
    for (label, column), colour in zip(others, colours(len(others))):
        panel.plot(
            positions, column, color=colour, label=_words(label), marker="o" if len(values) <= _FEW else ""
        )
    panel.set(xlabel=_words(name))
    if len(others) > 1:
        legend_above(panel)
    else:
        panel.set_ylabel(_words(others[0][0]))
    return figure


def _words(column: str) -> str:
    """The name of a column as figures say it."""
    return column.replace("_", " ")


@paper_style()
def exploitability_history(solution: Solution) -> Figure:
    """Normalised exploitability at each of the solver's steps."""
    history = solution.numbers["history"]
    figure, (panel,) = new_figure(4.4, 3.0)
    values = [max(step["exploitability_normalised"], 1e-16) for step in history]
    panel.plot([step["iteration"] for step in history], values, color=COLOURS[0], marker=".")
    if solution.config.rationality is None:
        panel.axhline(
            solution.numbers["tolerance"], color="0.35", linewidth=1, linestyle="--", label="tolerance"
        )
        legend_above(panel)
    method = _words(solution.numbers["method"])
    panel.set(xlabel=f"step of {method}", ylabel="normalised exploitability", yscale="log")
    panel.locator_params(axis="x", integer=True, min_n_ticks=1)  # there may be one step
    what_it_is(figure, str(solution.meaning))
    return figure


@paper_style()
def learning(solution: Solution) -> Figure:
    """What a method that learns from play saw, by the agent-steps that were played; a panel for each."""
    rows = read_table(solution.folder / f"{TRACE}.csv")
    quantities = [name for name in rows[0] if name != "samples"]
    figure, panels = new_panels(len(quantities), 2.8, 2.6)
    for panel, name, colour in zip(panels, quantities, colours(len(quantities))):
        panel.plot([row["samples"] for row in rows], [row[name] for row in rows], color=colour)
        panel.set(xlabel="samples", ylabel=_words(name))
    return figure


Figures = Mapping[str, Callable[[], "Figure"]]
"""Figures by file name; each is made when it is called."""


def _of_tables(solution: Solution) -> Figures:
    if not isinstance(solution.game(), FiniteGame):
        return {}
    game = solution.seen()
    return {
        "policy_heat_maps": partial(policy_heat_maps, solution),
        **{
            f"mean_{feature}".replace(" ", "_"): partial(mean_feature, solution, feature)
            for feature in action_features(game)
        },
        **{
            f"{quantity}_distribution".replace(" ", "_"): partial(distribution, solution, quantity)
            for quantity in as_finite(solution.game()).observation_values()
        },
    }


@paper_style()
def lanes(solution: Solution, game: Any) -> Figure:
    """Maps of the lanes: how many agents want each, and what they bid (Thesis, Figure 6.5)."""
    rows = read_table(solution.folder / f"{LANES}.csv")
    return lane_maps(
        game.network,
        {
            "congestion": ([row["congestion"] for row in rows], "agents that want the lane"),
            "bids": ([row["mean_bid"] for row in rows], "mean bid"),
        },
    )


@paper_style()
def bids_and_congestion(solution: Solution) -> Figure:
    """Mean bid for each lane against how many want it (Thesis, Figure 6.6)."""
    rows = read_table(solution.folder / f"{LANES}.csv")
    congestion, bids = ([row[name] for row in rows] for name in ("congestion", "mean_bid"))
    return bid_against_congestion(congestion, bids, congestion)


@paper_style()
def bids_by_luck(solution: Solution) -> Figure:
    """Mean bids by karma of lucky, average and unlucky agents, a line per urgency (Thesis, Figure 6.8)."""
    rows = read_table(solution.folder / f"{BIDS_BY_LUCK}.csv")
    groups, karma = (list(dict.fromkeys(row[name] for row in rows)) for name in ("luck", "karma"))
    figure, axes = new_figure(3.0 * len(groups), 3.1, len(groups))
    for panel, luck in zip(axes, groups):
        bids: dict[float, list[float]] = {}
        for row in rows:
            if row["luck"] == luck:
                bids.setdefault(row["urgency"], []).append(row["mean_bid"])
        for (urgency, line), colour in zip(bids.items(), colours(len(bids))):
            panel.plot(karma, line, color=colour, label=f"urgency {urgency:g}")
        panel.plot(karma, karma, color="0.6", linewidth=0.8, linestyle=":", label="all karma")
        panel.set(xlabel="karma", title=luck, xlim=(0, karma[-1]), ylim=(0, karma[-1]))
    axes[0].set_ylabel("mean bid")
    axes[0].legend()
    return figure


def _of_lanes(solution: Solution) -> Figures:
    figures: dict[str, Callable[[], Figure]] = {}
    if (solution.folder / f"{LANES}.csv").is_file():
        figures[LANES] = partial(lanes, solution, solution.game())
        figures["bid_against_congestion"] = partial(bids_and_congestion, solution)
    if (solution.folder / f"{BIDS_BY_LUCK}.csv").is_file():
        figures[BIDS_BY_LUCK] = partial(bids_by_luck, solution)
    return figures


def _of_curves(solution: Solution) -> Figures:
    if (solution.folder / f"{LANES}.csv").is_file():  # maps are of those
        return {}
    curves = solution.config.model().curves(solution.policy)
    return {name: partial(curve, columns) for name, columns in curves.items()}


def _of_solver(solution: Solution) -> Figures:
    learned = (solution.folder / f"{TRACE}.csv").is_file()
    return {
        "exploitability_history": partial(exploitability_history, solution),
        **({TRACE: partial(learning, solution)} if learned else {}),
    }


def _of_search(solution: Solution) -> Figures:
    return {"several_equilibria": partial(several_equilibria, solution)} if has_equilibria(solution) else {}


def _of_sensitivity(solution: Solution) -> Figures:
    return {"sensitivity": partial(tornado, solution)} if has_sensitivity(solution) else {}


FIGURES: tuple[Callable[[Solution], Figures], ...] = (
    _of_tables,
    _of_curves,
    _of_lanes,
    _of_solver,
    _of_search,
    _of_sensitivity,
)
"""Each gives the figures that it has of a solution, none where there is nothing of the kind to draw."""


def plot_solution(solution: Solution, formats: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Draw all figures of a solution into its ``figures`` folder.

    Raises:
        ResultsError: when matplotlib is not installed.
        ConfigError: for a file ending that matplotlib does not know.
    """
    require_matplotlib()
    figures = {name: draw for kind in FIGURES for name, draw in kind(solution).items()}
    return save_figures(solution.folder, figures, formats)


FOLDER = FolderFigures(
    "equilibrium.json", lambda folder, formats, trust: plot_solution(Solution.open(folder, trust), formats)
)
