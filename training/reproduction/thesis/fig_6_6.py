"""Figure 6.6: the mean bid for a lane against the lane's congestion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import linregress, spearmanr

from training.common.lane_figures import bid_against_congestion
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import row_of
from training.reproduction.thesis.city_training import LEARNERS, Play, learned_play
from training.reproduction.thesis.fig_6_5 import mean_by_lane

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_row = partial(
    row_of, ("rank_correlation", "slope", "bid_urgent", "bid_not_urgent", "congestion", "mean_bid")
)


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    for said, large_steps in LEARNERS.items():
        rows += _rows_of(learned_play(scale, seed, large_steps), said)
    return rows


def _rows_of(play: Play, said: str) -> list[Row]:
    congestion, bids = play.lanes.congestion, play.lanes.mean_bid
    everyone = np.arange(play.game.n_agents)
    urgency = play.game.urgency_of_observation
    summary = _row(
        f"all lanes{said}",
        rank_correlation=float(spearmanr(congestion, bids).statistic),
        slope=float(linregress(congestion, bids).slope),
        bid_urgent=play.mean_bid(everyone, urgency == 1),
        bid_not_urgent=play.mean_bid(everyone, urgency == 0),
        congestion=float(congestion.mean()),
        mean_bid=float(bids.mean()),
    )
    return [
        summary,
        *(
            _row(f"lane{said}", lane, congestion=x, mean_bid=y)
            for lane, (x, y) in enumerate(zip(congestion.tolist(), bids.tolist()))
        ),
    ]


def _figure(said: str, rows: Sequence[Row]) -> Figure:
    lanes = [row for row in rows if row["case"] == f"lane{said}"]
    return bid_against_congestion(mean_by_lane(lanes, "congestion"), mean_by_lane(lanes, "mean_bid"))


EXPERIMENT = Experiment(
    name="fig-6-6",
    title="Figure 6.6: bids against congestion",
    source="Vaishampayan 2024, Figure 6.6",
    run=_run,
    figures={
        "bids_and_congestion": partial(_figure, ""),
        "bids_and_congestion_with_large_steps": partial(_figure, ", alpha = .1"),
    },
    notes=(
        "The figure prints no numbers; it shows an increasing relationship. Congestion is the mean number "
        "of agents that want a lane, slope that of a straight line in karma per agent. `bid urgent` and "
        "`bid not urgent` are the mean bids with urgency 5 and 1 over the whole city. `alpha = .1` is a "
        "training with larger steps, whose agents have settled further."
    ),
)
