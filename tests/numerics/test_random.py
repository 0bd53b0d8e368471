"""Random streams: published vectors, exact integer arithmetic, no bias, independence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import chi2

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import (
    GOLDEN,
    fill_normal,
    fill_uniform,
    mix,
    new_streams,
    next_below,
    next_uint64,
    next_uniform,
)

MASK = 2**64 - 1
NEVER_BY_CHANCE = 1e-5
"""Upper tail of the chi-square tests: beyond 4 sigma; the seeds are fixed, so they do not flake."""


def reference_mix(counter: int) -> int:
    z = counter & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def reference_below(state: int, bound: int) -> tuple[int, int]:
    """Lemire's Algorithm 5 for 32 bits in unbounded integers: the number and the new state."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        product = (reference_mix(state) >> 32) * bound
        if product % 2**32 >= 2**32 % bound:
            return product >> 32, state


@kernel
def fill_below(streams, stream, bound, out):  # type: ignore[no-untyped-def]
    for index in range(out.shape[0]):
        out[index] = next_below(streams, stream, bound)


def below(seed: int, bound: int, n: int) -> tuple[np.ndarray, int]:
    streams = np.array([seed], np.uint64)
    out = np.empty(n, np.int64)
    fill_below(streams, 0, bound, out)
    return out, int(streams[0])


def test_splitmix64_gives_the_published_vectors() -> None:
    streams = np.array([1234567], np.uint64)
    assert [int(next_uint64(streams, 0)) for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.integers(0, MASK))
@settings(max_examples=100, deadline=None)
def test_integers_stay_64_bits_wide(counter: int) -> None:
    assert int(mix(np.uint64(counter))) == reference_mix(counter)
    streams = np.array([counter], np.uint64)
    assert int(next_uint64(streams, 0)) == reference_mix(counter + int(GOLDEN))
    assert streams.dtype == np.uint64
    assert int(streams[0]) == (counter + int(GOLDEN)) & MASK


def test_compiled_types_are_integers() -> None:
    streams = np.array([1], np.uint64)
    next_uint64(streams, 0)
    next_below(streams, 0, 3)
    kernels: Any = (next_uint64, "uint64"), (next_below, "int64"), (mix, "uint64")
    for function, name in kernels:
        assert {str(o.signature.return_type) for o in function.overloads.values()} == {name}


def test_interpreted_and_compiled_agree() -> None:
    compiled, interpreted = np.array([99], np.uint64), np.array([99], np.uint64)
    for bound in (1, 6, 2**31 + 1):
        with np.errstate(over="ignore"):
            expected = next_below.py_func(interpreted, 0, bound)
        assert next_below(compiled, 0, bound) == expected
    assert compiled == interpreted


def test_drawing_from_one_stream_leaves_the_others() -> None:
    streams = np.array([1, 2, 3], np.uint64)
    next_uint64(streams, 1)
    next_below(streams, 1, 5)
    next_uniform(streams, 1)
    assert streams[0] == 1
    assert streams[2] == 3
    assert int(streams[1]) == (2 + 3 * int(GOLDEN)) & MASK


@pytest.mark.parametrize("bound", [3, 7, 100])
def test_next_below_is_uniform(bound: int) -> None:
    n = 200_000
    drawn, _ = below(seed=bound, bound=bound, n=n)
    counts = np.bincount(drawn, minlength=bound)
    assert len(counts) == bound
    statistic = ((counts - n / bound) ** 2).sum() / (n / bound)
    assert statistic < chi2.isf(NEVER_BY_CHANCE, bound - 1)


def test_next_below_rejects_what_would_be_biased() -> None:
    # 2**32 mod (2**31 + 1) = 2**31 - 1 of the 2**32 products are rejected: p = 1/2 + 2**-32. The
    # draws used by n numbers are negative binomial: mean n/p, standard error sqrt(n (1-p)) / p.
    n, bound, seed = 20_000, 2**31 + 1, 5
    drawn, state = below(seed, bound, n)
    assert drawn.min() >= 0
    assert drawn.max() < bound
    inverse_of_golden = pow(int(GOLDEN), -1, 2**64)
    used = (state - seed) * inverse_of_golden % 2**64
    assert abs(used - 2 * n) < 5 * np.sqrt(n * 0.5) / 0.5
    counts = np.bincount(drawn * 16 // bound, minlength=16)
    assert ((counts - n / 16) ** 2).sum() / (n / 16) < chi2.isf(NEVER_BY_CHANCE, 15)


@given(st.integers(0, MASK), st.one_of(st.integers(1, 2**32 - 1), st.integers(1, 200)))
@settings(max_examples=150, deadline=None)
def test_next_below_is_lemires_algorithm(seed: int, bound: int) -> None:
    drawn, state = below(seed, bound, 3)
    for number in drawn:
        expected, seed = reference_below(seed, bound)
        assert number == expected
        assert 0 <= number < bound
    assert state == seed


def test_next_uniform_is_uniform_on_the_half_open_interval() -> None:
    n = 100_000
    out = np.empty(n)
    fill_uniform(np.array([8], np.uint64), 0, out)
    assert out.min() >= 0
    assert out.max() < 1
    assert (out * 2**53 == np.floor(out * 2**53)).all()
    assert abs(out.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    counts = np.bincount((out * 64).astype(int), minlength=64)
    assert ((counts - n / 64) ** 2).sum() / (n / 64) < chi2.isf(NEVER_BY_CHANCE, 63)


def test_the_largest_draw_stays_below_one() -> None:
    # The state before the draw that mixes to all ones; mix is a bijection, inverted step by step.
    z = MASK
    z ^= (z >> 31) ^ (z >> 62)
    z = z * pow(0x94D049BB133111EB, -1, 2**64) & MASK
    z ^= (z >> 27) ^ (z >> 54)
    z = z * pow(0xBF58476D1CE4E5B9, -1, 2**64) & MASK
    z ^= (z >> 30) ^ (z >> 60)
    assert reference_mix(z) == MASK
    before = np.array([(z - int(GOLDEN)) & MASK], np.uint64)
    assert next_uniform(before.copy(), 0) == 1 - 2.0**-53
    assert next_below(before.copy(), 0, 7) == 6


def test_streams_are_uncorrelated() -> None:
    # Correlation of n pairs of independent uniforms has standard error 1/sqrt(n); 10 pairs of 5 streams.
    n = 50_000
    streams = new_streams(np.random.default_rng(3), 5)
    out = np.empty((5, n))
    for stream in range(5):
        fill_uniform(streams, stream, out[stream])
    correlations = np.corrcoef(out)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(n)
    serial = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in out]
    assert np.abs(serial).max() < 4.5 / np.sqrt(n)


def test_new_streams_follow_the_generator() -> None:
    first, again = (new_streams(np.random.default_rng(7), 4) for _ in range(2))
    assert first.dtype == np.uint64
    assert first.shape == (4,)
    assert len(set(first.tolist())) == 4
    np.testing.assert_array_equal(first, again)
    rng = np.random.default_rng(7)
    new_streams(rng, 4)
    assert (new_streams(rng, 4) != first).all()


def test_filling_is_drawing_one_by_one() -> None:
    one, other = np.array([3, 7], np.uint64), np.array([3, 7], np.uint64)
    filled = np.empty(5)
    fill_uniform(one, 1, filled)
    assert np.array_equal(filled, [next_uniform(other, 1) for _ in range(5)])
    assert np.array_equal(one, other)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_normal_numbers_are_box_and_mullers_of_the_uniform_ones(count: int) -> None:
    one, other = np.array([11], np.uint64), np.array([11], np.uint64)
    normal, pairs = np.empty(count), np.empty((-(-count // 2), 2))
    fill_normal(one, 0, normal)
    fill_uniform(other, 0, pairs.ravel())
    radius, angle = np.sqrt(-2 * np.log(1 - pairs[:, 0])), 2 * np.pi * pairs[:, 1]
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]
    assert normal == pytest.approx(expected, abs=1e-13)
    assert np.array_equal(one, other)


def test_normal_numbers_are_normal() -> None:
    """Kolmogorov and Smirnov's distance of 10^5 (seed 2); 1.95 / sqrt(n) is passed once in a thousand."""
    n = 100_000
    normal = np.empty(n)
    fill_normal(np.array([2], np.uint64), 0, normal)
    assert np.abs(ndtr(np.sort(normal)) - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)
    assert abs(np.corrcoef(normal[:-1], normal[1:])[0, 1]) < 4 / np.sqrt(n)
