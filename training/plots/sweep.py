"""Figures of a sweep over one or two numbers: what was learned, as lines with error bars or heat maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.plots.figures import COLOURS, new_figure, require_matplotlib, save_figures
from training.results import Row
from training.sweep import Sweep
from training.trials import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_METRICS = {
    "efficiency": "efficiency",
    "access_fairness": "access fairness",
    "reward_fairness": "reward fairness",
}
_LOG_FROM = 20.0  # ratio of the largest value to the smallest
_MOST_PANELS = 4
_MOST_LINES = 2 * len(COLOURS)
_LINE_STYLES = ("-", "--")
_SHORT_LABEL = 24  # letters; two stand side by side


def swept_numbers(sweep: Sweep) -> list[str]:
    """Swept fields whose values are numbers; a seed only repeats."""
    return [
        name
        for name, values in sweep.config.over.items()
        if name != "seed" and len(values) > 1 and all(type(value) in (int, float) for value in values)
    ]


def plot_sweep(sweep: Sweep, formats: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Draw a figure per metric into the sweep's ``figures`` folder, if one or two numbers were swept.

    Returns:
        the files written; none where there is nothing to draw.

    Raises:
        ResultsError: when matplotlib is not installed.
        ConfigError: for a file ending that matplotlib does not know.
    """
    numbers = swept_numbers(sweep)
    if len(numbers) not in (1, 2) or not sweep.best_first:
        return []
    require_matplotlib()
    groups = _groups(sweep, numbers)
    if len(groups) > (_MOST_LINES if len(numbers) == 1 else _MOST_PANELS):
        return []
    draw = lines if len(numbers) == 1 else heat_maps
    figures: dict[str, Callable[[], Figure]] = {
        metric: lambda metric=metric: draw(sweep, numbers, metric)  # type: ignore[misc]
        for metric in _METRICS
    }
    return save_figures(sweep.folder, figures, formats)


def _groups(sweep: Sweep, numbers: Sequence[str]) -> dict[str, list[Row]]:
    """Finished trials by the values of the other fields but the seed; their label."""
    others = [
        name
        for name, values in sweep.config.over.items()
        if name not in (*numbers, "seed") and len(values) > 1
    ]
    groups: dict[str, list[Row]] = {}
    for row in sweep.rows:
        if row["status"] == "finished":
            groups.setdefault(shown({name: row[name] for name in others}), []).append(row)
    return groups


def _mean(rows: Sequence[Row], metric: str) -> tuple[float, float]:
    """The metric with its standard error: the trial's, or over seeds where there are several."""
    if len(rows) == 1:
        return rows[0][metric], rows[0][f"{metric}_se"]
    values = np.array([row[metric] for row in rows])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def lines(sweep: Sweep, numbers: Sequence[str], metric: str) -> Figure:
    """A metric over a field, with standard errors; a line for each combination of other fields."""
    (field,) = numbers
    groups = _groups(sweep, numbers)
    columns = 2 if max(map(len, groups)) <= _SHORT_LABEL else 1
    legend_rows = -(-len(groups) // columns) if len(groups) > 1 else 0
    figure, (panel,) = new_figure(4.4, 3.0 + 0.19 * legend_rows)
    for index, (label, rows) in enumerate(groups.items()):
        values = sorted({row[field] for row in rows})
        points = [_mean([row for row in rows if row[field] == value], metric) for value in values]
        panel.errorbar(
            values,
            [mean for mean, _ in points],
            yerr=[np.nan_to_num(error) for _, error in points],
            color=COLOURS[index % len(COLOURS)],
            linestyle=_LINE_STYLES[index // len(COLOURS)],
            marker="o",
            markersize=3.5,
            capsize=2.5,
            label=label or None,
        )
    if legend_rows:
        figure.legend(loc="outside upper left", ncols=columns)
    _scale(panel, sweep.config.over[field])
    panel.set(xlabel=field.replace("_", " "), ylabel=_METRICS[metric])
    return figure


def _scale(panel: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) / min(values) >= _LOG_FROM:
        panel.set_xscale("log")


def heat_maps(sweep: Sweep, numbers: Sequence[str], metric: str) -> Figure:
    """A metric over two fields; a panel for each combination of other fields."""
    across, up = numbers
    groups = _groups(sweep, numbers)
    xs, ys = (sorted(sweep.config.over[name]) for name in numbers)
    maps = []
    for rows in groups.values():
        cells = np.full((len(ys), len(xs)), np.nan)
        for (row, column), _ in np.ndenumerate(cells):
            here = [each for each in rows if (each[across], each[up]) == (xs[column], ys[row])]
            if here:
                cells[row, column] = _mean(here, metric)[0]
        maps.append(cells)
    low, high = np.nanmin(maps), np.nanmax(maps)
    figure, axes = new_figure(_width(len(xs)) * len(maps) + 0.9, max(2.2, 0.42 * len(ys) + 1.0), len(maps))
    image: Any = None
    for panel, label, cells in zip(axes, groups, maps):
        image = panel.imshow(cells, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
        for (row, column), cell in np.ndenumerate(cells):
            if np.isfinite(cell):
                colour = "white" if cell < (low + high) / 2 else "black"
                panel.text(column, row, f"{cell:.3f}", ha="center", va="center", color=colour, fontsize=7)
        panel.set_xticks(range(len(xs)), [f"{value:g}" for value in xs])
        panel.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
        panel.set(xlabel=across.replace("_", " "), ylabel=up.replace("_", " "))
        panel.set_title(label)
        panel.grid(visible=False)
    figure.colorbar(image, ax=axes, label=_METRICS[metric])
    return figure


def _width(columns: int) -> float:
    return max(2.4, 0.5 * columns + 0.8)
