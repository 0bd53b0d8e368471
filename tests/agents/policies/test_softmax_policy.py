"""Tables of logits as policies: probabilities, derivatives, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import karma_envs
from agents.policies import load
from agents.policies.softmax import LARGEST_LOGIT, SoftmaxPolicy
from karma_envs.finite import as_finite
from karma_envs.parametric import DifferentiablePolicy

LEGAL = np.array([[True, True, False], [True, True, True]])


def drawn(seed: int, rows: int = 2) -> SoftmaxPolicy:
    logits = np.random.default_rng(seed).uniform(-3, 3, (rows, *LEGAL.shape))
    return SoftmaxPolicy(logits, LEGAL, np.arange(rows))


def test_probabilities_by_hand() -> None:
    policy = SoftmaxPolicy([[[0.0, np.log(3), 9.0], [1.0, 1.0, 1.0]]], LEGAL)
    np.testing.assert_allclose(policy.probabilities, [[[0.25, 0.75, 0], [1 / 3] * 3]])
    np.testing.assert_allclose(policy.parameters, [0, np.log(3), 1, 1, 1])
    assert isinstance(policy, DifferentiablePolicy)


@given(st.integers(0, 1000))
def test_the_score_is_the_derivative_of_the_log_probability(seed: int) -> None:
    policy = drawn(seed)
    row, observation, action = np.argwhere(np.broadcast_to(LEGAL, (2, *LEGAL.shape))).T
    score = policy.score(row * len(LEGAL) + observation, action)
    theta, width = policy.parameters, 1e-6
    for index in range(len(theta)):
        move = width * (np.arange(len(theta)) == index)
        up, down = (
            np.log(policy.with_parameters(theta + sign * move).probabilities[row, observation, action])
            for sign in (1, -1)
        )
        np.testing.assert_allclose(score[:, index], (up - down) / (2 * width), atol=1e-6)


def test_a_score_is_0_in_expectation() -> None:
    policy = drawn(0)
    for place in range(4):
        row, observation = divmod(place, 2)
        actions = np.flatnonzero(LEGAL[observation])
        score = policy.score(np.full(len(actions), place), actions)
        np.testing.assert_allclose(policy.probabilities[row, observation, actions] @ score, 0, atol=1e-12)


def test_parameters_there_and_back() -> None:
    policy = drawn(1)
    moved = policy.with_parameters(policy.parameters + 1)  # in every state alike, which changes nothing
    np.testing.assert_allclose(moved.probabilities, policy.probabilities)
    assert moved.row_of_agent.tolist() == [0, 1]
    low, high = policy.bounds
    assert (low.shape, low[0], high[0]) == ((10,), -LARGEST_LOGIT, LARGEST_LOGIT)
    assert policy.copy().parameters.tolist() == policy.parameters.tolist()


def test_a_game_begins_with_all_actions_alike() -> None:
    game = as_finite(karma_envs.make("matching", types=({"discount": 0.7}, {"discount": 0.9})))
    policy = SoftmaxPolicy.uniform(game)
    game.check_policy(policy)
    assert policy.n_rows == 2
    assert policy.parameters.shape == (2 * game.legal_actions.sum(),)
    assert not policy.parameters.any()


def test_files(tmp_path: Path) -> None:
    policy = drawn(2)
    loaded = load(policy.save(tmp_path / "policy.npz"))
    assert type(loaded) is SoftmaxPolicy
    assert loaded.logits.tolist() == policy.logits.tolist()
    assert loaded.row_of_agent.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((2, 3)), r"float\[rows, 2, 3\].*float64\[2, 3\]"),
        (np.full((1, 2, 3), 16.0), "within -15.0 … 15.0"),
        (np.full((1, 2, 3), np.nan), "within"),
    ],
)
def test_what_is_no_table_of_logits(logits: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftmaxPolicy(logits, LEGAL)
