"""Figures of a run, for a paper: one function per figure, each gives a matplotlib figure.

Which there are depends on the run and its game, see :data:`FIGURES`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.outcome import Metric, Outcome, headlines
from training.common.errors import ResultsError
from training.common.figures import (
    COLOURS,
    FolderFigures,
    colours,
    legend_above,
    legend_of_lines,
    new_figure,
    new_panels,
    paper_style,
    positions_on_line,
    require_matplotlib,
    save_figures,
    what_it_is,
)
from training.common.lane_figures import lane_maps
from training.common.lines import action_features, lines_of
from training.common.policy_figures import draw_limit, frame_means, title_panel
from training.common.tables import Row, read_table
from training.evaluation.references import reference_outcomes
from training.runs.exploitability import KINDS
from training.runs.exploitability_figure import exploitability_figure
from training.runs.folder import RECORD, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE_STYLES: tuple[Any, ...] = ("--", ":", "-.", (0, (8, 2)), (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))


Figures = Mapping[str, Callable[[], "Figure"]]
"""Figures by file name; each is made when it is called."""


def _by_replica(rows: Sequence[Row], column: str) -> list[tuple[Any, Any]]:
    numbers = sorted({row["replica"] for row in rows})
    return [
        (
            np.array([row["step"] for row in rows if row["replica"] == number]),
            np.array([row[column] for row in rows if row["replica"] == number]),
        )
        for number in numbers
    ]


@paper_style()
def over_time(run: Run, metric: Metric, references: Mapping[int, Mapping[str, Outcome]]) -> Figure:
    """A metric over training, one line per replica, beside the game's references.

    Args:
        run: the run.
        metric: one that the run has recorded.
        references: what the references come to, by how many steps and by name. Each record is beside what is
            over as many steps as itself, since fairness depends on them.
    """
    figure, (panel,) = new_figure(4.4, 3.0)
    _draw_replicas(panel, run.metrics, metric.name, COLOURS[0], "learning")
    records = [row for row in run.metrics if row["replica"] == 0]
    for number, name in enumerate(next(iter(references.values()))):
        style: dict[str, Any] = {
            "color": "0.35",
            "linewidth": 1,
            "linestyle": _LINE_STYLES[number % len(_LINE_STYLES)],
            "label": name,
        }
        values = [metric.value(references[row["window"]][name]) for row in records]
        if len(set(values)) == 1:
            panel.axhline(values[0], **style)
        else:
            panel.plot([row["step"] for row in records], values, drawstyle="steps-pre", **style)
    panel.set(xlabel="timestep", ylabel=f"{metric.title} {_over_windows(run)}")
    legend_above(panel)
    return figure


@paper_style()
def recorded(run: Run, column: str) -> Figure:
    """What a game has recorded besides its metrics, over training, one line per replica."""
    figure, (panel,) = new_figure(4.4, 3.0)
    _draw_replicas(panel, run.metrics, column, COLOURS[0], "learning")
    panel.set(xlabel="timestep", ylabel=column.replace("_", " "))
    return figure


def _over_windows(run: Run) -> str:
    """How many steps the records are over, in words."""
    windows = sorted({row["window"] for row in run.metrics})
    return f"over {windows[0]} steps" if len(windows) == 1 else f"over {windows[0]} to {windows[-1]} steps"


@paper_style()
def distribution(run: Run, name: str) -> Figure:
    """Share of agents by value: at the first record, and averaged over the last tenth of them.

    Args:
        run: the run.
        name: of one of the game's distributions over a single quantity.
    """
    rows = read_table(run.folder / f"{name}.csv")
    (quantity,) = rows[0].keys() - {"replica", "step", "share"}
    steps = sorted({row["step"] for row in rows})
    last = steps[-max(1, len(steps) // 10) :]
    values = np.unique([row[quantity] for row in rows])
    if values.dtype.kind == "i":  # nobody may ever have been at some of them
        values = np.arange(values[0], values[-1] + 1)
    width = 0.8 * min(np.diff(values), default=1.0)
    figure, (panel,) = new_figure(4.4, 3.0)
    for chosen, label in ((steps[:1], "first record"), (last, "end of training")):
        share = np.zeros(len(values))
        for row in rows:
            if row["step"] in chosen:
                share[np.searchsorted(values, row[quantity])] += row["share"]
        share /= len(chosen) * run.config.replicas
        if chosen is last:
            panel.bar(values, share, width=width, color=COLOURS[0], label=label)
        else:
            panel.step(values, share, where="mid", color="0.45", label=label)
    panel.axvline(float(values @ share), color="0.2", linewidth=0.8, linestyle="--", label="mean")
    panel.set(xlabel=quantity.replace("_", " "), ylabel="share of agents")
    legend_above(panel)
    return figure


@paper_style()
def mean_feature(run: Run, game: FiniteGame, feature: str) -> Figure:
    """Mean of an action feature along a quantity, a line per all others, a panel per type.

    In karma games mean bids by karma, a line per urgency. A line is the mean over the agents of all replicas
    and over all that they may observe there, with a band from 10 % to 90 % of these.
    """
    worth, types, policies = action_features(game)[feature], lines_of(game), run.policies
    figure, axes = new_panels(len(types), 3.4, 3.0, margin=0.4)
    for kind, (panel, lines) in enumerate(zip(axes, types)):
        members = np.flatnonzero(game.type_of_agent == kind)
        means = np.concatenate(
            [policy.mean_actions(worth)[policy.row_of_agent[members]] for policy in policies]
        )
        means = np.where(np.tile(game.reachable()[members], (len(policies), 1)), means, np.nan)
        positions = positions_on_line(panel, lines.values)
        for line, (label, colour) in enumerate(zip(lines.labels, colours(len(lines.labels)))):
            first = line * len(lines.values)
            at_places = [means[:, lines.place_of == first + place] for place in range(len(lines.values))]
            low, high = np.transpose([np.nanquantile(values, (0.1, 0.9)) for values in at_places])
            panel.plot(positions, [np.nanmean(values) for values in at_places], color=colour, label=label)
            panel.fill_between(positions, low, high, color=colour, alpha=0.18, linewidth=0)
        draw_limit(panel, game, worth, lines)
        frame_means(panel, lines, feature, worth)
        legend_of_lines(panel)
        title_panel(panel, game, kind)
    return figure


@paper_style()
def policy_change(run: Run) -> Figure:
    """How far each epoch moved the policies (Thesis, Definition 4.1): mean over agents, and the most."""
    figure, (panel,) = new_figure(4.4, 3.0)
    _draw_replicas(panel, run.metrics, "policy_change_max", COLOURS[1], "largest")
    _draw_replicas(panel, run.metrics, "policy_change_mean", COLOURS[0], "mean over agents")
    panel.set(xlabel="timestep", ylabel="policy change per epoch", ylim=(0, None))
    legend_above(panel)
    return figure


@paper_style()
def exploitability(run: Run) -> Figure:
    """Exploitability over training, and what the mean field's equilibrium gains (Thesis, Figure 4.3)."""
    rows = read_table(run.folder / "monitor.csv")
    figure, (panel,) = new_figure(4.4, 3.0)
    for column, label, colour in (
        ("exploitability_normalised", "best response", COLOURS[0]),
        ("equilibrium_gain_normalised", "mean-field equilibrium", COLOURS[1]),
    ):
        _draw_replicas(panel, rows, column, colour, label, marker=".")
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set(xlabel="timestep", ylabel="gain by deviating, over |J|")
    legend_above(panel)
    if "meaning" in rows[0]:
        what_it_is(figure, rows[0]["meaning"])
    return figure


@paper_style()
def payoff_change(run: Run) -> Figure:
    """The largest change of an agent's payoff by one epoch, over training (Thesis, Figure 6.4 b)."""
    figure, (panel,) = new_figure(4.4, 3.0)
    rows = read_table(run.folder / "monitor.csv")
    _draw_replicas(panel, rows, "payoff_change_max", COLOURS[0], "largest of all agents", marker=".")
    panel.set(xlabel="timestep", ylabel="payoff change per epoch", ylim=(0, None))
    legend_above(panel)
    return figure


@paper_style()
def lanes(run: Run, game: Any) -> Figure:
    """Maps of the lanes: how many agents want each, and what they bid (Thesis, Figure 6.5)."""
    rows = read_table(run.folder / "lanes.csv")
    return lane_maps(
        game.network,
        {
            "congestion": ([row["congestion"] for row in rows], "agents that want the lane"),
            "bids": ([row["mean_bid"] for row in rows], "mean bid"),
        },
    )


def _draw_replicas(panel: Axes, rows: list[Row], column: str, colour: str, label: str, **style: str) -> None:
    """A line per replica, the first one strong and named."""
    for number, (steps, values) in enumerate(_by_replica(rows, column)):
        panel.plot(
            steps,
            values,
            color=colour,
            alpha=0.9 if number == 0 else 0.4,
            label=None if number else label,
            **style,  # type: ignore[arg-type]
        )


def _of_tables(run: Run, game: PopulationGame) -> Figures:
    """What is done, in a game with tables."""
    if not isinstance(game, FiniteGame):
        return {}
    return {
        f"mean_{feature}".replace(" ", "_"): partial(mean_feature, run, game, feature)
        for feature in action_features(game)
    }


@paper_style()
def policy_sample(run: Run) -> Figure:
    """What some agents did, over what they observed, in a game of boxes; of the first replica."""
    rows = read_table(run.folder / "policy-0.csv")
    observed, taken = (
        [column for column in rows[0] if column.startswith(start)] for start in ("observed_", "taken_")
    )
    figure, panels = new_panels(len(taken) * len(observed), 2.6, 2.2)
    for panel, (row, column) in zip(panels, itertools.product(taken, observed)):
        panel.plot(
            [each[column] for each in rows], [each[row] for each in rows], ".", color=COLOURS[0], markersize=2
        )
        panel.set(xlabel=column.replace("_", " "), ylabel=row.replace("_", " "))
    return figure


def _of_boxes(run: Run, game: PopulationGame) -> Figures:
    """What is done, in a game of boxes that has been evaluated."""
    has_boxes = not isinstance(game, FiniteGame) and (run.folder / "policy-0.csv").is_file()
    return {"policy": partial(policy_sample, run)} if has_boxes else {}


def _of_metrics(run: Run, game: PopulationGame) -> Figures:
    """The headline metrics that the run has recorded."""
    rows = run.metrics
    references = {window: reference_outcomes(game, window) for window in {row["window"] for row in rows}}
    return {
        metric.name: partial(over_time, run, metric, references)
        for metric in headlines(game.metrics)
        if metric.name in rows[0]
    }


def _of_records(run: Run, game: PopulationGame) -> Figures:
    """What the game has recorded besides its metrics."""
    others = {*RECORD, *(metric.name for metric in game.metrics)}
    return {column: partial(recorded, run, column) for column in run.metrics[0] if column not in others}


def _of_distributions(run: Run, game: PopulationGame) -> Figures:
    """Distributions of a single quantity that the run has recorded."""
    game.reset(np.random.default_rng(0))  # before that it has no agents that are spread
    return {
        f"{name}_distribution": partial(distribution, run, name)
        for name, columns in game.distributions().items()
        if len(columns) == 2 and (run.folder / f"{name}.csv").is_file()
    }


def _of_learning(run: Run, game: PopulationGame) -> Figures:
    """How far epochs move policies, and what a monitor saw."""
    change = {"policy_change": partial(policy_change, run)}
    if not (run.folder / "monitor.csv").is_file():
        return change
    seen = payoff_change if run.config.monitor == "payoff" else exploitability
    return {**change, seen.__name__: partial(seen, run)}


def _of_lanes(run: Run, game: PopulationGame) -> Figures:
    """Maps, of a run on roads that has been evaluated."""
    return {"lanes": partial(lanes, run, game)} if (run.folder / "lanes.csv").is_file() else {}


def _of_exploitability(run: Run, game: PopulationGame) -> Figures:
    """Of each kind of exploitability that has been evaluated."""
    return {
        f"exploitability_{kind}": partial(exploitability_figure, run, kind)
        for kind in KINDS
        if (run.folder / f"exploitability-{kind}.csv").is_file()
    }


FIGURES: tuple[Callable[[Run, PopulationGame], Figures], ...] = (
    _of_tables,
    _of_boxes,
    _of_metrics,
    _of_records,
    _of_distributions,
    _of_learning,
    _of_lanes,
    _of_exploitability,
)
"""Each gives the figures that it has of a run, none where there is nothing of the kind to draw."""


def figures(run: Run) -> Figures:
    """The figures of a run by name.

    Raises:
        ResultsError: when nothing has been recorded yet.
    """
    if not run.metrics:
        raise ResultsError(f"{run.folder}: nothing has been recorded yet")
    game = run.game()
    return {name: draw for figures_of in FIGURES for name, draw in figures_of(run, game).items()}


def plot(run: Run, formats: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Draw all figures of a run into its ``figures`` folder.

    Args:
        run: a finished run.
        formats: file endings that matplotlib knows.

    Returns:
        the files written.

    Raises:
        ResultsError: when matplotlib is not installed or the run has not finished.
        ConfigError: for a file ending that matplotlib does not know.
    """
    require_matplotlib()
    return save_figures(run.folder, figures(run), formats)


FOLDER = FolderFigures(None, lambda folder, formats, trust: plot(Run.open(folder, trust), formats))
