"""Outcomes add up field by field; metrics by hand, and their standard errors against simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from karma_envs.karma.outcome import KARMA_METRICS, KarmaOutcome
from karma_envs.outcome import (
    EFFICIENCY,
    REWARD_FAIRNESS,
    Estimate,
    Metric,
    Outcome,
    as_columns,
    headlines,
    now,
    summarise,
    total,
    total_outcome,
)


def outcome(
    rewards: Any,
    accesses: Any = None,
    contests: Any = None,
    steps: int = 10,
    karma: Any = None,
    zero: Any = None,
) -> KarmaOutcome:
    n = len(rewards)
    competed = np.asarray(np.full(n, steps) if contests is None else contests, np.int64)
    return KarmaOutcome(
        steps=steps,
        rewards=np.asarray(rewards, np.float64),
        counted=competed,
        accesses=np.asarray(np.zeros(n) if accesses is None else accesses, np.int64),
        contests=competed.copy(),
        karma=np.asarray(np.ones(n) if karma is None else karma, np.int64),
        losses_if_never=np.asarray(np.full(n, -3.0 * steps) if zero is None else zero, np.float64),
    )


def summarised(*stretches: KarmaOutcome) -> dict[str, Estimate]:
    return summarise(stretches, KARMA_METRICS)


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
    summary = summarised(first, second, third)
    # efficiencies -1.5, -1.5, -3: mean -2, standard deviation sqrt(3)/2 over sqrt(3) stretches
    assert summary["efficiency"].value == pytest.approx(-2)
    assert summary["efficiency"].standard_error == pytest.approx(0.5)
    assert summary["access_fairness"].value == pytest.approx(-(19 - 11) / 2 / 30)
    assert summary["reward_fairness"].value == 0
    assert summary["access_gini"].value == pytest.approx((19 - 11) / 2 / 30)
    assert summary["karma_gini"].value == pytest.approx(1 / 4)  # of the last karma: 2 and 6
    # gains per step 1 and 1; of the stretches (2, 1), (1, 2), (0, 0): welfare sqrt 2, sqrt 2, 0
    assert summary["nash_welfare"].value == pytest.approx(1)
    assert summary["nash_welfare"].standard_error == pytest.approx(np.sqrt(2) / 3)


def test_one_stretch_tells_no_error_of_efficiency() -> None:
    summary = summarised(outcome([-10, -20, -30], [1, 2, 3]))
    assert summary["efficiency"].value == -2
    assert np.isnan(summary["efficiency"].standard_error)
    assert np.isnan(summary["nash_welfare"].standard_error)
    assert np.isfinite(summary["access_fairness"].standard_error)


def test_summary_as_a_flat_dictionary() -> None:
    flat = as_columns(summarised(outcome([-10, -20], [6, 4])))
    names = ["efficiency", "access_fairness", "reward_fairness", "access_gini", "karma_gini", "nash_welfare"]
    assert list(flat) == [name + suffix for name in names for suffix in ("", "_se")]
    assert flat["efficiency"] == -1.5
    assert all(type(value) is float for value in flat.values())


def test_estimates_print_with_their_error() -> None:
    assert str(Estimate(-1.23456, 0.01)) == "-1.2346 ± 0.0100"


def test_equal_agents_have_no_error() -> None:
    summary = summarised(outcome([-10] * 5, [5] * 5))
    assert summary["access_fairness"] == Estimate(0, 0)
    assert summary["access_gini"].standard_error == pytest.approx(0, abs=1e-15)


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
        summary = summarised(society)
        values.append([summary[name].value for name in names])
        errors.append([summary[name].standard_error for name in names])
    ratio = np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)
    assert np.abs(ratio - 1).max() < 4.5 * 0.032 + 0.03, dict(zip(names, ratio))


def test_errors_of_grouped_jackknife_match_simulation() -> None:
    # As above with 1000 agents in 200 groups, 300 societies: 4.1 % and 4.5 sigma.
    rng = np.random.default_rng(13)
    found = []
    for _ in range(300):
        estimate = summarised(outcome(np.zeros(1000), karma=rng.geometric(0.1, 1000)))["karma_gini"]
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
        estimate = summarised(*stretches)["efficiency"]
        values.append(estimate.value)
        errors.append(estimate.standard_error)
    ratio = np.mean(np.square(errors)) / np.var(values, ddof=1)
    assert abs(ratio - 1) < 4.5 * 0.06
    assert np.std(values) == pytest.approx(4 / 10 / np.sqrt(6 * 25), rel=4.5 * 0.03)


def test_one_agent_is_equal_to_itself_and_tells_no_error() -> None:
    """Nobody is left when the jackknife leaves it out."""
    one = KarmaOutcome(
        steps=10,
        rewards=np.array([-4.0]),
        accesses=np.array([3]),
        contests=np.array([8]),
        karma=np.array([9]),
        losses_if_never=np.array([-24.0]),
        counted=np.array([10]),
    )
    summary = summarised(one)
    assert summary["efficiency"].value == -0.4
    assert summary["nash_welfare"].value == pytest.approx(2.0)
    for name in ("access_fairness", "reward_fairness", "access_gini", "karma_gini"):
        estimate = summary[name]
        assert estimate.value == 0
        assert np.isnan(estimate.standard_error)


# --- outcomes and metrics of a game of one's own -----------------------------------------------------


@dataclass(frozen=True)
class Trips(Outcome):
    """An outcome with a field of each kind, one of them with two numbers for each agent."""

    waits: NDArray[np.int64] = total()
    place: NDArray[np.float64] = now()


def trips(steps: int, waits: Any, place: Any) -> Trips:
    waits, place = np.array(waits), np.array(place, np.float64)
    return Trips(steps, np.zeros(len(waits)), np.full(len(waits), steps), waits, place)


def test_own_fields_add_up_as_they_say() -> None:
    first = trips(2, [1, 0], [[0, 1], [2, 3]])
    both = trips(5, [4, 2], [[4, 5], [6, 7]])
    second = both.since(first)
    assert (second.steps, second.waits.tolist(), second.place.tolist()) == (3, [3, 2], [[4, 5], [6, 7]])
    again = total_outcome([first, second])
    assert type(again) is Trips
    assert type(again.steps) is int
    for name, value in vars(both).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    (place,) = both.of_agents(np.array([1])).place
    assert place.tolist() == [6, 7]
    assert Trips.names_of("total") == ("steps", "rewards", "counted", "waits")
    assert Trips.names_of("now") == ("place",)


def test_an_own_metric_has_its_error_by_batch_means() -> None:
    """Waits per step .5, .25 and 0: their mean is .25, their standard deviation .25, over sqrt(3)."""
    waiting = Metric("waiting", "waits", lambda outcome: outcome.waits.mean() / outcome.steps)
    stretches = [trips(4, [waits] * 2, [0, 0]) for waits in (2, 1, 0)]
    summary = summarise(stretches, [waiting, EFFICIENCY])
    assert list(summary) == ["waiting", "efficiency"]
    assert summary["waiting"].value == 0.25
    assert summary["waiting"].standard_error == pytest.approx(0.25 / np.sqrt(3))


def test_headlines_are_the_first_metrics_of_karma_games() -> None:
    assert [metric.name for metric in headlines(KARMA_METRICS)] == [
        "efficiency", "access_fairness", "reward_fairness",
    ]  # fmt: skip
    assert {metric.name: metric.more_is_better for metric in KARMA_METRICS} == {
        "efficiency": True,
        "access_fairness": True,
        "reward_fairness": True,
        "access_gini": False,
        "karma_gini": False,
        "nash_welfare": True,
    }
    assert all(metric.title and metric.meaning for metric in (*KARMA_METRICS, REWARD_FAIRNESS))


def test_what_cannot_be_is_told() -> None:
    assert outcome([-10, -20], [6, 4]).complaint() is None
    assert outcome([-10], [6], contests=[5]).complaint() == "more accesses than contests"
    assert outcome([-10], karma=[-1]).complaint() == "karma is below 0"
    assert outcome([-10], contests=[11]).complaint() == "counted leaves 0 … steps"


def test_totals_of_karma_are_told_by_name() -> None:
    """Seven in a row, as in version 0.1, where they stood in another order, are refused."""
    ones = [np.ones(2, np.int64)] * 6
    with pytest.raises(TypeError, match="positional"):
        KarmaOutcome(1, *ones)  # type: ignore[call-arg, misc, arg-type]
