"""Figures of a run, for a paper: one function per figure, each gives a matplotlib figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from karma_envs.metrics import Summary
from training.common.errors import ResultsError
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
from training.common.lane_figures import lane_maps
from training.common.tables import Row, read_table
from training.evaluation.references import reference_lines
from training.runs.exploitability import KINDS
from training.runs.exploitability_figure import exploitability_figure
from training.runs.folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE_STYLES = {"DICT": "--", "COIN": ":", "TURN": "-."}


def _by_replica(rows: list[Row], column: str) -> list[tuple[Any, Any]]:
    numbers = sorted({row["replica"] for row in rows})
    return [
        (
            np.array([row["step"] for row in rows if row["replica"] == number]),
            np.array([row[column] for row in rows if row["replica"] == number]),
        )
        for number in numbers
    ]


@paper_style()
def mean_bids(run: Run) -> Figure:
    """Mean bid by karma and urgency, a panel per type: mean over agents, band from 10 % to 90 % of them.

    Where a game has several observations with the same karma and urgency, all that an agent may be in count.
    """
    game = run.game()
    types = run.config.game_config.agent_types
    karma = np.arange(run.config.game_config.karma_max + 1)
    figure, axes = new_figure(3.4 * len(types) + 0.4, 3.0, len(types))
    policies = run.policies
    for index, (agent_type, panel) in enumerate(zip(types, axes)):
        members = np.flatnonzero(game.type_of_agent == index)
        bids = np.concatenate(
            [policy.mean_actions(game.bid_of_action)[policy.row_of_agent[members]] for policy in policies]
        )
        bids = np.where(np.tile(game.reachable()[members], (len(policies), 1)), bids, np.nan)
        for number, urgency in enumerate(agent_type.urgencies):
            colour = COLOURS[number % len(COLOURS)]
            chosen = bids[:, game.urgency_of_observation == number].reshape(-1, len(karma))
            panel.plot(karma, np.nanmean(chosen, axis=0), color=colour, label=f"urgency {urgency:g}")
            low, high = np.nanquantile(chosen, (0.1, 0.9), axis=0)
            panel.fill_between(karma, low, high, color=colour, alpha=0.18, linewidth=0)
        panel.plot(karma, karma, color="0.6", linewidth=0.8, linestyle=":", label="all karma")
        panel.set(xlabel="karma", ylabel="mean bid", ylim=(0, None), xlim=(0, karma[-1]))
        panel.locator_params(integer=True)
        panel.legend(loc="upper left")
        if len(types) > 1:
            title_of_type(panel, game.type_names[index])
    return figure


@paper_style()
def over_time(run: Run, column: str, label: str, lines: Mapping[int, Mapping[str, Summary]]) -> Figure:
    """A metric over training, one line per replica, beside the allocations without karma.

    Args:
        run: the run.
        column: which metric.
        label: what it is.
        lines: the metrics of the allocations, by how many steps they are over. Each record is beside what
            is over as many steps as itself, since fairness depends on them.
    """
    figure, (panel,) = new_figure(4.4, 3.0)
    _draw_replicas(panel, run.metrics, column, COLOURS[0], "learning")
    records = [row for row in run.metrics if row["replica"] == 0]
    for name in next(iter(lines.values())):
        style: dict[str, Any] = {
            "color": "0.35",
            "linewidth": 1,
            "linestyle": _LINE_STYLES[name],
            "label": name,
        }
        values = [getattr(lines[row["window"]][name], column).value for row in records]
        if len(set(values)) == 1:
            panel.axhline(values[0], **style)
        else:
            panel.plot([row["step"] for row in records], values, drawstyle="steps-pre", **style)
    panel.set(xlabel="timestep", ylabel=label)
    legend_above(panel)
    return figure


def _over_windows(run: Run) -> str:
    """How many steps the records are over, in words."""
    windows = sorted({row["window"] for row in run.metrics})
    return f"over {windows[0]} steps" if len(windows) == 1 else f"over {windows[0]} to {windows[-1]} steps"


@paper_style()
def karma_distribution(run: Run) -> Figure:
    """Share of agents by karma: at the first record, and averaged over the last tenth of them."""
    rows = read_table(run.folder / "karma.csv")
    steps = sorted({row["step"] for row in rows})
    last = steps[-max(1, len(steps) // 10) :]
    highest = run.config.game_config.karma_max
    figure, (panel,) = new_figure(4.4, 3.0)
    for number, (chosen, label) in enumerate(((steps[:1], "first record"), (last, "end of training"))):
        share = np.zeros(highest + 1)
        for row in rows:
            if row["step"] in chosen:
                share[row["karma"]] += row["share"]
        share /= len(chosen) * run.config.replicas
        if number:
            panel.bar(np.arange(highest + 1), share, width=0.8, color=COLOURS[0], label=label)
        else:
            panel.step(np.arange(highest + 1), share, where="mid", color="0.45", label=label)
    panel.axvline(run.config.game_config.karma_mean, color="0.2", linewidth=0.8, linestyle="--", label="mean")
    panel.set(xlabel="karma", ylabel="share of agents")
    legend_above(panel)
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
def lanes(run: Run) -> Figure:
    """Maps of the lanes: how many agents want each, and what they bid (Thesis, Figure 6.5)."""
    rows = read_table(run.folder / "lanes.csv")
    game: Any = run.game()
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


def figures(run: Run) -> dict[str, Callable[[], Figure]]:
    """The figures of a run by name; making one is left to the caller."""
    if not run.metrics:
        raise ResultsError(f"{run.folder}: nothing has been recorded yet")
    lines = {
        window: reference_lines(run.config.game, run.config.game_config, window)
        for window in {row["window"] for row in run.metrics}
    }
    over = _over_windows(run)
    found: dict[str, Callable[[], Figure]] = {
        "mean_bid": lambda: mean_bids(run),
        "efficiency": lambda: over_time(run, "efficiency", f"efficiency {over}", lines),
        "access_fairness": lambda: over_time(run, "access_fairness", f"access fairness {over}", lines),
        "reward_fairness": lambda: over_time(run, "reward_fairness", f"reward fairness {over}", lines),
        "karma_distribution": lambda: karma_distribution(run),
        "policy_change": lambda: policy_change(run),
    }
    if (run.folder / "monitor.csv").is_file():
        looked_at = payoff_change if run.config.monitor == "payoff" else exploitability
        found[looked_at.__name__] = lambda: looked_at(run)
    if (run.folder / "lanes.csv").is_file():
        found["lanes"] = lambda: lanes(run)
    for kind in KINDS:
        if (run.folder / f"exploitability-{kind}.csv").is_file():
            found[f"exploitability_{kind}"] = lambda kind=kind: exploitability_figure(run, kind)  # type: ignore[misc]
    return found


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
