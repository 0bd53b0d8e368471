"""Figures of a sweep: what was learned over one field with error bars, or over two as heat maps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from karma_envs.outcome import Metric, headlines
from training.common.figures import (
    COLOURS,
    FolderFigures,
    new_figure,
    paper_style,
    require_matplotlib,
    save_figures,
)
from training.common.tables import Row
from training.sweeps.config import as_text, shown
from training.sweeps.folder import Sweep, estimate_in
from training.sweeps.sweep import LEARNED_STEPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_FROM = 20.0  # ratio of the largest value to the smallest
_MOST_PANELS = 4
_MOST_LINES = 2 * len(COLOURS)
_LINE_STYLES = ("-", "--")
_SHORT_LABEL = 24  # letters; two stand side by side
_TICK = 18  # letters in a line of a tick's label
_TICK_LINES = 3


class NothingToDrawError(ValueError):
    """A sweep that no figure can show; the message says why."""


def plot_sweep(sweep: Sweep, formats: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Draw a figure per headline metric into the sweep's ``figures`` folder.

    Returns:
        the files written.

    Raises:
        NothingToDrawError: when there is nothing to draw, or too much.
        ResultsError: when matplotlib is not installed.
        ConfigError: for a file ending that matplotlib does not know.
    """
    axes = axes_of(sweep)
    require_matplotlib()
    draw = lines if len(axes) == 1 else heat_maps
    figures: dict[str, Callable[[], Figure]] = {
        metric.name: partial(draw, sweep, axes, metric) for metric in headlines(sweep.metrics)
    }
    return save_figures(sweep.folder, figures, formats)


def axes_of(sweep: Sweep) -> list[str]:
    """The swept fields that figures are drawn over: one for lines, two for heat maps.

    Numbers come before rules, types and the like. The other fields make lines and panels.

    Raises:
        NothingToDrawError: when only the seed was swept, no trial has finished, or lines and panels are
            too many.
    """
    fields = [name for name, values in sweep.config.over.items() if name != "seed" and len(values) > 1]
    numbers = [name for name in fields if _is_number(sweep, name)]
    if not fields:
        raise NothingToDrawError("only the seed was swept" if "seed" in sweep.config.over else "one trial")
    if not sweep.best_first:
        raise NothingToDrawError("no trial has finished")
    if len(numbers) < 2:
        axes = (numbers or fields)[:1]
        if len(_groups(sweep, axes)) <= _MOST_LINES:
            return axes
    most_values = sorted(
        numbers if len(numbers) > 1 else fields, key=lambda name: -len(sweep.config.over[name])
    )
    axes = [name for name in fields if name in most_values[:2]]
    if (panels := len(_groups(sweep, axes))) > _MOST_PANELS:
        raise NothingToDrawError(
            f"{panels} combinations of the fields besides {' and '.join(axes)} are too many to draw"
        )
    return axes


def _is_number(sweep: Sweep, field: str) -> bool:
    return all(type(value) in (int, float) for value in sweep.config.over[field])


def _values(sweep: Sweep, field: str) -> list[Any]:
    """What a field was swept over: numbers in their order, others as they were given."""
    values: list[Any] = sweep.config.over[field]
    return sorted(values) if _is_number(sweep, field) else list(values)


def _tick_labels(values: Sequence[Any]) -> list[str]:
    """Values in short lines; those that begin alike are told apart by their numbers."""
    labels = []
    for value in values:
        text = f"{value:g}" if type(value) in (int, float) else str(as_text(value))
        whole = textwrap.wrap(text, _TICK)
        labels.append("\n".join(whole[:_TICK_LINES]) + (" …" if len(whole) > _TICK_LINES else ""))
    if len(set(labels)) < len(labels):
        return [f"{number}: {label}" for number, label in enumerate(labels)]
    return labels


def _groups(sweep: Sweep, axes: Sequence[str]) -> dict[str, list[Row]]:
    """Finished trials by the values of the other fields but the seed; their label."""
    others = [
        name for name, values in sweep.config.over.items() if name not in (*axes, "seed") and len(values) > 1
    ]
    groups: dict[str, list[Row]] = {}
    for row in sweep.rows:
        if row["status"] == "finished":
            groups.setdefault(shown({name: row[name] for name in others}), []).append(row)
    return groups


def _mean(rows: Sequence[Row], metric: Metric) -> tuple[float, float]:
    """The metric with its standard error: the trial's, or over seeds where there are several."""
    if len(rows) == 1:
        estimate = estimate_in(rows[0], metric)
        return estimate.value, estimate.standard_error
    values = np.array([row[metric.name] for row in rows])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _label(metric: Metric) -> str:
    return f"{metric.title} over {LEARNED_STEPS} steps"


@paper_style()
def lines(sweep: Sweep, axes: Sequence[str], metric: Metric) -> Figure:
    """A metric over a field, with standard errors; a line for each combination of other fields.

    Where the field's values are no numbers, points stand side by side instead.
    """
    (field,) = axes
    groups, values, is_number = _groups(sweep, axes), _values(sweep, field), _is_number(sweep, field)
    columns = 2 if max(map(len, groups)) <= _SHORT_LABEL else 1
    legend_rows = -(-len(groups) // columns) if len(groups) > 1 else 0
    width = 4.4 if is_number else max(4.4, 1.0 + 1.2 * len(values))
    figure, (panel,) = new_figure(width, 3.0 + 0.19 * legend_rows)
    for index, (label, rows) in enumerate(groups.items()):
        beside = 0 if is_number else 0.6 * ((index + 0.5) / len(groups) - 0.5)
        points = {
            value if is_number else place + beside: _mean(here, metric)
            for place, value in enumerate(values)
            if (here := [row for row in rows if row[field] == value])
        }
        panel.errorbar(
            list(points),
            [mean for mean, _ in points.values()],
            yerr=[np.nan_to_num(error) for _, error in points.values()],
            color=COLOURS[index % len(COLOURS)],
            linestyle=_LINE_STYLES[index // len(COLOURS)] if is_number else "none",
            marker="os"[index // len(COLOURS)],
            markersize=3.5,
            capsize=2.5,
            label=label or None,
        )
    if legend_rows:
        figure.legend(loc="outside upper left", ncols=columns)
    if is_number:
        _scale(panel, values)
    else:
        panel.set_xticks(range(len(values)), _tick_labels(values))
        panel.set_xlim(-0.5, len(values) - 0.5)
        panel.grid(visible=False, axis="x")
    panel.set(xlabel=field.replace("_", " "), ylabel=_label(metric))
    return figure


def _scale(panel: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) / min(values) >= _LOG_FROM:
        panel.set_xscale("log")


@paper_style()
def heat_maps(sweep: Sweep, axes: Sequence[str], metric: Metric) -> Figure:
    """A metric over two fields; a panel for each combination of other fields."""
    across, up = axes
    groups = _groups(sweep, axes)
    xs, ys = (_values(sweep, name) for name in axes)
    maps = []
    for rows in groups.values():
        cells = np.full((len(ys), len(xs)), np.nan)
        for (row, column), _ in np.ndenumerate(cells):
            here = [each for each in rows if each[across] == xs[column] and each[up] == ys[row]]
            if here:
                cells[row, column] = _mean(here, metric)[0]
        maps.append(cells)
    low, high = np.nanmin(maps), np.nanmax(maps)
    x_labels, y_labels = _tick_labels(xs), _tick_labels(ys)
    width = max(2.4, len(xs) * (0.15 + 0.07 * _longest_line([*x_labels, "-1.234"])) + 0.8)
    height = max(2.2, 0.42 * len(ys) + 1.0)
    figure, panels = new_figure(width * len(maps) + 0.9, height, len(maps))
    image: Any = None
    for panel, label, cells in zip(panels, groups, maps):
        image = panel.imshow(cells, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
        for (row, column), cell in np.ndenumerate(cells):
            if np.isfinite(cell):
                colour = "white" if cell < (low + high) / 2 else "black"
                panel.text(column, row, f"{cell:.3f}", ha="center", va="center", color=colour, fontsize=7)
        panel.set_xticks(range(len(xs)), x_labels)
        panel.set_yticks(range(len(ys)), y_labels)
        panel.set(xlabel=across.replace("_", " "), ylabel=up.replace("_", " "))
        panel.set_title(label)
        panel.grid(visible=False)
    figure.colorbar(image, ax=panels, label=_label(metric))
    return figure


def _longest_line(labels: Sequence[str]) -> int:
    return max(len(line) for label in labels for line in label.split("\n"))


FOLDER = FolderFigures(
    "sweep.yaml", lambda folder, formats, trust: plot_sweep(Sweep.open(folder, trust), formats)
)
