"""Random streams that live in arrays.

A stream is one ``uint64`` of a ``uint64[n]`` array, so that it is part of a game's state: copied,
saved and restored with it. The generator is splitmix64 (Steele, Lea, Flood 2014, "Fast splittable
pseudorandom number generators", OOPSLA; the constants of Vigna's reference code): the state is a
counter, so draws do not wait for each other and loops over them vectorise. It passes BigCrush and
has period 2**64.

Kernels take the whole array and the index of the purpose they draw for. One stream per purpose
keeps what one rule draws from changing what another sees.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel
def mix(counter):
    """The splitmix64 output function: a bijection of ``uint64`` that scrambles a counter."""
    z = np.uint64(counter)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def next_uint64(streams, stream):
    """64 random bits from ``streams[stream]``, which advances by one."""
    counter = np.uint64(streams[stream]) + GOLDEN
    streams[stream] = counter
    return mix(counter)


@kernel
def next_below(streams, stream, bound):
    """A uniform integer in ``0 … bound-1`` for ``1 ≤ bound < 2**32``, without bias.

    Lemire 2019, "Fast random integer generation in an interval" (Algorithm 5), on the upper 32 bits.
    """
    n = np.uint64(bound)
    product = (next_uint64(streams, stream) >> np.uint64(32)) * n
    low = product & np.uint64(0xFFFFFFFF)
    if low < n:
        least = (np.uint64(0x100000000) - n) % n
        while low < least:
            product = (next_uint64(streams, stream) >> np.uint64(32)) * n
            low = product & np.uint64(0xFFFFFFFF)
    return np.int64(product >> np.uint64(32))


@kernel
def next_uniform(streams, stream):
    """A uniform ``float64`` in [0, 1), a multiple of 2**-53."""
    return np.float64(next_uint64(streams, stream) >> np.uint64(11)) * 2.0**-53


@kernel
def fill_uniform(streams, stream, values):
    """Fill ``values``, one-dimensional, with uniform numbers in [0, 1), drawn from ``streams[stream]``."""
    for index in range(values.shape[0]):
        values[index] = next_uniform(streams, stream)


@kernel
def fill_normal(streams, stream, values):
    """Fill ``values``, one-dimensional, with standard normal numbers, by Box and Muller's transform."""
    n = values.shape[0]
    for index in range(0, n, 2):
        radius = math.sqrt(-2.0 * math.log(1.0 - next_uniform(streams, stream)))  # of (0, 1]: never log 0
        angle = 2.0 * math.pi * next_uniform(streams, stream)
        values[index] = radius * math.cos(angle)
        if index + 1 < n:
            values[index + 1] = radius * math.sin(angle)


def new_streams(rng: np.random.Generator, n_streams: int) -> NDArray[np.uint64]:
    """``n_streams`` independent streams seeded from a NumPy generator.

    Args:
        rng: for instance Gymnasium's ``np_random``; advanced by ``n_streams`` draws.
        n_streams: how many, at least 1.

    Returns:
        ``uint64[n_streams]``.
    """
    return rng.integers(0, 2**64, size=n_streams, dtype=np.uint64)
