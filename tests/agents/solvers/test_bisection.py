"""Bisection: where statistics that are one number make themselves, however steep best responses are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents import solve
from agents.solvers import Step
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.games.malware import smfe
from karma_envs.games.meeting_time.closed_forms import equilibrium_start_time
from karma_envs.games.meeting_time.config import MeetingTimeConfig
from karma_envs.mean_field import MeanFieldModel


class Line(MeanFieldModel):
    """To a number z the best response is ``response(z)``, which makes itself; it costs to be off it."""

    def __init__(self, response: Any) -> None:
        self._response = response

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        return np.zeros(1)

    def best_response(self, statistic: NDArray[np.float64]) -> float:
        return float(self._response(float(statistic[0])))

    def policy_value(self, policy: float, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([-1 - (policy - self.best_response(statistic)) ** 2])

    def statistic_of(self, policy: float) -> NDArray[np.float64]:
        return np.array([policy])


@pytest.mark.parametrize(
    ("response", "root"),
    [
        (lambda z: 3 - 100 * z, 3 / 101),  # iterating it diverges
        (lambda z: -5 - z / 2, -10 / 3),
        (lambda z: 0.999 * z + 1, 1000),
        (lambda z: 0.0, 0),
    ],
)
def test_where_lines_cross(response: Any, root: float) -> None:
    equilibrium = solve(Line(response), "bisection")
    assert equilibrium.converged
    assert equilibrium.statistic[0] == pytest.approx(root, rel=1e-12, abs=1e-15)


def test_jumps_and_drifts_are_told() -> None:
    jump = solve(Line(lambda z: 2.0 if z < 1 else 0.0), "bisection")
    assert not jump.converged
    assert "jump where 1 is expected: they make" in jump.reason
    drift = solve(Line(lambda z: z + 1), "bisection")
    assert not drift.converged
    assert drift.reason == "what is made is always above what is expected"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"repair_cost": 0.3},
        {"repair_cost": 1.5},
        {"discount": 0.5},
        {"repair_cost": 0.05},
        {"repair_cost": 3},
    ],
)
def test_the_equilibrium_of_malware(fields: dict[str, float]) -> None:
    """Also where iterated best responses cycle."""
    equilibrium, exact = solve(make("malware", **fields)), smfe(**fields)
    assert equilibrium.method == "bisection"
    assert equilibrium.converged
    assert equilibrium.policy.theta == pytest.approx(exact.threshold, abs=1e-14)
    assert equilibrium.payoff == pytest.approx(exact.payoff, rel=1e-13)


def test_when_the_meeting_starts() -> None:
    seen: list[Step] = []
    equilibrium = solve(make("meeting_time"), "bisection", observer=seen.append, initial_statistic=7)
    assert equilibrium.statistic[0] == pytest.approx(equilibrium_start_time(MeetingTimeConfig()), rel=1e-14)
    assert [step.iteration for step in seen[:4]] == [0, 1, 2, 4]
    assert tuple(seen) == equilibrium.history
    without = solve(make("meeting_time", lateness_cost=0.5), "bisection")
    assert "whenever the meeting is expected to start" in without.reason


def test_an_interrupted_search_keeps_what_it_has() -> None:
    seen: list[int] = []

    def impatient(step: Step) -> None:
        seen.append(step.iteration)
        if seen == [0, 1, 2, 4]:
            raise KeyboardInterrupt

    equilibrium = solve(Line(lambda z: 3 - 100 * z), "bisection", observer=impatient)
    assert equilibrium.interrupted
    assert not equilibrium.converged
    assert equilibrium.reason == "it was interrupted"


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"AuctionMeanField.*whose statistic is one number"):
        solve(make("auction"), "bisection")
    with pytest.raises(ConfigError, match="precision"):
        solve(make("meeting_time"), "bisection", precision=-1)
