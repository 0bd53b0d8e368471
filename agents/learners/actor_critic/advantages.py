"""Advantages and critic's targets of what was played, TD(lambda)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def advantages(
    rewards: NDArray[np.float32],
    values: NDArray[np.float32],
    next_values: NDArray[np.float32],
    goes_on: NDArray[np.bool_],
    discount: float,
    trace_decay: float,
) -> NDArray[np.float32]:
    """Generalised advantages: sums of TD errors, those of later steps weighted by (discount lambda)^steps.

    ``A_t = delta_t + discount lambda A_t+1`` with ``delta_t = r_t + discount V(x_t+1) - V(x_t)``; where the
    game is over after step t, ``V(x_t+1)`` and ``A_t+1`` count as 0. ``A + V`` is the target of TD(lambda).

    Source: J. Schulman et al., High-dimensional continuous control using generalized advantage estimation,
    ICLR 2016, equation 16; with lambda 0 the TD error.

    Args:
        rewards: ``[T, N]``.
        values: ``[T, N]``, V of what was observed before each step.
        next_values: ``[T, N]``, V of what was observed after it.
        goes_on: ``bool[T]``, whether the game was not over after the step.
        discount: gamma.
        trace_decay: lambda, in [0, 1].

    Returns:
        ``float32[T, N]``.
    """
    on = goes_on.astype(np.float32)
    result = rewards + np.float32(discount) * next_values * on[:, None] - values
    decay = np.float32(discount * trace_decay) * on
    for step in range(len(result) - 2, -1, -1):
        result[step] += decay[step] * result[step + 1]
    return result
