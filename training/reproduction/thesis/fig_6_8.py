"""Figure 6.8: how a lucky, an average and an unlucky agent bid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import points, row_of
from training.reproduction.thesis.city_training import LEARNERS, Play, learned_play

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_row = partial(row_of, ("visits", "mean_bid", "urgent_less_calm"))
_URGENCIES = {"urgency 1": 0, "urgency 5": 1}
_KINDS = ("lucky", "average", "unlucky")


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    for said, large_steps in LEARNERS.items():
        play = learned_play(scale, seed, large_steps)
        for kind, members in play.luck.groups.items():
            rows += _rows_of(play, f"{kind}{said}", members)
    return rows


def _rows_of(play: Play, case: str, members: NDArray[np.int64]) -> list[Row]:
    """Some agents: a row, one for each urgency, and their mean bids by karma as points."""
    game = play.game
    karma = game.observation_values()["karma"][0]
    rows, bids, visits = [], {}, {}
    for name, level in _URGENCIES.items():
        urgent = game.urgency_of_observation == level
        alike = [urgent & (karma == held) for held in range(game.config.karma_max + 1)]
        visits[name] = np.array([play.visits[members][:, chosen].sum() for chosen in alike])
        bids[name] = np.array([play.mean_bid(members, chosen) for chosen in alike])
        rows.append(
            _row(f"{case}, {name}", visits=int(visits[name].sum()), mean_bid=play.mean_bid(members, urgent))
        )
        rows += [
            _row(f"{case}, {name}, by karma", held, held, bid) for held, bid in enumerate(bids[name].tolist())
        ]
    calm, urgent_too = visits.values()
    both = (calm > 0) & (urgent_too > 0)
    difference = (bids["urgency 5"] - bids["urgency 1"])[both]
    weights = (calm + urgent_too)[both]
    rows.append(
        _row(f"{case}, at equal karma", urgent_less_calm=float(np.average(difference, weights=weights)))
    )
    return rows


def _figure(said: str, rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(9.0, 3.1, 3)
    seeds = sorted({row["seed"] for row in rows})
    for panel, kind in zip(axes, _KINDS):
        for colour, name in zip(COLOURS, _URGENCIES):
            lines = [points(rows, f"{kind}{said}, {name}, by karma", seed) for seed in seeds]
            karma = lines[0][0]
            bids = np.ma.masked_invalid([line[1] for line in lines])  # some karma nobody ever has
            panel.plot(karma, bids.mean(axis=0), color=colour, label=name)
            if len(seeds) > 1:
                panel.fill_between(
                    karma, bids.min(axis=0), bids.max(axis=0), color=colour, alpha=0.2, linewidth=0
                )
        panel.plot(karma, karma, color="0.6", linewidth=0.8, linestyle=":", label="all karma")
        panel.set(xlabel="karma", title=kind, ylim=(0, karma[-1]), xlim=(0, karma[-1]))
    axes[0].set_ylabel("mean bid")
    axes[0].legend()
    return figure


EXPERIMENT = Experiment(
    name="fig-6-8",
    title="Figure 6.8: bidding strategies of lucky, average and unlucky agents",
    source="Vaishampayan 2024, Figure 6.8",
    run=_run,
    figures={
        "strategies": partial(_figure, ""),
        "strategies_with_large_steps": partial(_figure, ", alpha = .1"),
    },
    notes=(
        "Mean bid by karma over all lanes of both paths, as they were visited, of all agents of a kind; the "
        "band is the range over seeds. `urgent less calm` is the difference of the bids with urgency 5 and "
        "1 at equal karma, weighted by visits: the means themselves also differ because the urgent have "
        "spent more. `alpha = .1` is a training with larger steps, whose agents have settled further. The "
        "Thesis shows one agent of each kind and prints no numbers."
    ),
)
