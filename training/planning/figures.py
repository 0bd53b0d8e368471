"""Figures of a design: how the best was found, the front, and what each parameter does."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.planners import Choice, Continuous, Design, Objective, Trial
from agents.planners.space import Parameter, Value
from training.common.errors import ResultsError
from training.common.figures import (
    COLOURS,
    FolderFigures,
    new_figure,
    new_panels,
    paper_style,
    save_figures,
    what_it_is,
)
from training.planning.folder import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEST, _TRIAL, _AS_IT_IS = COLOURS[0], "0.6", COLOURS[1]
_MOST_TICKS = 9  # of a parameter's values, one by one
_MOST_TICKS_ACROSS = 6  # of numbers with many digits, side by side
_TICK = 24  # letters of a value's label
_LONG_NAME = 12
_LONG = 5  # letters from which labels are slanted


def figures_of(plan: Plan) -> dict[str, Callable[[], Figure]]:
    """The figures that there are of a design, by file name.

    Raises:
        ResultsError: where no trial is complete.
    """
    design = plan.design
    if not design.complete:
        raise ResultsError(f"{plan.folder} has nothing to draw: no trial is complete")
    drawn: dict[str, Callable[[], Figure]] = {
        "convergence": partial(convergence, plan),
        "effects": partial(effects, plan),
    }
    if len(design.study.objectives) > 1:
        drawn["front"] = partial(front, plan)
        if len(design.front) > 1:
            drawn["mechanisms"] = partial(mechanisms, plan)
    return drawn


def _draw(folder: Path, formats: tuple[str, ...], trust: bool) -> list[Path]:
    plan = Plan.open(folder)
    return save_figures(folder, figures_of(plan), formats)


@paper_style()
def convergence(plan: Plan) -> Figure:
    """Each objective after each evaluation: all trials, the best so far, the mechanism as it is."""
    design = plan.design
    objectives = design.study.objectives
    figure, panels = new_figure(3.7 * len(objectives) + 0.2, 2.9, len(objectives))
    for panel, objective in zip(panels, objectives):
        for trials, look in _parted(design):
            _points(panel, [trial.number + 1 for trial in trials], trials, objective, look)
        numbers, bests = _best_so_far(design, objective)
        panel.step(numbers, bests, where="post", color=_BEST, label="best so far")
        if plan.as_it_is is not None:
            at = objective.value(plan.as_it_is.values)
            panel.axhline(at, color=_AS_IT_IS, linestyle="--", linewidth=1.1, label="as it is")
        panel.set(xlabel="evaluations", ylabel=_label(objective))
        panel.locator_params(axis="x", integer=True)
    _legend(figure, panels[0])
    return figure


@paper_style()
def front(plan: Plan) -> Figure:
    """Two objectives against each other, a panel for each pair: all trials, the front, as it is."""
    design = plan.design
    pairs = list(itertools.combinations(design.study.objectives, 2))
    figure, panels = new_panels(len(pairs), 4.0, 3.3)
    for panel, (across, up) in zip(panels, pairs):
        for trials, look in _parted(design):
            xs = [across.value(trial.values) for trial in trials]
            _points(panel, xs, trials, up, look, across)
        on_front = sorted(design.front, key=lambda trial: across.value(trial.values))
        xs, ys = ([each.value(trial.values) for trial in on_front] for each in (across, up))
        # Between two trials of a front nothing better than the worse of each is known: so steps, not lines.
        if len(design.study.objectives) == 2:
            where: Any = "pre" if across.maximise else "post"
            panel.step(xs, ys, where=where, color=_BEST, linewidth=1.0, zorder=1)
        if plan.as_it_is is not None:
            own = plan.as_it_is
            panel.errorbar(
                across.value(own.values),
                up.value(own.values),
                xerr=_errors(across, [own]),
                yerr=_errors(up, [own]),
                **_own_look(),
            )
        panel.set(xlabel=_label(across), ylabel=_label(up))
        panel.locator_params(axis="x", nbins=_MOST_TICKS_ACROSS)
    _legend(figure, panels[0])
    return figure


@paper_style()
def effects(plan: Plan) -> Figure:
    """Each objective against each parameter, over all trials."""
    design = plan.design
    from training.common.notebook import PaperFigure

    parameters, objectives = design.study.space.parameters, design.study.objectives
    size = (2.5 * len(parameters) + 0.8, 2.2 * len(objectives) + 0.5)
    figure = PaperFigure(figsize=size, layout="constrained")
    rows = figure.subplots(len(objectives), len(parameters), squeeze=False, sharey="row", sharex="col")
    for row, objective in zip(rows, objectives):
        for panel, parameter in zip(row, parameters):
            for trials, look in _parted(design):
                known = [trial for trial in trials if parameter.name in trial.point]
                xs = [_position(parameter, trial.point[parameter.name]) for trial in known]
                _points(panel, xs, known, objective, look)
            at = _own_position(plan, parameter)
            if plan.as_it_is is not None and at is not None:
                y = objective.value(plan.as_it_is.values)
                panel.errorbar(at, y, yerr=_errors(objective, [plan.as_it_is]), **_own_look())
            _scale(panel, parameter)
        row[0].set_ylabel(_label(objective))
    for panel, parameter in zip(rows[-1], parameters):
        panel.set_xlabel(parameter.name)
    _legend(figure, rows[0][0])
    return figure


@paper_style()
def mechanisms(plan: Plan) -> Figure:
    """The mechanisms of the front: a line for each through its parameters and what it comes to."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    design = plan.design
    parameters, objectives, shown = design.study.space.parameters, design.study.objectives, design.front
    measured = [*shown, *([plan.as_it_is] if plan.as_it_is is not None else [])]
    ranges = [_range([each.value(trial.values) for trial in measured]) for each in objectives]
    figure, (panel,) = new_figure(1.15 * (len(parameters) + len(objectives)) + 1.6, 3.4)
    first = np.array([objectives[0].value(trial.values) for trial in shown])
    norm, colours = Normalize(*_range(first.tolist())), colormaps["viridis"]
    for trial, value in zip(shown, first):
        heights = [parameter.coordinate(trial.point[parameter.name]) for parameter in parameters]
        heights += _heights(objectives, ranges, trial)
        panel.plot(heights, color=colours(norm(value)), linewidth=1.2, alpha=0.85)
    if plan.as_it_is is not None:
        own = [_own_coordinate(plan, parameter) for parameter in parameters]
        heights = [*own, *_heights(objectives, ranges, plan.as_it_is)]
        panel.plot(heights, color=_AS_IT_IS, linestyle="--", marker="D", markersize=4, label="as it is")
    names = [*design.study.space.names, *(_words(each.name) for each in objectives)]
    panel.set_xticks(range(len(names)), [_in_two_lines(name) for name in names])
    for place, parameter in enumerate(parameters):
        ends = parameter.values if isinstance(parameter, Choice) else (parameter.at(0.0), parameter.at(1.0))
        for end in ends:
            _note(panel, place, parameter.coordinate(end), _text(end))
    for place, (low, high) in enumerate(ranges, len(parameters)):
        _note(panel, place, 0.0, f"{low:.4g}")
        _note(panel, place, 1.0, f"{high:.4g}")
    panel.set(ylim=(-0.06, 1.06), yticks=[])
    panel.spines["left"].set_visible(False)
    panel.grid(visible=False)
    for place in range(len(names)):
        panel.axvline(place, color="0.8", linewidth=0.8, zorder=0)
    figure.colorbar(ScalarMappable(norm, colours), ax=panel, label=_label(objectives[0]))
    what_it_is(figure, f"the {len(shown)} mechanisms of the front")
    if plan.as_it_is is not None:
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


# --- parts ------------------------------------------------------------------------------------------


def _parted(design: Design) -> list[tuple[list[Trial], dict[str, Any]]]:
    """The complete trials by how they are drawn: beyond the limits, acceptable, best or on the front."""
    best = {trial.number for trial in design.front}
    several = len(design.study.objectives) > 1
    acceptable = [trial for trial in design.complete if design.study.is_acceptable(trial)]
    beyond = [trial for trial in design.complete if not design.study.is_acceptable(trial)]
    others = [trial for trial in acceptable if trial.number not in best]
    chosen = [trial for trial in acceptable if trial.number in best]
    return [
        (beyond, {"color": _TRIAL, "marker": "x", "markersize": 3.5, "label": "beyond a limit"}),
        (others, {"color": _TRIAL, "marker": "o", "markersize": 3, "label": "trials"}),
        (
            chosen,
            {
                "color": _BEST,
                "marker": "o",
                "markersize": 4.5,
                "label": "Pareto front" if several else "best",
            },
        ),
    ]


def _own_look() -> dict[str, Any]:
    return {
        "color": _AS_IT_IS,
        "marker": "D",
        "markersize": 5,
        "linestyle": "none",
        "capsize": 2,
        "label": "as it is",
        "zorder": 5,
    }


def _points(
    panel: Axes,
    xs: Sequence[float],
    trials: Sequence[Trial],
    objective: Objective,
    look: Mapping[str, Any],
    across: Objective | None = None,
) -> None:
    """Trials as points with standard errors, if there are any."""
    if not trials:
        return
    panel.errorbar(
        xs,
        [objective.value(trial.values) for trial in trials],
        xerr=None if across is None else _errors(across, trials),
        yerr=_errors(objective, trials),
        linestyle="none",
        elinewidth=0.8,
        **look,
    )


def _errors(objective: Objective, trials: Sequence[Trial]) -> NDArray[np.float64] | None:
    """Standard errors; None where all are exact, as a bar of no length is a speck."""
    errors = np.array([objective.standard_error(each.values, each.standard_errors) for each in trials])
    return np.nan_to_num(errors) if (errors > 0).any() else None


def _best_so_far(design: Design, objective: Objective) -> tuple[NDArray[Any], NDArray[Any]]:
    """Evaluations, counted from 1, and the best value of an objective until then; from the first there is."""
    acceptable = [trial for trial in design.trials if design.study.is_acceptable(trial)]
    gains = np.array([objective.gain(trial.values) for trial in acceptable])
    bests = np.maximum.accumulate(gains) if len(gains) else gains
    numbers = np.array([*(trial.number + 1 for trial in acceptable), len(design.trials)][: len(gains) + 1])
    bests = np.append(bests, bests[-1:]) * (1 if objective.maximise else -1)
    return numbers[: len(bests)], bests


def _position(parameter: Parameter, value: Value) -> float:
    """Where a value is along an axis: where it says, or its place among the values of a choice."""
    return float(parameter.values.index(value)) if isinstance(parameter, Choice) else float(value)


def _own_position(plan: Plan, parameter: Parameter) -> float | None:
    """Where the mechanism as it is stands; None where it has no such parameter, or no such value of it."""
    value = plan.own_values.get(parameter.name)
    if value is None or (isinstance(parameter, Choice) and value not in parameter.values):
        return None
    return _position(parameter, value)


def _own_coordinate(plan: Plan, parameter: Parameter) -> float:
    """The same from 0 to 1 over the range; NaN where there is none, or it is out of it."""
    if _own_position(plan, parameter) is None:
        return np.nan
    coordinate = parameter.coordinate(plan.own_values[parameter.name])
    return coordinate if 0 <= coordinate <= 1 else np.nan


def _scale(panel: Axes, parameter: Parameter) -> None:
    """The axis of a parameter."""
    if isinstance(parameter, Choice):
        labels = [_text(value) for value in parameter.values]
        slanted = max(map(len, labels)) > _LONG and len(labels) > 2
        panel.set_xticks(
            range(len(labels)), labels, rotation=30 if slanted else 0, ha="right" if slanted else "center"
        )
        panel.set_xlim(-0.5, len(labels) - 0.5)
    elif isinstance(parameter, Continuous):
        panel.set_xscale("log" if parameter.log else "linear")
    else:
        panel.locator_params(axis="x", integer=True, nbins=_MOST_TICKS)


def _heights(
    objectives: Sequence[Objective], ranges: Sequence[tuple[float, float]], trial: Trial
) -> list[float]:
    return [(each.value(trial.values) - low) / (high - low) for each, (low, high) in zip(objectives, ranges)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _note(panel: Axes, place: float, height: float, said: str) -> None:
    panel.annotate(
        said,
        (place, height),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=7,
        va="center",
        color="0.25",
    )


def _label(objective: Objective) -> str:
    return _words(objective.name) + ("" if objective.maximise else " (less is better)")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _in_two_lines(name: str) -> str:
    """A name that is too long to stand beside others, broken where a part of it ends."""
    return re.sub(r"([ ._])", r"\1\n", name, count=1) if len(name) > _LONG_NAME else name


def _text(value: Value) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _TICK else text[: _TICK - 1] + "…"


def _legend(figure: Figure, panel: Axes) -> None:
    """One legend above all panels."""
    handles, labels = panel.get_legend_handles_labels()
    by_label = dict(zip(labels, handles))
    figure.legend(by_label.values(), by_label.keys(), loc="outside upper left", ncols=len(by_label))


FOLDER = FolderFigures("study.json", _draw)
