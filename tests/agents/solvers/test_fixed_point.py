"""Fixed points of "best response, then the statistic that it makes", for models of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents import exploitability, solve
from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import Step, TabularEquilibrium
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.games.meeting_time.closed_forms import equilibrium_start_time
from karma_envs.mean_field import MeanFieldModel


class Line(MeanFieldModel):
    """Everybody wants to be at ``slope * z + shift``, where z is where everybody is: a policy is a place."""

    def __init__(self, slope: float, shift: float = 1.0) -> None:
        self.slope, self.shift = slope, shift

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        return np.zeros(1)

    def best_response(self, statistic: NDArray[np.float64]) -> float:
        return float(self.slope * statistic[0] + self.shift)

    def policy_value(self, policy: float, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([-1 - (policy - self.best_response(statistic)) ** 2])

    def statistic_of(self, policy: float) -> NDArray[np.float64]:
        return np.array([policy])


def meeting(**fields: Any) -> MeanFieldModel:
    model = make("meeting_time", **fields).mean_field()
    assert model is not None
    return model


def test_a_contraction_comes_to_its_fixed_point() -> None:
    found = solve(Line(-0.5))
    assert found.converged
    assert found.reason == ""
    assert found.statistic == pytest.approx([1 / 1.5], abs=1e-11)
    assert found.policy == pytest.approx(1 / 1.5, abs=1e-11)
    assert (found.efficiency, found.payoff) == (pytest.approx(-1), pytest.approx(-1))
    assert found.exploitability < 1e-20
    assert found.mean_field.shape == (1, 0)
    # Of powers of -1/2 the n-th is the change in round n: the last is the first below 1e-12.
    assert found.history[-1].iteration == 40


def test_exploitability_is_what_a_best_response_gains() -> None:
    distance = exploitability(Line(-0.5), 2.0)  # of all at 2, one gains 4 by moving to 0
    assert (distance.absolute, distance.payoff, distance.normalised) == (4.0, -5.0, 0.8)


def test_what_cycles_does_not_converge_and_says_so_unless_damped() -> None:
    cycling = solve(Line(-1.0), iterations=20)
    assert not cycling.converged
    assert cycling.reason == "after 20 rounds the statistic still changes by 1.0e+00 in a round"
    damped = solve(Line(-1.0), step=0.5)
    assert damped.converged
    assert damped.statistic == pytest.approx([0.5], abs=1e-12)


def test_a_fixed_point_that_can_be_exploited_is_no_equilibrium() -> None:
    class Stubborn(Line):
        def best_response(self, statistic: NDArray[np.float64]) -> float:
            return 3.0 if statistic[0] < 3 else 2.0

        def statistic_of(self, policy: float) -> NDArray[np.float64]:
            return np.array([3.0])

    found = solve(Stubborn(0.0), precision=1.0)
    assert not found.converged
    assert "leaves" in found.reason


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scheduled_time": -3.0, "uncertainty": ((0.5, 0.3), (1.0, 0.7))},
        {"lateness_cost": 0.3, "delay_cost": 2.0, "quorum": 0.6},
        {"lateness_cost": 0.81},
        {"uncertainty": (500.0, 1500.0)},
    ],
)
def test_when_meetings_start(fields: dict[str, Any]) -> None:
    model, found = meeting(**fields), solve(meeting(**fields))
    expected = equilibrium_start_time(make("meeting_time", **fields).config)  # type: ignore[arg-type]
    assert found.method == "fixed_point"
    assert found.converged
    assert found.statistic[0] == pytest.approx(expected, abs=1e-8, rel=1e-10)
    assert found.policy.start_time == pytest.approx(expected, abs=1e-8, rel=1e-10)
    assert found.exploitability == pytest.approx(0, abs=1e-12)
    value = model.policy_value(found.policy, found.statistic)
    assert found.efficiency == pytest.approx(float(value[0]))
    assert found.efficiency < 0


def test_the_published_start_time() -> None:
    assert solve(meeting()).statistic[0] == pytest.approx(2.0530992529, abs=1e-8)


def test_where_there_is_no_equilibrium_the_solver_returns_at_once_and_says_why() -> None:
    steps: list[Step] = []
    found = solve(meeting(lateness_cost=0.8), observer=steps.append)
    assert not found.converged
    assert "waiting_cost - lateness_cost" in found.reason
    assert len(steps) == 1
    assert found.exploitability > 0.01
    assert "no, whenever the meeting" in repr(found)


def test_a_learned_policy_is_judged_by_what_it_does() -> None:
    """All come at t = 0: T is the quorum's quantile of sigma eps; the model sees only actions."""

    class OnTime:
        def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
            return np.zeros((len(observations), 1), np.float32)

    model = meeting(uncertainty=((2.0, 1.0),))
    assert model.statistic_of(OnTime()) == pytest.approx([2 * 1.2815515655446004])
    best = model.best_response(model.statistic_of(OnTime()))
    gain = model.policy_value(best, model.statistic_of(OnTime())) - model.policy_value(
        OnTime(), model.statistic_of(OnTime())
    )
    assert model.exploitability(OnTime()).absolute == pytest.approx(float(gain[0]))
    assert gain[0] > 0


def test_against_a_given_start_time_the_best_response_is_found_at_once() -> None:
    game = make("meeting_time")
    model = game.against([1.5]).mean_field()  # type: ignore[attr-defined]
    found = solve(model)
    assert found.converged
    assert found.policy.start_time == found.statistic[0] == 1.5
    assert found.history[-1].iteration == 0


def test_finite_models_have_fixed_points_too() -> None:
    """In this little game the best response to itself is found; the homotopy finds the same efficiency."""
    model = make("matching", n_agents=10, karma_max=6, karma_mean=3).mean_field()
    assert model is not None
    found = solve(model, "fixed_point", iterations=50)
    assert isinstance(found, TabularEquilibrium)
    assert isinstance(found.policy, TabularPolicy)
    assert found.converged
    assert found.exploitability_normalised <= 1e-10
    again = solve(model, "fixed_point", initial_statistic=found.statistic)
    assert again.history[-1].iteration == 0
    assert "state" in found.to_frame()


def test_methods_that_need_tables_say_so() -> None:
    for method in ("homotopy", "fictitious_play", "mirror_descent"):
        with pytest.raises(ConfigError, match="finite states and actions"):
            solve(meeting(), method)


@pytest.mark.parametrize("options", [{"step": 0}, {"step": 1.5}, {"precision": -1}, {"iterations": 0}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        solve(Line(0.5), "fixed_point", **options)


def test_the_policy_as_a_table() -> None:
    frame = solve(meeting()).to_frame()
    assert list(frame.columns) == ["uncertainty", "intended_arrival"]
    assert len(frame) == 64  # the quadrature's
    assert (np.diff(frame["intended_arrival"]) < 0).all()  # who is less certain comes earlier
    few = solve(meeting(uncertainty=((0.5, 1.0), (2.0, 1.0)))).to_frame()
    assert few["uncertainty"].tolist() == [0.5, 2.0]
