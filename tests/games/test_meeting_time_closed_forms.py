"""The meeting-time game for infinitely many agents, against a second formulation and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import ndtr, ndtri

from karma_envs.games.meeting_time.closed_forms import (
    best_arrival,
    equilibrium_start_time,
    expected_cost,
    start_time_of,
    why_no_equilibrium,
)
from karma_envs.games.meeting_time.config import MeetingTimeConfig

DEFAULT = 2.0530992529
"""T* with the default configuration, computed independently of this package."""

costs = st.floats(0.05, 20)
configurations = st.builds(
    MeetingTimeConfig,
    scheduled_time=st.floats(-5, 5),
    lateness_cost=costs,
    delay_cost=costs,
    waiting_cost=costs,
    quorum=st.floats(0.05, 0.95),
    uncertainty=st.one_of(
        st.tuples(st.floats(0.1, 1), st.floats(1, 4)),
        st.lists(st.tuples(st.floats(0.1, 4), st.floats(0.1, 9)), min_size=1, max_size=4).map(tuple),
    ),
)


def test_the_start_time_with_the_defaults() -> None:
    assert equilibrium_start_time(MeetingTimeConfig()) == pytest.approx(DEFAULT, abs=1e-10)


def test_the_start_time_by_adaptive_quadrature() -> None:
    """T* with nothing of the package: scipy's roots and adaptive quadrature over sigma."""
    alpha, beta, gamma, quorum, low, high = 0.9, 0.7, 1.1, 0.75, 0.2, 1.3

    def arrived(start: float) -> float:
        def of(sigma: float) -> float:
            def slope(tau: float) -> float:
                return alpha * ndtr(tau / sigma) + (beta + gamma) * ndtr((tau - start) / sigma) - gamma

            tau = brentq(slope, -20, 20, xtol=1e-14)
            return float(ndtr((start - tau) / sigma))

        return quad(of, low, high, epsabs=1e-12, epsrel=1e-12)[0] / (high - low)

    expected = brentq(lambda start: arrived(start) - quorum, 0, 20, xtol=1e-13)
    config = MeetingTimeConfig(
        lateness_cost=alpha, delay_cost=beta, waiting_cost=gamma, quorum=quorum, uncertainty=(low, high)
    )
    assert equilibrium_start_time(config) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("uncertainty", [(0.5, 1.5), (0.001, 10.0), (3.0, 3.0)])
def test_quadratures_are_means_over_the_interval(uncertainty: tuple[float, float]) -> None:
    config = MeetingTimeConfig(uncertainty=uncertainty)
    sigma, weights = config.uncertainties
    low, high = uncertainty
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    assert weights @ sigma == pytest.approx((low + high) / 2, rel=1e-13)
    mean_square = (low * low + low * high + high * high) / 3
    assert weights @ sigma**2 == pytest.approx(mean_square, rel=1e-13)
    if low < high:  # what changes with time / sigma, as the game's integrands do
        by_quad = quad(lambda s: ndtr(-0.3 / s), low, high, epsabs=1e-14, epsrel=1e-13)[0] / (high - low)
        assert weights @ ndtr(-0.3 / sigma) == pytest.approx(by_quad, abs=1e-12)


def test_the_best_arrival_costs_least() -> None:
    config = MeetingTimeConfig(lateness_cost=0.3, delay_cost=2.0, waiting_cost=0.8)
    for sigma in (0.2, 1.0, 4.0):
        tau = float(best_arrival(config, 1.5, sigma))
        least = minimize_scalar(
            lambda place, s=sigma: float(expected_cost(config, 1.5, place, s)), bracket=(-5, 5), tol=1e-12
        )
        assert tau == pytest.approx(least.x, abs=1e-5)  # a minimum is known to the root of rounding
        assert expected_cost(config, 1.5, tau, sigma) <= least.fun + 1e-14


def test_expected_costs_are_means_over_arrivals() -> None:
    config = MeetingTimeConfig(scheduled_time=-0.5, lateness_cost=0.3, delay_cost=2.0, waiting_cost=0.8)
    t, start, tau, sigma = -0.5, 1.5, 0.7, 1.2

    def cost(noise: float) -> float:
        arrival = tau + sigma * noise
        each = 0.3 * max(arrival - t, 0) + 2.0 * max(arrival - start, 0) + 0.8 * max(start - arrival, 0)
        return float(each * np.exp(-(noise**2) / 2) / np.sqrt(2 * np.pi))

    kinks = sorted([(t - tau) / sigma, (start - tau) / sigma])
    expected = quad(cost, -12, 12, points=kinks, epsabs=1e-12)[0]
    assert expected_cost(config, start, tau, sigma) == pytest.approx(expected, abs=1e-9)


def test_the_quorum_of_a_mixture() -> None:
    config = MeetingTimeConfig(quorum=0.8)
    arrival, sigma, weights = np.array([0.0, 2.0]), np.array([1.0, 0.5]), np.array([0.25, 0.75])
    start = start_time_of(config, arrival, sigma, weights)
    assert weights @ ndtr((start - arrival) / sigma) == pytest.approx(0.8, abs=1e-14)
    assert start_time_of(config.replace(quorum=0.01), arrival, sigma, weights) == 0.0  # not before t


@settings(max_examples=60, deadline=None)
@given(configurations)
def test_the_quorum_is_there_at_the_equilibrium(config: MeetingTimeConfig) -> None:
    assume(not why_no_equilibrium(config))
    start = equilibrium_start_time(config)
    sigma, weights = config.uncertainties
    tau = best_arrival(config, start, sigma)
    arrived = float(weights @ ndtr((start - tau) / sigma))
    if start > config.scheduled_time:
        assert arrived == pytest.approx(config.quorum, abs=1e-10)
    else:
        assert arrived >= config.quorum - 1e-10
    assert start_time_of(config, tau, sigma, weights) == pytest.approx(start, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(configurations, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_without_an_equilibrium_the_meeting_is_later_than_expected(
    config: MeetingTimeConfig, delay_share: float, lateness_share: float
) -> None:
    gamma, quorum = config.waiting_cost, config.quorum
    beta = delay_share * gamma * quorum / (1 - quorum)
    alpha = lateness_share * (gamma * quorum - beta * (1 - quorum))  # of the alpha at the bound of existence
    config = config.replace(lateness_cost=alpha, delay_cost=beta)
    assert why_no_equilibrium(config)
    sigma, weights = config.uncertainties
    for delay in (0.0, 0.1, 1.0, 3.0, 30.0, 1000.0):
        expected = config.scheduled_time + delay
        tau = best_arrival(config, expected, sigma)
        assert start_time_of(config, tau, sigma, weights) > expected
    assert not why_no_equilibrium(config.replace(lateness_cost=alpha / lateness_share * 1.001))


@settings(max_examples=40, deadline=None)
@given(configurations, st.floats(0.1, 10), st.floats(-3, 3))
def test_times_scale_with_uncertainties_and_move_with_the_schedule(
    config: MeetingTimeConfig, factor: float, shift: float
) -> None:
    assume(not why_no_equilibrium(config))
    uncertainty = np.multiply(config.uncertainty, 1.0).tolist()
    if config.is_uniform:
        scaled = tuple(factor * end for end in uncertainty)
    else:
        scaled = tuple((factor * value, weight) for value, weight in uncertainty)
    delay = equilibrium_start_time(config) - config.scheduled_time
    other = config.replace(uncertainty=scaled, scheduled_time=shift)
    assert equilibrium_start_time(other) - shift == pytest.approx(factor * delay, rel=1e-8, abs=1e-9)
    money = {name: 3 * getattr(config, name) for name in ("lateness_cost", "delay_cost", "waiting_cost")}
    assert equilibrium_start_time(config.replace(**money)) == pytest.approx(
        delay + config.scheduled_time, rel=1e-8, abs=1e-8
    )


def test_half_a_quorum_starts_as_scheduled() -> None:
    for t in (0.0, 7.5):
        config = MeetingTimeConfig(quorum=0.5, scheduled_time=t)
        assert equilibrium_start_time(config) == t
    # gamma / (alpha + beta + gamma) = 1/3 are late at t: quorums up to 2/3 start then, others later
    assert equilibrium_start_time(MeetingTimeConfig(quorum=2 / 3)) == 0.0
    assert equilibrium_start_time(MeetingTimeConfig(quorum=2 / 3 + 1e-6)) > 0.0


@pytest.mark.parametrize("uncertainty", [(0.5, 1.5), ((0.2, 1.0), (3.0, 2.0))])
def test_the_bound_of_existence(uncertainty: tuple[object, ...]) -> None:
    """(gamma - alpha) / (beta + gamma) = 1 - quorum at alpha = .8: none there, one just above."""
    config = MeetingTimeConfig(lateness_cost=0.8, uncertainty=uncertainty)
    assert "lateness_cost" in why_no_equilibrium(config)
    with pytest.raises(ValueError, match="no equilibrium"):
        equilibrium_start_time(config)
    assert why_no_equilibrium(config.replace(lateness_cost=0.8 - 1e-6))
    near = [equilibrium_start_time(config.replace(lateness_cost=0.8 + gap)) for gap in (1e-2, 1e-4, 1e-6)]
    assert near[0] < near[1] < near[2] < np.inf


def test_without_lateness_cost_all_expectations_or_none_come_true() -> None:
    """alpha = 0: gamma / (beta + gamma) are late at whatever T is expected."""
    config = MeetingTimeConfig(lateness_cost=0.0, delay_cost=3.0, quorum=0.75, uncertainty=((1.0, 1.0),))
    assert equilibrium_start_time(config) == 0.0
    for expected in (0.0, 1.0, 5.0):
        tau = best_arrival(config, expected, 1.0)
        assert start_time_of(config, [tau], [1.0], [1.0]) == pytest.approx(expected, abs=1e-12)
    assert why_no_equilibrium(config.replace(quorum=0.76))
    assert not why_no_equilibrium(config.replace(quorum=0.74))


def test_certain_agents_have_a_formula() -> None:
    """One sigma, alpha = beta + gamma: the root lies in the middle where gamma = alpha, tau = (t + T) / 2."""
    config = MeetingTimeConfig(lateness_cost=2.0, delay_cost=0.0, waiting_cost=2.0, scheduled_time=1.0)
    assert best_arrival(config, 4.0, [0.3, 1.0, 5.0]) == pytest.approx([2.5, 2.5, 2.5], abs=1e-12)
    # At T* the quorum is there: N((T - t) / (2 sigma)) = .9
    one = config.replace(uncertainty=((0.5, 1.0),))
    assert equilibrium_start_time(one) == pytest.approx(1 + 2 * 0.5 * ndtri(0.9), abs=1e-12)
