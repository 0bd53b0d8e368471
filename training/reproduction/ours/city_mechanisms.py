"""Route choice, redistribution by lane and congestion taxes in the city: the Thesis' future work, tried.

Section 6.2 proposes path planning, redistribution by lane, and taxes or subsidies that depend on congestion,
as cures for what Table 6.3 shows, and tries none of them. All cases are trained alike, with a step size of
0.1 and 3 million steps at full scale: with the printed 0.01 agents are still learning after 10 million, and
what would be compared is how far they are. So `fixed paths` is not Table 6.3's `Karma`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from karma_envs.baselines import baseline_policy
from karma_envs.games.grid_city import GridCityGame
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import row_of
from training.reproduction.outcome_figure import MEASURES, outcome_figure
from training.reproduction.thesis.city_training import (
    LARGE_STEPS,
    Play,
    compared_run,
    exploring_policy,
    play_city,
)
from training.runs.folder import Run

_LEARNED: Mapping[str, Mapping[str, Any]] = {
    "fixed paths": {},
    "route choice": {"route_choice": "node"},
    "only the active share": {"redistribution": "uniform_to_active"},
    "redistribution by lane": {"redistribution": "by_lane"},
    "congestion tax": {"redistribution": "congestion_tax"},
    "congestion tax, route choice": {"redistribution": "congestion_tax", "route_choice": "node"},
}
_ROUTES_ONLY = {"quick": 100_000, "full": 300_000}  # steps: without bids there is less to learn
_WITHOUT_KARMA = {"DICT": "dict", "COIN": "coin"}

_row = partial(
    row_of,
    (
        *MEASURES,
        "reward_lucky",
        "reward_average",
        "reward_unlucky",
        "mean_congestion",
        "greatest_congestion",
    ),
)


def _measured(case: str, play: Play) -> Row:
    rewards = play.outcome.rewards / play.outcome.steps
    groups = {f"reward_{kind}": float(rewards[members].mean()) for kind, members in play.luck.groups.items()}
    congestion = {
        "mean_congestion": float(play.lanes.congestion.mean()),
        "greatest_congestion": float(play.lanes.congestion.max()),
    }
    return _row(case) | play.social_outcome() | groups | congestion


def _run(scale: str, seed: int) -> list[Row]:
    rows = [
        _learned(case, compared_run(scale, seed, learning_rate=LARGE_STEPS, **fields), seed)
        for case, fields in _LEARNED.items()
    ]
    for case, allocation in _WITHOUT_KARMA.items():
        fixed = GridCityGame(path_seed=seed, allocation=allocation)
        rows.append(
            _measured(f"{case}, fixed paths", play_city(fixed, baseline_policy("bid_nothing", fixed), seed))
        )
        routes: dict[str, Any] = {"allocation": allocation, "route_choice": "node"}
        run = compared_run(scale, seed, _ROUTES_ONLY, learning_rate=LARGE_STEPS, **routes)
        rows.append(_learned(f"{case}, route choice", run, seed))
    return rows


def _learned(case: str, run: Run, seed: int) -> Row:
    game = GridCityGame(run.config.game_config)
    return _measured(case, play_city(game, exploring_policy(run, game), seed))


EXPERIMENT = Experiment(
    name="city-mechanisms",
    title="Route choice, redistribution by lane and congestion taxes in the city",
    source="ours, after the future work of Vaishampayan 2024, section 6.2",
    run=_run,
    figures={"fairness_and_efficiency": outcome_figure},
    notes=(
        "Means over all agents and 10,000 steps after 1000, the dormant included; agents explore as in "
        "training. With route choice agents decide at every node which of the shortest paths of their trip "
        "to go on with, and learn that together with their bids; without karma that is all they learn, in a "
        "tenth of the steps. Lucky, average and unlucky are told by the paths that were drawn and the "
        "congestion of each case."
    ),
)
