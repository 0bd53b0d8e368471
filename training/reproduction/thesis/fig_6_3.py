"""Figure 6.3: how full lanes would be if they had room for all, and the capacity that follows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from karma_envs.baselines import baseline_policy
from karma_envs.games.grid_city import GridCityGame, RoadNetwork
from karma_envs.games.grid_city.capacities import CAPACITY_SHARE
from training.common.lane_figures import lane_histogram, lane_maps
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import row_of
from training.reproduction.thesis.city_training import play_city

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_row = partial(row_of, ("lanes", "least", "greatest", "mean", "simulated_mean", "share_above_capacity"))
_N_AGENTS = {"quick": 1000, "full": 10_000}


def _kinds(network: RoadNetwork) -> dict[str, list[int]]:
    """Lanes by where they lie."""
    graph = network.graph
    corners = {
        node
        for node in graph
        if sum(graph.nodes[neighbour]["boundary"] for neighbour in graph.successors(node)) == 2
    }
    kinds: dict[str, list[int]] = {"entries and exits at sides": [], "entries and exits at corners": []}
    kinds["inner lanes"] = []
    for index, lane in enumerate(network.lanes):
        if not any(graph.nodes[node]["boundary"] for node in lane):
            kinds["inner lanes"].append(index)
        elif corners.intersection(lane):
            kinds["entries and exits at corners"].append(index)
        else:
            kinds["entries and exits at sides"].append(index)
    return kinds


def _run(scale: str, seed: int) -> list[Row]:
    n_agents = _N_AGENTS[scale]
    game = GridCityGame(n_agents=n_agents, capacity=n_agents, path_seed=seed)
    lanes = play_city(game, baseline_policy("bid_nothing", game), seed).lanes
    expected, simulated = game.network.occupancy(), lanes.attempts / lanes.attempts.sum()
    line = CAPACITY_SHARE / len(expected)
    rows = [
        _row(
            kind,
            lanes=len(members),
            least=float(expected[members].min()),
            greatest=float(expected[members].max()),
            mean=float(expected[members].mean()),
            simulated_mean=float(simulated[members].mean()),
            share_above_capacity=float((expected[members] > line).mean()),
        )
        for kind, members in _kinds(game.network).items()
    ]
    for lane, (x, y) in enumerate(zip(expected.tolist(), simulated.tolist())):
        rows.append(_row("expected and simulated", lane, x, y))
    return rows


def _values(rows: Sequence[Row], column: str) -> np.ndarray:
    chosen = [row for row in rows if row["point"] >= 0]
    n_lanes = 1 + max(row["point"] for row in chosen)
    lanes = np.array([row["point"] for row in chosen])
    return np.bincount(lanes, [row[column] for row in chosen]) / np.bincount(lanes, minlength=n_lanes)


def _maps(rows: Sequence[Row]) -> Figure:
    return lane_maps(
        GridCityGame().network,
        {
            "all paths equally likely": (_values(rows, "x"), "share of travelling agents"),
            "drawn paths, simulated": (_values(rows, "y"), "share of travelling agents"),
        },
    )


def _capacity(rows: Sequence[Row]) -> Figure:
    expected = _values(rows, "x")
    return lane_histogram(expected, CAPACITY_SHARE / len(expected))


EXPERIMENT = Experiment(
    name="fig-6-3",
    title="Figure 6.3: traffic with unlimited capacity, and the choice of the capacity",
    source="Vaishampayan 2024, Figure 6.3",
    run=_run,
    figures={"traffic": _maps, "capacity": _capacity},
    notes=(
        "The figure prints no numbers. Shares are of the agents under way; the capacity is 0.75/80 = .0094 "
        "on that scale. Entries and exits are the least loaded lanes, and the map has the symmetries of the "
        "square. The Thesis says that the capacity leaves entries and exits free: that is so for the 16 at "
        "the sides, not for the 16 at the corners, which more of the paths take."
    ),
)
