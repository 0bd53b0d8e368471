"""The city's equilibrium beside what is learned, and what its model leaves out of the game of N agents.

Every policy is judged twice: in the large-population model of the city, and as N agents play it. What agents
gain by best responses is told in the model, by what was counted in play, and for the equilibrium by real
deviators. Two more policies begin with the equilibrium: that refined in play, and, for what the Thesis has
learned, the logit equilibrium of agents who explore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.evaluators import deviation_gain, played_exploitability
from agents.evaluators.city.played import modelled
from agents.evaluators.exploitability.deviation import AT_ONCE
from agents.policies.tabular import TabularPolicy
from agents.solvers import solve
from agents.solvers.city.played_refinement import played_refinement
from karma_envs.baselines import baseline_policy
from karma_envs.games.grid_city import GridCityGame
from karma_envs.meaning import ESTIMATE, ESTIMATED_LOWER_BOUND, EXACT, STATIONARY, Meaning
from karma_envs.metrics import access_fairness, reward_fairness
from training.common.figures import COLOURS, new_figure
from training.common.lane_figures import lane_maps
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of
from training.reproduction.ours.exploring_logit import exploring_logit
from training.reproduction.thesis.city_training import LARGE_STEPS, compared_run, exploring_policy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CITY: Mapping[str, Mapping[str, Any]] = {"quick": {"n_agents": 100, "rows": 2, "columns": 2}, "full": {}}
_PLAYED = {"quick": 4000, "full": 10_000}
_TRAINED = {"quick": 50_000, "full": 1_000_000}
_DEVIATORS = {"quick": 5, "full": 50}
_SAMPLES = {"quick": 400, "full": 200}
_TOLERANCE = {"quick": 5e-3, "full": 2e-3}
_REFINEMENTS = {"quick": 20, "full": 30}
_RATIONALITY, _EXPLORATION = 10.0, 0.05

EQUILIBRIUM, REFINED, LOGIT = "equilibrium", "equilibrium, refined in play", "logit, beta = 10, exploring"
_WITHOUT_KARMA = {"DICT": "dict", "COIN": "coin"}
_BASELINES = ("proportional", "random")
_LEARNED = {"learned as printed": {}, "learned, alpha = .1": {"learning_rate": LARGE_STEPS}}

_row = partial(
    row_of,
    (
        "efficiency_model",
        "efficiency_played",
        "efficiency_error",
        "model_off_by",
        "access_fairness",
        "reward_fairness",
        "queue_correlation",
        "exploitability_model",
        "exploitability_played",
        "deviators_gain_predicted",
        "deviators_gain_played",
        "deviators_gain_error",
        "residual",
        "mean_bid",
    ),
)


def _policies(game: GridCityGame, scale: str, seed: int) -> dict[str, tuple[TabularPolicy, float]]:
    """Policies by case, with the residual of what a solver found; NaN of others."""
    model = game.mean_field()
    assert model is not None
    solved = solve(model, tolerance=_TOLERANCE[scale])
    refined = played_refinement(
        game, start=solved.policy, iterations=_REFINEMENTS[scale], assess_every=_REFINEMENTS[scale], seed=seed
    )
    logit = exploring_logit(model, _RATIONALITY, _EXPLORATION)
    policies = {
        EQUILIBRIUM: (solved.policy, solved.stationary_residual),
        REFINED: (refined.policy, np.nan),
        LOGIT: (TabularPolicy(logit.policy), logit.residual),
    }
    for name in _BASELINES:
        policies[name] = _baseline(name, game), np.nan
    for name, fields in _LEARNED.items():
        run = compared_run(scale, seed, _TRAINED, **_CITY[scale], **fields)
        policies[name] = exploring_policy(run, game), np.nan
    return policies


def _baseline(name: str, game: GridCityGame) -> TabularPolicy:
    played = baseline_policy(name, game)
    return TabularPolicy.from_thresholds(played.thresholds, game.n_actions, played.row_of_agent)


def _measured(
    case: str, game: GridCityGame, policy: TabularPolicy, residual: float, scale: str, seed: int
) -> list[Row]:
    policy = policy.fitted_to(game)
    played = played_exploitability(game, policy, n_steps=_PLAYED[scale], seed=seed)
    outcome = game.outcome()  # of all steps since the reset, the burn-in among them
    model, table, kinds = modelled(game, policy)
    field = model.population_at_rest(table)
    queues, lanes = played.lanes.queues, model.lanes(field.statistic)
    flows = played.lanes.flows.mean(axis=0)
    mean_bids = flows @ lanes.bids / np.maximum(queues, 1e-300)
    problem = model.decision_problem(field.statistic)
    predicted = float(model.masses @ problem.mean_reward(field.mean_field, table))
    summary = {
        "efficiency_model": predicted,
        "efficiency_played": played.efficiency.value,
        "efficiency_error": played.efficiency.standard_error,
        "model_off_by": predicted / played.efficiency.value - 1,
        "access_fairness": access_fairness(outcome.accesses, outcome.steps),
        "reward_fairness": reward_fairness(outcome.rewards, outcome.steps),
        "queue_correlation": float(np.corrcoef(queues, lanes.congestion)[0, 1]),
        "exploitability_model": model.exploitability(table).normalised,
        "exploitability_played": played.gain_normalised.value,
        "residual": residual,
    }
    if case == EQUILIBRIUM:
        rng = np.random.default_rng([14, seed])
        chosen = np.sort(rng.choice(game.n_agents, _DEVIATORS[scale], replace=False))
        real = deviation_gain(
            game,
            policy,
            chosen,
            played.best_responses[kinds[chosen]],
            n_samples=_SAMPLES[scale],
            gap=20,
            at_once=scale == "full",  # few of many there
            seed=seed,
        )
        summary["deviators_gain_predicted"] = float(played.gains[kinds[chosen]].mean())
        summary["deviators_gain_played"] = real.gain.value
        summary["deviators_gain_error"] = float(np.sqrt((real.gain_errors**2).sum()) / len(chosen))
    return [
        _row(case) | summary,
        *(
            _row(f"{case}, by lane", lane, *map(float, crowds), mean_bid=float(bid))
            for lane, (*crowds, bid) in enumerate(zip(lanes.congestion, queues, mean_bids))
        ),
    ]


def _run(scale: str, seed: int) -> list[Row]:
    fields = {**_CITY[scale], "path_seed": seed}
    game = GridCityGame(**fields)
    rows = []
    for case, (policy, residual) in _policies(game, scale, seed).items():
        rows += _measured(case, game, policy, residual, scale, seed)
    for case, allocation in _WITHOUT_KARMA.items():
        other = GridCityGame(**fields, allocation=allocation)
        rows += _measured(case, other, _baseline("bid_nothing", other), np.nan, scale, seed)
    return rows


def _cases(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["point"] < 0]


def _efficiencies(rows: Sequence[Row]) -> Figure:
    """The model's efficiency and that of N agents, and what is left to gain, by policy."""
    figure, (efficiency, gain) = new_figure(8.0, 3.0, 2)
    cases = list(dict.fromkeys(row["case"] for row in _cases(rows)))
    places = np.arange(len(cases))[::-1]
    for panel, quantities, label in (
        (efficiency, ("efficiency_model", "efficiency_played"), "efficiency"),
        (gain, ("exploitability_model", "exploitability_played"), "gain of a best response, share of |J|"),
    ):
        for colour, quantity in zip(COLOURS, quantities):
            means = [
                np.mean([row[quantity] for row in _cases(rows) if row["case"] == case]) for case in cases
            ]
            panel.plot(means, places, "o", color=colour, label=quantity.rpartition("_")[2], alpha=0.8)
        panel.set(xlabel=label, yticks=places)
        panel.grid(axis="y", linewidth=0.3)
    efficiency.set_yticklabels(cases)
    gain.set_yticklabels([])
    gain.set_xscale("symlog", linthresh=1e-3)
    gain.set_xlim(left=-1e-4)
    figure.legend(*efficiency.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _queues(rows: Sequence[Row]) -> Figure:
    """Agents that want each lane: the model's beside those of N agents."""
    figure, (panel,) = new_figure(4.2, 3.4)
    seeds = sorted({row["seed"] for row in rows})
    cases = dict.fromkeys(row["case"] for row in _cases(rows))
    for number, case in enumerate(cases):
        predicted, counted = (
            np.concatenate([points(rows, f"{case}, by lane", seed, axis)[0] for seed in seeds])
            for axis in ("x", "y")
        )
        panel.plot(
            predicted, counted, "os^"[number // len(COLOURS)], color=COLOURS[number % len(COLOURS)],
            markersize=3, label=case,
        )  # fmt: skip
    panel.axline((0, 0), slope=1, color="0.4", linewidth=0.8)
    panel.set(xlabel="agents that want a lane, model", ylabel="as N agents play")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _maps(rows: Sequence[Row]) -> Figure:
    """Congestion and mean bids of the equilibrium, as N agents play it; paths of the first seed."""
    seed = rows[0]["seed"]
    congestion, bids = (
        np.array(points(rows, f"{EQUILIBRIUM}, by lane", seed, quantity)[0]) for quantity in ("y", "mean_bid")
    )
    size = _CITY["full"] if len(congestion) == len(GridCityGame().network.lanes) else _CITY["quick"]
    return lane_maps(
        GridCityGame(**size).network,
        {"congestion": (congestion, "agents that want the lane"), "bids": (bids, "mean bid")},
    )


_NEAR = tuple(
    each
    for case in (EQUILIBRIUM, *_BASELINES, *_LEARNED)
    for each in (
        Published(case, "model_off_by", 0.0, 0.03, "what the model is built to reach, for a city of 1000"),
        Published(case, "queue_correlation", 1.0, 0.01, "likewise, over lanes"),
    )
)

EXPERIMENT = Experiment(
    name="city-equilibrium",
    title="The city's equilibrium, in its model and at play",
    source="ours; the efficiency -.82 is of Vaishampayan 2024, Table 6.3",
    run=_run,
    figures={"efficiencies": _efficiencies, "queues": _queues, "maps": _maps},
    published=(
        Published(
            LOGIT,
            "efficiency_played",
            -0.82,
            0.02,
            "printed to two digits; Table 6.3's learned policies may be this equilibrium, as they explore",
        ),
        Published(LOGIT, "access_fairness", -0.15, 0.02, "printed to two digits, paths are drawn"),
        Published(LOGIT, "reward_fairness", -0.43, 0.05, "printed to two digits, paths are drawn"),
        *_NEAR,
    ),
    meanings={
        "exploitability_model": Meaning(None, EXACT, STATIONARY, "large-population model"),
        "exploitability_played": Meaning(1000, ESTIMATE, STATIONARY),
        "deviators_gain_predicted": Meaning(1000, ESTIMATE, STATIONARY),
        "deviators_gain_played": Meaning(1000, ESTIMATED_LOWER_BOUND, AT_ONCE.format(_DEVIATORS["full"])),
    },
    notes=(
        "At full scale the city of the thesis; at quick scale one of 100 agents on two by two nodes, of "
        "which -.82 says nothing and 5 deviate. "
        "Learners are trained for 1 million steps at full scale from values of 0. Gains of deviators are in "
        "discounted payoff, mean over the same agents, 50 of 1000 who deviate at once; their best responses "
        "are those to what was counted in play."
    ),
)
