"""Figure 6.8: how a lucky, an average and an unlucky agent bid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from training.experiments.city import learned_play
from training.experiments.experiment import Experiment, points, row_of
from training.plots.figures import COLOURS, new_figure
from training.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_row = partial(row_of, ("visits", "mean_bid"))
_URGENCIES = {"urgency 1": 0, "urgency 5": 1}


def _run(scale: str, seed: int) -> list[Row]:
    play = learned_play(scale, seed)
    game, luck = play.game, play.luck
    karma = np.arange(game.n_observations) % (game.config.karma_max + 1)
    rows = []
    for kind, members in luck.groups.items():
        for name, level in _URGENCIES.items():
            urgent = game.urgency_of_observation == level
            visits = int(play.visits[members][:, urgent].sum())
            rows.append(_row(f"{kind}, {name}", visits=visits, mean_bid=play.mean_bid(members, urgent)))
            for held in range(game.config.karma_max + 1):
                bid = play.mean_bid(members, urgent & (karma == held))
                rows.append(_row(f"{kind}, {name}", held, held, bid))
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(9.0, 3.1, 3)
    curves = [row for row in rows if row["point"] >= 0]
    seeds = sorted({row["seed"] for row in rows})
    for panel, kind in zip(axes, ("lucky", "average", "unlucky")):
        for colour, name in zip(COLOURS, _URGENCIES):
            lines = [points(curves, f"{kind}, {name}", seed) for seed in seeds]
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
    figures={"strategies": _figure},
    notes=(
        "Mean bid by karma over all lanes of both paths, as they were visited, of all agents of a kind; the "
        "band is the range over seeds. The Thesis shows one agent of each kind and prints no numbers."
    ),
)
