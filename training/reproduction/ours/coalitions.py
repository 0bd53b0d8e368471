"""What agents gain who collude, by how many they are and by mechanism; and what it costs the others.

In the mean field of the matching game a coalition's best policy is computed, the others at the equilibrium
policy that they had without it, and then played by 100 agents. In a small city members learn together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.coalitions import CoalitionGain, coalition_gain
from agents.policies.tabular import TabularPolicy
from agents.solvers import solve
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.matching import MatchingGame
from karma_envs.meaning import ESTIMATED_LOWER_BOUND, LOWER_BOUND, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MECHANISMS: Mapping[str, Mapping[str, Any]] = {
    "PBP": {},
    "PBS": {"payment": "pbs"},
    "PBP, tax": {"redistribution": "tax"},
    "PBS, tax": {"payment": "pbs", "redistribution": "tax"},
}
_N = 100
_MASSES = {"quick": (0.1, 0.5), "full": (0.02, 0.1, 0.2, 0.35, 0.5)}
_PLAYED = {"quick": 20_000, "full": 150_000}
_CITY: Mapping[str, Any] = {"n_agents": _N, "rows": 2, "columns": 2}
_CITY_MEMBERS = {"quick": (20,), "full": (5, 20, 50)}
_CITY_PLAYED = {"quick": 10_000, "full": 100_000}
_SEARCH: Mapping[str, Mapping[str, Any]] = {
    "quick": {"iterations": 2, "candidates": 6, "learning_steps": 2000},
    "full": {"iterations": 8, "candidates": 12, "learning_steps": 8000},
}
CITY = "small city, learned"

_row = partial(
    row_of,
    (
        "gain",
        "gain_alone",
        "gain_share_of_J",
        "gain_discounted",
        "cost_to_others",
        "efficiency",
        "efficiency_without",
        "gap",
        "stationary",
        "gain_played",
        "gain_played_error",
        "cost_to_others_played",
        "cost_to_others_played_error",
        "efficiency_played",
        "efficiency_played_error",
    ),
)


def case_of(mechanism: str, mass: float) -> str:
    """The row of a mechanism and a share of members."""
    return f"{mechanism}, m = {mass:g}"


def _as_played(gain: CoalitionGain) -> dict[str, float]:
    return {
        "gain_played": gain.gain.value,
        "gain_played_error": gain.gain.standard_error,
        "cost_to_others_played": gain.cost_to_others.value,
        "cost_to_others_played_error": gain.cost_to_others.standard_error,
        "efficiency_played": gain.efficiency.value,
        "efficiency_played_error": gain.efficiency.standard_error,
    }


def _matching(mechanism: str, scale: str, seed: int) -> list[Row]:
    """Rows of one mechanism, from small coalitions to large ones, each begun with the one before."""
    game = MatchingGame(n_agents=_N, **MECHANISMS[mechanism])
    model = game.mean_field()
    assert model is not None
    policy = solve(model).policy
    rows, start = [], None
    for mass in _MASSES[scale]:
        best = coalition_gain(model, policy, mass, starts=1, start=start, seed=seed)
        start = np.asarray(best.policy.probabilities, np.float64)
        played = coalition_gain(
            game,
            policy,
            round(mass * _N),
            start=start[0],
            iterations=0,
            n_steps=_PLAYED[scale],
            seed=seed,
        )
        rows.append(
            _row(
                case_of(mechanism, mass),
                x=mass,
                gain=best.gain.value,
                gain_alone=best.gain_alone,
                gain_share_of_J=best.gain_normalised.value,
                gain_discounted=best.gain_discounted,
                cost_to_others=best.cost_to_others.value,
                efficiency=best.efficiency.value,
                efficiency_without=best.efficiency_without.value,
                gap=best.gap,
                stationary=float(best.stationary),
            )
            | _as_played(played)
        )
    return rows


def _city(scale: str, seed: int) -> list[Row]:
    """Rows of the small city, whose members learn from its equilibrium."""
    game = GridCityGame(**_CITY, path_seed=seed)
    policy = TabularPolicy(np.asarray(solve(game).policy.probabilities))
    rows = []
    for members in _CITY_MEMBERS[scale]:
        learned = coalition_gain(
            game, policy, members, n_steps=_CITY_PLAYED[scale], seed=seed, **_SEARCH[scale]
        )
        rows.append(
            _row(
                case_of(CITY, members / _N),
                x=members / _N,
                gain_share_of_J=learned.gain_normalised.value,
                efficiency_without=learned.efficiency_without.value,
            )
            | _as_played(learned)
        )
    return rows


def _run(scale: str, seed: int) -> list[Row]:
    return [row for mechanism in MECHANISMS for row in _matching(mechanism, scale, seed)]


def _curves(rows: Sequence[Row], cases: Sequence[str] = tuple(MECHANISMS)) -> Figure:
    """Gains of members and costs of others against the share of members, in the mean field and as played."""
    figure, panels = new_figure(9.0, 3.0, 3)
    seeds = {row["seed"] for row in rows}
    for panel, quantity, label in zip(
        panels,
        ("gain", "cost_to_others", "efficiency"),
        ("gain of a member per step", "cost to each of the others per step", "efficiency"),
    ):
        for colour, name in zip(COLOURS, cases):
            chosen = [row for row in rows if row["case"].startswith(f"{name}, m =")]
            masses = sorted({row["x"] for row in chosen})
            means, played, errors = (
                [np.mean([row[column] for row in chosen if row["x"] == mass]) for mass in masses]
                for column in (quantity, f"{quantity}_played", f"{quantity}_played_error")
            )
            panel.plot(masses, means, "-", color=colour)
            bars = 2 * np.array(errors) / np.sqrt(len(seeds))
            panel.errorbar(masses, played, bars, fmt="o", markersize=3, color=colour, label=name)
        panel.set(xlabel="share of members", ylabel=label)
        panel.axhline(0.0, color="0.6", linewidth=0.6) if quantity != "efficiency" else None
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


_OF_ONE = "one stationary policy of a coalition, which knows nobody by name, the others fixed"
_OF_EACH = "one stationary policy of each of a coalition of agents who add up their rewards, the others fixed"

_MATCHING = Experiment(
    name="coalitions",
    title="Gains of colluding against the size of the group, by mechanism",
    source="ours; proposed as future work in Vaishampayan 2024, chapter 7",
    run=_run,
    figures={"curves": _curves},
    published=tuple(
        Published(
            case_of(mechanism, _MASSES["full"][-1]),
            "stationary",
            1.0,
            0.5,  # it is 0 or 1
            "the search ends at a stationary point of the coalition's problem, in a population at rest",
        )
        for mechanism in MECHANISMS
    ),
    meanings={
        "gain": Meaning(None, LOWER_BOUND, _OF_ONE),
        "gain_share_of_J": Meaning(None, LOWER_BOUND, _OF_ONE),
        "gain_played": Meaning(_N, ESTIMATED_LOWER_BOUND, _OF_ONE),
    },
    notes=(
        "Gains are in mean reward per member and step, in the long run. Agents discount by .98, so that a "
        "single agent gains, too (`gain_alone`), where nobody gains in discounted payoff: what a coalition "
        "gains beyond it is by coordination. `gain_discounted` is in payoff discounted from the step on in "
        "which the coalition forms, and may be below 0, as members save karma first. Costs below 0 are "
        "gains of the others. Lines are the mean field, points 100 agents with two standard errors."
    ),
)

_IN_CITY = Experiment(
    name="coalitions-city",
    title="Gains of colluding in a small city, learned in play",
    source="ours; proposed as future work in Vaishampayan 2024, chapter 7",
    run=_city,
    figures={"curves": partial(_curves, cases=(CITY,))},
    meanings={
        "gain_share_of_J": Meaning(_N, ESTIMATED_LOWER_BOUND, _OF_EACH),
        "gain_played": Meaning(_N, ESTIMATED_LOWER_BOUND, _OF_EACH),
    },
    notes=(
        "100 agents on two by two nodes. Members shift the bids of the city's equilibrium by what they learn "
        "together, and stay with it where that does no better, so that a gain of 0 within its error says "
        "that they found nothing. Points have two standard errors."
    ),
)

EXPERIMENTS = (_MATCHING, _IN_CITY)
