"""What happened on the lanes of a city, for maps of congestion and bids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.network import RoadNetwork


@dataclass(frozen=True)
class LaneOutcome:
    """Totals of a stretch of play by lane, in the order of the network's lanes.

    Attributes:
        steps: T, the number of steps.
        attempts: ``int64[L]``, how many agents bid for the lane, summed over steps.
        entries: ``int64[L]``, how many of them entered.
        bids: ``int64[L]``, sum of the bids of all who bid, winners or not.
    """

    steps: int
    attempts: NDArray[np.int64]
    entries: NDArray[np.int64]
    bids: NDArray[np.int64]

    def since(self, earlier: LaneOutcome) -> LaneOutcome:
        """The stretch from ``earlier`` (of the same game) to this one."""
        return LaneOutcome(
            self.steps - earlier.steps,
            self.attempts - earlier.attempts,
            self.entries - earlier.entries,
            self.bids - earlier.bids,
        )

    @property
    def congestion(self) -> NDArray[np.float64]:
        """Agents that want the lane, mean over steps, ``float64[L]`` (Thesis, Figure 6.5 a)."""
        return self.attempts / max(self.steps, 1)

    @property
    def mean_wait(self) -> NDArray[np.float64]:
        """Steps that an agent loses before it enters the lane, on average, ``float64[L]``.

        By Little's law: attempts over entries, less the one step that everyone spends.
        """
        return np.maximum(self.attempts / np.maximum(self.entries, 1) - 1, 0)

    @property
    def mean_bid(self) -> NDArray[np.float64]:
        """Mean bid for the lane, ``float64[L]``; NaN where nobody bid (Thesis, Figure 6.5 b)."""
        return np.where(self.attempts > 0, self.bids / np.maximum(self.attempts, 1), np.nan)


def lane_table(network: RoadNetwork, lanes: LaneOutcome) -> dict[str, NDArray[Any]]:
    """What happened on each lane, as columns of a table, per step where it is counted."""
    return {
        "lane": np.arange(len(network.lanes)),
        "from": np.array([str(start) for start, _ in network.lanes]),
        "to": np.array([str(end) for _, end in network.lanes]),
        "capacity": network.capacity,
        "congestion": lanes.congestion,
        "entries": lanes.entries / max(lanes.steps, 1),
        "mean_wait": lanes.mean_wait,
        "mean_bid": lanes.mean_bid,
    }
