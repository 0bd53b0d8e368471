"""The drawings of a report's page, as vector graphics: a panel for each task of a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from training.benchmark.tables import Cell

_WIDTH, _ROW, _TOP, _BOTTOM = 460, 22, 8, 26
_LABEL, _RIGHT = 150, 16  # pixels left and right of a panel's axis
_LONGEST_LABEL = 22
_MOST_SEEDS = 12
_COLOURS = ("#4269d0", "#e8741a", "#3a9d5c", "#c03b52", "#7a52c7", "#1698a3", "#8a6642", "#b3459e")


@dataclass(frozen=True)
class Panel:
    """What is drawn of a metric in a task.

    Attributes:
        name: of the task.
        title: what it is, as HTML.
        metric: the metric's title.
        rows: the algorithms' names, their numbers, and their places among all algorithms.
        ticks: whether each seed is marked.
    """

    name: str
    title: str
    metric: str
    rows: tuple[tuple[str, Cell, int], ...]
    ticks: bool = True

    def told(self, name: str, cell: Cell) -> str:
        """What is told of an algorithm when one points at it, as HTML."""
        seeds = ", ".join(cell.seeds[:_MOST_SEEDS])
        seeds += ", …" if len(cell.seeds) > _MOST_SEEDS else ""
        value = cell.text.partition(" (")[0]
        return escape(f"{name}, {self.name}\n{self.metric}\n{value}\nseeds: {seeds}")


def intervals(panel: Panel) -> str:
    """The algorithms' numbers with their intervals, a row for each."""
    rows = [row for row in panel.rows if np.isfinite(row[1].estimate.value)]
    if not rows:
        return ""
    low, high, ticks = _axis(number for _, cell, _ in rows for number in _numbers(cell))
    left, right = _LABEL, _WIDTH - _RIGHT
    bottom = _TOP + _ROW * len(rows)

    def x(value: float) -> str:
        return f"{left + (value - low) / (high - low) * (right - left):.1f}"

    parts = _upright(ticks, x, bottom)
    for number, (name, cell, place) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        colour = _colour(place)
        numbers = panel.told(name, cell)
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(_label(name))}</text>')
        bar = ""
        if cell.estimate.low is not None and cell.estimate.high is not None:
            bar = (
                f'<line x1="{x(cell.estimate.low)}" x2="{x(cell.estimate.high)}" y1="{y}" y2="{y}" '
                f'stroke="{colour}" stroke-width="7" stroke-opacity=".35"/>'
            )
        marks = "".join(
            f'<line x1="{x(value)}" x2="{x(value)}" y1="{y - 5}" y2="{y + 5}" stroke="{colour}"/>'
            for value in (cell.values if panel.ticks else ())
        )
        parts.append(
            f'<g class="mark" tabindex="0" data-numbers="{numbers}" aria-label="{numbers}">'
            f'<rect x="{left}" y="{y - _ROW / 2}" width="{right - left}" height="{_ROW}" '
            f'fill="transparent"/>{bar}{marks}<circle class="dot" cx="{x(cell.estimate.value)}" cy="{y}" '
            f'r="5" fill="{colour}"/></g>'
        )
    return _figure(panel, parts, bottom + _BOTTOM)


def profiles(panel: Panel) -> str:
    """The share of runs that have reached the target, against what they have spent; a line per algorithm.

    The empirical distribution function of run times, see :mod:`training.benchmark.statistics`.
    """
    if not panel.rows:
        return ""
    left, right, bottom = 40, _WIDTH - _RIGHT, 170
    last = max(value for _, cell, _ in panel.rows for value in cell.values)
    _, high, ticks = _axis([0.0, last])

    def x(value: float) -> str:
        return f"{left + value / high * (right - left):.1f}"

    def y(share: float) -> str:
        return f"{bottom - share * (bottom - _TOP):.1f}"

    parts = _upright([tick for tick in ticks if tick >= 0], x, bottom)
    parts += [
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y(share)}" y2="{y(share)}"/>'
        f'<text class="tick" x="{left - 6}" y="{float(y(share)) + 4:.1f}" text-anchor="end">{share:g}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    parts.append(
        f'<text class="tick" x="{right}" y="{bottom + 30}" text-anchor="end">share of seeds that reached the '
        "target, by evaluations</text>"
    )
    for number, (name, cell, place) in enumerate(panel.rows):
        evaluations, reached = np.array(cell.runs).T
        line, share = f"M{x(0)} {y(0)}", 0.0
        for spent in np.sort(evaluations[reached > 0]):
            share += 1 / len(reached)
            line += f"H{x(spent)}V{y(share)}"
        numbers, colour = panel.told(name, cell), _colour(place)
        label_y = bottom + 50 + _ROW * number
        parts.append(
            f'<g class="mark" tabindex="0" data-numbers="{numbers}" aria-label="{numbers}">'
            f'<path d="{line}H{x(last)}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            f'<line x1="{left}" x2="{left + 24}" y1="{label_y - 4}" y2="{label_y - 4}" stroke="{colour}" '
            f'stroke-width="2.5"/><text x="{left + 32}" y="{label_y}">{escape(_label(name))}</text></g>'
        )
    return _figure(panel, parts, bottom + 40 + _ROW * len(panel.rows))


DRAWINGS: Mapping[str, Callable[[Panel], str]] = {"intervals": intervals, "profiles": profiles}
"""By the names that columns have."""


def _figure(panel: Panel, parts: Iterable[str], height: float) -> str:
    return (
        f"<figure><figcaption>{escape(panel.name)} <small>{panel.title}</small></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="group" aria-label="{escape(panel.name)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _upright(ticks: Iterable[float], x: Callable[[float], str], bottom: float) -> list[str]:
    """The lines of a grid at round numbers, and the numbers."""
    return [
        f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{_TOP}" y2="{bottom}"/>'
        f'<text class="tick" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:.4g}</text>'
        for tick in ticks
    ]


def _label(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else "…" + name[1 - _LONGEST_LABEL :]


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _numbers(cell: Cell) -> Iterable[float]:
    """All that is drawn of a cell."""
    estimate = cell.estimate
    yield estimate.value
    if estimate.low is not None and estimate.high is not None:
        yield from (estimate.low, estimate.high)
    if cell.n_tasks == 1:
        yield from cell.values


def _axis(values: Iterable[float]) -> tuple[float, float, list[float]]:
    """The ends of an axis on which all values are, and round numbers on it, two to nine."""
    found = list(values)
    low, high = min(found), max(found)
    span = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9)
    low, high = low - 0.05 * span, high + 0.05 * span
    power = 10.0 ** _floor_log10((high - low) / 4)
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= 8)
    first = int(-(-low // step))
    ticks = [round(step * number, 12) for number in range(first, int(high // step) + 1)]
    return low, high, ticks


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
