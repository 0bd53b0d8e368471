"""Configuration of the meeting-time game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal, whole

_LARGEST = 1e9
"""Of costs, times and uncertainties, so that float32 holds what follows from them."""

_FINEST = 1e4
"""The scheduled time is at most so many of the smallest uncertainty: actions are float32."""

_NODES = 32
"""Gauss-Legendre nodes of each panel of the interval of uncertainties."""

_UNCERTAINTY = (
    f"(low, high) with 0 < low <= high <= {_LARGEST:g}, for uniform uncertainties, or pairs "
    "(uncertainty, weight) of positive numbers"
)


@dataclass(frozen=True)
class MeetingTimeConfig(Config):
    """Configuration of the meeting-time game; the defaults are ours, the source names no numbers but 90 %.

    Attributes:
        n_agents: N, number of agents, >= 1.
        scheduled_time: t, when the meeting is scheduled; at most 10⁴ times the smallest uncertainty away
            from 0, as actions are float32.
        lateness_cost: alpha >= 0, cost of a unit of time that one arrives after t.
        delay_cost: beta >= 0, cost of a unit of time that one arrives after the meeting began; alpha and
            beta are not both 0.
        waiting_cost: gamma > 0, cost of a unit of time that one waits for the meeting to begin.
        quorum: share of the agents who must have arrived for the meeting to begin, in (0, 1).
        uncertainty: sigma, the standard deviation of an agent's arrival around the time it intends:
            (low, high) for a uniform distribution over agents, or pairs (uncertainty, weight) such as
            ((0.5, 0.3), (1.0, 0.7)), with weights in any unit.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 100
    scheduled_time: float = 0.0
    lateness_cost: float = 1.0
    delay_cost: float = 1.0
    waiting_cost: float = 1.0
    quorum: float = 0.9
    uncertainty: tuple[float, float] | tuple[tuple[float, float], ...] = (0.5, 1.5)

    def __post_init__(self) -> None:
        self._set(
            n_agents=whole("n_agents", self.n_agents, 1),
            lateness_cost=real("lateness_cost", self.lateness_cost, 0, _LARGEST),
            delay_cost=real("delay_cost", self.delay_cost, 0, _LARGEST),
            waiting_cost=real("waiting_cost", self.waiting_cost, 0, _LARGEST, open_low=True),
            quorum=real("quorum", self.quorum, 0, 1, open_low=True, open_high=True),
            uncertainty=_checked_uncertainty(self.uncertainty),
        )
        if self.lateness_cost == 0 and self.delay_cost == 0:
            raise refusal(
                "delay_cost", self.delay_cost, "above 0 where lateness_cost is 0: else nobody comes"
            )
        furthest = _FINEST * self.uncertainty_range[0]
        self._set(scheduled_time=real("scheduled_time", self.scheduled_time, -furthest, furthest))

    @property
    def is_uniform(self) -> bool:
        """Whether uncertainties are uniform on an interval; else they are some values with weights."""
        return not isinstance(self.uncertainty[0], tuple)

    @property
    def uncertainty_range(self) -> tuple[float, float]:
        """The smallest and the largest uncertainty that an agent may have."""
        values = np.array(self.uncertainty)
        values = values if self.is_uniform else values[:, 0]
        return float(values.min()), float(values.max())

    @property
    def uncertainties(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Uncertainties and their shares, such that sums over them are means over the population.

        Returns:
            ``float64[n]`` values, rising, and ``float64[n]`` weights, sum 1: as configured where they are
            listed, else the nodes of a quadrature over the interval.
        """
        if not self.is_uniform:
            values, weights = np.array(sorted(self.uncertainty), np.float64).T
            return values, weights / weights.sum()
        return _quadrature(*self.uncertainty_range)


def _checked_uncertainty(given: Any) -> Any:
    if not is_list(given) or not len(given):
        raise refusal("uncertainty", given, _UNCERTAINTY)
    if any(is_list(item) for item in given):
        if not all(is_list(item) and len(item) == 2 for item in given):
            raise refusal("uncertainty", given, _UNCERTAINTY)
        return tuple(tuple(_positive(number, given) for number in item) for item in given)
    if len(given) != 2:
        raise refusal("uncertainty", given, _UNCERTAINTY)
    low, high = (_positive(number, given) for number in given)
    if low > high:
        raise refusal("uncertainty", given, _UNCERTAINTY)
    return low, high


def _positive(number: Any, given: Any) -> float:
    try:
        return real("uncertainty", number, 0, _LARGEST, open_low=True)
    except ValueError as error:
        raise refusal("uncertainty", given, _UNCERTAINTY) from error


def _quadrature(low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of means over [low, high]; to rounding for functions of time / uncertainty."""
    if low == high:
        return np.array([low]), np.ones(1)
    # What depends on time / uncertainty changes by factors of the uncertainty: a panel for each doubling.
    edges = np.geomspace(low, high, int(np.ceil(np.log2(high / low))) + 1)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half_widths = np.diff(edges)[:, None] / 2
    values = (edges[:-1, None] + half_widths * (1 + nodes)).ravel()
    shares = (half_widths * weights).ravel()
    return values, shares / shares.sum()
