"""The team's optimum by brute force: of thresholds against closed forms, of several parameters by hand."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from agents import solve
from agents.solvers import Step
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.games.malware import MalwareGame, ThresholdPolicy, smfe, smfto
from karma_envs.mean_field import MeanFieldModel

_INFINITE = np.full(2, np.inf)


class Place:
    """A place in the plane, which is a policy."""

    def __init__(self, parameters: Any, bounds: Any = (-_INFINITE, _INFINITE)) -> None:
        self.parameters, self.bounds = np.array(parameters, np.float64), bounds

    def with_parameters(self, parameters: NDArray[np.float64]) -> Self:
        assert (parameters >= self.bounds[0]).all()
        assert (parameters <= self.bounds[1]).all()
        return type(self)(parameters, self.bounds)


class Plane(MeanFieldModel):
    """One pays for the distance of the own place to (3, -2), and for how far everybody is on the way up.

    J(x, y) = -(x - 3)^2 - (y + 2)^2 - 2 x - 4 y, where all are at (x, y): greatest at (2, -4).
    """

    initial_statistic = np.zeros(2)

    def best_response(self, statistic: NDArray[np.float64]) -> Place:
        return Place([3, -2])

    def policy_value(self, policy: Place, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        own = ((policy.parameters - [3, -2]) ** 2).sum()
        return np.array([-own - statistic @ [2, 4]])

    def statistic_of(self, policy: Place) -> NDArray[np.float64]:
        return policy.parameters.copy()


class PlaneGame(MalwareGame):
    """A game of which only the family and the model are asked."""

    family: Any = Place([0, 0])

    def policy_family(self) -> Any:
        return self.family

    def mean_field(self, *, by_agent: bool = False) -> Any:
        return Plane()


@pytest.mark.parametrize(
    "fields", [{}, {"repair_cost": 0.1}, {"repair_cost": 1.9, "discount": 0.99}, {"discount": 0.0}]
)
def test_the_optimum_of_malware(fields: dict[str, float]) -> None:
    found, exact = solve(make("malware", cooperative=True, **fields)), smfto(**fields)
    assert found.method == "team_optimum"
    assert found.converged
    assert found.policy.theta == pytest.approx(exact.threshold, abs=1e-7)
    assert found.payoff == pytest.approx(exact.payoff, rel=1e-13)


def test_what_the_optimum_leaves_to_the_selfish() -> None:
    """Also in the game that is no team, where equilibrium and optimum can be compared."""
    game, seen = make("malware"), list[Step]()
    optimum = solve(game, "team_optimum", observer=seen.append)
    assert optimum.payoff > solve(game).payoff == pytest.approx(smfe().payoff)
    assert optimum.exploitability == pytest.approx(0.110608, abs=1e-5)
    assert tuple(seen) == optimum.history
    assert [step.iteration for step in seen[:3]] == [1, 2, 4]


def test_an_optimum_where_thresholds_must_be_as_small_as_can_be() -> None:
    found = solve(make("malware", repair_cost=0.3), "team_optimum")
    assert 0 < found.policy.theta < 1e-8
    assert found.payoff == pytest.approx(smfto(repair_cost=0.3).payoff, rel=1e-8)


def test_two_parameters_without_bounds() -> None:
    found = solve(PlaneGame(), "team_optimum")
    assert found.converged
    assert found.policy.parameters == pytest.approx([2, -4], abs=1e-5)
    assert found.exploitability == pytest.approx(1 + 4, rel=1e-5)  # it is (1, 2) away from (3, -2)


def test_two_parameters_within_bounds() -> None:
    class Bounded(PlaneGame):
        family = Place([0, 0], (np.array([-1, -3]), np.array([1, 3])))

    found = solve(Bounded(), "team_optimum")
    assert found.policy.parameters == pytest.approx([1, -3], abs=1e-6)


def test_a_start_of_ones_own() -> None:
    """Where the regulator's policy is at rest; at its own start, no control, it is not."""
    game = make("lq_regulator")
    with pytest.raises(ConfigError, match=r"start = .*parameters whose payoff is finite"):
        solve(game, "team_optimum")
    start = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    seen: list[Step] = []
    found = solve(game, "team_optimum", start=start, evaluations=200, observer=seen.append)
    assert np.isfinite(found.payoff)
    assert seen[-1].efficiency >= seen[0].efficiency


def test_what_was_not_finished_is_told() -> None:
    short = solve(make("malware"), "team_optimum", evaluations=10)
    assert not short.converged
    assert short.reason == "it has not come to rest after 10 policies"

    seen: list[int] = []

    def impatient(step: Step) -> None:
        seen.append(step.iteration)
        if seen == [1, 2, 4, 8]:
            raise KeyboardInterrupt

    found = solve(make("malware"), "team_optimum", observer=impatient)
    assert found.interrupted
    assert not found.converged
    assert isinstance(found.policy, ThresholdPolicy)


def test_games_without_a_family_are_refused() -> None:
    with pytest.raises(ConfigError, match="names a family of policies"):
        solve(make("auction"), "team_optimum")
    with pytest.raises(ConfigError, match=r"method = 'team_optimum'.*one that takes a model"):
        solve(make("malware").mean_field(), "team_optimum")
    with pytest.raises(ConfigError, match="points = 2"):
        solve(make("malware"), "team_optimum", points=2)

    class Many(PlaneGame):
        family = Place(np.zeros(11))

    with pytest.raises(ConfigError, match="at most 10 parameters"):
        solve(Many(), "team_optimum")
