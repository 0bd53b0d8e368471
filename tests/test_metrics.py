"""Metrics by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from karma_envs.metrics import access_fairness, efficiency, gini, nash_welfare, reward_fairness

# --- by hand ---------------------------------------------------------------------------------------


def test_efficiency_is_per_competing_agent() -> None:
    rewards = np.array([[0, -1, 0], [-5, 0, 0]])  # the third sat out twice
    assert efficiency(rewards) == -1
    assert efficiency(rewards, contests=np.array([[1, 1, 0], [1, 1, 0]])) == -1.5
    assert efficiency(rewards.sum(axis=0), contests=[2, 2, 0]) == -1.5
    assert np.isnan(efficiency([0.0, 0.0], contests=[0, 0]))


def test_fairness_is_minus_the_population_standard_deviation() -> None:
    accesses = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    assert access_fairness(accesses) == -0.25  # rates 3/4 and 1/4
    assert access_fairness([3, 1], steps=4) == -0.25
    rewards = np.array([[0, -1], [0, -5], [0, -1], [-1, 0]])
    assert reward_fairness(rewards) == pytest.approx(-0.75)  # means -1/4 and -7/4
    assert reward_fairness([-1, -7], steps=4) == pytest.approx(-0.75)
    assert access_fairness([5, 5, 5], steps=10) == 0


def test_sums_of_small_numbers_are_exact() -> None:
    rewards = np.full((100_000, 3), -0.1, np.float32)
    assert efficiency(rewards) == pytest.approx(float(np.float32(-0.1)), rel=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 1, 1], 0),
        ([0, 0, 0], 0),
        ([0, 0, 0, 1], 3 / 4),
        ([1, 3], 1 / 4),
        ([3, 1], 1 / 4),
        ([1, 2, 3, 4], 1 / 4),
        ([7], 0),
    ],
)
def test_gini_by_hand(values: Any, expected: float) -> None:
    assert gini(values) == pytest.approx(expected, abs=1e-15)


AMOUNTS = st.one_of(st.just(0.0), st.floats(1e-6, 100))


@given(hnp.arrays(np.float64, st.integers(1, 12), elements=AMOUNTS), st.floats(0.01, 100))
@settings(max_examples=100, deadline=None)
def test_gini_is_half_the_relative_mean_difference(values: NDArray[np.float64], scale: float) -> None:
    total = values.sum()
    differences = np.abs(values[:, None] - values[None, :]).sum()
    expected = differences / (2 * len(values) * total) if total else 0
    assert gini(values) == pytest.approx(expected, abs=1e-9)
    assert gini(values * scale) == pytest.approx(expected, abs=1e-9)
    assert -1e-12 <= gini(values) <= 1 - 1 / len(values) + 1e-12


def test_gini_refuses_debts_and_nothing() -> None:
    with pytest.raises(ValueError, match=">= 0"):
        gini([1, -1])
    with pytest.raises(ValueError, match="needs values"):
        gini([])


def test_nash_welfare_is_the_geometric_mean() -> None:
    assert nash_welfare([2, 8]) == pytest.approx(4)
    assert nash_welfare([1, 10, 100]) == pytest.approx(10)
    assert nash_welfare([5, 0]) == 0
    assert nash_welfare([5, -1]) == 0
    assert nash_welfare(np.full(2000, 1e-9)) == pytest.approx(1e-9)  # no underflow
