"""Coalitions: their limits for few and for all members, by two formulations, and as they are played."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
from agents.coalitions.learned import shift_features, shifted
from agents.coalitions.mean_field import discounted_gain, gain_alone
from agents.coalitions.model import CoalitionModel
from agents.coalitions.played import mean_field_start
from agents.solvers.control.social_optimum import social_optimum
from agents.solvers.equilibrium import Equilibrium
from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingConfig, MatchingGame
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import best_response, uniform_policy
from karma_envs.numerics.sampling import softmax


def small(**fields: Any) -> FiniteMeanFieldModel:
    of_agents = {} if "types" in fields else {"discount": 0.9}
    sizes = {"karma_max": 4, "karma_mean": 2}
    return MatchingMeanField(MatchingConfig(**{**sizes, **of_agents, **fields}))


@pytest.fixture(scope="module")
def model() -> FiniteMeanFieldModel:
    return small()


@pytest.fixture(scope="module")
def equilibrium(model: FiniteMeanFieldModel) -> Equilibrium:
    return agents.solve(model)


def random_policies(model: FiniteMeanFieldModel, seed: int) -> np.ndarray[Any, Any]:
    shape = 2 * model.n_types, model.n_states, model.n_actions
    scores = np.random.default_rng(seed).normal(size=shape)
    return softmax(np.where(model.legal_actions, scores, -np.inf))


@pytest.mark.parametrize("payment", ["pbp", "pbs", "pbp_capped"])
def test_members_who_play_as_the_others_change_nothing(payment: str) -> None:
    model = small(payment=payment, redistribution="tax")
    policy = random_policies(model, 0)[:1]
    alone, both = model.population_at_rest(policy), CoalitionModel(model, 0.3)
    field = both.population_at_rest(np.tile(policy, (2, 1, 1)))
    np.testing.assert_allclose(field.mean_field, np.tile(alone.mean_field, (2, 1)), atol=1e-10)
    np.testing.assert_allclose(field.statistic, alone.statistic, atol=1e-10)


@pytest.mark.parametrize("payment", ["pbp", "pbp_capped"])
def test_members_are_as_agents_of_another_type(payment: str) -> None:
    # A second formulation: a game with two types that are alike, of shares 1 - m and m.
    kinds = [{"share": 0.7, "urgencies": (1, 5)}, {"share": 0.3, "urgencies": (1, 5)}]
    two, one = small(payment=payment, types=kinds), small(payment=payment, types=kinds[:1])
    policy = random_policies(one, 1)
    field = two.population_at_rest(policy)
    ours = CoalitionModel(one, 0.3).population_at_rest(policy)
    np.testing.assert_allclose(ours.mean_field, field.mean_field, atol=1e-10)
    np.testing.assert_allclose(ours.statistic, field.statistic, atol=1e-10)


def test_a_coalition_of_hardly_anyone_gains_what_a_single_agent_gains(
    model: FiniteMeanFieldModel, equilibrium: Equilibrium
) -> None:
    gain = agents.coalition_gain(model, equilibrium.policy, 1e-6, starts=1)
    assert gain.stationary
    assert gain.gain_alone > 1e-3  # it is patient, where agents discount
    assert gain.gain.value == pytest.approx(gain.gain_alone, abs=5e-5)
    assert gain.cost_to_others.value == pytest.approx(0.0, abs=1e-6)
    assert gain.efficiency.value == pytest.approx(equilibrium.efficiency, abs=1e-6)


def test_what_a_single_agent_gains_is_that_of_the_best_deterministic_policy() -> None:
    # Brute force: every deterministic policy of a single agent with karma 0 … 2 and two urgencies.
    model = small(karma_max=2, karma_mean=1)
    policy = uniform_policy(model)
    field = model.population_at_rest(policy)
    tables = np.eye(3)[np.array(np.meshgrid(*[range(1), range(2), range(3)] * 2)).reshape(6, -1).T]
    rewards = [
        (field.problem.at_rest(table[None], field.mean_field)[..., None] * table * field.problem.reward).sum()
        for table in tables
    ]
    without = float((field.mean_field[..., None] * policy * field.problem.reward).sum())
    assert gain_alone(model, policy, field) == pytest.approx(max(rewards) - without, abs=1e-9)


def test_a_deviators_discounted_gain_is_the_exploitability(model: FiniteMeanFieldModel) -> None:
    policy = uniform_policy(model)
    field = model.population_at_rest(policy)
    best, _ = best_response(model, field.problem)
    gain = discounted_gain(CoalitionModel(model, 1e-9), policy, np.concatenate([policy, best]), field)
    assert gain == pytest.approx(agents.exploitability(model, policy).absolute, rel=1e-5)


def test_a_coalition_of_all_is_the_planner(model: FiniteMeanFieldModel, equilibrium: Equilibrium) -> None:
    optimum = social_optimum(model, starts=1)
    gain = agents.coalition_gain(model, equilibrium.policy, 1.0, starts=1)
    assert gain.efficiency.value == pytest.approx(optimum.efficiency, abs=2e-4)
    assert gain.gain.value == pytest.approx(gain.efficiency.value - equilibrium.efficiency, abs=1e-9)
    assert np.isnan(gain.cost_to_others.value)


def test_a_coalition_gains_at_least_what_its_start_does(
    model: FiniteMeanFieldModel, equilibrium: Equilibrium
) -> None:
    few = agents.coalition_gain(model, equilibrium.policy, 0.3, starts=1)
    assert few.gain.value == pytest.approx(max(few.gain_by_start), abs=1e-9)
    assert few.gain.value > few.gain_alone  # who counts what it does to other members does better
    coalition = CoalitionModel(model, 0.3)
    policy = np.concatenate([equilibrium.policy.probabilities, few.policy.probabilities])
    field = coalition.population_at_rest(policy)
    rewards = (field.mean_field[..., None] * policy * field.problem.reward).sum(axis=(1, 2))
    assert rewards[1] - equilibrium.efficiency == pytest.approx(few.gain.value, abs=1e-9)
    assert equilibrium.efficiency - rewards[0] == pytest.approx(few.cost_to_others.value, abs=1e-9)
    assert few.meaning.is_lower_bound
    assert few.meaning.n_agents is None
    assert few.gain_by_coordination == few.gain.value - few.gain_alone


def test_a_thousand_agents_gain_what_the_mean_field_says(
    model: FiniteMeanFieldModel, equilibrium: Equilibrium
) -> None:
    predicted = agents.coalition_gain(model, equilibrium.policy, 0.3, starts=1)
    game = MatchingGame(n_agents=1000, karma_max=4, karma_mean=2, discount=0.9)
    played = agents.coalition_gain(
        game,
        equilibrium.policy,
        300,
        start=predicted.policy.probabilities[0],
        iterations=0,
        n_steps=10_000,
        burn_in=200,
        seed=0,
    )
    # Standard errors are about 4e-4; the game of 1000 differs by O(1/1000).
    for ours, theirs in (
        (played.gain, predicted.gain),
        (played.cost_to_others, predicted.cost_to_others),
        (played.efficiency, predicted.efficiency),
    ):
        assert abs(ours.value - theirs.value) < 3 * ours.standard_error + 1e-3
    assert played.gain.value > 3 * played.gain.standard_error
    assert str(played.meaning).startswith("1000 agents, estimate of a lower bound")


def test_members_learn_to_win_where_the_others_bid_nothing() -> None:
    game = MatchingGame(n_agents=10, karma_max=2, karma_mean=1.9, payment="pbs")
    nothing = np.zeros((game.n_observations, game.n_actions))
    nothing[:, 0] = 1.0
    gain = agents.coalition_gain(
        game,
        agents.TabularPolicy(nothing),
        [0, 5],
        iterations=5,
        candidates=8,
        learning_steps=500,
        n_steps=5000,
        seed=1,
    )
    # Whoever bids wins, which is worth 1.5 a step; the others cannot hold all of the karma that is paid.
    assert 5 * gain.gain.standard_error < gain.gain.value < 1.5
    assert gain.cost_to_others.value > 3 * gain.cost_to_others.standard_error
    assert list(np.flatnonzero(gain.policy.row_of_agent)) == [0, 5]


def test_members_begin_with_the_mean_fields_answer_and_keep_what_is_best(
    model: FiniteMeanFieldModel, equilibrium: Equilibrium
) -> None:
    game = MatchingGame(n_agents=100, karma_max=4, karma_mean=2, discount=0.9)
    predicted = agents.coalition_gain(model, equilibrium.policy, 0.5, starts=1)
    members = np.arange(0, 100, 2)
    policy = equilibrium.policy.fitted_to(game)
    start = mean_field_start(game, policy, members)
    assert start is not None
    np.testing.assert_allclose(start, np.tile(predicted.policy.probabilities, (50, 1, 1)), atol=1e-3)
    short: dict[str, Any] = {
        "iterations": 1,
        "candidates": 4,
        "learning_steps": 2000,
        "n_steps": 20_000,
        "seed": 0,
    }
    played = agents.coalition_gain(game, equilibrium.policy, 50, **short)
    # Standard errors are about 1e-3; the game of 100 differs by O(1/100) of a step's reward.
    assert played.gain.value == pytest.approx(predicted.gain.value, abs=4 * played.gain.standard_error)
    # With nothing learned, a bad start is not kept: members stay with what all play.
    worst = np.eye(game.n_actions)[np.zeros(game.n_observations, np.int64)]
    stayed = agents.coalition_gain(
        game, equilibrium.policy, 50, start=worst, **{**short, "spread": 1e-9, "n_steps": 100, "batches": 2}
    )
    inside = stayed.policy.row_of_agent[members]
    np.testing.assert_array_equal(
        stayed.policy.thresholds[inside], np.repeat(policy.thresholds[:1], 50, axis=0)
    )


def test_shifted_policies_are_policies_and_move_by_the_shift() -> None:
    game = MatchingGame(n_agents=10, karma_max=4, karma_mean=2)
    legal = game.legal_actions
    tables = softmax(np.where(legal, np.random.default_rng(0).normal(size=(2, *legal.shape)), -np.inf))
    same = shifted(tables, np.zeros(len(legal)), legal)
    np.testing.assert_allclose(same, tables, atol=1e-15)
    up = shifted(tables, np.full(len(legal), 0.25), legal)
    np.testing.assert_allclose(up.sum(axis=2), 1.0)
    assert not (up * ~legal).any()
    far = shifted(tables, np.full(len(legal), 9.0), legal)
    np.testing.assert_array_equal(far.argmax(axis=2)[0], legal.sum(axis=1) - 1)
    features = shift_features(game)
    assert features.shape == (10, 2 + 2)  # a number and a slope for each urgency
    np.testing.assert_array_equal(features[:5, 2], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(features[:5, [1, 3]], np.zeros((5, 2)))


def test_what_cannot_be_is_refused(model: FiniteMeanFieldModel, equilibrium: Equilibrium) -> None:
    game = MatchingGame(n_agents=10, karma_max=4, karma_mean=2)
    with pytest.raises(ConfigError, match="mass"):
        agents.coalition_gain(model, equilibrium.policy, 0.0)
    with pytest.raises(ConfigError, match="members"):
        agents.coalition_gain(game, equilibrium.policy, 11)
    with pytest.raises(ConfigError, match="different agents"):
        agents.coalition_gain(game, equilibrium.policy, [1, 1])
