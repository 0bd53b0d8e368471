"""Lucky and unlucky agents: how congested the paths are that agents were given (Thesis, section 6.2).

The Thesis calls an agent lucky if both its paths avoid the congested centre, unlucky if both go through
it, and average if one does. It does not say when a path goes through the centre. Here a path's
congestion is the time that an agent of average bids would lose on it, and it is congested if it loses
more than the median trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.network import RoadNetwork

LUCKY, AVERAGE, UNLUCKY = "lucky", "average", "unlucky"


@dataclass(frozen=True)
class Luck:
    """How congested everybody's paths are.

    Attributes:
        waits: ``float64[N, paths_per_agent]``, steps lost on each of an agent's paths per trip, by agents
            of average bids.
        is_congested: ``bool[N, paths_per_agent]``, whether that is more than on the median trip.
    """

    waits: NDArray[np.float64]
    is_congested: NDArray[np.bool_]

    @property
    def groups(self) -> dict[str, NDArray[np.int64]]:
        """Agents by luck: lucky (no path congested), average, unlucky (all are)."""
        congested = self.is_congested.sum(axis=1)
        unlucky = congested == self.is_congested.shape[1]
        masks = {LUCKY: congested == 0, AVERAGE: (congested > 0) & ~unlucky, UNLUCKY: unlucky}
        return {name: np.flatnonzero(mask) for name, mask in masks.items()}

    @property
    def names(self) -> NDArray[np.str_]:
        """Each agent's group, ``str[N]``."""
        names = np.empty(len(self.waits), "U8")
        for name, agents in self.groups.items():
            names[agents] = name
        return names

    @property
    def examples(self) -> dict[str, int]:
        """The most telling agent of each kind.

        Lucky: whose worse path is best; average: whose paths differ most; unlucky: whose better path is
        worst.
        """
        least, most = self.waits.min(axis=1), self.waits.max(axis=1)
        return {
            LUCKY: int(most.argmin()),
            AVERAGE: int((most - least).argmax()),
            UNLUCKY: int(least.argmax()),
        }


class LanesThatWait(Protocol):
    """What happened on the lanes: as counted in play, or as a model has it."""

    @property
    def mean_wait(self) -> NDArray[np.float64]:
        """Steps that an agent loses before it enters the lane, on average, ``float64[L]``."""


def luck(network: RoadNetwork, paths_of_agent: NDArray[np.int64], lanes: LanesThatWait) -> Luck:
    """Tell the luck of agents from what happened on the lanes.

    Args:
        network: the roads.
        paths_of_agent: ``int64[N, paths_per_agent]``, index into the network's paths.
        lanes: of a long stretch of play, or of a model.
    """
    waits = np.array([lanes.mean_wait[list(path)].sum() for path in network.paths])
    order = np.argsort(waits, kind="stable")
    median = waits[order[np.searchsorted(np.cumsum(network.weights[order]), 0.5)]]
    return Luck(waits[paths_of_agent], waits[paths_of_agent] > median)
