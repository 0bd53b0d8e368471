"""Figure 6.5: maps of congestion and of bids in the congested city."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city import GridCityGame
from training.common.lane_figures import lane_maps
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import row_of
from training.reproduction.thesis.city_training import learned_play

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LANES = ("congestion", "mean_bid", "bids_per_step")
_row = partial(row_of, ("lanes", "waiting_share", *_LANES))


def lane_rows(scale: str, seed: int) -> list[Row]:
    """A row for inner lanes and one for entries and exits, and a point for each lane."""
    play = learned_play(scale, seed)
    graph, lanes = play.game.network.graph, play.lanes
    outside = np.array(
        [any(graph.nodes[node]["boundary"] for node in lane) for lane in play.game.network.lanes]
    )
    rows = [
        _row(
            name,
            lanes=int(chosen.sum()),
            waiting_share=float(1 - lanes.entries[chosen].sum() / lanes.attempts[chosen].sum()),
            congestion=float(lanes.congestion[chosen].mean()),
            mean_bid=float(lanes.bids[chosen].sum() / lanes.attempts[chosen].sum()),
            bids_per_step=float(lanes.attempts[chosen].sum() / lanes.steps),
        )
        for name, chosen in (("inner lanes", ~outside), ("entries and exits", outside))
    ]
    for lane, values in enumerate(zip(lanes.congestion.tolist(), lanes.mean_bid.tolist())):
        rows.append(
            _row(
                "lane",
                lane,
                congestion=values[0],
                mean_bid=values[1],
                bids_per_step=float(lanes.attempts[lane] / lanes.steps),
            )
        )
    return rows


def mean_by_lane(rows: Sequence[Row], quantity: str) -> NDArray[np.float64]:
    """A quantity of the lanes, mean over seeds, ``float64[lanes]``; NaN where nobody bid."""
    chosen = [row for row in rows if row["point"] >= 0]
    table = np.full((len({row["seed"] for row in chosen}), 1 + max(row["point"] for row in chosen)), np.nan)
    seeds = sorted({row["seed"] for row in chosen})
    for row in chosen:
        table[seeds.index(row["seed"]), row["point"]] = row[quantity]
    return np.asarray(np.ma.masked_invalid(table).mean(axis=0).filled(np.nan), np.float64)


def _figure(rows: Sequence[Row]) -> Figure:
    return lane_maps(
        GridCityGame().network,
        {
            "congestion": (mean_by_lane(rows, "congestion"), "agents that want the lane"),
            "bids": (mean_by_lane(rows, "mean_bid"), "mean bid"),
        },
    )


EXPERIMENT = Experiment(
    name="fig-6-5",
    title="Figure 6.5: maps of congestion and bids",
    source="Vaishampayan 2024, Figure 6.5 (a, b)",
    run=lane_rows,
    figures={"maps": _figure},
    notes=(
        "The figure prints no numbers. Agents play what they learned, exploring as in training; 10,000 steps "
        "after 1000. Each lane takes 9 agents per step, so that those above wait. Seeds draw other paths."
    ),
)
