"""Markov chains with several closed classes: where their mass is, and fields that are at rest or are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents import exploitability
from agents.solvers import solve
from agents.solvers.continuation.search import search
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.chains import (
    absorption,
    as_distribution,
    class_masses,
    closed_classes,
    stationary_distribution,
)
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.stationary import advance, stationary_mean_field
from karma_envs.numerics.linear import solve_scaled
from tests.agents.solvers.method_groups import ON_TABLES, SEEKING_EQUILIBRIA

ABSORBING = {"urgencies": (1, 3, 5), "urgency_transition": [[1, 0, 0], [0.3, 0.4, 0.3], [0, 0, 1]]}
PERIODIC = {"urgencies": (1, 5), "urgency_transition": [[0, 1], [1, 0]]}
SMALL: dict[str, Any] = {"karma_max": 4, "karma_mean": 2, "discount": 0.9}


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


def test_closed_classes_are_found_by_hand() -> None:
    chain = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.2, 0, 0.3, 0.5], [0, 0, 0, 1.0]])
    members = closed_classes(chain)
    assert members.tolist() == [[True, True, False, False], [False, False, False, True]]
    # From state 2: leaves with .7, of which .2 goes to the first class and .5 to the second.
    np.testing.assert_allclose(absorption(chain, members)[2], [2 / 7, 5 / 7])
    np.testing.assert_allclose(class_masses(chain, members, np.array([0.1, 0.1, 0.7, 0.1])), [0.4, 0.6])
    np.testing.assert_allclose(
        stationary_distribution(chain, np.array([0.1, 0.1, 0.7, 0.1])), [0.4 * 2 / 3, 0.4 / 3, 0, 0.6]
    )
    assert closed_classes(np.array([[0.0, 1], [1, 0]])).tolist() == [[True, True]]
    assert closed_classes(np.eye(3)).tolist() == np.eye(3, dtype=bool).tolist()


def test_closed_classes_are_those_of_paths_of_any_length() -> None:
    """Against powers of the matrix of moves, on sparse chains of seed 5: most have several classes."""
    rng = np.random.default_rng(5)
    several = 0
    for _ in range(30):
        chain = rng.random((9, 9)) * (rng.random((9, 9)) < 0.13) + 1e-16
        leads = np.linalg.matrix_power((chain > 1e-14).astype(np.int64) + np.eye(9, dtype=np.int64), 9) > 0
        closed = {tuple(row) for row in leads if (leads[row] == row).all()}
        members = closed_classes(chain)
        assert {tuple(row) for row in members} == closed
        assert (np.diff(members.argmax(axis=1)) > 0).all()
        several += len(members) > 1
    assert several > 10


def test_distributions_have_no_probabilities_below_zero() -> None:
    np.testing.assert_array_equal(as_distribution(np.array([[-9e-17, 0.5, 0.5]])), [[0, 0.5, 0.5]])


def test_equations_without_an_isolated_solution_have_a_short_one() -> None:
    jacobian = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-15]])
    np.testing.assert_allclose(solve_scaled(jacobian, np.array([2.0, 2.0 + 1e-6])), [1, 1], atol=1e-6)


@pytest.mark.parametrize("method", SEEKING_EQUILIBRIA)
def test_agents_that_never_change_keep_their_share(method: str) -> None:
    # Half of the agents is never urgent and half always is: no policy and no solver can change that.
    model = model_of(**ABSORBING, **SMALL)
    found = solve(model, method, tolerance=5e-3)
    np.testing.assert_allclose(found.mean_field.reshape(3, 5).sum(axis=1), [0.5, 0, 0.5], atol=1e-12)
    after = advance(model, found.mean_field, found.policy.probabilities)
    assert np.abs(after - found.mean_field).max() <= max(found.stationary_residual, 1e-12)
    assert found.at_rest
    assert found.converged
    # Both want nothing but to win as often as they can, which is a constant-sum game.
    assert found.efficiency == pytest.approx(-1.5, abs=0.02)


@pytest.mark.parametrize(
    "fields",
    [ABSORBING, PERIODIC, {"urgency_transition": [[1, 0], [0, 1]]}],
    ids=["absorbing", "periodic", "2"],
)
def test_reducible_and_periodic_urgencies_have_exact_equilibria(fields: dict[str, Any]) -> None:
    found = solve(model_of(**fields, **SMALL))
    assert found.converged
    assert found.stationary_residual < 1e-12


@pytest.mark.nightly
def test_urgencies_that_alternate_are_solved_at_the_default_size() -> None:
    # The path from beta = 0 is lost where sharing has a kink, and another one is found.
    found = solve(model_of(**PERIODIC))
    assert found.converged
    assert found.exploitability_normalised <= 1e-10


def test_a_search_keeps_the_shares_too() -> None:
    report = search(model_of(**ABSORBING, **SMALL), starts=0)
    assert report.found
    for one in report.found:
        np.testing.assert_allclose(one.mean_field.reshape(3, 5).sum(axis=1), [0.5, 0, 0.5], atol=1e-12)
        assert one.stationary_residual < 1e-9


class Restless(FiniteMeanFieldModel):
    """Two states and one action; everybody goes where fewer than half of the agents are, for ever."""

    def __init__(self) -> None:
        self.masses, self.discounts = np.ones(1), np.full(1, 0.5)
        self.legal_actions = np.ones((2, 1), bool)
        self.initial_mean_field = np.array([[0.75, 0.25]])

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return mean_field[0, :1]

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        goal = int(statistic[0] >= 0.5)
        kernel = np.zeros((1, 2, 1, 2))
        kernel[..., goal] = 1.0
        return DecisionProblem(np.full((1, 2, 1), -1.0), kernel)


@pytest.mark.parametrize("method", ON_TABLES)
def test_what_never_comes_to_rest_has_not_converged(method: str) -> None:
    options = {} if method == "homotopy" else {"iterations": 1}
    found = solve(Restless(), method, **options)
    assert found.exploitability == 0
    assert found.stationary_residual == 1
    assert not found.at_rest
    assert not found.converged


def test_an_evaluation_tells_whether_the_population_is_at_rest() -> None:
    model = model_of(**SMALL)
    found = exploitability(model, uniform_policy(model))
    assert found.at_rest
    assert found.stationary_residual < 1e-12
    assert not exploitability(Restless(), np.ones((1, 2, 1))).at_rest
    # Of what the loser cannot take nothing comes back, so that karma falls for ever, ever more slowly.
    leaking = model_of(**SMALL, redistribution="none")
    field = stationary_mean_field(leaking, uniform_policy(leaking))
    after = advance(leaking, field.mean_field, uniform_policy(leaking))
    assert field.residual == pytest.approx(np.abs(after - field.mean_field).max(), abs=1e-15)
