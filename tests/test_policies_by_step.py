"""Policies for each step of a game that ends: played, observed, saved, shown, and what they bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import agents
from agents.evaluators.exploitability.exact import exploitability_by_agent
from agents.learners import TabularConfig, TabularLearner
from agents.policies import TabularPolicy, load, policy_table
from karma_envs.checks import check_game
from karma_envs.game import PolicyError
from karma_envs.tabulated import TabulatedGame
from karma_envs.timed import TimedTables, seen_by
from tests.own_games import OneShotGame, RoadsGame
from tests.strangers.beach_bar import BeachBarGame

STAY, BACK, ON = range(3)


def bar(**fields: Any) -> BeachBarGame:
    return BeachBarGame(**{"n_agents": 6, "n_places": 5, "duration": 4, "slip": 0.0, **fields})


def plan(*actions: int) -> TabularPolicy:
    """In each step an action, wherever one is."""
    return TabularPolicy(np.repeat(np.eye(3)[None, list(actions)], 5, axis=1))


def test_a_policy_for_each_step_is_played_step_by_step() -> None:
    game = bar()
    game.reset(np.random.default_rng(0))
    policy = plan(ON, ON, STAY, BACK).fitted_to(game)
    for _ in range(2):  # the second time from the start again
        played = game.rollout(policy, 10)
        assert played.ended
        np.testing.assert_array_equal(played.observations, np.repeat([[0], [1], [2], [2], [1]], 6, axis=1))
    game.begin_anew()
    game.rollout(policy, 3)
    np.testing.assert_array_equal(game.sample(policy, game.policy_streams), np.full(6, BACK))


def test_in_a_timed_game_agents_observe_the_step() -> None:
    game = TimedTables(bar())
    game.reset(np.random.default_rng(0))
    assert (game.n_observations, [axis.name for axis in game.axes]) == (20, ["step", "place"])
    policy = plan(ON, ON, STAY, BACK).fitted_to(game)
    played = game.rollout(policy, 4)
    np.testing.assert_array_equal(played.observations[:, 0], [0, 6, 12, 17, 16])  # step 3 is the last
    np.testing.assert_allclose(game.observations()[0], [0.25, 0.75])
    check_game(TimedTables(bar(slip=0.2)))
    check_game(bar(slip=0.2))


def test_games_say_whose_rows_a_table_has() -> None:
    game = bar()
    assert seen_by(game, 5) is game
    assert seen_by(game, 20).n_observations == 20
    with pytest.raises(PolicyError, match="has 5 or 20 observations and 3 actions"):
        game.check_policy(TabularPolicy(np.full((1, 10, 3), 1 / 3), np.zeros(6, int)))
    with pytest.raises(PolicyError, match=r"has \d+ observations"):  # it has no end
        RoadsGame().check_policy(TabularPolicy(np.full((1, 10, 3), 1 / 3), np.zeros(6, int)))


def test_cells_know_no_steps() -> None:
    game = TabulatedGame(OneShotGame(), cells=3)
    game.length = 2
    stepwise = TabularPolicy(np.full((1, 2 * game.n_observations, 3), 1 / 3), np.zeros(6, int))
    with pytest.raises(PolicyError, match="a policy for each step cannot be played"):
        game.acting(stepwise)


def test_it_is_saved_and_told_as_tables(tmp_path: Path) -> None:
    again = load(plan(ON, ON, STAY, BACK).save(tmp_path / "policy.npz"))
    columns = policy_table(again, bar())
    np.testing.assert_array_equal(columns["step"], np.repeat(np.arange(4), 5))
    np.testing.assert_array_equal(columns["place"], np.tile(np.arange(5), 4))
    np.testing.assert_array_equal(columns["move"], np.repeat([1, 1, 0, -1], 5))


def per_agent(game: Any, policy: Any, episodes: int) -> NDArray[np.float64]:
    """Mean payoff over agents in each of several episodes."""
    game.reset(np.random.default_rng(1))
    payoffs = [game.rollout(policy, 100).rewards.sum(axis=0, dtype=np.float64) for _ in range(episodes)]
    return np.mean(payoffs, axis=1)


def test_an_episode_of_many_agents_brings_what_the_model_says() -> None:
    """2000 agents, 60 episodes, seed 1: within 4 standard errors and 1/N of the crowd that one is itself."""
    game = bar(n_agents=2000, slip=0.2)
    found = agents.solve(game)
    assert found.converged
    episodes = per_agent(game, found.policy.fitted_to(game), 60)
    error = episodes.std(ddof=1) / np.sqrt(len(episodes))
    itself = game.config.aversion * game.config.duration / game.n_agents
    assert episodes.mean() == pytest.approx(found.payoff, abs=4 * error + itself)
    assert error < 0.005


def test_agents_face_a_flow() -> None:
    """Each alone against the equilibrium's flow: 3000 agents, 20 episodes, seed 1, 4 standard errors."""
    game = bar(slip=0.2)
    found = agents.solve(game)
    alone = game.against(found.statistic.reshape(4, 5), n_agents=3000)
    check_game(game.against(found.statistic))
    assert (alone.length, [axis.name for axis in alone.axes]) == (4, ["step", "place"])
    episodes = per_agent(alone, found.policy.fitted_to(alone), 20)
    error = episodes.std(ddof=1) / np.sqrt(len(episodes))
    assert episodes.mean() == pytest.approx(found.payoff, abs=4 * error)
    assert agents.solve(alone).payoff == pytest.approx(found.payoff)
    best = per_agent(*alone.references()["best response"], 20)
    assert best.mean() == pytest.approx(found.payoff, abs=4 * best.std(ddof=1) / np.sqrt(len(best)))


def test_learners_learn_a_policy_for_each_step() -> None:
    """Q-learning against the equilibrium's flow, where the step is observed: nearly as good, seed 1."""
    game = bar(slip=0.2)
    found = agents.solve(game)
    alone = game.against(found.statistic, n_agents=500)
    learner = TabularLearner(alone, TabularConfig(grouping="pooled", exploration=0.3))
    alone.reset(np.random.default_rng(1))
    for _ in range(60):
        learner.update(alone.rollout(learner.policy, 4))
    policy = learner.learned_policy().probabilities[:1]
    model = game.mean_field()
    assert model.policy_value(policy, found.statistic)[0, 0] == pytest.approx(found.payoff, abs=0.05)


def test_each_agent_is_evaluated_exactly() -> None:
    """In equilibrium nobody gains; among agents that all go on each gains what the model says."""
    game = bar(slip=0.2)
    found = agents.solve(game)
    by_agent = exploitability_by_agent(game, found.policy.fitted_to(game))
    assert by_agent.absolute == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(by_agent.payoffs, found.payoff)
    going = plan(ON, ON, ON, ON)
    expected = agents.exploitability(game.mean_field(), going)
    by_agent = exploitability_by_agent(game, going.fitted_to(game), targets=[found.policy])
    assert by_agent.absolute == pytest.approx(expected.absolute)
    assert by_agent.best_responses.shape == (6, 20, 3)
    assert (by_agent.to_targets <= by_agent.greedy[:, None] + 1e-12).all()
