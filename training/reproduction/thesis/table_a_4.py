"""Table A.4: bids and rewards of lucky, average and unlucky agents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import mean_over_seeds, row_of
from training.reproduction.thesis.city_training import LEARNERS, Play, learned_play

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BIDS = ("calm_bid_path_1", "urgent_bid_path_1", "calm_bid_path_2", "urgent_bid_path_2")
_row = partial(row_of, ("agents", "wait_path_1", "wait_path_2", *_BIDS, "reward", "karma"))


def _bids(play: Play, agents: NDArray[np.int64]) -> list[float]:
    """Mean bids with urgency 1 and 5 on the better path, then on the worse."""
    game = play.game
    better = play.luck.waits[agents].argmin(axis=1)
    found = []
    for wanted in (better, 1 - better):
        for level in (0, 1):
            visits = bids = 0
            for slot in (0, 1):
                chosen = (game.slot_of_observation == slot) & (game.urgency_of_observation == level)
                those = agents[wanted == slot]
                visits += int(play.visits[those][:, chosen].sum())
                bids += int(play.bids[those][:, chosen].sum())
            found.append(bids / visits)
    return found


def _summary(play: Play, case: str, agents: NDArray[np.int64]) -> Row:
    better, worse = np.sort(play.luck.waits[agents], axis=1).mean(axis=0)
    outcome = play.outcome
    return _row(
        case,
        agents=len(agents),
        wait_path_1=float(better),
        wait_path_2=float(worse),
        reward=float(outcome.rewards[agents].mean() / outcome.steps),
        karma=float(outcome.karma[agents].mean()),
    ) | dict(zip(_BIDS, _bids(play, agents)))


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for said, large_steps in LEARNERS.items():
        play = learned_play(scale, seed, large_steps)
        luck = play.luck
        rows += [_summary(play, f"all {kind} agents{said}", members) for kind, members in luck.groups.items()]
        for kind, agent in luck.examples.items():
            rows.append(_summary(play, f"the {kind} agent{said}", np.array([agent])))
    return rows


def _figure(said: str, rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(7.4, 3.2, 2)
    kinds = ("lucky", "average", "unlucky")
    for number, (quantity, label) in enumerate(
        zip(_BIDS, ("calm, better path", "urgent, better path", "calm, worse path", "urgent, worse path"))
    ):
        means, errors = zip(*(mean_over_seeds(rows, f"all {kind} agents{said}", quantity) for kind in kinds))
        axes[0].bar(
            np.arange(3) + 0.2 * number - 0.3, means, 0.2, yerr=np.nan_to_num(errors),
            color=COLOURS[number], label=label,
        )  # fmt: skip
    means, errors = zip(*(mean_over_seeds(rows, f"all {kind} agents{said}", "reward") for kind in kinds))
    axes[1].bar(np.arange(3), means, 0.6, yerr=np.nan_to_num(errors), color=COLOURS[5])
    for panel, label in zip(axes, ("mean bid", "mean reward per step")):
        panel.set_xticks(range(3), kinds)
        panel.set_ylabel(label)
    axes[0].legend(fontsize=7)
    return figure


EXPERIMENT = Experiment(
    name="table-a-4",
    title="Table A.4: behaviour of lucky, average and unlucky agents",
    source="Vaishampayan 2024, Table A.4",
    run=_run,
    figures={
        "bids_and_rewards": partial(_figure, ""),
        "bids_and_rewards_with_large_steps": partial(_figure, ", alpha = .1"),
    },
    notes=(
        "Path 1 is an agent's less congested path, path 2 the more congested; calm is urgency 1, urgent "
        "urgency 5; waits are steps lost per trip by agents of average bids. The rows `all …` are means "
        "over everybody of a kind, `the … agent` the one of Figure 6.7. Means are over visits, so that who "
        "waits long counts for much. `alpha = .1` is a training with larger steps, whose agents have "
        "settled further. The Thesis prints for one agent of each kind (calm and urgent on path 1, calm and "
        "urgent on path 2, reward): lucky 4.03, 4.12, 3.92, 4.18, -.0134; average 2.14, 2.34, 3.90, 4.43, "
        "-2.22; unlucky 8.94, 13.40, 8.54, 10.58, -1.02. Its last row seems to have the rewards of the "
        "average and the unlucky agent swapped. Which agents these are is not known, so there is no "
        "tolerance to hold ours against."
    ),
)
