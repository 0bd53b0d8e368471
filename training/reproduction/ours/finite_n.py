"""What one of N agents gains by leaving an equilibrium of the mean field, and one that was solved for N.

Ours. The equilibrium of the default game leaves nothing to gain in the mean field. Among N agents it does:
one that deviates is 1/N of the population, and notices. For few agents the gain is bounded exactly from both
sides, for more it is that of the best deviation that was found, by play.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators import FiniteExploitability, finite_exploitability
from agents.evaluators.few_agents.law import finite_size_law
from agents.evaluators.few_agents.simulated_bound import simulated_bound
from agents.solvers import Equilibrium, solve
from karma_envs.games.matching import MatchingGame
from karma_envs.meaning import ANY, ESTIMATED_LOWER_BOUND, LOWER_BOUND, STATIONARY, UPPER_BOUND, Meaning
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import mean_over_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MECHANISMS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_NUMBERS = (
    "n_agents",
    "gain_lower",
    "gain_upper",
    "gain_played",
    "gain_played_error",
    "gain_law",
    "efficiency",
    "solved_gain_lower",
    "solved_gain_upper",
    "solved_efficiency",
)


@dataclass(frozen=True)
class _Plan:
    """For which N the gain is bounded exactly, bounded by play, and what is solved for."""

    exact: tuple[int, ...]
    played: tuple[int, ...]
    solved: tuple[int, ...]


_PLANS = {
    "quick": {20: _Plan((2, 3, 4), (8,), (2,)), 10: _Plan((2, 3, 4), (), ())},
    "full": {
        20: _Plan((2, 3, 4, 5), (8, 20, 100, 1000), (2, 4)),
        10: _Plan((2, 3, 4, 5, 6, 7), (), (2, 4)),
    },
}


def _case(mechanism: str, karma_max: int, n_agents: int) -> str:
    return f"{mechanism}, karma_max {karma_max}, N = {n_agents}"


def _exactly(bounds: FiniteExploitability) -> dict[str, float]:
    assert bounds.normalised_upper is not None
    return {
        "gain_lower": bounds.normalised_lower,
        "gain_upper": bounds.normalised_upper,
        "efficiency": _per_contest(bounds.efficiency, bounds.n_agents),
    }


def _by_play(
    game: MatchingGame, equilibrium: Equilibrium, exact: Sequence[FiniteExploitability], seed: int
) -> dict[str, float]:
    """What the best deviation gains, also of those that are the best found among fewer agents."""
    n_agents = game.n_agents
    bound = simulated_bound(
        game,
        equilibrium.policy,
        deviations={f"that of {bounds.n_agents} agents": bounds.deviations for bounds in exact},
        count_steps=int(np.clip(20_000_000 // n_agents, 200_000, 1_000_000)),
        n_samples=int(np.clip(400_000 // n_agents, 1000, 20_000)),
        seed=[seed, n_agents],
    )
    return {
        "gain_played": bound.tried_normalised.value,
        "gain_played_error": bound.tried_normalised.standard_error,
        "efficiency": _per_contest(bound.efficiency.value, n_agents),
    }


def _solved(game: MatchingGame) -> dict[str, float]:
    certificate = solve(game, n_agents=game.n_agents).certificate
    assert certificate is not None
    assert certificate.normalised_upper is not None
    return {
        "solved_gain_lower": certificate.normalised_lower,
        "solved_gain_upper": certificate.normalised_upper,
        "solved_efficiency": _per_contest(certificate.efficiency, game.n_agents),
    }


def _per_contest(efficiency: float, n_agents: int) -> float:
    """Mean reward of an agent that competes: with odd N, one of them sits out."""
    return efficiency * n_agents / (n_agents - n_agents % 2)


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    for mechanism, payment in _MECHANISMS.items():
        for karma_max, plan in _PLANS[scale].items():
            fields: dict[str, Any] = {"payment": payment, "karma_max": karma_max, "karma_mean": karma_max / 2}
            equilibrium = solve(MatchingGame(**fields))
            sizes = sorted({*plan.exact, *plan.played})
            numbers: dict[int, dict[str, float]] = {n: {"n_agents": float(n)} for n in sizes}
            exact: list[FiniteExploitability] = []
            for n_agents in sizes:
                game = MatchingGame(n_agents=n_agents, **fields)
                if n_agents in plan.exact:
                    exact.append(finite_exploitability(game, equilibrium.policy))
                    numbers[n_agents] |= _exactly(exact[-1])
                if n_agents in plan.played:
                    numbers[n_agents] |= _by_play(game, equilibrium, exact, seed)
                if n_agents in plan.solved:
                    numbers[n_agents] |= _solved(game)
            larger = [n for n in plan.exact if n > 2]
            law = finite_size_law(
                larger,
                [numbers[n]["gain_lower"] for n in larger],
                limit=equilibrium.exploitability_normalised,
            )
            for n_agents, each in numbers.items():
                each["gain_law"] = float(law.at(n_agents)) if n_agents > 2 else np.nan
                case = _case(mechanism, karma_max, n_agents)
                rows.append({"case": case} | {name: each.get(name, np.nan) for name in _NUMBERS})
            limit = {
                "gain_lower": equilibrium.exploitability_normalised,
                "efficiency": equilibrium.efficiency,
            }
            case = f"{mechanism}, karma_max {karma_max}, mean field"
            rows.append({"case": case} | {name: limit.get(name, np.nan) for name in _NUMBERS})
    return rows


def _curve(rows: Sequence[Row], mechanism: str, karma_max: int, quantity: str) -> NDArray[np.float64]:
    """N and the mean over seeds, ``float64[2, points]``, where a quantity is known."""
    prefix = f"{mechanism}, karma_max {karma_max}, N = "
    cases = {row["case"]: row["n_agents"] for row in rows if str(row["case"]).startswith(prefix)}
    points = [(n, mean_over_seeds(rows, case, quantity)[0]) for case, n in cases.items()]
    return np.array([point for point in points if np.isfinite(point[1])], np.float64).reshape(-1, 2).T


def _gains(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(8.0, 3.6, 2)
    for panel, mechanism in zip(axes, _MECHANISMS):
        for karma_max, colour in zip((20, 10), COLOURS):
            lower, upper, solved, law, played, errors = (
                _curve(rows, mechanism, karma_max, name)
                for name in (
                    "gain_lower",
                    "gain_upper",
                    "solved_gain_lower",
                    "gain_law",
                    "gain_played",
                    "gain_played_error",
                )
            )
            bounds = f"$k_{{max}}$ = {karma_max}: "
            panel.fill_between(lower[0], 100 * lower[1], 100 * upper[1], color=colour, alpha=0.2, linewidth=0)
            panel.plot(
                lower[0], 100 * lower[1], "o-", color=colour, markersize=3, label=f"{bounds}exact, up to …"
            )
            panel.plot(
                solved[0], 100 * solved[1], "x", color=colour, markersize=5, label=f"{bounds}solved for N"
            )
            if not len(played[0]):
                continue
            panel.plot(law[0], 100 * law[1], ":", color=colour, linewidth=0.9, label="a fit, no bound")
            panel.errorbar(
                played[0],
                100 * played[1],
                yerr=200 * errors[1],
                fmt="s",
                color=COLOURS[2],
                markersize=3,
                label="played, ± 2 standard errors",
            )
        panel.set(xscale="log", yscale="log", title=mechanism, xlabel="N", ylim=(1e-2, 40))
    axes[0].set(ylabel="gain of one agent, % of |J|")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _efficiencies(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(8.0, 3.2, 2)
    for panel, mechanism in zip(axes, _MECHANISMS):
        for karma_max, colour in zip((20, 10), COLOURS):
            limit, _ = mean_over_seeds(rows, f"{mechanism}, karma_max {karma_max}, mean field", "efficiency")
            panel.axhline(limit, color=colour, linewidth=0.8, linestyle="--")
            styles = {"efficiency": ("o-", "the mean field's"), "solved_efficiency": ("x", "solved for N")}
            for quantity, (style, label) in styles.items():
                curve = _curve(rows, mechanism, karma_max, quantity)
                panel.plot(
                    curve[0],
                    curve[1],
                    style,
                    color=colour,
                    markersize=4,
                    label=f"$k_{{max}}$ = {karma_max}: {label}",
                )
        panel.set(xscale="log", title=mechanism, xlabel="N")
    axes[0].set(ylabel="mean reward per contest")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


EXPERIMENT = Experiment(
    name="finite-n",
    title="What an equilibrium of the mean field leaves to gain among N agents",
    source="ours; the game of Vaishampayan 2024, section 6.1, with its defaults, and with karma_max 10",
    run=_run,
    figures={"gains": _gains, "efficiencies": _efficiencies},
    published=(
        Published(
            _case("PBP", 20, 2),
            "gain_lower",
            0.2149,
            5e-4,
            "computed independently; of two agents one knows the other's karma by its own",
        ),
        Published(
            _case("PBP", 20, 4),
            "gain_upper",
            0.0486,
            5e-4,
            "computed independently, against an agent that sees everybody's karma",
        ),
        Published(
            _case("PBP", 20, 4), "efficiency", -1.04330, 2e-5, "computed independently, to five digits"
        ),
    ),
    notes=(
        "Gains are of one agent that leaves the policy, over |J|. `gain lower` and `gain upper` are exact "
        "bounds in the game of N; `gain played` is that of the best stationary deviation found, played "
        "afresh, a lower bound but for its standard error, `gain played error`; it is a loss where none that "
        "was tried gains.\n\n"
        "**For these few agents gains fall faster than 1/N.** `gain law` is a / N plus the mean field's, "
        "fitted to the lower bounds from N = 3 on (of two agents each knows the other's karma); it lies "
        "above the gains of the greatest of these N, and says too much of more: an extrapolation, no bound."
        "\n\n"
        "Exact are the N that take less than a minute. With karma_max 20 six agents (54 000 joint states) "
        "take 3 to 4 minutes each time and .6 GB; seven are refused, as they would take hours. From N = 8 "
        "on, gains are below what play tells from nothing, a few times its standard error.\n\n"
        "`solved` is the policy that is solved for this N instead. Efficiency is per agent that competes: "
        "with odd N one sits out."
    ),
    meanings={
        "gain_lower": Meaning(None, LOWER_BOUND, ANY, "N agents (in the row of the mean field: exact)"),
        "gain_upper": Meaning(None, UPPER_BOUND, ANY, "N agents"),
        "gain_played": Meaning(None, ESTIMATED_LOWER_BOUND, STATIONARY, "N agents"),
        "solved_gain_lower": Meaning(None, LOWER_BOUND, ANY, "N agents"),
        "solved_gain_upper": Meaning(None, UPPER_BOUND, ANY, "N agents"),
    },
)
