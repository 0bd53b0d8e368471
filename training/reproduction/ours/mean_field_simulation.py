"""The mean field beside the simulation of many agents, and of few, who play its equilibrium.

Ours. For every payment and redistribution rule that conserves karma: an equilibrium of the default game
under these rules, played by N = 10^5 agents (10^4 at the quick scale); and that of the default rules,
played by ever fewer agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents import Equilibrium, solve
from agents.evaluators import PopulationPlay, play_in_population
from karma_envs.axes import by_axes
from karma_envs.finite import as_finite
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from karma_envs.mechanisms.rule import rules
from karma_envs.registry import make
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import mean_over_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MANY = {"quick": 10_000, "full": 100_000}
_FEW = (4, 10, 30, 100, 300, 1000)
_STEPS = {"quick": 1000, "full": 2000}
_AGENT_STEPS = {"quick": 10_000_000, "full": 150_000_000}
_STRETCH = 20  # steps; standard errors do not grow when stretches are longer
_KARMA_DEPENDENT = (
    "pay_capped_bid_to_peer"  # what is paid depends on the loser's karma: slow to solve exactly
)
_FOR_LANES = {"by_resource", "congestion_tax"}  # refused here, and the same as uniform
_PAIRS = [
    (payment, redistribution)
    for payment in sorted(rules("payment"))
    for redistribution in sorted(set(rules("redistribution")) - _FOR_LANES)
    if redistribution != "none" or payment == _KARMA_DEPENDENT  # otherwise karma is lost
]
_DEFAULT = ("pay_bid_to_peer", "uniform")


def _case(payment: str, redistribution: str) -> str:
    return f"{payment}, {redistribution}"


def _played(found: Equilibrium, payment: str, redistribution: str, n: int, steps: int, seed: int) -> Row:
    game = as_finite(make("matching", n_agents=n, payment=payment, redistribution=redistribution))
    play: PopulationPlay = play_in_population(
        game, found.policy, n_steps=steps, burn_in=200, batches=max(2, steps // _STRETCH), seed=seed
    )
    gap = by_axes((play.state_distribution - found.mean_field)[0], game.axes).sum(axis=0)  # of karma
    efficiency = play.summary["efficiency"]
    difference = efficiency.value - found.efficiency
    return {
        "agents": n,
        "efficiency_of_the_mean_field": found.efficiency,
        "exploitability_normalised": found.exploitability_normalised,
        "efficiency_difference": difference,
        "standard_error": efficiency.standard_error,
        "standard_errors_off": abs(difference) / efficiency.standard_error,
        "karma_distance": float(np.abs(gap).sum()),
    }


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for payment, redistribution in _PAIRS:
        model = make("matching", payment=payment, redistribution=redistribution).mean_field()
        assert model is not None
        found = solve(model, "fictitious_play" if payment == _KARMA_DEPENDENT else "auto")
        played = _played(found, payment, redistribution, _MANY[scale], _STEPS[scale], seed)
        rows.append({"case": _case(payment, redistribution), **played})
        if (payment, redistribution) == _DEFAULT:
            for n in _FEW:
                steps = _AGENT_STEPS[scale] // n
                rows.append({"case": f"default rules, N = {n}", **_played(found, *_DEFAULT, n, steps, seed)})
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(7.6, 3.0, 2)
    cases = [f"default rules, N = {n}" for n in _FEW]
    for panel, quantity in zip(axes, ("efficiency_difference", "karma_distance")):
        means, errors = zip(*(mean_over_seeds(rows, case, quantity) for case in cases))
        panel.errorbar(_FEW, means, errors, fmt="o-", color=COLOURS[0], markersize=4)
        panel.set(xlabel="agents N", xscale="log")
    axes[0].set(ylabel="efficiency less the mean field's")
    axes[0].axhline(0, color="0.3", linewidth=0.8)
    axes[1].set(ylabel="distance of karma distributions (L1)", yscale="log")
    return figure


EXPERIMENT = Experiment(
    name="mean-field-simulation",
    title="The mean field's equilibria, played by many agents and by few",
    source="Model of Vaishampayan 2024, section 5.1, with all rules of the matching game",
    run=_run,
    figures={"by_number_of_agents": _figure},
    published=tuple(
        Published(_case(*pair), quantity, 0.0, limit, "what is asked for")
        for pair in _PAIRS
        for quantity, limit in (("standard_errors_off", 4.0), ("karma_distance", 5e-3))
    ),
    notes=(
        "What theory says is 0. Equilibria are exact but under pay_capped_bid_to_peer, where "
        "they are those of fictitious play (see their exploitability); the comparison needs none, only a "
        "policy that is the same on both sides."
    ),
    meanings={"exploitability_normalised": Meaning(None, EXACT, STATIONARY)},
)
