"""The throughput of a lane where those who find no place stay, and wait with those who lost with them.

A lane takes c agents in a step. If G of them want it, the G - c that are left want it in the next step as
well. So G is a queue, G' = max(G - c, 0) + A with A new ones, and because priority is strict the agents at or
above a priority are a queue of their own, as long as their priority lasts. Where A ~ Poisson(a), the mean
number Lambda of those that want the lane is a function of a (Bailey 1954),

    Lambda(a) = a + [a^2 - c (c - 1)] / [2 (c - a)] + sum over k = 1 … c - 1 of 1 / (1 - z_k),
    z_k^c = exp(a (z_k - 1)), |z_k| < 1,

whose inverse is how many of them get in, T^Q_c(Lambda). It is less than that of a Poisson number G of the
same mean, T^P_c, as such queues swing more.

The agents of a city are between the two. All of those who want a lane together vary about as a Poisson number
does: they come from lanes that take no more than c each, and from a population of N. Those of high priority
among them vary as much as a queue. :data:`QUEUEING` goes from one to the other in proportion to the share s
that a group and what is above it have in all Lambda_0 who want the lane:

    T_c(Lambda) = s T^P_c(Lambda) + (1 - s) T^Q_c(Lambda),    s = Lambda / Lambda_0.

Ours. Measured in the Thesis' city of 1000 agents, whose lanes take 9, at play of a policy that is nearly an
equilibrium (agents that find no place, per step and place; means over lanes and bids of which Lambda / c is
in a range):

    Lambda / c             .6 … .8   .8 … 1   1 … 1.25   1.25 … 1.5   1.5 … 2
    all at a lane   played  .020      .072     .195        .419         .751
                    Poisson .028      .084     .196        .404         .734
                    queue   .032      .102     .235        .458         .785
    those of a      played  .044      .154     .291        .428         .780
    priority and    Poisson .025      .094     .239        .381         .746
    above           queue   .028      .115     .283        .434         .796

The model's efficiency is off by .2 % for random bids, 1.6 % for proportional ones and .4 % for that policy,
where Poisson numbers throughout give .2, 1.6 and 3.3 %, and queues throughout 3.2, 11.6 and 8.3 %; for its
own equilibrium by .9 %. Few agents are another matter: of 100 on lanes that take 3 it is off by .2, 9 and 6 %
(Poisson's: .2, 9 and 3 %).

Source of the queue: Bailey 1954, *On queueing processes with bulk service*.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.mean_field.throughput import (
    Throughput,
    poisson,
    poisson_slope,
    poisson_throughput,
)
from karma_envs.numerics.compile import kernel

_NODES = 600
_LAST = 16.0  # -log(1 - a / c) of the last node: 4 million times c are there
_NARROW = 1e-5  # a group up to it is so small that a slope is more exact than a difference
_ROOT_STEPS = 60
_ROOT_CHANGE = 1e-15
_CHUNK = 2_000_000  # numbers that are worked on at once


def mean_present(
    arrivals: NDArray[np.float64], capacity: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lambda(a), how many want a lane on average, and its derivative.

    Args:
        arrivals: a, ``float64[n]``, new ones per step, in 0 <= a < c.
        capacity: c >= 1.
    """
    waiting, slope = np.zeros((2, len(arrivals)))
    turns = np.exp(2j * np.pi * np.arange(1, capacity) / capacity)
    size = max(_CHUNK // max(capacity, 1), 1)
    for first in range(0, len(arrivals), size):
        part = arrivals[first : first + size, None]
        # Newton's method on z = w exp(a (z - 1) / c), w^c = 1, from where z is for a = 0 and a = c alike.
        roots = np.zeros((len(part), capacity - 1), np.complex128)
        for _ in range(_ROOT_STEPS):
            image = turns * np.exp(part / capacity * (roots - 1))
            change = (image - roots) / (1 - part / capacity * image)
            roots += change
            if np.abs(change).max(initial=0.0) <= _ROOT_CHANGE:
                break
        # c log z = a (z - 1) + const gives z' = z (z - 1) / (c - a z).
        moves = roots * (roots - 1) / (capacity - part * roots)
        waiting[first : first + size] = (1 / (1 - roots)).sum(axis=1).real
        slope[first : first + size] = (moves / (1 - roots) ** 2).sum(axis=1).real
    room, excess = capacity - arrivals, arrivals**2 - capacity * (capacity - 1)
    mean = arrivals + excess / (2 * room) + waiting
    return mean, 1 + arrivals / room + excess / (2 * room**2) + slope


@lru_cache(maxsize=64)
def queue_curve(capacity: int) -> NDArray[np.float64]:
    """T^Q_c at some Lambda, ``float64[n, 3]``: Lambda, rising from 0; T; and its slope."""
    arrivals = -capacity * np.expm1(-np.linspace(0.0, _LAST, _NODES))
    mean, slope = mean_present(arrivals, capacity)
    mean[0], slope[0] = 0.0, 1.0
    curve = np.stack([mean, arrivals, 1 / slope], axis=1)
    curve.flags.writeable = False
    return curve


@kernel
def _interpolate(curve, mean):
    """T^Q and its slope, of cubics between the nodes with their slopes."""
    last = curve.shape[0] - 1
    if mean >= curve[last, 0]:
        return curve[last, 1], 0.0
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if curve[middle, 0] <= mean:
            low = middle
        else:
            high = middle
    width = curve[high, 0] - curve[low, 0]
    x = (mean - curve[low, 0]) / width
    rise = (curve[high, 1] - curve[low, 1]) / width
    first, second = curve[low, 2], curve[high, 2]
    bend = first + second - 2 * rise
    lean = rise - first - bend
    value = curve[low, 1] + width * x * (first + x * (lean + x * bend))
    return value, first + x * (2 * lean + 3 * x * bend)


@kernel
def queue_throughput(curve, mean):
    """T^Q_c(Lambda), how many of a queue of Lambda on average get in.

    Args:
        curve: :func:`queue_curve` of c.
        mean: Lambda >= 0.
    """
    return _interpolate(curve, mean)[0]


@kernel
def queueing(above, own, everyone, capacity, curve):
    """The chance to get in where those who do not stay; arguments as of a :class:`Throughput`."""
    if everyone <= 0.0:
        return 1.0
    if own <= _NARROW:
        middle = above + own / 2
        share = min(middle / everyone, 1.0)
        taken, slope = _interpolate(curve, middle)
        less = (poisson_throughput(middle, capacity) - taken) / everyone
        return min(less + share * poisson_slope(middle, capacity) + (1 - share) * slope, 1.0)
    total = above + own
    low, high = above / everyone, min(total / everyone, 1.0)
    # Differences are taken of what is exact: of Poisson numbers as the chance among them.
    rise = low * own * poisson(above, own, everyone, capacity, curve)
    rise += (high - low) * poisson_throughput(total, capacity)
    rise += (1 - high) * _interpolate(curve, total)[0] - (1 - low) * _interpolate(curve, above)[0]
    return min(rise / own, 1.0)


QUEUEING = Throughput(queueing, queue_curve)
"""The throughput between a Poisson number's and a queue's; see the module."""
