"""Lipschitz constants of the three-step map: against a game of one state in which they are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents.solvers import solve
from agents.solvers.three_step.contraction import contraction_estimate
from karma_envs.config import ConfigError
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel


class Crowd(FiniteMeanFieldModel):
    """Two places: one is worth 0, the other 1/2 less the share z of those who are there.

    With softmax_c the share that goes there is the logistic function of c (1/2 - z), whose slope is c/4 at
    most, at z = 1/2. So d1 = c/4; with one state d2 = 1 and d3 = 0.
    """

    def __init__(self) -> None:
        self.masses, self.discounts = np.ones(1), np.zeros(1)
        self.legal_actions, self.initial_mean_field = np.ones((1, 2), np.bool_), np.ones((1, 1))

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return policy[0, 0, 1:]

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        reward = np.array([[[0.0, 0.5 - statistic[0]]]])
        return DecisionProblem(reward, np.ones((1, 1, 2, 1)))


@pytest.mark.parametrize("rationality", [0.4, 2.0, 12.0])
def test_constants_of_a_game_in_which_they_are_known(rationality: float) -> None:
    found = contraction_estimate(Crowd(), rationality=rationality, n_samples=60)
    assert found.n_pairs == 300
    assert found.response <= rationality / 4 + 1e-6  # a lower bound
    assert found.response == pytest.approx(rationality / 4, rel=0.05)
    assert found.policy == pytest.approx(1, abs=1e-9)
    assert found.population == pytest.approx(0, abs=1e-9)
    assert found.bound == pytest.approx(found.whole_map, abs=1e-6)
    assert found.excluded == found.is_no_contraction == (rationality > 4)


def test_where_it_contracts_the_iteration_converges_and_where_not_it_may_cycle() -> None:
    for rationality, converges in ((2.0, True), (12.0, False)):
        found = solve(
            Crowd(), "three_step", rationality=rationality, iterations=200, start=np.array([[[0.9, 0.1]]])
        )
        assert found.converged == converges
    cycling = contraction_estimate(Crowd(), smoothing="argmax_e", n_samples=20)
    assert cycling.is_no_contraction
    assert cycling.response > 10  # unbounded, and the more is looked at the greater


def test_in_the_auction_a_step_keeps_populations_apart_and_rest_forgets_them() -> None:
    """Budgets far apart have no next budget in common, so that d3 is 1 at least; at rest it is 0."""
    model = karma_envs.make("auction").mean_field()
    assert model is not None
    step = contraction_estimate(model, rationality=4.0, n_samples=40)
    assert step.population > 0.97
    assert step.excluded
    assert "the condition fails" in repr(step)
    rest = contraction_estimate(model, rationality=4.0, population="rest", n_samples=1)
    assert rest.population == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "options", [{"smoothing": "x"}, {"rationality": 0}, {"population": "x"}, {"n_samples": 0}, {"seed": -1}]
)
def test_options_out_of_range(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=name):
        contraction_estimate(Crowd(), **options)  # type: ignore[arg-type]
