"""What members of a coalition gain who recognise each other, and what is left of it where the others respond.

In the mean field of the matching game: two members who meet know each other's urgency and karma and choose
both bids together, beside members who know nobody. Then the others, who played the equilibrium that there was
without a coalition, come to one among themselves given its policy, and both take turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.coalitions import coalition_gain
from agents.coalitions.response import RespondedGain
from agents.solvers import solve
from karma_envs.games.matching import MatchingGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.meaning import EXACT, LOWER_BOUND, STATIONARY, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.ours.coalitions import MECHANISMS, case_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MASSES = {"quick": (0.2,), "full": (0.1, 0.2, 0.5)}
_RESPONDED: Mapping[str, Mapping[str, Sequence[float]]] = {
    "quick": {"PBS": (0.2,)},
    "full": {"PBP": (0.2, 0.5), "PBS": (0.2, 0.5)},
}
_TURNS = {"quick": 1, "full": 3}

_row = partial(
    row_of,
    (
        "gain",
        "gain_share_of_J",
        "gain_unrecognised",
        "gain_alone",
        "cost_to_others",
        "cost_unrecognised",
        "efficiency",
        "efficiency_without",
        "gap",
        "stationary",
    ),
)
_turn = partial(
    row_of,
    (
        "gain",
        "cost_to_others",
        "efficiency",
        "efficiency_without",
        "exploitability_of_others",
        "left_to_members",
    ),
)


def _solved(mechanism: str) -> tuple[MeanFieldModel, Any]:
    """The mean-field model under a mechanism, and an equilibrium policy."""
    model = MatchingGame(**MECHANISMS[mechanism]).mean_field()
    assert model is not None
    return model, solve(model).policy


def _recognising(scale: str, seed: int) -> list[Row]:
    rows = []
    for mechanism in MECHANISMS:
        model, policy = _solved(mechanism)
        for mass in _MASSES[scale]:
            friends, strangers = (
                coalition_gain(model, policy, mass, starts=1, seed=seed, recognise=recognise)
                for recognise in (True, False)
            )
            row = _row(
                case_of(mechanism, mass),
                x=mass,
                gain=friends.gain.value,
                gain_share_of_J=friends.gain_normalised.value,
                gain_unrecognised=strangers.gain.value,
                gain_alone=friends.gain_alone,
                cost_to_others=friends.cost_to_others.value,
                cost_unrecognised=strangers.cost_to_others.value,
                efficiency=friends.efficiency.value,
                efficiency_without=friends.efficiency_without.value,
                gap=friends.gap,
                stationary=float(friends.stationary),
            )
            rows.append(row)
    return rows


def _responding(scale: str, seed: int) -> list[Row]:
    """A row for each turn of the others."""
    rows = []
    for mechanism, masses in _RESPONDED[scale].items():
        model, policy = _solved(mechanism)
        for mass in masses:
            turns = _TURNS[scale]
            gain = coalition_gain(model, policy, mass, rest="responds", recognise=True, rounds=turns)
            assert isinstance(gain, RespondedGain)
            rows += [
                _turn(
                    f"{case_of(mechanism, mass)}, turn {turn.iteration + 1}",
                    x=turn.iteration + 1,
                    gain=turn.gain,
                    cost_to_others=turn.cost_to_others,
                    efficiency=turn.efficiency,
                    efficiency_without=gain.efficiency_without.value,
                    exploitability_of_others=turn.exploitability,
                    left_to_members=turn.left_to_members,
                )
                for turn in gain.rounds
            ]
    return rows


def _means(rows: Sequence[Row], places: Sequence[float], column: str) -> list[float]:
    """Means over seeds of a column, for each place on the x axis."""
    return [float(np.mean([row[column] for row in rows if row["x"] == place])) for place in places]


def _curves(rows: Sequence[Row]) -> Figure:
    """Gains and costs by the share of members, who recognise each other or nobody."""
    figure, panels = new_figure(9.0, 3.0, 3)
    quantities = (
        ("gain", "gain_unrecognised", "gain of a member per step"),
        ("cost_to_others", "cost_unrecognised", "cost to each of the others per step"),
        ("efficiency", "efficiency_without", "efficiency"),
    )
    for panel, (recognised, without, label) in zip(panels, quantities):
        for colour, mechanism in zip(COLOURS, MECHANISMS):
            chosen = [row for row in rows if row["case"].startswith(f"{mechanism}, m =")]
            masses = sorted({row["x"] for row in chosen})
            panel.plot(masses, _means(chosen, masses, recognised), "o-", color=colour, label=mechanism)
            panel.plot(masses, _means(chosen, masses, without), "o:", color=colour)
        panel.set(xlabel="share of members", ylabel=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _turns(rows: Sequence[Row]) -> Figure:
    """Gains and costs from turn to turn of outsiders and members."""
    figure, panels = new_figure(9.0, 3.0, 3)
    cases = list(dict.fromkeys(row["case"].rpartition(", turn")[0] for row in rows))
    for panel, (quantity, label) in zip(
        panels,
        (
            ("gain", "gain of a member per step"),
            ("cost_to_others", "cost to each of the others per step"),
            ("left_to_members", "left to a member by another turn"),
        ),
    ):
        for colour, case in zip(COLOURS, cases):
            chosen = [row for row in rows if row["case"].startswith(f"{case}, turn")]
            turns = sorted({row["x"] for row in chosen})
            panel.plot(turns, _means(chosen, turns, quantity), "o-", color=colour, label=case)
        panel.set(xlabel="turn of the others", ylabel=label, xticks=sorted({row["x"] for row in rows}))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


_SOURCE = "ours; proposed as future work in Vaishampayan 2024, chapter 7"
_OF_FRIENDS = "one stationary policy of a coalition whose members recognise each other"
_OF_STRANGERS = "one stationary policy of a coalition, which knows nobody by name"
_FIXED = Meaning(None, LOWER_BOUND, f"{_OF_FRIENDS}, the others fixed")

_RECOGNISING = Experiment(
    name="coalitions-recognising",
    title="Gains of colluding by members who recognise each other, against the size of the group",
    source=_SOURCE,
    run=_recognising,
    figures={"curves": _curves},
    published=tuple(
        Published(
            case_of(mechanism, 0.2),
            "stationary",
            1.0,
            0.5,  # it is 0 or 1
            "the search ends at a stationary point of the coalition's problem, in a population at rest",
        )
        for mechanism in MECHANISMS
    ),
    meanings={
        "gain": _FIXED,
        "gain_share_of_J": _FIXED,
        "gain_unrecognised": Meaning(None, LOWER_BOUND, f"{_OF_STRANGERS}, the others fixed"),
    },
    notes=(
        "Gains are in mean reward per member and step, in the long run, with the others at the "
        "equilibrium that there was without a coalition. Solid: two members who meet know each other's "
        "urgency and karma and choose both bids together; dotted: members know nobody, and in the last "
        "panel there is no coalition. Costs below 0 are gains of the others."
    ),
)

_RESPONDING = Experiment(
    name="coalitions-responding",
    title="What is left of colluding once the others respond",
    source=_SOURCE,
    run=_responding,
    figures={"turns": _turns},
    published=(
        Published(
            f"{case_of('PBS', 0.2)}, turn 1",
            "exploitability_of_others",
            0.0,
            1e-6,
            "the others come to an equilibrium given what members play; in discounted payoff",
        ),
    ),
    meanings={
        "gain": Meaning(None, EXACT, f"{_OF_FRIENDS}, the others at an equilibrium given it"),
        "exploitability_of_others": Meaning(None, EXACT, STATIONARY),
        "left_to_members": Meaning(None, LOWER_BOUND, f"{_OF_FRIENDS}, the others fixed once they responded"),
    },
    notes=(
        "Members recognise each other, and begin with what is best for them while the others stay as they "
        "were. In a turn the others come to an equilibrium among themselves given what members play, and "
        "members then seek what is best against that; what a member would gain by this, "
        "`left_to_members`, is near 0 at a rest of both. Gains and costs are against the equilibrium "
        "without a coalition, in mean reward per agent and step in the long run; costs below 0 are gains "
        "of the others."
    ),
)

EXPERIMENTS = (_RECOGNISING, _RESPONDING)
