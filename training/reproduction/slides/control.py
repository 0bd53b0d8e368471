"""Mean-field control in two states: the planner's values, how MFC-K-Q comes near them, and what is gained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.solvers.control.integrated_q import integrated_q
from agents.solvers.control.kernel_q import kernel_q
from agents.solvers.control.population import GamePopulation, Population, follow
from karma_envs.games.two_state_control import TwoStateControlConfig, TwoStateControlGame
from karma_envs.games.two_state_control.closed_forms import planners_value, selfish_value
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of
from training.reproduction.reproduce import announcer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHARES = (0.0, 0.25, 0.5, 1.0)
_PRINTED = {0.0: 0.472513, 0.25: 0.625, 0.5: 0.472597, 1.0: -0.582950}
_ERRORS = {4: 0.0504, 8: 0.0186, 16: 0.0051, 32: 0.00136}
_EIGHTIETHS = 80
_CURVE = np.linspace(0, 1, 2001)
_EVERY = 20  # of the curve is drawn

_NETS = (4, 8, 16, 32)
"""1/eps of nets of which each point is tried."""
_WALKS = {"quick": (4, 8), "full": (4, 8, 16)}
"""1/eps of nets along which infinitely many agents are led."""
_GAMES = {"quick": (4,), "full": (4, 8)}
"""1/eps of nets along which the agents of a game are led."""
_N_AGENTS = 100_000
_RUNS = {"quick": 2, "full": 10}
"""Runs of the game in which the planner of the exact solution leads."""
_N_LED = 10_000
_LED_STEPS = 50  # .8^50 of .6 is 1e-5

_COLUMNS = (
    *("closed_form", "iteration", "eightieths", "played", "played_se", "selfish"),
    *("epsilon", "largest_error", "largest_error_on_net", "mean_error", "samples", "steps", "coverage"),
)
_HOW = {"net": "on the net", "walk": "led", "game": f"{_N_AGENTS:,} agents led"}


def _values_case(share: float) -> str:
    return f"V({share:g})"


def _learned_case(how: str, steps: int) -> str:
    return f"MFC-K-Q {_HOW[how]}, eps 1/{steps}"


def _value_rows(scale: str, seed: int) -> list[Row]:
    """V where it was printed: in closed form, by iteration, of a coarse planner, and as agents get it."""
    config = TwoStateControlConfig()
    model = TwoStateControlGame().mean_field()
    announcer()("exact iteration")
    fine = integrated_q(model)
    coarse = integrated_q(model, policy_steps=_EIGHTIETHS, refine=False)
    rows = []
    for number, share in enumerate(_SHARES):
        announcer()(f"playing from {share:g}")
        game = TwoStateControlGame(n_agents=_N_LED, initial_share=share)
        payoffs = []
        for run in range(_RUNS[scale]):
            game.reset(np.random.default_rng([seed, number, run]))
            payoffs.append(follow(GamePopulation(game), fine.policy, _LED_STEPS).payoff(config.discount))
        rows.append(
            row_of(
                _COLUMNS,
                _values_case(share),
                closed_form=planners_value(config, share),
                iteration=fine.value([1 - share, share]),
                eightieths=coarse.value([1 - share, share]),
                played=float(np.mean(payoffs)),
                played_se=float(np.std(payoffs, ddof=1) / np.sqrt(len(payoffs))),
                selfish=round(selfish_value(config, share), 12),
            )
        )
    return rows


def _learned_row(how: str, net_steps: int, seed: int) -> Row:
    """What MFC-K-Q comes to with one eps."""
    announcer()(_learned_case(how, net_steps))
    config = TwoStateControlConfig()
    game = TwoStateControlGame(n_agents=_N_AGENTS)
    population: Population | None = None
    if how == "game":
        game.reset(np.random.default_rng(seed))
        population = GamePopulation(game)
    learned = kernel_q(
        game.mean_field(),
        net_steps=net_steps,
        exploration="net" if how == "net" else "walk",
        population=population,
        seed=seed,
    )
    populations = learned.regression.cells.points
    shares = np.concatenate([_CURVE, populations[:, 1]])
    exact = np.array([planners_value(config, share) for share in shares])
    errors = np.abs(learned.values(np.stack([1 - shares, shares], axis=1)) - exact)
    return row_of(
        _COLUMNS,
        _learned_case(how, net_steps),
        epsilon=learned.epsilon,
        largest_error=float(errors[: len(_CURVE)].max()),
        largest_error_on_net=float(errors[len(_CURVE) :].max()),
        mean_error=float(errors[: len(_CURVE)].mean()),
        samples=int(learned.samples.seen.sum()),
        steps=learned.samples.steps,
        coverage=learned.coverage,
    )


def _curve_rows() -> list[Row]:
    """V of the planner and of selfish agents along the share in state 1."""
    config = TwoStateControlConfig()
    return [
        row_of(_COLUMNS, case, number, x=float(share), y=value(config, float(share)))
        for case, value in (("planner", planners_value), ("selfish", selfish_value))
        for number, share in enumerate(_CURVE[::_EVERY])
    ]


def _run(scale: str, seed: int) -> list[Row]:
    learned = [
        _learned_row(how, net_steps, seed)
        for how, sizes in (("net", _NETS), ("walk", _WALKS[scale]), ("game", _GAMES[scale]))
        for net_steps in sizes
    ]
    return [*_value_rows(scale, seed), *learned, *_curve_rows()]


def _figure_of_errors(rows: Sequence[Row]) -> Figure:
    """The largest error of V against eps, both logarithmic; each point a seed."""
    figure, (panel,) = new_figure(4.2, 3.2)
    for how, colour in zip(_HOW, COLOURS):
        chosen = [row for row in rows if str(row["case"]).startswith(f"MFC-K-Q {_HOW[how]},")]
        panel.plot(
            [row["epsilon"] for row in chosen],
            [row["largest_error"] for row in chosen],
            "o",
            color=colour,
            markersize=4,
            label=_HOW[how],
        )
    on_net = [row for row in rows if str(row["case"]).startswith(f"MFC-K-Q {_HOW['net']},")]
    panel.plot(
        [row["epsilon"] for row in on_net],
        [row["largest_error_on_net"] for row in on_net],
        "o",
        color=COLOURS[0],
        fillstyle="none",
        markersize=4,
        label=f"{_HOW['net']}, at its points",
    )
    spacings = 1 / np.array(list(_ERRORS))
    panel.plot(spacings, list(_ERRORS.values()), "x", color="0.3", label="known")
    panel.plot(spacings, 1.2 * spacings**2, "--", color="0.6", linewidth=0.8, label="eps²")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(spacings, [f"1/{steps}" for steps in _ERRORS])
    panel.set(xlabel="eps", ylabel="largest error of V")
    panel.legend()
    return figure


def _figure_of_values(rows: Sequence[Row]) -> Figure:
    """V along the share in state 1, of the planner and of selfish agents."""
    figure, (panel,) = new_figure(4.2, 3.2)
    first = min(int(row["seed"]) for row in rows)
    for case, colour in zip(("planner", "selfish"), COLOURS):
        panel.plot(*points(rows, case, first), color=colour, label=case)
    values = [row for row in rows if str(row["case"]).startswith("V(")]
    shares = [share for row in values for share in _SHARES if row["case"] == _values_case(share)]
    panel.plot(
        shares,
        [row["played"] for row in values],
        "o",
        color=COLOURS[2],
        markersize=4,
        fillstyle="none",
        label=f"planner leads {_N_LED:,} agents",
    )
    panel.set(xlabel="share in state 1 at the start", ylabel="V, discounted mean reward")
    panel.legend()
    return figure


_CHOSEN = "a quarter; it is not told where the error was measured, and of what kernel"

EXPERIMENT = Experiment(
    name="slides-control",
    title="Mean-field control in two states, exact and by MFC-K-Q",
    source="after Xu, RLChina 2020, and Gu, Guo, Wei, Xu 2020; the instance and its numbers are ours",
    run=_run,
    figures={"errors": _figure_of_errors, "values": _figure_of_values},
    published=(
        *(
            Published(_values_case(share), "eightieths", value, 1e-6, "known to six digits")
            for share, value in _PRINTED.items()
        ),
        *(
            Published(
                _values_case(share),
                "iteration",
                planners_value(TwoStateControlConfig(), share),
                1e-6,
                "closed form",
            )
            for share in _SHARES
        ),
        *(
            Published(_learned_case("net", steps), "largest_error_on_net", error, 0.25 * error, _CHOSEN)
            for steps, error in _ERRORS.items()
        ),
    ),
    notes=(
        "**The values .472513, .625, .472597 and -.582950 that were known of this instance are those of a "
        "planner whose local policies take multiples of 1/80 only** (column eightieths, on 2001 "
        "populations). A planner who is free gets .472608, .625, .472608 and -.582948: by the closed form, "
        "which an explicit policy attains (from 0, tell 27.006 % of the agents to enter, and then all to "
        "stay), and by iteration with any h on 2001 populations. Played: 10 000 agents led by that "
        "planner, with the standard error of the mean over runs. Selfish: the value in the equilibrium of "
        "agents who count their own reward only; it is below the planner's from every start.\n\n"
        "Largest errors of MFC-K-Q are over 2001 shares, and over those of the net. On the net each point "
        "is tried, eps apart in P(S) and H. Led, a population is brought to each cell of P(S), eps² wide, "
        "and told each local policy there once, in the number of steps that is listed; the largest such "
        "net here is of 1/16, with 74 273 samples. As samples lie anywhere in their cells, cells that are "
        "eps wide give errors of the order eps: .19 to .25, .14 and .10 to .14 for 1/4, 1/8 and 1/16. In "
        "the game of N agents the share is noisy by at most .5 / sqrt(N) = .0016."
    ),
)
