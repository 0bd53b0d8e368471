"""Smoothed best responses: against closed forms and against iterations of the value in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karma_envs.mean_field import DecisionProblem
from karma_envs.mean_field.smoothed import smoothed_response


def _random_problem(seed: int) -> tuple[DecisionProblem, np.ndarray]:
    """Two types, four states, three actions, of which the last is illegal in the first state."""
    rng = np.random.default_rng(seed)
    legal = np.ones((4, 3), bool)
    legal[0, 2] = False
    kernel = rng.dirichlet(np.ones(4), size=(2, 4, 3)) * legal[..., None]
    return DecisionProblem(rng.normal(size=(2, 4, 3)), kernel), legal


def test_without_a_future_it_is_the_softmax_of_rewards() -> None:
    """With gamma = 0: pi proportional to exp(beta r), V = log(mean of exp(beta r)) / beta."""
    reward = np.array([[[0.0, np.log(3.0)]]])
    problem = DecisionProblem(reward, np.ones((1, 1, 2, 1)))
    policy, value = smoothed_response(problem, np.zeros(1), np.ones((1, 2), bool), 1.0)
    assert policy[0, 0] == pytest.approx([0.25, 0.75])
    assert value[0, 0] == pytest.approx(np.log(2.0))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), rationality=st.floats(0.1, 100))
def test_agrees_with_iterations_of_the_value(seed: int, rationality: float) -> None:
    problem, legal = _random_problem(seed)
    discounts = np.array([0.5, 0.9])
    prior = np.random.default_rng(seed + 1).uniform(0.1, 1.0, size=(2, 4, 3))
    value = np.zeros((2, 4))
    for _ in range(250):
        for kind in range(2):
            for state in range(4):
                actions = np.flatnonzero(legal[state])
                q = problem.reward[kind, state] + discounts[kind] * problem.kernel[kind, state] @ value[kind]
                weights = np.exp(rationality * (q[actions] - q[actions].max()))
                mean = np.average(weights, weights=prior[kind, state, actions])
                value[kind, state] = q[actions].max() + np.log(mean) / rationality
    policy, smoothed = smoothed_response(problem, discounts, legal, rationality, scores=np.log(prior))
    assert smoothed == pytest.approx(value, abs=1e-9)
    assert policy[:, 0, 2] == pytest.approx(0.0, abs=0.0)
    assert policy.sum(axis=2) == pytest.approx(1.0)


def test_comes_to_a_best_response_as_rationality_grows() -> None:
    problem, legal = _random_problem(3)
    discounts = np.array([0.5, 0.9])
    best, best_value = problem.best_response(discounts, legal)
    policy, value = problem.smoothed_response(discounts, legal, 1e5)
    assert policy == pytest.approx(best, abs=1e-6)
    assert value == pytest.approx(best_value, abs=1e-3)


def test_another_unit_of_reward_is_another_rationality() -> None:
    problem, legal = _random_problem(4)
    discounts = np.array([0.5, 0.9])
    policy, value = problem.smoothed_response(discounts, legal, 2.0)
    in_cents, cents = problem.in_unit(0.01).smoothed_response(discounts, legal, 0.02)
    assert in_cents == pytest.approx(policy, abs=1e-12)
    assert cents == pytest.approx(100 * value)
