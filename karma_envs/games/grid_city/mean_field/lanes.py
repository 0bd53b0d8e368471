"""What agents meet at the lanes: classes of bids, the chances to win, and what there is to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.mean_field.throughput import Throughput
from karma_envs.karma.urgency import AgentType
from karma_envs.mechanisms import Rule
from karma_envs.numerics.compile import kernel

LEAST_CHANCE = 1e-12
"""A chance to win is at least this, so that nobody waits for ever."""

_ACCESSES = (0, 1, 7, 1000)


@dataclass(frozen=True)
class BidClasses:
    """The bids that a lane tells apart: all that have another priority, or are another number.

    Attributes:
        bids: ``int64[C]``, what is bid.
        ranks: ``int64[C]``, rising; bids of one rank have one priority.
        of_bid: ``int32[types, U, karma_max + 1]``, the class of an agent's bid, by its type and urgency.
    """

    bids: NDArray[np.int64]
    ranks: NDArray[np.int64]
    of_bid: NDArray[np.int32]

    @classmethod
    def of(cls, allocation: Rule, types: Sequence[AgentType], karma_max: int) -> BidClasses:
        """The classes that an allocation makes; it must not :func:`looks_at_accesses`."""
        parameters = allocation.parameter_array()
        most = karma_max if allocation.uses_bids else 0
        priorities = {
            (index, place, bid): allocation.function(bid, np.float32(urgency), np.int64(0), parameters)
            for index, agent_type in enumerate(types)
            for place, urgency in enumerate(agent_type.urgencies)
            for bid in range(most + 1)
        }
        classes = sorted({(priority, bid) for (_, _, bid), priority in priorities.items()})
        number = {each: index for index, each in enumerate(classes)}
        ranks = np.cumsum([0, *(now[0] != before[0] for before, now in pairwise(classes))])
        n_urgencies = max(len(agent_type.urgencies) for agent_type in types)
        of_bid = np.zeros((len(types), n_urgencies, karma_max + 1), np.int32)
        for (index, place, bid), priority in priorities.items():
            of_bid[index, place, bid] = number[priority, bid]
        return cls(np.array([bid for _, bid in classes]), ranks.astype(np.int64), of_bid)


def looks_at_accesses(allocation: Rule, types: Sequence[AgentType], karma_max: int) -> bool:
    """Whether priority depends on how often an agent has got into a lane before, as with turn_taking."""
    parameters = allocation.parameter_array()
    return any(
        allocation.function(bid, np.float32(urgency), np.int64(accesses), parameters)
        != allocation.function(bid, np.float32(urgency), np.int64(0), parameters)
        for agent_type in types
        for urgency in agent_type.urgencies
        for bid in range(karma_max + 1)
        for accesses in _ACCESSES
    )


@kernel
def _tabulate_win(arrivals, ranks, capacity, curves, curve_of_lane, chance, win):
    n_lanes, n_classes = arrivals.shape
    for lane in range(n_lanes):
        above, last, everyone = 0.0, n_classes - 1, 0.0
        for each in range(n_classes):
            everyone += arrivals[lane, each]
        curve = curves[curve_of_lane[lane]]
        while last >= 0:
            first, own = last, arrivals[lane, last]
            while first > 0 and ranks[first - 1] == ranks[last]:
                first -= 1
                own += arrivals[lane, first]
            gets_in = chance(above, own, everyone, capacity[lane], curve)
            for each in range(first, last + 1):
                win[lane, each] = min(max(gets_in, LEAST_CHANCE), 1.0)
            above += own
            last = first - 1


class LaneContests:
    """What the lanes of a city make of those who bid for them.

    Args:
        ranks: ``int64[C]``, of the classes of bids, rising.
        capacity: ``int64[L]``.
        throughput: how many get in.
        n_agents: N; a lane that takes as many takes everybody.
    """

    def __init__(
        self, ranks: NDArray[np.int64], capacity: NDArray[np.int64], throughput: Throughput, n_agents: int
    ) -> None:
        self._ranks, self._capacity = ranks, np.minimum(capacity, n_agents)
        distinct, self._curve_of_lane = np.unique(self._capacity, return_inverse=True)
        self._curves = np.stack([throughput.curve(int(each)) for each in distinct])
        self._chance = throughput.chance

    def win_chances(self, arrivals: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chance of a bid to get into a lane, ``float64[L, C]``; at least :data:`LEAST_CHANCE`.

        Args:
            arrivals: ``float64[L, C]``, agents per step that bid for a lane, by class.
        """
        win = np.empty_like(arrivals)
        _tabulate_win(
            arrivals, self._ranks, self._capacity, self._curves, self._curve_of_lane, self._chance, win
        )
        return win


@dataclass(frozen=True)
class LaneField:
    """What happens at the lanes of a city whose population makes a statistic, per step, of L lanes.

    Attributes:
        arrivals: ``float64[L, C]``, agents that bid for the lane, by class of bids.
        win: ``float64[L, C]``, the chance to get in.
        bids: ``int64[C]``, what those of a class bid.
        level: of redistribution: karma that is offered to everyone who shares.
        lane_levels: ``float64[L]``, the same for what is paid for a lane, where that is shared there.
    """

    arrivals: NDArray[np.float64]
    win: NDArray[np.float64]
    bids: NDArray[np.int64]
    level: float
    lane_levels: NDArray[np.float64]

    @property
    def congestion(self) -> NDArray[np.float64]:
        """Agents that want the lane, ``float64[L]``."""
        return self.arrivals.sum(axis=1)

    @property
    def entries(self) -> NDArray[np.float64]:
        """Agents that get in, ``float64[L]``."""
        return (self.arrivals * self.win).sum(axis=1)

    @property
    def mean_wait(self) -> NDArray[np.float64]:
        """Steps that an agent loses before it enters the lane, on average, ``float64[L]`` (Little's law)."""
        entries = self.entries
        wanted = entries > 0
        return np.where(wanted, self.congestion / np.where(wanted, entries, 1.0) - 1, 0.0)

    @property
    def mean_bid(self) -> NDArray[np.float64]:
        """Mean bid for the lane, ``float64[L]``; NaN where nobody bids."""
        congestion = self.congestion
        wanted = congestion > 0
        return np.where(wanted, self.arrivals @ self.bids / np.where(wanted, congestion, 1.0), np.nan)

    @property
    def bid_distribution(self) -> NDArray[np.float64]:
        """Shares of the classes of bids at the lane, ``float64[L, C]``; NaN where nobody bids."""
        congestion = self.congestion[:, None]
        return np.where(congestion > 0, self.arrivals / np.where(congestion > 0, congestion, 1.0), np.nan)


def lane_names(lanes: Sequence[tuple[Any, Any]]) -> NDArray[np.str_]:
    """Names of lanes, from → to."""
    return np.array([f"{start} → {end}" for start, end in lanes])
