"""The meeting-time game for infinitely many agents, as formulas: what is best, what it costs, when it starts.

Source: O. Guéant, J.-M. Lasry, P.-L. Lions, *Mean field games and applications*, 2011, "When does the
meeting start?"; R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020. N is the distribution
function of the standard normal, tau~ = tau + sigma eps the arrival of an agent that intends tau.

Differences from the source:
    Its Proposition 2, that there always is exactly one equilibrium, holds only where (gamma - alpha) /
    (beta + gamma) < 1 - quorum, see :func:`why_no_equilibrium`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from karma_envs.games.meeting_time.config import MeetingTimeConfig

_MOST_STEPS = 200
"""Of Newton's method; where it does not help, so many bisections leave nothing of any interval."""

_BOUNDARY = 1e-12
"""What costs and quorum, rounded, can be off the boundary of existence, in units of beta + gamma."""

Values = NDArray[np.float64]


def best_arrival(config: MeetingTimeConfig, start_time: float, uncertainty: ArrayLike) -> Values:
    """tau(sigma), the arrival to intend when the meeting is expected to start at T (Proposition 1).

    The root of alpha N((tau - t) / sigma) + (beta + gamma) N((tau - T) / sigma) = gamma, where the expected
    cost, which is convex in tau, is least.

    Args:
        config: costs and t.
        start_time: T >= t.
        uncertainty: sigma > 0, of any shape.

    Returns:
        ``float64`` of the shape of ``uncertainty``, accurate to rounding.
    """
    sigma = np.asarray(uncertainty, np.float64)
    t, alpha, gamma = config.scheduled_time, config.lateness_cost, config.waiting_cost
    beta_gamma = config.delay_cost + gamma

    def marginal_cost(arrival: Values) -> tuple[Values, Values]:
        after_t, after_start = (arrival - t) / sigma, (arrival - start_time) / sigma
        # alpha N(x) - gamma without cancellation in either tail of N
        lateness = np.where(
            after_t > 0, alpha - gamma - alpha * ndtr(-after_t), alpha * ndtr(after_t) - gamma
        )
        slope = (alpha * _density(after_t) + beta_gamma * _density(after_start)) / sigma
        return lateness + beta_gamma * ndtr(after_start), slope

    # If T were t, the root would be t + quantile * sigma; it moves no further than T does.
    quantile = ndtri(gamma / (alpha + beta_gamma)) * sigma
    return _increasing_root(marginal_cost, t + quantile, start_time + quantile)


def expected_cost(
    config: MeetingTimeConfig, start_time: float, arrival: ArrayLike, uncertainty: ArrayLike
) -> Values:
    """The expectation over eps of an agent's cost, alpha [tau~-t]+ + beta [tau~-T]+ + gamma [T-tau~]+.

    Args:
        config: costs and t.
        start_time: T.
        arrival: tau, of any shape.
        uncertainty: sigma > 0, broadcast against ``arrival``.
    """
    tau, sigma = np.asarray(arrival, np.float64), np.asarray(uncertainty, np.float64)

    def mean_excess(mean: Values) -> Values:  # E [mean + sigma eps]+
        ratio = mean / sigma
        return np.asarray(mean * ndtr(ratio) + sigma * _density(ratio))

    return np.asarray(
        config.lateness_cost * mean_excess(tau - config.scheduled_time)
        + config.delay_cost * mean_excess(tau - start_time)
        + config.waiting_cost * mean_excess(start_time - tau)
    )


def start_time_of(
    config: MeetingTimeConfig, arrival: ArrayLike, uncertainty: ArrayLike, weights: ArrayLike
) -> float:
    """When the meeting of a population starts: once the quorum has arrived, and not before t.

    Args:
        config: quorum and t.
        arrival: tau, ``float[n]``.
        uncertainty: sigma, ``float[n]``.
        weights: ``float[n]``, the share of the population that has this tau and sigma; sum 1.
    """
    tau, sigma, mass = (np.asarray(array, np.float64) for array in (arrival, uncertainty, weights))

    def quorum_over_missing(time: Values) -> tuple[Values, Values]:
        before = (tau - time) / sigma
        missing, density = mass @ ndtr(before), mass @ (_density(before) / sigma)
        return np.asarray(1 - config.quorum - missing), np.asarray(density)

    # Of a mixture, the quantile lies between those of its parts.
    of_parts = tau + ndtri(config.quorum) * sigma
    time = _increasing_root(quorum_over_missing, np.min(of_parts), np.max(of_parts))
    return max(config.scheduled_time, float(time))


def why_no_equilibrium(config: MeetingTimeConfig) -> str:
    """Why there is no start time that makes itself; empty where there is one.

    Who plays a best response to T is missing at T with probability N((tau - T) / sigma), which by
    :func:`best_arrival` is (gamma - alpha N((tau - t) / sigma)) / (beta + gamma). Its mean over the
    population falls in T, strictly if alpha > 0, from gamma / (alpha + beta + gamma) at T = t towards
    max(0, gamma - alpha) / (beta + gamma), whatever t and the uncertainties are. So

    - T = t is an equilibrium iff gamma / (alpha + beta + gamma) <= 1 - quorum;
    - else there is one, and only one, iff (gamma - alpha) / (beta + gamma) < 1 - quorum, and at the boundary
      there is none: the meeting would start later than anybody expects, whatever is expected.

    Without alpha the missing are gamma / (beta + gamma) at every T; where they are exactly 1 - quorum,
    every T >= t is an equilibrium, and T = t is the one that is told.
    """
    if _starts_at_once(config) or _room(config) > 0:
        return ""
    missing = (config.waiting_cost - config.lateness_cost) / (config.delay_cost + config.waiting_cost)
    return (
        f"whenever the meeting is expected to start, more than {missing:g} of the agents come later, "
        f"(waiting_cost - lateness_cost) / (delay_cost + waiting_cost), and a quorum of {config.quorum:g} "
        f"does not start with more than {1 - config.quorum:g} missing"
    )


def equilibrium_start_time(config: MeetingTimeConfig) -> float:
    """T*, the start time that makes itself: T* = 2.0530992529 with the default costs, quorum and uncertainty.

    The root in T of alpha E[1 - N((tau(sigma) - t) / sigma)] = (beta + gamma) (1 - quorum) - (gamma - alpha),
    which says that the quorum is there at T; see :func:`why_no_equilibrium`.

    Raises:
        ValueError: where there is none.
    """
    if reason := why_no_equilibrium(config):
        raise ValueError(f"this game has no equilibrium: {reason}")
    t = config.scheduled_time
    if _starts_at_once(config):
        return t
    sigma, weights = config.uncertainties
    room = _room(config)

    def missing(delay: float) -> float:
        before_t = (t - best_arrival(config, t + delay, sigma)) / sigma
        return config.lateness_cost * float(weights @ ndtr(before_t)) - room

    latest = float(sigma.max())
    while missing(latest) > 0:
        latest *= 2
    return t + float(brentq(missing, 0, latest, xtol=1e-15 * latest, rtol=1e-14))


def _starts_at_once(config: MeetingTimeConfig) -> bool:
    """Whether enough arrive by t when all expect the meeting to start then."""
    total = config.lateness_cost + config.delay_cost + config.waiting_cost
    return config.waiting_cost / total <= 1 - config.quorum + _BOUNDARY


def _room(config: MeetingTimeConfig) -> float:
    """(beta + gamma) (1 - quorum) - (gamma - alpha); 0 where rounding may have made it differ from 0."""
    beta_gamma = config.delay_cost + config.waiting_cost
    room = beta_gamma * (1 - config.quorum) - (config.waiting_cost - config.lateness_cost)
    return room if abs(room) > _BOUNDARY * beta_gamma else 0.0


def _density(x: Values) -> Values:
    """Of the standard normal distribution."""
    return np.asarray(np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))


def _increasing_root(
    function: Callable[[Values], tuple[Values, Values]], low: ArrayLike, high: ArrayLike
) -> Values:
    """Where an increasing function is 0, elementwise, by Newton's method kept in a shrinking interval.

    Args:
        function: its values and slopes, from places.
        low: where the values are at most 0, but for rounding.
        high: where they are at least 0.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    precision = 4 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))
    place = (low + high) / 2
    for _ in range(_MOST_STEPS):
        value, slope = function(place)
        low, high = np.where(value <= 0, place, low), np.where(value >= 0, place, high)
        # Where the function is flat Newton's step leaves the interval, or is no number: halve it there.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            following = place - value / slope
        following = np.where((following >= low) & (following <= high), following, (low + high) / 2)
        done = bool((np.abs(following - place) <= precision).all())
        place = following
        if done:
            break
    return np.asarray(place)
