"""Agents among infinitely many others that make a given statistic, each in a decision problem of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from agents.learners import TabularConfig, TabularLearner
from karma_envs import make
from karma_envs.against import AgainstConfig, AgainstPopulation
from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import IllegalActionError
from karma_envs.karma.urgency import AgentType
from karma_envs.mean_field.stationary import stationary_mean_field

MATCHING = "karma_envs.games.matching:MatchingGame"
TWO_TYPES = (AgentType(1, 0.7), AgentType(3, 0.9, urgencies=(2.0,), urgency_transition=(1.0,)))


def tiny(**fields: Any) -> FiniteGame:
    return as_finite(make("matching", n_agents=8, karma_max=4, karma_mean=2, **fields))


def uniform(game: FiniteGame) -> TabularPolicy:
    table = game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True)
    return TabularPolicy(table, np.zeros(game.n_agents, int))


def against(game: FiniteGame, n_agents: int | None = None) -> AgainstPopulation:
    """Agents of the game against a population that bids at random."""
    model = game.mean_field()
    assert model is not None
    return game.against(model.statistic_of(uniform(game)), n_agents=n_agents)


def test_it_keeps_the_contract_of_a_game() -> None:
    check_game(against(tiny(types=TWO_TYPES)))


def test_what_it_plays_is_the_decision_problem() -> None:
    """Mean rewards of 2000 steps of 500 agents are those of the model, within 4 standard errors (seed 0)."""
    game = tiny()
    alone = against(game, n_agents=500)
    alone.reset(np.random.default_rng(0))
    policy = uniform(alone)
    alone.rollout(policy, 200)
    before = alone.outcome()
    alone.rollout(policy, 2000)
    means = alone.outcome().since(before).rewards / 2000  # of agents that are independent of each other
    model = game.mean_field()
    assert model is not None
    field = stationary_mean_field(model, policy.probabilities.astype(np.float64))
    exact = float((field.mean_field[:, :, None] * policy.probabilities * field.problem.reward).sum())
    assert means.mean() == pytest.approx(exact, abs=4 * means.std() / np.sqrt(500))
    assert means.std() / np.sqrt(500) < 0.003


def test_a_learner_learns_a_best_response() -> None:
    """Pooled Q-learning leaves a tenth of what the random policy leaves to gain (seed 0)."""
    alone = against(tiny(discount=0.9), n_agents=200)
    alone.reset(np.random.default_rng(0))
    learner = TabularLearner(
        alone,
        TabularConfig(algorithm="q_learning", grouping="pooled", exploration=0.3, rationality=50.0),
        np.random.default_rng(1),
    )
    for _ in range(60):
        learner.update(alone.rollout(learner.policy, 100))
    model = alone.mean_field()
    learned = model.exploitability(learner.learned_policy()).normalised
    assert learned < 0.1 * model.exploitability(uniform(alone).probabilities).normalised


def test_references_are_best_responses() -> None:
    alone = against(tiny())
    [(name, (game, policy))] = alone.references().items()
    assert name == "best response"
    game.check_policy(policy)
    best = alone.mean_field().best_response(np.zeros(1))
    assert alone.mean_field().exploitability(best).normalised < 1e-12
    assert type(game) is AgainstPopulation
    assert game.n_agents == alone.n_agents


def test_agents_are_of_types_in_proportion() -> None:
    game = tiny(types=TWO_TYPES)
    assert game.type_of_agent.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert against(game).type_of_agent.tolist() == game.type_of_agent.tolist()
    assert against(game, n_agents=4).type_of_agent.tolist() == [0, 1, 1, 1]
    assert against(game, n_agents=1).type_of_agent.tolist() == [0]
    alone = against(game, n_agents=400)
    assert np.bincount(alone.type_of_agent).tolist() == [100, 300]
    alone.reset(np.random.default_rng(0))
    assert alone.observations().shape == (400, 4)  # urgency, karma, and which of two types
    assert alone.reachable()[100:, 5:].sum() == 0  # of the second urgency, which the second type has not


def test_illegal_actions_change_nothing() -> None:
    alone = against(tiny())
    with pytest.raises(RuntimeError, match="call reset"):
        alone.observation_index()
    alone.reset(np.random.default_rng(0))
    before = alone.state_dict()
    with pytest.raises(IllegalActionError, match="agent 0 takes action 4, which is illegal in observation"):
        alone.step(np.full(8, 4))
    assert all(np.array_equal(before[name], array) for name, array in alone.state_dict().items())


def test_what_cannot_be_faced_is_refused() -> None:
    with pytest.raises(ConfigError, match="a game with a mean-field model"):
        tiny(allocation="coin_toss").against([0.0])
    with pytest.raises(ConfigError, match=r"statistic = \(0.0,\) is not allowed; allowed: 6 numbers"):
        tiny().against([0.0])
    with pytest.raises(ConfigError, match=r"game_config\.karma_max"):
        AgainstPopulation(game=MATCHING, game_config={"karma_max": -1})
    for no_game in (None, "matching", "karma_envs.against:AgainstConfig", dict):
        with pytest.raises(ConfigError, match=r"game = .*allowed: the class of a game"):
            AgainstPopulation(game=no_game)
    with pytest.raises(ConfigError, match="n_agents = 0"):
        tiny().against([0.0] * 6, n_agents=0)


def test_it_travels_as_plain_data() -> None:
    """So that runs can name it: ``game: karma_envs.against:AgainstPopulation``."""
    game = tiny()
    alone = against(game, n_agents=3)
    config = AgainstConfig.from_dict(json.loads(json.dumps(alone.config.to_dict())))
    again = make("karma_envs.against:AgainstPopulation", **config.to_dict())
    assert np.array_equal(alone.problem.kernel, again.problem.kernel)
    by_name = AgainstPopulation(game=MATCHING, game_config=game.config.to_dict(), n_agents=3)
    by_name.reset(np.random.default_rng(0))
    assert by_name.step(np.zeros(3, int)).shape == (3,)
