"""Dynamic programming, stationary distributions and exploitability on models that can be checked by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents import exploitability
from agents.mean_field.linearisation import Linearisation
from agents.policies.tabular import TabularPolicy
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.chains import stationary_distribution
from karma_envs.mean_field.dynamic_programming import (
    best_response,
    greedy,
    policy_value,
    q_values,
    transition_matrix,
)
from karma_envs.mean_field.exploitability import exploitability_in, type_policies
from karma_envs.mean_field.stationary import advance, stationary_mean_field


class RandomModel(FiniteMeanFieldModel):
    """A random game: rewards fall with the share of the population that takes the same action."""

    def __init__(self, seed: int, n_types: int = 2, n_states: int = 3, n_actions: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.masses = rng.dirichlet(np.ones(n_types))
        self.discounts = rng.uniform(0.1, 0.95, n_types)
        self.legal_actions = rng.random((n_states, n_actions)) < 0.7
        self.legal_actions[:, 0] = True
        self.initial_mean_field = np.full((n_types, n_states), 1 / n_states)
        self._reward = rng.normal(size=(n_types, n_states, n_actions))
        kernel = rng.dirichlet(np.ones(n_states), size=(n_types, n_states, n_actions))
        self._kernel = kernel * self.legal_actions[None, :, :, None]

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.masses @ np.einsum("tx,txa->ta", mean_field, policy))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        return DecisionProblem(self._reward - statistic, self._kernel)


def pure_policies(model: FiniteMeanFieldModel) -> list[NDArray[np.float64]]:
    """All deterministic policies of one type, ``[X, A]`` each."""
    choices = [np.flatnonzero(legal) for legal in model.legal_actions]
    return [np.eye(model.n_actions)[list(actions)] for actions in itertools.product(*choices)]


def random_policy(model: FiniteMeanFieldModel, seed: int) -> NDArray[np.float64]:
    shape = (model.n_types, model.n_states, model.n_actions)
    policy = np.random.default_rng(seed).random(shape) * model.legal_actions
    return policy / policy.sum(axis=2, keepdims=True)


@pytest.fixture(params=range(5))
def model(request: pytest.FixtureRequest) -> RandomModel:
    return RandomModel(request.param)


@pytest.fixture
def problem(model: RandomModel) -> DecisionProblem:
    return model.decision_problem(model.statistic(model.initial_mean_field, random_policy(model, 1)))


def test_the_value_is_the_discounted_sum_of_rewards(model: RandomModel, problem: DecisionProblem) -> None:
    policy = random_policy(model, 2)
    matrix = transition_matrix(problem, policy)
    reward = (policy * problem.reward).sum(axis=2)
    total, state = np.zeros_like(reward), np.repeat(np.eye(model.n_states)[None], model.n_types, axis=0)
    for step in range(1000):
        total += model.discounts[:, None] ** step * np.einsum("txy,ty->tx", state, reward)
        state = state @ matrix
    value = policy_value(model, problem, policy)
    np.testing.assert_allclose(value, total, atol=1e-10)
    q = np.where(model.legal_actions, q_values(model, problem, value), 0)
    np.testing.assert_allclose((policy * q).sum(axis=2), value, atol=1e-12)
    assert np.isneginf(q_values(model, problem, value)[:, ~model.legal_actions]).all()


def test_the_best_response_is_the_best_of_all_policies(model: RandomModel, problem: DecisionProblem) -> None:
    policy, value = best_response(model, problem)
    best = np.full_like(value, -np.inf)
    for pure in pure_policies(model):
        best = np.maximum(best, policy_value(model, problem, np.repeat(pure[None], model.n_types, 0)))
    np.testing.assert_allclose(value, best, atol=1e-11)
    np.testing.assert_allclose(policy_value(model, problem, policy), value, atol=1e-12)
    np.testing.assert_array_equal(greedy(q_values(model, problem, value)), policy)
    assert not policy[:, ~model.legal_actions].any()
    other, other_value = best_response(model, problem, start=random_policy(model, 5))
    np.testing.assert_allclose(other_value, value, atol=1e-12)
    np.testing.assert_allclose(other.sum(axis=2), 1)


def test_ties_do_not_make_policy_iteration_cycle() -> None:
    model = RandomModel(0)
    same = DecisionProblem(np.ones((2, 3, 3)), model.decision_problem(np.zeros(3)).kernel)
    _, value = best_response(model, same)
    np.testing.assert_allclose(value, np.repeat(1 / (1 - model.discounts[:, None]), 3, axis=1))


def test_stationary_distributions() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.dirichlet(np.ones(6), size=(4, 6))
    found = stationary_distribution(matrix)
    np.testing.assert_allclose(np.einsum("tx,txy->ty", found, matrix), found, atol=1e-14)
    np.testing.assert_allclose(found, np.linalg.matrix_power(matrix, 200)[:, 0], atol=1e-12)
    birth_death = np.array([[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0, 0.5, 0.5]])
    np.testing.assert_allclose(stationary_distribution(birth_death), [0.25, 0.5, 0.25], atol=1e-14)


@pytest.mark.parametrize("matrix", [np.eye(3), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]])
def test_a_chain_with_several_classes_has_a_stationary_distribution_too(matrix: list[list[float]]) -> None:
    found = stationary_distribution(np.asarray(matrix, np.float64))
    np.testing.assert_allclose(found @ np.asarray(matrix), found, atol=1e-12)
    assert found.sum() == pytest.approx(1)


def test_the_population_comes_to_rest(model: RandomModel) -> None:
    policy = random_policy(model, 3)
    field = stationary_mean_field(model, policy)
    assert field.residual < 1e-12
    np.testing.assert_allclose(advance(model, field.mean_field, policy), field.mean_field, atol=1e-12)
    np.testing.assert_allclose(
        field.mean_field,
        stationary_distribution(transition_matrix(field.problem, policy)),
        atol=1e-11,
    )
    np.testing.assert_array_equal(field.statistic, model.statistic(field.mean_field, policy))


def test_exploitability_is_the_best_gain_of_a_deviation(model: RandomModel) -> None:
    policy = random_policy(model, 4)
    found = exploitability(model, policy)
    field = stationary_mean_field(model, policy)
    mine = (field.mean_field * policy_value(model, field.problem, policy)).sum(axis=1)
    best = np.max(
        [
            (
                field.mean_field * policy_value(model, field.problem, np.repeat(pure[None], model.n_types, 0))
            ).sum(axis=1)
            for pure in pure_policies(model)
        ],
        axis=0,
    )
    np.testing.assert_allclose(found.by_type, best - mine, atol=1e-11)
    np.testing.assert_allclose(found.payoff_by_type, mine, atol=1e-12)
    assert found.absolute == pytest.approx(model.masses @ (best - mine))
    assert found.payoff == pytest.approx(model.masses @ mine)
    assert found.normalised == pytest.approx(found.absolute / abs(found.payoff))
    assert float(found) == found.absolute


def test_a_best_response_cannot_be_exploited_where_it_responds(model: RandomModel) -> None:
    field = stationary_mean_field(model, random_policy(model, 4))
    response, _ = best_response(model, field.problem)
    found = exploitability_in(model, response, field.mean_field, field.problem)
    assert found.absolute <= 1e-12
    np.testing.assert_allclose(found.by_type, 0, atol=1e-12)


def test_a_dominant_action_is_an_equilibrium() -> None:
    model = RandomModel(0)
    model._reward = np.zeros((2, 3, 3))
    model._reward[..., 0] = 5.0  # congestion costs at most 1
    always = np.zeros((2, 3, 3))
    always[..., 0] = 1
    assert exploitability(model, always).absolute == 0
    assert exploitability(model, random_policy(model, 0)).absolute > 0


def test_policies_by_type() -> None:
    model = RandomModel(1)
    policy = random_policy(model, 0)
    np.testing.assert_array_equal(type_policies(model, TabularPolicy(policy)), policy)
    np.testing.assert_array_equal(type_policies(model, policy[:1])[1], policy[0])
    one = TabularPolicy(policy[0])
    assert exploitability(model, one).absolute == exploitability(model, policy[[0, 0]]).absolute


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[0], "is \\[3, 3\\]"),
        (lambda p: p[:, :2], "is \\[2, 2, 3\\]"),
        (lambda p: np.concatenate([p, p]), "is \\[4, 3, 3\\]"),
        (lambda p: p * 0.9, "sum to 1"),
        (lambda p: -p, ">= 0"),
        (lambda p: np.full_like(p, 1 / 3), "illegal"),
    ],
)
def test_policies_that_do_not_fit_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    model = RandomModel(1)
    assert not model.legal_actions.all()
    with pytest.raises(ValueError, match=message):
        exploitability(model, change(random_policy(model, 0)))


def test_the_linearisation_is_the_derivative() -> None:
    game = karma_envs.make("matching", karma_max=4, karma_mean=2, payment="pbs")
    model = game.mean_field()
    assert model is not None
    policy = random_policy(model, 0)
    field = stationary_mean_field(model, policy)
    value = policy_value(model, field.problem, policy)
    here = Linearisation(model, field.statistic, value)
    width, rng = 1e-5, np.random.default_rng(1)
    for _ in range(3):
        value_move = rng.normal(size=value.shape)
        statistic_move = rng.normal(size=field.statistic.shape) * 0.1
        moves = np.concatenate([value_move.ravel(), statistic_move])
        q = [
            np.where(
                model.legal_actions,
                q_values(
                    model,
                    model.decision_problem(field.statistic + sign * width * statistic_move),
                    value + sign * width * value_move,
                ),
                0,
            )
            for sign in (1, -1)
        ]
        expected = (q[0] - q[1]) / (2 * width)
        np.testing.assert_allclose(np.tensordot(moves, here.q_moves, axes=1), expected, atol=1e-4)
