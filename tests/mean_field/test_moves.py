"""Derivatives of mean-field models: a model's own against differences, and what they are too large for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents.solvers import solve
from karma_envs.config import ConfigError
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.moves import DifferencedMoves, differenced_inconsistency

GAMES: dict[str, dict[str, Any]] = {
    "pbp": {},
    "capped": {"payment": "pay_capped_bid_to_peer"},
    "parts": {"payment": "pay_bid_in_parts(peer_share=0.3)"},
    "second price and tax": {"payment": "second_price", "redistribution": "tax"},
    "not conserved": {"redistribution": "none"},
    "types": {"payment": "pbs", "types": [{"discount": 0.7}, {"discount": 0.9, "urgencies": (1, 2, 4)}]},
}


def model_of(**fields: Any) -> MatchingMeanField:
    model = karma_envs.make("matching", **{"karma_max": 6, "karma_mean": 2.4, **fields}).mean_field()
    assert isinstance(model, MatchingMeanField)
    return model


def population(model: FiniteMeanFieldModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A random policy and a random mean field."""
    rng = np.random.default_rng(1)
    policy = rng.random((model.n_types, *model.legal_actions.shape)) * model.legal_actions
    mean_field = rng.random((model.n_types, model.n_states))
    return policy / policy.sum(axis=2, keepdims=True), mean_field / mean_field.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("fields", GAMES.values(), ids=GAMES)
def test_what_agents_face_is_stored_by_karma_and_urgency(fields: dict[str, Any]) -> None:
    model = model_of(**fields)
    policy, mean_field = population(model)
    problem = model.decision_problem(model.statistic(mean_field, policy))
    plain = DecisionProblem(problem.reward, problem.dense(anew=True))
    np.testing.assert_allclose(plain.kernel.sum(axis=3), np.broadcast_to(model.legal_actions, policy.shape))
    values, flows = np.stack([mean_field, 2 - mean_field]), np.stack([policy, policy[..., ::-1]])
    for ours, theirs in (
        (problem.following(mean_field), plain.following(mean_field)),
        (problem.following(values), plain.following(values)),
        (problem.pushed(policy), plain.pushed(policy)),
        (problem.pushed(flows), plain.pushed(flows)),
        (problem.chain(policy), plain.chain(policy)),
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-13)


@pytest.mark.parametrize("fields", GAMES.values(), ids=GAMES)
def test_a_matching_model_tells_its_derivatives(fields: dict[str, Any]) -> None:
    model = model_of(**fields)
    policy, mean_field = population(model)
    statistic = model.statistic(mean_field, policy)
    exact, differences = model.problem_moves(statistic), DifferencedMoves.of(model, statistic)
    flow = mean_field[..., None] * policy
    np.testing.assert_allclose(exact.reward, differences.reward, atol=1e-6)
    np.testing.assert_allclose(exact.following(mean_field), differences.following(mean_field), atol=1e-6)
    np.testing.assert_allclose(exact.pushed(flow), differences.pushed(flow), atol=1e-6)

    rng = np.random.default_rng(2)
    moves = [rng.normal(size=(5, *array.shape)) for array in (statistic, mean_field, policy)]
    for along in (moves, [*moves[:2], None]):
        told = model.inconsistency_moves(statistic, mean_field, policy, *along)
        differenced = differenced_inconsistency(model, statistic, mean_field, policy, *along)
        np.testing.assert_allclose(told, differenced, atol=1e-5)


def test_a_level_beyond_those_of_any_population_has_derivatives_too() -> None:
    model = model_of()
    statistic = model.initial_statistic
    for level in (-0.7, -0.2, 0.0, 3.0, 6.0, 7.5):
        statistic[-1] = level
        flow = np.where(model.legal_actions, 0.1, 0.0)[None]
        differenced = DifferencedMoves.of(model, statistic).pushed(flow)
        np.testing.assert_allclose(model.problem_moves(statistic).pushed(flow), differenced, atol=1e-6)


class Wide(FiniteMeanFieldModel):
    """A model whose kernel takes 8 MB, with 300 numbers in a statistic; nothing of it is ever looked at."""

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros(300)

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        return DecisionProblem(np.zeros((1, 1000, 1)), np.broadcast_to(0.0, (1, 1000, 1, 1000)))


def test_what_takes_too_much_memory_is_refused_before_work() -> None:
    many = karma_envs.make("matching", types=[{"discount": 0.9 - i / 100} for i in range(40)], n_agents=80)
    with pytest.raises(ConfigError, match=r"model = '40 types.* take 2 GiB at most; these take 4\.9"):
        solve(many)
    with pytest.raises(ConfigError, match=r"a kernel of 8 MiB .* problem_moves of its own"):
        DifferencedMoves.of(Wide(), np.zeros(300))
