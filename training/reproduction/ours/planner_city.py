"""A planner for the congested city: a mechanism that is both more efficient and fairer than the Thesis'.

Table 6.3 finds that learned karma bidding is unfair. The planner chooses who shares what was paid, the rate
of a tax on those without congestion, the mean karma, and whether agents choose their way; for efficiency and
for reward fairness. What a mechanism comes to is learned and then played. The best of many such estimates
looks better than it is, and is better at what is learned soon. So what is chosen is learned anew, for longer,
on other draws of the paths, as are the Thesis' mechanism and the Thesis' with as much karma as was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import agents
from agents.learners.tabular import TabularConfig
from agents.planners import Choice, Continuous, Design, Space, Trial, Whole
from agents.planners.inner.learning import LearningInner
from agents.planners.space import Point
from karma_envs.games.grid_city import GridCityGame
from karma_envs.jobs import in_threads
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.reproduce import announcer
from training.reproduction.shared_runs import FOLDER
from training.reproduction.thesis.city_training import BURN_IN, LARGE_STEPS, PLAYED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OBJECTIVES = ("efficiency", "reward_fairness")
_MEASURED = ("efficiency", "access_fairness", "reward_fairness")
_RATE = "congestion_tax.rate"
_SPACE = Space(
    [
        Choice("redistribution", ("uniform", "uniform_to_active", "by_resource", "congestion_tax")),
        Continuous(_RATE, 0.0, 0.3),
        Whole("karma_mean", 3, 12),
        Choice("route_choice", ("none", "node")),
    ]
)
_THESIS: Point = {"redistribution": "uniform", _RATE: 0.0, "karma_mean": 9, "route_choice": "none"}
_LEARNER = TabularConfig(learning_rate=LARGE_STEPS, rationality=10.0, initial_q=-45.0)
_EPOCH = 100
_ANEW = 1_000_000
_SURE = 2.0  # standard errors that a gain is to have
_AT_ONCE = 2  # trials that are chosen and learned together, in threads
_AS_IT_IS, _CHOSEN, _KARMA_ALONE = "as it is", "chosen", "as it is, with the karma chosen"
_TRIAL, _GAIN = "trial", "gain of the chosen"
_ROUTES = {"none": "fixed paths", "node": "route choice"}
_NUMBERS = (
    *_MEASURED,
    *(f"{name}_se" for name in _MEASURED),
    *(f"short_of_{name}" for name in _MEASURED),
    "karma_mean",
    "rate",
    "draws",
    "evaluations",
    "on_front",
)


@dataclass(frozen=True)
class _Size:
    """How much is done at a scale.

    Attributes:
        n_steps: of learning, in a trial.
        steps_anew: of learning what was chosen anew.
        played: steps that are measured.
        budget: trials.
        draws: of the paths, on each of which what was chosen is learned anew.
        city: fields of the game that are not the Thesis'.
    """

    n_steps: int
    steps_anew: int
    played: int
    budget: int
    draws: int
    city: Mapping[str, Any] = field(default_factory=dict)


_SIZES = {
    "quick": _Size(5_000, 10_000, 2_000, 12, 2, {"n_agents": 100, "rows": 2, "columns": 2}),
    "full": _Size(500_000, 1_500_000, PLAYED, 20, 3),
}


def _inner(size: _Size, n_steps: int, draw: int) -> LearningInner:
    return LearningInner(
        GridCityGame(path_seed=draw, **size.city),
        _LEARNER,
        n_epochs=n_steps // _EPOCH,
        epoch_length=_EPOCH,
        n_steps=size.played,
        burn_in=BURN_IN,
    )


def _least_gain(trial: Trial, than: Trial) -> float:
    """The least of the gains in the objectives over another trial, in standard errors of the difference."""
    gains = [
        (trial.values[name] - than.values[name])
        / np.hypot(trial.standard_errors[name], than.standard_errors[name])
        for name in _OBJECTIVES
    ]
    return float(min(gains))


def _chosen(result: Design) -> Point:
    """What is to be learned anew: of the front what improves most on the first trial, the Thesis'."""
    thesis, *others = result.complete
    on_front = [trial for trial in result.front if trial.number != thesis.number] or others
    return max(on_front, key=lambda trial: _least_gain(trial, thesis)).point


def _learned_anew(size: _Size, points: Sequence[Point], seeds: Sequence[int]) -> NDArray[np.float64]:
    """Each of the points on each draw of the paths, ``float64[points, draws, measures]``."""

    def learned(job: tuple[int, int]) -> list[float]:
        point, seed = points[job[0]], seeds[job[1]]
        evaluation = _inner(size, size.steps_anew, seed).evaluate(point, seed=seed, warm=None)
        announcer()(f"learned {_named(point)} anew")
        return [evaluation.values[name] for name in _MEASURED]

    jobs = np.ndindex(len(points), len(seeds))
    measured = dict(in_threads(learned, iter(jobs), _AT_ONCE))
    return np.array([[measured[at, draw] for draw in range(len(seeds))] for at in range(len(points))])


def _named(point: Point) -> str:
    return f"{point['redistribution']}, {_ROUTES[str(point['route_choice'])]}"


def _row(
    case: str,
    mechanism: Point,
    values: Sequence[float],
    errors: Sequence[float],
    number: int = -1,
    **more: float,
) -> Row:
    more |= dict(zip(_MEASURED, values)) | {f"{name}_se": error for name, error in zip(_MEASURED, errors)}
    more["karma_mean"] = float(mechanism["karma_mean"])
    if mechanism["redistribution"] == "congestion_tax":
        more["rate"] = float(mechanism[_RATE])
    return row_of(_NUMBERS, case, number, np.nan, np.nan, **more)


def _row_of_trial(trial: Trial, on_front: bool) -> Row:
    values = [trial.values[name] for name in _MEASURED]
    errors = [trial.standard_errors[name] for name in _MEASURED]
    case = f"{_TRIAL}: {_named(trial.point)}"
    return _row(case, trial.point, values, errors, trial.number, on_front=float(on_front))


def _run(scale: str, seed: int) -> list[Row]:
    size, announce = _SIZES[scale], announcer()
    result = agents.design(
        _SPACE,
        _inner(size, size.n_steps, seed),
        _OBJECTIVES,
        budget=size.budget,
        start=[_THESIS],
        seed=seed,
        workers=_AT_ONCE,
        storage=FOLDER / f"planner-city-{scale}-{seed}",
        observer=lambda study: announce(f"trial {len(study.trials)} of {size.budget}"),
    )
    on_front = {trial.number for trial in result.front}
    rows = [_row_of_trial(trial, trial.number in on_front) for trial in result.complete]

    chosen = _chosen(result)
    cases = {
        _AS_IT_IS: _THESIS,
        _CHOSEN: chosen,
        _KARMA_ALONE: {**_THESIS, "karma_mean": chosen["karma_mean"]},
    }
    # The seed of a trial comes from its number; numbers past all budgets are those of no trial.
    seeds = [result.study.seed_of(_ANEW, draw) for draw in range(size.draws)]
    table = _learned_anew(size, list(cases.values()), seeds)
    means, errors = table.mean(axis=1), table.std(axis=1, ddof=1) / np.sqrt(size.draws)
    for case, values, spread in zip(cases, means, errors):
        more = {"evaluations": len(result.trials)} if case == _CHOSEN else {}
        rows.append(_row(case, cases[case], values, spread, draws=size.draws, **more))
    # Draw by draw, as fairness differs more between draws of the paths than between mechanisms.
    gains = table[1] - table[0]
    gain, error = gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(size.draws)
    short = {
        f"short_of_{name}": max(0.0, _SURE * spread - value)
        for name, value, spread in zip(_MEASURED, gain, error)
    }
    return [*rows, _row(_GAIN, chosen, gain, error, draws=size.draws, **short)]


def _figure(rows: Sequence[Row]) -> Figure:
    """All trials in both objectives; what was learned anew in these, and with the fairness of access."""
    figure, panels = new_figure(12.0, 3.6, 3)
    first = min(row["seed"] for row in rows)
    own = [row for row in rows if row["seed"] == first]
    rules = _SPACE["redistribution"].values  # type: ignore[attr-defined]
    for rule, colour in zip(rules, COLOURS):
        for route, mark in zip(_ROUTES.values(), "o^"):
            trials = [row for row in own if row["case"] == f"{_TRIAL}: {rule}, {route}"]
            if trials:
                panels[0].plot(*_places(trials), mark, color=colour, markersize=5, label=f"{rule}, {route}")
    front = sorted((row for row in own if row["on_front"] == 1), key=lambda row: row["efficiency"])
    panels[0].step(
        *_places(front), where="pre", color="0.4", linewidth=0.9, zorder=0, label="front of trials"
    )
    thesis = [row for row in own if row["point"] == 0]
    panels[0].plot(*_places(thesis), "D", color="k", markersize=8, fillstyle="none", label=_AS_IT_IS)
    for panel, fairness in zip(panels[1:], ("reward_fairness", "access_fairness")):
        for case, colour, mark in zip((_AS_IT_IS, _KARMA_ALONE, _CHOSEN), COLOURS, "Dso"):
            (row,) = (row for row in own if row["case"] == case)
            panel.errorbar(
                row["efficiency"],
                row[fairness],
                row[f"{fairness}_se"],
                row["efficiency_se"],
                fmt=mark,
                color=colour,
                capsize=2,
                label=f"{case}: karma {row['karma_mean']:.0f}",
            )
    vertical = ("reward fairness", "reward fairness", "access fairness")
    titles = ("Trials", "Learned anew", "Learned anew")
    for panel, measure, title, columns in zip(panels, vertical, titles, (2, 1, 1)):
        panel.set(xlabel="efficiency", ylabel=measure, title=title)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, fontsize=7)
    return figure


def _places(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return [row["efficiency"] for row in rows], [row["reward_fairness"] for row in rows]


EXPERIMENT = Experiment(
    name="planner-city",
    title="A planner against the unfairness of the congested city",
    source="ours, on Vaishampayan 2024, Table 6.3",
    run=_run,
    figures={"front": _figure},
    published=tuple(
        Published(
            _GAIN,
            f"short_of_{name}",
            0.0,
            1e-9,
            f"better than the Thesis' mechanism by {_SURE:g} standard errors, learned anew",
        )
        for name in _OBJECTIVES
    ),
    notes=(
        "The Thesis' city, 1000 agents, 4x4, uniform redistribution with a mean karma of 9 on fixed paths, "
        "is `as it is` (at quick scale 100 agents on 2x2). To choose among there are four redistributions, "
        "the rate of a congestion tax (where that is chosen), a mean karma of 3 to 12 with a cap of 14, and "
        "fixed paths or route choice at every node; the city has but one payment, to society. In a trial "
        "agents learn for 500,000 steps from Q_0 = -45 with alpha = .1 and beta = 10, and play without "
        "exploration, 10,000 steps after 1000; the paths are those of one draw. That is not long enough for "
        "all to be learned, and some mechanisms are learned sooner than others. So `chosen`, the one of the "
        "front whose lesser gain over the first trial is greatest, in standard errors, is learned anew for "
        "1.5 million steps, on three draws of the paths that no trial had, and so are `as it is` and `as it "
        "is` with as much karma as was chosen, which tells what karma does alone. Standard errors are those "
        "between draws, of the gain between differences draw by draw. `short_of` is what a gain lacks to be "
        "two of them. All this is of learners, as Table 6.3 is, who have not come to an equilibrium: what "
        "the selfish come to is in city-mechanisms-equilibrium, on fixed paths."
    ),
)
