"""What efficiency costs in fairness and in robustness against coalitions, in the matching game.

Half of the agents are less patient than the others (the Thesis' two discounts). What may be chosen is the
payment, a tax on karma and the mean karma; what comes of it is a Nash equilibrium of infinitely many, and
what a fifth of them would gain at it who recognise each other and collude. A second study seeks what is best
for the type that is worse off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

import agents
from agents.coalitions.mean_field import members_of
from agents.planners import Choice, Continuous, Design, MaxMin, Space, Trial
from agents.planners.inner.equilibrium import COALITION_GAIN, EXPLOITABILITY, EquilibriumInner
from agents.planners.space import Point
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.config import PRESETS
from karma_envs.meaning import EXACT, LOWER_BOUND, STATIONARY, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.reproduce import announcer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MASS = 0.2
_PAYMENTS: Mapping[str, str] = {
    "pay_bid_to_peer": "to the peer",
    "pay_bid_in_parts": "half to the peer",
    "pay_bid_to_society": "to society",
}
_SPACE = Space(
    [
        Choice("payment", tuple(_PAYMENTS)),
        Continuous("tax.rate", 0.0, 0.3),
        Continuous("karma_mean", 1.0, 9.0),
    ]
)
_DEFAULT: Point = {"payment": "pay_bid_to_peer", "tax.rate": 0.0, "karma_mean": 5.0}
_OBJECTIVES = ("efficiency", "reward_fairness", f"-{COALITION_GAIN}")
_MEASURES = ("efficiency", "reward_fairness", COALITION_GAIN)
_TYPES = ("efficiency_type_0", "efficiency_type_1")
_WORSE_OFF = MaxMin(_TYPES)
_BUDGETS = {"quick": (12, 8), "full": (40, 20)}
_AS_IT_IS, _BETTER, _MAX_MIN, _TRIAL = "as it is", "better in all", "best for the worse off", "trial"
_NUMBERS = (
    *_MEASURES,
    *_TYPES,
    "worse_off",
    EXPLOITABILITY,
    "tax",
    "karma_mean",
    "peer_share",
    "on_front",
    "gain_in_efficiency",
    "gain_of_the_worse_off",
)
_SHARES = {"pay_bid_to_peer": 1.0, "pay_bid_in_parts": 0.5, "pay_bid_to_society": 0.0}


def _inner() -> EquilibriumInner:
    game = MatchingGame(**{**PRESETS["two-discounts"], "karma_max": 10, "karma_mean": 5})
    return EquilibriumInner(game, coalition=_MASS, recognise=True)


def _row(case: str, trial: Trial, default: Trial, number: int = -1, **more: float) -> Row:
    point, values = trial.point, trial.values
    own, before = _WORSE_OFF.value(values), _WORSE_OFF.value(default.values)
    return row_of(
        _NUMBERS,
        case,
        number,
        **{name: values[name] for name in (*_MEASURES, *_TYPES, EXPLOITABILITY)},
        worse_off=own,
        tax=float(point["tax.rate"]),
        karma_mean=float(point["karma_mean"]),
        peer_share=_SHARES[str(point["payment"])],
        gain_in_efficiency=values["efficiency"] - default.values["efficiency"],
        gain_of_the_worse_off=own - before,
        **more,
    )


def _best(trials: Sequence[Trial], measure: Callable[[Trial], float]) -> Trial:
    return max(trials, key=measure)


def _better_in_all(result: Design) -> list[Trial]:
    """The trials that are better than the default in every objective."""
    default = np.array(result.study.gains(result.trials[0]))
    return [trial for trial in result.complete if (np.array(result.study.gains(trial)) > default).all()]


def _run(scale: str, seed: int) -> list[Row]:
    announce, inner, (budget, more) = announcer(), _inner(), _BUDGETS[scale]
    result = agents.design(
        _SPACE,
        inner,
        _OBJECTIVES,
        budget=budget,
        start=[_DEFAULT],
        seed=seed,
        observer=lambda study: announce(f"front, trial {len(study.trials)} of {budget}"),
    )
    default = result.trials[0]
    # The second study begins where the first has the type that is worse off at its best.
    first = _best(result.complete, lambda trial: _WORSE_OFF.value(trial.values))
    worse_off = agents.design(
        _SPACE,
        inner,
        _WORSE_OFF,
        budget=more,
        start=[first.point],
        seed=seed,
        observer=lambda study: announce(f"worse off, trial {len(study.trials)} of {more}"),
    )
    # What the second study came to counts for the front, too.
    later = (replace(trial, number=budget + trial.number) for trial in worse_off.trials)
    result = replace(result, trials=(*result.trials, *later))
    front = {trial.number for trial in result.front}
    chosen = {
        _AS_IT_IS: default,
        "most efficient": _best(result.complete, lambda trial: trial.values["efficiency"]),
        "fairest": _best(result.complete, lambda trial: trial.values["reward_fairness"]),
        "most robust": _best(result.complete, lambda trial: -trial.values[COALITION_GAIN]),
        _MAX_MIN: worse_off.best,
    }
    if better := _better_in_all(result):
        chosen[_BETTER] = _best(better, lambda trial: trial.values["efficiency"])
    rows = [_row(case, trial, default) for case, trial in chosen.items()]
    return rows + [
        _row(_TRIAL, trial, default, trial.number, on_front=float(trial.number in front))
        for trial in result.complete
    ]


def _draw(axes: Axes, rows: Sequence[Row], measure: str) -> None:
    """A measure against efficiency: the front's trials filled, the others pale."""
    for (payment, title), colour, mark in zip(_PAYMENTS.items(), COLOURS, "o^s"):
        for on_front, look in ((0.0, {"alpha": 0.35, "fillstyle": "none"}), (1.0, {"label": title})):
            at = [
                row
                for row in rows
                if row["case"] == _TRIAL
                and row["peer_share"] == _SHARES[payment]
                and row["on_front"] == on_front
            ]
            places = [row["efficiency"] for row in at], [row[measure] for row in at]
            axes.plot(*places, mark, color=colour, markersize=5, linestyle="", **look)
    for case, mark, size in ((_AS_IT_IS, "D", 8), (_MAX_MIN, "*", 13), (_BETTER, "P", 9)):
        at = [row for row in rows if row["case"] == case]
        if at:
            axes.plot(
                [row["efficiency"] for row in at],
                [row[measure] for row in at],
                mark,
                color="k",
                markersize=size,
                fillstyle="none",
                label=case,
            )


def _figure(rows: Sequence[Row]) -> Figure:
    """The front of the first seed: fairness, and a coalition's gain, against efficiency."""
    figure, (left, right) = new_figure(8.6, 3.7, 2)
    first = min(row["seed"] for row in rows)
    own = [row for row in rows if row["seed"] == first]
    _draw(left, own, "reward_fairness")
    _draw(right, own, COALITION_GAIN)
    left.set(xlabel="efficiency", ylabel="reward fairness", title="a) fairness")
    right.set(
        xlabel="efficiency", ylabel="gain of a member, per step", title="b) what a fifth gain by colluding"
    )
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize="small")
    return figure


EXPERIMENT = Experiment(
    name="planner-front",
    title="Efficiency, fairness and robustness against coalitions: a front of mechanisms",
    source="ours; two discounts of Vaishampayan 2024, A.9",
    run=_run,
    figures={"front": _figure},
    published=(
        Published(
            _MAX_MIN,
            "gain_of_the_worse_off",
            0.5,
            0.5,
            "above 0: better for them than the mechanism as it is",
        ),
    ),
    notes=(
        "Two types of equal mass, discounts .7 and .9, urgencies 1 and 5; a cap of 10 in place of 20, and a "
        "mean karma of 5 as it is, with bids paid to the peer and no tax. `peer_share` is the share of a "
        "bid that the peer is paid, 1, one half or 0; the rest is shared by all. `coalition_gain` is what a "
        "member of a fifth of either type gains per step: members recognise each other and choose both bids "
        "where two of them meet, and all others stay as they are. `worse_off` is the lesser of the types' "
        "efficiencies, per step, so that patience does not count. Marked with a star is its best, by a study "
        "of its own that begins where the first has its best. `better in all` is the most efficient of the "
        "trials that are better than the mechanism as it is in all three; where there is none it is left "
        "out. Equilibria are those that the solver comes to; there may be others. The figure is of the first "
        "seed, with the trials of both studies, 40 and 20; what is on the front of all three objectives is "
        "filled."
    ),
    meanings={
        EXPLOITABILITY: Meaning(None, EXACT, STATIONARY),
        COALITION_GAIN: Meaning(None, LOWER_BOUND, members_of(_MASS, True)),
    },
)
