"""Thresholds: the probabilities they stand for, and what is drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import chi2

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import GOLDEN, mix
from karma_envs.numerics.sampling import (
    LANES,
    NEVER,
    aligned_empty,
    padded_width,
    prefetch,
    probabilities_of,
    sample_action,
    sample_actions,
    softmax,
    thresholds_of,
    uniform_over,
)


@kernel
def action_of_every_draw(thresholds, row, observation, out):  # type: ignore[no-untyped-def]
    for draw in range(out.shape[0]):
        out[draw] = sample_action(thresholds, row, observation, np.uint16(draw))


@kernel
def prefetch_everything(table):  # type: ignore[no-untyped-def]
    for row in range(table.shape[0]):
        for observation in range(table.shape[1]):
            prefetch(table, row, observation, table.shape[2] - 1)


def random_probabilities(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Rows of which some entries are exactly 0."""
    weights = rng.exponential(size=shape) * (rng.random(shape) < 0.7)
    weights[..., rng.integers(shape[-1])] += 1e-3
    return weights / weights.sum(axis=-1, keepdims=True)


@st.composite
def rows(draw: st.DrawFn) -> NDArray[np.float64]:
    """Rows of probabilities: zeros, tiny and equal entries included."""
    n_rows, n_actions = draw(st.integers(1, 4)), draw(st.integers(1, 70))
    weight = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-12, 1.0), st.floats(0.0, 1e-6))
    weights = draw(hnp.arrays(np.float64, (n_rows, n_actions), elements=weight))
    weights[weights.sum(axis=1) == 0, draw(st.integers(0, n_actions - 1))] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


@given(rows())
@settings(max_examples=200, deadline=None)
def test_probabilities_survive_the_thresholds(probabilities: NDArray[np.float64]) -> None:
    n_actions = probabilities.shape[1]
    thresholds = thresholds_of(probabilities)
    assert thresholds.dtype == np.uint16
    assert thresholds.shape == (len(probabilities), padded_width(n_actions))
    assert (thresholds[:, n_actions - 1 :] == NEVER).all()
    assert (np.diff(thresholds.astype(int), axis=1) >= 0).all()
    back = probabilities_of(thresholds, n_actions)
    assert (back[probabilities == 0] == 0).all()
    assert (back >= 0).all()
    np.testing.assert_allclose(back.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.abs(back - probabilities).max() <= 1 / NEVER + 1e-12
    np.testing.assert_array_equal(thresholds_of(back), thresholds)


def test_thresholds_by_hand() -> None:
    table = thresholds_of(np.array([[0.0, 0.5, 0.0, 0.5, 0.0]]))
    half = round(NEVER / 2)
    assert table[0, :5].tolist() == [0, half, half, NEVER, NEVER]
    assert (table[0, 5:] == NEVER).all()
    assert thresholds_of(np.array([[1.0]]))[0].tolist() == [NEVER] * LANES


def test_single_precision_probabilities_are_taken() -> None:
    rng = np.random.default_rng(1)
    probabilities = random_probabilities(rng, 50, 21).astype(np.float32)
    back = probabilities_of(thresholds_of(probabilities), 21)
    assert (back[probabilities == 0] == 0).all()
    assert np.abs(back - probabilities).max() < 2 / NEVER  # the sum of a row is off by up to 1e-6


@pytest.mark.parametrize("shape", [(1,), (3, 32), (7, 5, 64), (1, 33)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int64])
def test_arrays_start_on_a_cache_line(shape: tuple[int, ...], dtype: type) -> None:
    kept = [aligned_empty(shape, dtype) for _ in range(8)]
    for array in kept:
        assert array.ctypes.data % 64 == 0
        assert array.shape == shape
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        array[...] = 1
    assert thresholds_of(np.full((5, 3), 1 / 3)).ctypes.data % 64 == 0


@pytest.mark.parametrize(("n_actions", "width"), [(1, 32), (31, 32), (32, 32), (33, 64), (64, 64), (65, 96)])
def test_width_is_a_multiple_of_the_lanes(n_actions: int, width: int) -> None:
    assert padded_width(n_actions) == width


@pytest.mark.parametrize("n_actions", [1, 2, 21, 31, 32, 33, 64, 100])
def test_every_draw_selects_what_numpy_counts(n_actions: int) -> None:
    rng = np.random.default_rng(n_actions)
    thresholds = thresholds_of(random_probabilities(rng, 2, 3, n_actions))
    out = np.empty(2**16, np.int64)
    for row, observation in ((0, 0), (1, 1), (1, 2)):
        action_of_every_draw(thresholds, row, observation, out)
        draws = np.minimum(np.arange(2**16), NEVER - 1)
        expected = np.searchsorted(thresholds[row, observation], draws, side="right")
        np.testing.assert_array_equal(out, expected)
        frequencies = np.bincount(out[:NEVER], minlength=n_actions) / NEVER
        expected_probabilities = probabilities_of(thresholds, n_actions)[row, observation]
        np.testing.assert_allclose(frequencies, expected_probabilities, rtol=0, atol=1e-12)


def test_counting_is_exact_for_any_numbers() -> None:
    # Not only for rising rows: counts of entries <= draw, against NumPy.
    rng = np.random.default_rng(4)
    table = aligned_empty((1, 6, 64), np.uint16)
    table[...] = rng.integers(0, 2**16, table.shape)
    out = np.empty(2**16, np.int64)
    for observation in range(6):
        action_of_every_draw(table, 0, observation, out)
        counts = np.searchsorted(np.sort(table[0, observation]), np.arange(NEVER), side="right")
        np.testing.assert_array_equal(out[:NEVER], counts)
        assert out[NEVER] == out[NEVER - 1]


def test_sampled_actions_follow_the_policy() -> None:
    # Two policies, two observations, 40 actions (two blocks) of which half are impossible.
    rng = np.random.default_rng(11)
    n_agents, n_actions = 400_000, 40
    weights = rng.uniform(1, 3, (2, 2, n_actions))
    weights[..., rng.permutation(n_actions)[:20]] = 0
    probabilities = weights / weights.sum(axis=-1, keepdims=True)
    row_of_agent = rng.integers(0, 2, n_agents).astype(np.int32)
    observations = rng.integers(0, 2, n_agents)
    streams = np.array([3, 2024], np.uint64)
    actions = np.empty(n_agents, np.int64)
    sample_actions(thresholds_of(probabilities), row_of_agent, observations, streams, 1, actions)
    for row in range(2):
        for observation in range(2):
            chosen = actions[(row_of_agent == row) & (observations == observation)]
            counts = np.bincount(chosen, minlength=n_actions)
            p = probabilities[row, observation]
            assert (counts[p == 0] == 0).all()
            expected = p[p > 0] * len(chosen)
            statistic = ((counts[p > 0] - expected) ** 2 / expected).sum()
            # tail 1e-5 with a fixed seed; the resolution of 1/65535 adds < 1 to the statistic
            assert statistic < chi2.isf(1e-5, 19) + 1


@pytest.mark.parametrize("n_agents", [1, 3, 4, 5, 9])
def test_a_step_of_draws_uses_a_quarter_as_many_random_numbers(n_agents: int) -> None:
    streams = np.array([5, 6], np.uint64)
    rng = np.random.default_rng(0)
    thresholds = thresholds_of(random_probabilities(rng, 1, 1, 9))
    actions = np.empty(n_agents, np.uint16)
    observations = np.zeros(n_agents, np.uint16)
    sample_actions(thresholds, np.zeros(n_agents, np.int32), observations, streams, 0, actions)
    assert streams[1] == 6
    assert int(streams[0]) == (5 + -(-n_agents // 4) * int(GOLDEN)) % 2**64
    draws = [
        (int(mix(np.uint64((5 + (agent // 4 + 1) * int(GOLDEN)) % 2**64))) >> (16 * (agent % 4))) & 0xFFFF
        for agent in range(n_agents)
    ]
    expected = [int((thresholds[0, 0] <= min(draw, NEVER - 1)).sum()) for draw in draws]
    assert actions.tolist() == expected


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_fetching_ahead_changes_nothing(dtype: type) -> None:
    table = np.random.default_rng(2).integers(0, 1000, (50, 20, 40)).astype(dtype)
    before = table.copy()
    prefetch_everything(table)
    np.testing.assert_array_equal(table, before)


def test_policies_over_legal_actions_by_hand() -> None:
    legal = np.array([[True, True, False, True], [True, False, False, False]])
    np.testing.assert_allclose(uniform_over(legal), [[1 / 3, 1 / 3, 0, 1 / 3], [1, 0, 0, 0]], rtol=1e-15)
    scores = np.where(legal, np.log([1.0, 2.0, 9.0, 5.0]) + 1000, -np.inf)
    np.testing.assert_allclose(softmax(scores), [[1 / 8, 2 / 8, 0, 5 / 8], [1, 0, 0, 0]], rtol=1e-12)
