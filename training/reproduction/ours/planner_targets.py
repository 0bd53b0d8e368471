"""The targets of the benchmark's planner tasks, computed anew: what grids of their parameters come to.

Every point of a grid is evaluated as the benchmark evaluates what a method recommends; the grid is fine
enough that a method has to search, and no method had a part in it. Where equilibria jump, or learning is
noisy, a single best point is chance, and the target is what a share of the points come to. The crowd's is a
share of the divergence that there is without incentives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.planners.space import Choice, Point, Space
from training.benchmark.planner_tasks import PLANNER_TASKS, PlannerTask
from training.common.figures import COLOURS, new_panels
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBERS = ("target", "gap", "best", "points", "as_good")
_POINT = ", points by value"
_SHARE = 0.05  # of the crowd's divergence
_ROUNDING = 1e-5


@dataclass(frozen=True)
class _Grid:
    """The grid of a task.

    Attributes:
        side: points along each continuous parameter, by scale.
        share: of the points, which come to the target; 0 for the best alone.
    """

    side: dict[str, int]
    share: float = 0.0


_GRIDS = {
    "planner-matching": _Grid({"quick": 3, "full": 20}),
    "planner-rules": _Grid({"quick": 2, "full": 16}),
    "planner-two-discounts": _Grid({"quick": 2, "full": 14}),
    "planner-nash": _Grid({"quick": 3, "full": 20}, share=0.01),
    "planner-learning": _Grid({"quick": 2, "full": 8}, share=0.05),
}
_TASKS = {task.name: task for task in PLANNER_TASKS}


def _points(space: Space, side: int) -> Iterator[Point]:
    """The points of a grid, the ends of ranges among them, those of neighbours one after the other."""
    axes = [
        list(each.values) if isinstance(each, Choice) else [each.at(c) for c in np.linspace(0.0, 1.0, side)]
        for each in space.parameters
    ]
    return (dict(zip(space.names, values, strict=True)) for values in itertools.product(*axes))


def _gains(task: PlannerTask, side: int) -> list[float]:
    """What is maximised, at each point of a grid; exact equilibria are followed from the point before."""
    inner, objective = task.inner(), task.objective
    gains, warm = [], None
    for point in _points(task.space, side):
        if task.anew:
            value = task.value_of(point, inner)
        else:
            evaluation = inner.evaluate(point, seed=0, warm=warm)
            value, warm = objective.value(evaluation.values), evaluation.warm
        gains.append(value if objective.maximise else -value)
    return gains


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    for name, grid in _GRIDS.items():
        task = _TASKS[name]
        gains = sorted(_gains(task, grid.side[scale]), reverse=True)
        reference = float(np.quantile(gains, 1 - grid.share))
        sign = 1.0 if task.objective.maximise else -1.0
        as_good = sum(gain >= sign * task.target for gain in gains)
        rows.append(
            row_of(
                _NUMBERS,
                name,
                target=task.target,
                gap=reference - sign * task.target,
                best=sign * gains[0],
                points=len(gains),
                as_good=as_good / len(gains),
            )
        )
        shares = (np.arange(len(gains)) + 1) / len(gains)
        rows += [
            row_of(_NUMBERS, name + _POINT, number, share, sign * gain)
            for number, (share, gain) in enumerate(zip(shares.tolist(), gains, strict=True))
        ]
    crowd = _TASKS["planner-crowd"]
    without = crowd.value_of({}, crowd.inner())
    gap = crowd.target - (without + math.log(_SHARE))
    rows.append(row_of(_NUMBERS, "planner-crowd", target=crowd.target, gap=gap, best=without, points=1))
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    """What the points of each grid come to, the best first, and the target."""
    figure, axes = new_panels(len(_GRIDS), 2.6, 2.4)
    for panel, name in zip(axes, _GRIDS, strict=False):
        panel.plot(*points(rows, name + _POINT, rows[0]["seed"]), color=COLOURS[0])
        panel.axhline(_TASKS[name].target, color="0.35", linewidth=0.8, linestyle="--")
        title = name.removeprefix("planner-")
        panel.set(xscale="log", xlabel="share of points as good", ylabel="objective", title=title)
    return figure


EXPERIMENT = Experiment(
    name="planner-targets",
    title="The targets of the benchmark's planner tasks",
    source="ours; grids of the tasks' parameters",
    run=_run,
    figures={"grids": _figure},
    published=tuple(
        Published(name, "gap", 0.0, tolerance, why)
        for name, tolerance, why in (
            *((name, _ROUNDING, "rounding of the target") for name in list(_GRIDS)[:3]),
            ("planner-nash", _ROUNDING, "rounding of the target"),
            ("planner-learning", 5e-3, "a quarter of the spread of training, 64 seeds of it"),
            ("planner-crowd", _ROUNDING, "rounding of the target"),
        )
    ),
    notes=(
        "`target` stands in training/benchmark/planner_tasks.py. `gap` is by how much the grid's best, or "
        "what the share of its points comes to (1 % of planner-nash, 5 % of planner-learning), is better "
        "than the target: 0 but for rounding at full scale; smaller grids are worse. `as_good` is the "
        "share of points that reach the target. Of the crowd `best` is log KL without incentives, the "
        "target log of 5 % of that divergence. What learners come to is the mean over 64 seeds."
    ),
)
