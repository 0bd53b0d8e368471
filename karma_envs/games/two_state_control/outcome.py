"""What a stretch of the two-state control game came to: how many were in state 1, and who tried to switch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.outcome import EFFICIENCY, REWARD_FAIRNESS, Metric, Outcome, total


@dataclass(frozen=True)
class ControlOutcome(Outcome):
    """Totals of a stretch of play.

    Attributes:
        occupied: ``int64[N]``, steps that each agent began in state 1.
        attempts: ``int64[N]``, steps in which it tried to change its state.
    """

    occupied: NDArray[np.int64] = total()
    attempts: NDArray[np.int64] = total()

    @property
    def mean_share(self) -> float:
        """Of state 1, over steps; NaN if there was none."""
        return _mean_per_step(self.occupied, self.steps)

    @property
    def attempt_rate(self) -> float:
        """The share of agents that try to switch in a step, over steps; NaN if there was none."""
        return _mean_per_step(self.attempts, self.steps)

    def complaint(self) -> str | None:
        """What cannot be in these totals, for the checks of games; None where nothing is wrong."""
        for name in ("occupied", "attempts"):
            if (getattr(self, name) > self.steps).any():
                return f"{name} more often than there were steps"
        return super().complaint()


def _mean_per_step(counts: NDArray[np.int64], steps: int) -> float:
    return float(counts.mean()) / steps if steps else float("nan")


SHARE = Metric(
    "share",
    "share in state 1",
    lambda outcome: outcome.mean_share,
    "share of the agents that are in state 1, where each takes from what the others get",
    more_is_better=False,
)

ATTEMPTS = Metric(
    "attempts",
    "attempts",
    lambda outcome: outcome.attempt_rate,
    "share of the agents that try to switch in a step, which costs them",
    more_is_better=False,
)

CONTROL_METRICS = (EFFICIENCY, SHARE, ATTEMPTS, REWARD_FAIRNESS)
"""What is measured of the game, in the order of reports."""
