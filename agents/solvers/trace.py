"""What a method that learns from play saw on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 8  # parameters that have columns of their own


@dataclass(frozen=True)
class Trace:
    """The iterations k = 0, 1, … of a method that learns from play, a row for each; all are estimates.

    Attributes:
        parameters: theta_k, ``float64[K, p]``, of the policy with which the iteration began.
        payoff: J of that policy, ``float64[K]``, as it was played: discounted, mean over the agents.
        statistic: z of the population, ``float64[K, k]``; of a game that ends the flow, flattened.
        gradient: the estimate of dJ/dtheta, ``float64[K, p]``.
        samples: agent-steps played from the start to the end of the iteration, ``int64[K]``.
    """

    parameters: NDArray[np.float64]
    payoff: NDArray[np.float64]
    statistic: NDArray[np.float64]
    gradient: NDArray[np.float64]
    samples: NDArray[np.int64]

    def table(self, statistic_names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """The iterations in columns, each ``[K]``, for files and figures.

        Args:
            statistic_names: of the numbers of z that get a column.

        Returns:
            ``samples``, ``payoff``, the named numbers of z, and ``parameter_0`` … if they are at most 8.
        """
        few = self.parameters.T if self.parameters.shape[1] <= _FEW else ()
        return {
            "samples": self.samples,
            "payoff": self.payoff,
            **dict(zip(statistic_names, self.statistic.T)),
            **{f"parameter_{number}": column for number, column in enumerate(few)},
        }
