"""Interquartile means and bootstrap intervals, by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from training.benchmark.statistics import aggregate, interquartile_mean


def test_a_quarter_is_cut_at_each_end() -> None:
    assert interquartile_mean([100, 1, 2, -100]) == 1.5
    assert interquartile_mean([3, 1, 8]) == 4  # a quarter of three is none
    assert interquartile_mean([0, 1, 2, 3, 4, 5, 6, 70]) == 3.5  # 2, 3, 4, 5
    np.testing.assert_array_equal(interquartile_mean([[0, 1, 3, 9], [4, 4, 4, 4]]), [2, 4])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_it_is_the_trimmed_mean(values: list[float]) -> None:
    assert interquartile_mean(values) == pytest.approx(trim_mean(values, 0.25), abs=1e-9)


def test_the_mean_is_over_all_values_of_all_tasks() -> None:
    found = aggregate([[0.0, 1.0], [2.0, 30.0]])
    assert found.value == 1.5


def test_two_values_give_the_bootstrap_one_can_count() -> None:
    """The mean of two draws of 0 and 1 is 0, 1/2, 1 with probability 1/4, 1/2, 1/4."""
    found = aggregate([[0.0, 1.0]])
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_seeds_are_drawn_within_tasks() -> None:
    """Without strata, all four could come from one task."""
    found = aggregate([[0.0, 0.0], [1.0, 1.0]])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_one_seed_has_no_interval() -> None:
    found = aggregate([[0.0, 1.0], [2.0]])
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_the_width_is_that_of_the_sampling_distribution() -> None:
    """For 400 normal values, against the spread of the interquartile mean over 2000 samples (seeds 0, 1).

    A bootstrap's width varies by some 8 % between samples; the tolerance is five times that.
    """
    rng = np.random.default_rng(0)
    spread = interquartile_mean(rng.normal(size=(2000, 400))).std()
    found = aggregate([np.random.default_rng(1).normal(size=400)])
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / (2 * 1.96 * spread) == pytest.approx(1, abs=0.4)
    assert found.low < found.value < found.high


def test_intervals_are_the_same_every_time() -> None:
    values = [[0.1, 0.7, 0.4], [0.9, 0.2, 0.3]]
    assert aggregate(values) == aggregate(values)
    assert aggregate(values) != aggregate(values, seed=1)
