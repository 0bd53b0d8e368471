"""Table 6.3: social outcomes in the congested city, with karma and without."""

from __future__ import annotations

from functools import partial

from karma_envs.baselines import baseline_policy
from karma_envs.games.grid_city import GridCityGame
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.outcome_figure import MEASURES, outcome_figure
from training.reproduction.thesis.city_training import Play, city_run, learned_play, play_city

_row = partial(row_of, MEASURES)
_DRAW = "by hand before the run, from the spread over draws of the paths"
_LEARNED = "printed to two digits; training settings are not all printed"


def _measured(case: str, play: Play) -> Row:
    return _row(case) | play.social_outcome()


def _run(scale: str, seed: int) -> list[Row]:
    run = city_run(scale, seed)
    config = run.config.game_config
    game = GridCityGame(config)
    rows = [
        _measured("Karma", learned_play(scale, seed)),
        _measured("Karma, no exploration", play_city(game, run.policy, seed)),
        _measured("Karma, alpha = .1", learned_play(scale, seed, large_steps=True)),
    ]
    for case, allocation in (("DICT", "dict"), ("COIN", "coin"), ("TURN", "turn")):
        reference = GridCityGame(config, allocation=allocation)
        rows.append(_measured(case, play_city(reference, baseline_policy("bid_nothing", reference), seed)))
    for baseline in ("proportional", "random"):
        rows.append(
            _measured(f"Karma, {baseline} bids", play_city(game, baseline_policy(baseline, game), seed))
        )
    return rows


EXPERIMENT = Experiment(
    name="table-6-3",
    title="Table 6.3: social outcomes in the congested city",
    source="Vaishampayan 2024, Table 6.3",
    run=_run,
    figures={"fairness_and_efficiency": outcome_figure},
    published=(
        Published("DICT", "efficiency", -0.42, 0.02, _DRAW),
        Published("DICT", "access_fairness", -0.21, 0.03, _DRAW),
        Published("DICT", "reward_fairness", -0.21, 0.03, _DRAW),
        Published("COIN", "efficiency", -1.23, 0.04, _DRAW),
        Published("COIN", "access_fairness", -0.10, 0.02, _DRAW),
        Published("COIN", "reward_fairness", -0.33, 0.05, _DRAW),
        Published("Karma", "efficiency", -0.82, 0.05, _LEARNED),
        Published("Karma", "access_fairness", -0.15, 0.02, _LEARNED),
        Published("Karma", "reward_fairness", -0.43, 0.05, _LEARNED),
    ),
    notes=(
        "Means over all agents and 10,000 steps after 1000, the dormant included. `Karma` is what the "
        "agents learned, exploring with 0.05 as in training, with the printed settings and, where it says "
        "so, with alpha = .1 after 3 million steps instead of .01 after 10 million; `proportional bids` are "
        "truthful ones (all one's karma with urgency 5, a fifth of it with urgency 1), which nobody has "
        "learned. With the printed settings agents are still learning at the end, see city-learning; draws "
        "of the paths differ, and the Thesis shows one."
    ),
)
