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

from agents.coalitions import CoalitionGain, coalition_gain
from agents.coalitions.response import RespondedGain
from agents.solvers import solve
from karma_envs.games.matching import MatchingGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.meaning import EXACT, LOWER_BOUND, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.ours.coalitions import MECHANISMS, case_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MASSES = {"quick": (0.2,), "full": (0.1, 0.2, 0.35, 0.5)}
_RESPONDED: Mapping[str, Sequence[tuple[str, float]]] = {
    "quick": (),
    "full": [(mechanism, mass) for mechanism in ("PBP", "PBS") for mass in (0.2, 0.5)],
}
_TURNS = 3

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
        "gain_responded",
        "cost_responded",
        "efficiency_responded",
        "left_to_members",
        "rest_of_both",
    ),
)


def _as_responded(gain: CoalitionGain) -> dict[str, float]:
    assert isinstance(gain, RespondedGain)
    return {
        "gain_responded": gain.gain.value,
        "cost_responded": gain.cost_to_others.value,
        "efficiency_responded": gain.efficiency.value,
        "left_to_members": min(turn.left_to_members for turn in gain.rounds),
        "rest_of_both": float(gain.converged),
    }


def _one(
    model: MeanFieldModel, policy: Any, mechanism: str, mass: float, *, responds: bool, seed: int
) -> Row:
    friends, strangers = (
        coalition_gain(model, policy, mass, starts=1, seed=seed, recognise=recognise)
        for recognise in (True, False)
    )
    responded: dict[str, Any] = {}
    if responds:
        gain = coalition_gain(model, policy, mass, rest="responds", recognise=True, rounds=_TURNS)
        responded = _as_responded(gain)
    return _row(
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
        **responded,
    )


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for mechanism, fields in MECHANISMS.items():
        model = MatchingGame(**fields).mean_field()
        assert model is not None
        policy = solve(model).policy
        rows += [
            _one(model, policy, mechanism, mass, responds=(mechanism, mass) in _RESPONDED[scale], seed=seed)
            for mass in _MASSES[scale]
        ]
    return rows


def _means(rows: Sequence[Row], masses: Sequence[float], column: str) -> list[float]:
    """Means over seeds of a column, for each share of members."""
    return [float(np.mean([row[column] for row in rows if row["x"] == mass])) for mass in masses]


def _curves(rows: Sequence[Row]) -> Figure:
    """Gains and costs by the share of members, with and without recognition, and once others respond."""
    figure, panels = new_figure(9.0, 3.0, 3)
    quantities = (
        ("gain", "gain_unrecognised", "gain_responded", "gain of a member per step"),
        ("cost_to_others", "cost_unrecognised", "cost_responded", "cost to each of the others per step"),
        ("efficiency", None, "efficiency_responded", "efficiency"),
    )
    for panel, (recognised, unrecognised, responded, label) in zip(panels, quantities):
        for colour, mechanism in zip(COLOURS, MECHANISMS):
            chosen = [row for row in rows if row["case"].startswith(f"{mechanism}, m =")]
            masses = sorted({row["x"] for row in chosen})
            means = partial(_means, chosen, masses)
            panel.plot(masses, means(recognised), "-", color=colour, label=mechanism)
            if unrecognised is not None:
                panel.plot(masses, means(unrecognised), ":", color=colour)
            panel.plot(masses, means(responded), "o", markersize=4, color=colour)
        panel.set(xlabel="share of members", ylabel=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


_OF_FRIENDS = "one stationary policy of a coalition whose members recognise each other"
_OF_STRANGERS = "one stationary policy of a coalition, which knows nobody by name"
_FIXED = Meaning(None, LOWER_BOUND, f"{_OF_FRIENDS}, the others fixed")

EXPERIMENT = Experiment(
    name="coalitions-recognising",
    title="Gains of colluding by members who recognise each other, and once the others respond",
    source="ours; proposed as future work in Vaishampayan 2024, chapter 7",
    run=_run,
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
        "gain_responded": Meaning(None, EXACT, f"{_OF_FRIENDS}, the others at an equilibrium given it"),
    },
    notes=(
        "Gains are in mean reward per member and step, in the long run. Solid: members recognise each other; "
        "dotted: they know nobody; both with the others at the equilibrium that there was without them. "
        "Points: members recognise each other, and the others have come to an equilibrium given what members "
        f"play; of at most {_TURNS} turns of both that after which members gain least by another one "
        "(`left_to_members`; `rest_of_both` is 1 where that is at most .05 % of a step's mean reward). "
        "Costs below 0 are gains of the others."
    ),
)
