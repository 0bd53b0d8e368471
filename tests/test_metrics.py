"""Metrics by hand, and their standard errors against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from karma_envs.metrics import (
    Estimate,
    Outcome,
    access_fairness,
    efficiency,
    gini,
    karma_balance,
    nash_welfare,
    reward_fairness,
    summarise,
    total_outcome,
)


def outcome(
    rewards: Any,
    accesses: Any = None,
    contests: Any = None,
    steps: int = 10,
    karma: Any = None,
    zero: Any = None,
) -> Outcome:
    n = len(rewards)
    return Outcome(
        steps,
        np.asarray(rewards, np.float64),
        np.asarray(np.zeros(n) if accesses is None else accesses, np.int64),
        np.asarray(np.full(n, steps) if contests is None else contests, np.int64),
        np.asarray(np.ones(n) if karma is None else karma, np.int64),
        np.asarray(np.full(n, -3.0 * steps) if zero is None else zero, np.float64),
        np.asarray(np.full(n, steps) if contests is None else contests, np.int64),
    )


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


def test_karma_balance() -> None:
    assert karma_balance([1, 2, 3], [3, 3, 0]) == 0
    assert karma_balance(np.array([200, 100], np.uint8), np.array([255, 255], np.uint8)) == 210
    assert karma_balance([5], [3]) == -2


# --- outcomes --------------------------------------------------------------------------------------


def test_stretches_add_up() -> None:
    first = outcome([-1, -2], [3, 1], [4, 4], steps=4, karma=[5, 6], zero=[-8, -9])
    total = outcome([-4, -2], [4, 5], [9, 8], steps=10, karma=[7, 4], zero=[-20, -18])
    second = total.since(first)
    assert second.steps == 6
    assert second.rewards.tolist() == [-3, 0]
    assert second.accesses.tolist() == [1, 4]
    assert second.contests.tolist() == [5, 4]
    assert second.karma.tolist() == [7, 4]
    assert second.losses_if_never.tolist() == [-12, -9]
    again = total_outcome([first, second])
    for name in ("steps", "rewards", "accesses", "contests", "karma", "losses_if_never", "counted"):
        np.testing.assert_array_equal(getattr(again, name), getattr(total, name))


def test_outcome_of_some_agents() -> None:
    whole = outcome([-1, -2, -3], [1, 2, 3], [4, 5, 6], karma=[7, 8, 9], zero=[-4, -5, -6])
    by_mask, by_index = whole.of_agents(np.array([True, False, True])), whole.of_agents(np.array([0, 2]))
    for part in (by_mask, by_index):
        assert part.steps == whole.steps
        assert part.rewards.tolist() == [-1, -3]
        assert part.accesses.tolist() == [1, 3]
        assert part.contests.tolist() == [4, 6]
        assert part.karma.tolist() == [7, 9]
        assert part.losses_if_never.tolist() == [-4, -6]


# --- summaries -------------------------------------------------------------------------------------


def test_summary_by_hand() -> None:
    first = outcome([-10, -20], [6, 4], karma=[1, 9], zero=[-30, -30])
    second = outcome([-20, -10], [5, 5], karma=[1, 3], zero=[-30, -30])
    third = outcome([-30, -30], [8, 2], karma=[2, 6], zero=[-30, -30])
    summary = summarise([first, second, third])
    # efficiencies -1.5, -1.5, -3: mean -2, standard deviation sqrt(3)/2 over sqrt(3) stretches
    assert summary.efficiency.value == pytest.approx(-2)
    assert summary.efficiency.standard_error == pytest.approx(0.5)
    assert summary.access_fairness.value == pytest.approx(-(19 - 11) / 2 / 30)
    assert summary.reward_fairness.value == 0
    assert summary.access_gini.value == pytest.approx((19 - 11) / 2 / 30)
    assert summary.karma_gini.value == pytest.approx(1 / 4)  # of the last karma: 2 and 6
    # gains per step 1 and 1; of the stretches (2, 1), (1, 2), (0, 0): welfare sqrt 2, sqrt 2, 0
    assert summary.nash_welfare.value == pytest.approx(1)
    assert summary.nash_welfare.standard_error == pytest.approx(np.sqrt(2) / 3)


def test_one_stretch_tells_no_error_of_efficiency() -> None:
    summary = summarise([outcome([-10, -20, -30], [1, 2, 3])])
    assert summary.efficiency.value == -2
    assert np.isnan(summary.efficiency.standard_error)
    assert np.isnan(summary.nash_welfare.standard_error)
    assert np.isfinite(summary.access_fairness.standard_error)


def test_summary_as_a_flat_dictionary() -> None:
    flat = summarise([outcome([-10, -20], [6, 4])]).to_dict()
    names = ["efficiency", "access_fairness", "reward_fairness", "access_gini", "karma_gini", "nash_welfare"]
    assert list(flat) == [name + suffix for name in names for suffix in ("", "_se")]
    assert flat["efficiency"] == -1.5
    assert all(type(value) is float for value in flat.values())


def test_estimates_print_with_their_error() -> None:
    assert str(Estimate(-1.23456, 0.01)) == "-1.2346 ± 0.0100"


def test_equal_agents_have_no_error() -> None:
    summary = summarise([outcome([-10] * 5, [5] * 5)])
    assert summary.access_fairness == Estimate(0, 0)
    assert summary.access_gini.standard_error == pytest.approx(0, abs=1e-15)


def test_errors_of_fairness_and_inequality_match_simulation() -> None:
    # 500 societies of 150 independent agents: the mean of the estimated errors against the spread of
    # the estimates, which itself is known to 1/sqrt(2 * 500) = 3.2 %; 4.5 sigma plus 3 % of bias.
    rng = np.random.default_rng(12)
    names = ("access_fairness", "reward_fairness", "karma_gini", "access_gini")
    values, errors = [], []
    for _ in range(500):
        society = outcome(
            rewards=-rng.gamma(2.0, 5.0, 150),
            accesses=rng.binomial(200, rng.beta(20, 20, 150)),
            karma=rng.geometric(0.1, 150),
            steps=200,
        )
        summary = summarise([society])
        values.append([getattr(summary, name).value for name in names])
        errors.append([getattr(summary, name).standard_error for name in names])
    ratio = np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)
    assert np.abs(ratio - 1).max() < 4.5 * 0.032 + 0.03, dict(zip(names, ratio))


def test_errors_of_grouped_jackknife_match_simulation() -> None:
    # As above with 1000 agents in 200 groups, 300 societies: 4.1 % and 4.5 sigma.
    rng = np.random.default_rng(13)
    found = []
    for _ in range(300):
        estimate = summarise([outcome(np.zeros(1000), karma=rng.geometric(0.1, 1000))]).karma_gini
        found.append((estimate.value, estimate.standard_error))
    values, errors = np.array(found).T
    assert abs(errors.mean() / values.std(ddof=1) - 1) < 4.5 * 0.041


def test_errors_of_batch_means_match_simulation() -> None:
    # 600 plays of 25 stretches: squared errors are unbiased; their ratio to the spread of the
    # estimates is known to sqrt(2/600 + 2/(600 * 24)) = 6 %; 4.5 sigma.
    rng = np.random.default_rng(14)
    values, errors = [], []
    for _ in range(600):
        stretches = [outcome(rng.normal(-10, 4, 6)) for _ in range(25)]
        estimate = summarise(stretches).efficiency
        values.append(estimate.value)
        errors.append(estimate.standard_error)
    ratio = np.mean(np.square(errors)) / np.var(values, ddof=1)
    assert abs(ratio - 1) < 4.5 * 0.06
    assert np.std(values) == pytest.approx(4 / 10 / np.sqrt(6 * 25), rel=4.5 * 0.03)


def test_one_agent_is_equal_to_itself_and_tells_no_error() -> None:
    """Nobody is left when the jackknife leaves it out."""
    one = Outcome(
        steps=10,
        rewards=np.array([-4.0]),
        accesses=np.array([3]),
        contests=np.array([8]),
        karma=np.array([9]),
        losses_if_never=np.array([-24.0]),
        counted=np.array([10]),
    )
    summary = summarise([one])
    assert summary.efficiency.value == -0.4
    assert summary.nash_welfare.value == pytest.approx(2.0)
    for name in ("access_fairness", "reward_fairness", "access_gini", "karma_gini"):
        estimate = getattr(summary, name)
        assert estimate.value == 0
        assert np.isnan(estimate.standard_error)
