"""How many agents get into a lane that a random number of them wants, and with which chance each of them.

A lane takes c agents in a step. If G of them want it, min(G, c) get in, those of the highest priority. The
number that get in on average is a function T_c(Lambda) of the mean Lambda of G, the *throughput*, and
because priority is strict the agents at or above a priority make one of their own. So a group that brings
lambda agents, with Lambda of higher priority, gets T_c(Lambda + lambda) - T_c(Lambda) places, and each of
its members

    P = [T_c(Lambda + lambda) - T_c(Lambda)] / lambda,    T_c'(Lambda) for lambda to 0,

which conserves flows whatever T_c is. A :class:`Throughput` has P as a compiled function. There are

    T_c(Lambda) = E min(G, c), G ~ Poisson(Lambda);    T_c'(Lambda) = Pr(G < c),

:data:`POISSON`, as where competitors are many and each is there with a small chance: P for a single agent
among a Poisson number of others with ties broken at random; :data:`FLUID`, T_c = min(Lambda, c), a lane whose
numbers do not fluctuate; and :data:`~karma_envs.games.grid_city.mean_field.queueing.QUEUEING`, the default,
which knows that who finds no place comes again.

Source of the formula: E min(G, c) = c - sum over j < c of (c - j) e^-Lambda Lambda^j / j!.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel

_NARROW = 1e-2  # a group up to it is so small that the slope in its middle is more exact than a difference
_NEGLIGIBLE = 1e-18  # terms of a sum, over the sum


@kernel
def _probability(count, mean):
    """Pr(G = count) for G ~ Poisson(mean)."""
    if count < 0:
        return 0.0
    if mean <= 0.0:
        return 1.0 if count == 0 else 0.0
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1.0))


@kernel
def _shortfall(mean, capacity):
    """E max(c - G, 0), the places that stay empty, as a sum of positive terms: for mean >= c, few are."""
    # From the most probable count below c downwards, where terms only fall.
    term, total = _probability(capacity - 1, mean), 0.0
    for count in range(capacity - 1, -1, -1):
        added = (capacity - count) * term
        total += added
        if added <= _NEGLIGIBLE * total:
            break
        term *= count / mean
    return total


@kernel
def _excess(mean, capacity):
    """E max(G - c, 0), the agents that find no place, as a sum of positive terms: for mean <= c, few do."""
    term, total, count = _probability(capacity + 1, mean), 0.0, capacity + 1
    while term > 0.0:
        added = (count - capacity) * term
        total += added
        if added <= _NEGLIGIBLE * total:
            break
        count += 1
        term *= mean / count
    return total


@kernel
def poisson_slope(mean, capacity):
    """T_c'(Lambda) = Pr(G < c) for G ~ Poisson(Lambda); arguments as of :func:`poisson_throughput`."""
    if mean <= 0.0:
        return 1.0
    if mean <= capacity:  # then it is 1 less what is beyond, which is the smaller part
        term, total, count = _probability(capacity, mean), 0.0, capacity
        while term > _NEGLIGIBLE * total:
            total += term
            count += 1
            term *= mean / count
        return 1.0 - total
    term, total = _probability(capacity - 1, mean), 0.0
    for count in range(capacity - 1, -1, -1):
        total += term
        if term <= _NEGLIGIBLE * total:
            break
        term *= count / mean
    return total


@kernel
def poisson_throughput(mean, capacity):
    """T_c(Lambda) = E min(G, c) for G ~ Poisson(Lambda).

    Args:
        mean: Lambda >= 0.
        capacity: c, a whole number >= 1.
    """
    return mean - _excess(mean, capacity) if mean <= capacity else capacity - _shortfall(mean, capacity)


@kernel
def poisson(above, own, everyone, capacity, curve):
    """The chance to get in among Poisson competitors; arguments as of a :class:`Throughput`."""
    if own <= _NARROW:
        # The mean of the slope over the group: in its middle, and the curvature of the slope.
        middle = above + own / 2
        curvature = _probability(capacity - 2, middle) - _probability(capacity - 1, middle)
        return poisson_slope(middle, capacity) - curvature * own * own / 24
    # Differences of what is small: of the excess below c, and of the shortfall above.
    taken, low, high = 0.0, min(above, float(capacity)), min(above + own, float(capacity))
    if high > low:
        taken += (high - low) - (_excess(high, capacity) - _excess(low, capacity))
    low, high = max(above, float(capacity)), above + own
    if high > low:
        taken += _shortfall(low, capacity) - _shortfall(high, capacity)
    return taken / own


@kernel
def fluid(above, own, everyone, capacity, curve):
    """The chance to get in where numbers do not fluctuate; arguments as of a :class:`Throughput`."""
    left = max(capacity - above, 0.0)
    if own <= 0.0:
        return 1.0 if left > 0.0 else 0.0
    return min(left / own, 1.0)


def no_curve(capacity: int) -> NDArray[np.float64]:
    """The curve of a throughput that needs none."""
    return np.zeros((1, 1))


@dataclass(frozen=True)
class Throughput:
    """How many agents get into a lane.

    Attributes:
        chance: P, a compiled function of ``(above, own, everyone, capacity, curve)``: Lambda >= 0, agents per
            step of higher priority; lambda >= 0, of the same priority; Lambda_0, all who want the lane; c, a
            whole number >= 1; and the curve of c.
        curve: numbers that ``chance`` looks up, of a capacity, ``float64[n, m]``; n and m are the same for
            all capacities.
    """

    chance: Callable[..., float]
    curve: Callable[[int], NDArray[np.float64]] = no_curve


POISSON = Throughput(poisson)
"""The throughput of Poisson numbers of agents."""

FLUID = Throughput(fluid)
"""The throughput of numbers that do not fluctuate."""
