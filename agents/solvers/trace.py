"""What a method that learns from play saw on its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
