"""Taxes and the sharing of a surplus in a large population, where what is shared has one level.

Of many agents, each that shares in the surplus is offered floor(l) units of karma, or one more with
probability l - floor(l), and takes what it can hold; the level l is such that what they take adds up to the
surplus. It is the limit of :func:`karma_envs.karma.surplus.redistribute`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.karma.config import KarmaConfig


def level_of(receivers: NDArray[np.float64], surplus: float) -> float:
    """The level at which what agents take adds up to the surplus; karma_max if they cannot take it.

    Args:
        receivers: ``float64[karma_max + 1]``, agents that share in the surplus, by karma.
        surplus: karma, in the units of ``receivers``.
    """
    karma_max = len(receivers) - 1
    offers = np.arange(karma_max + 1)
    taken = np.minimum(offers[:, None], karma_max - offers) @ receivers
    if taken[-1] <= 0.0:
        return 0.0
    if surplus >= taken[-1]:
        return float(karma_max)
    whole = min(int(np.searchsorted(taken, max(surplus, 0.0), side="right")) - 1, karma_max - 1)
    return float(whole + (max(surplus, 0.0) - taken[whole]) / (taken[whole + 1] - taken[whole]))


def sharing_matrix(level: float, receives: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Chances of karma to become another where the surplus is shared at a level, ``float64[K + 1, K + 1]``.

    Args:
        level: l, in 0 … karma_max.
        receives: ``bool[karma_max + 1]``, whether an agent with so much karma shares.
    """
    karma = np.arange(len(receives))
    matrix = np.zeros((len(karma), len(karma)))
    whole = int(level)
    for offer, probability in ((whole, 1 - (level - whole)), (whole + 1, level - whole)):
        if probability > 0.0:
            matrix[karma, karma + np.minimum(offer, karma[-1] - karma) * receives] += probability
    return matrix


def tax_matrix(tax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances of karma to become another where agents pay a tax, rounded up or down at random.

    Args:
        tax: ``float64[karma_max + 1]``, the expected tax by karma.
    """
    karma = np.arange(len(tax))
    whole = np.floor(tax).astype(np.int64)
    matrix = np.zeros((len(tax), len(tax)))
    matrix[karma, karma - whole] += 1 - (tax - whole)
    matrix[karma, np.maximum(karma - whole - 1, 0)] += tax - whole
    return matrix


def karma_at_start(config: KarmaConfig) -> NDArray[np.float64]:
    """Distribution of karma in a large population that begins, ``float64[karma_max + 1]``.

    Where everyone gets the mean, and this is no whole number, it is shared by the two numbers around it.
    """
    distribution = config.initial_distribution()
    if distribution is None:
        distribution = np.zeros(config.karma_max + 1)
        low = int(config.karma_mean)
        distribution[low] = 1 - (config.karma_mean - low)
        distribution[min(low + 1, config.karma_max)] += config.karma_mean - low
    return distribution
