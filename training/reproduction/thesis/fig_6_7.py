"""Figure 6.7: the paths of a lucky, an average and an unlucky agent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from karma_envs.games.grid_city import GridCityGame
from training.common.lane_figures import path_panels
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import row_of
from training.reproduction.thesis.city_training import learned_play

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_row = partial(row_of, ("agent", "slot", "path", "lanes", "wait", "agents_of_this_kind"))


def _run(scale: str, seed: int) -> list[Row]:
    play = learned_play(scale, seed)
    luck, network = play.luck, play.game.network
    rows = []
    for kind, agent in luck.examples.items():
        for slot, path in enumerate(play.game.paths_of_agent[agent].tolist()):
            rows.append(
                _row(
                    f"{kind}, path {slot + 1}",
                    agent=agent,
                    slot=slot,
                    path=path,
                    lanes=len(network.paths[path]),
                    wait=float(luck.waits[agent, slot]),
                    agents_of_this_kind=len(luck.groups[kind]),
                )
            )
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    network = GridCityGame().network
    first = min(row["seed"] for row in rows)
    shown: dict[str, list[tuple[int, ...]]] = {}
    for row in rows:
        if row["seed"] == first:
            shown.setdefault(row["case"].partition(",")[0], []).append(network.paths[row["path"]])
    return path_panels(network, shown)


EXPERIMENT = Experiment(
    name="fig-6-7",
    title="Figure 6.7: paths of a lucky, an average and an unlucky agent",
    source="Vaishampayan 2024, Figure 6.7",
    run=_run,
    figures={"paths": _figure},
    notes=(
        "A path's wait is the time that an agent of average bids loses on it, by Little's law. Lucky is the "
        "agent whose worse path is best, average the one whose paths differ most, unlucky the one whose "
        "better path is worst; `agents of this kind` have no path, some, or only paths on which more is lost "
        "than on the median trip. Agent, path and slot are numbers in the run; the figure shows the first "
        "seed's."
    ),
)
