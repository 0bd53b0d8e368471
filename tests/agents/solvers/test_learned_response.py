"""Responses that are learned from play, in games with tables and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents import exploitability, solve
from agents.policies.tabular import TabularPolicy
from agents.solvers.three_step.simulated import simulated_statistic
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.games.meeting_time import ArrivalPolicy
from karma_envs.mean_field.dynamic_programming import uniform_policy
from tests.own_games import DriftGame


def game_of(name: str, **fields: Any) -> PopulationGame:
    return karma_envs.make(name, **fields)


def exactly(game: PopulationGame, budget: int, seed: int) -> Any:
    """A trainer that knows what is best against a given statistic."""
    model = game.mean_field()
    assert model is not None
    return model.best_response(model.initial_statistic)


def test_with_an_exact_trainer_it_is_the_fixed_point_iteration() -> None:
    game = game_of("meeting_time", n_agents=50)
    learned = solve(game, "learned_response", learner=exactly, step=1.0, iterations=200, tolerance=1e-9)
    assert learned.converged
    assert learned.statistic == pytest.approx(solve(game).statistic, abs=1e-3)
    assert len(learned.history) == learned.history[-1].iteration + 1


def test_q_learning_from_play_is_gmf_q_without_sweeps() -> None:
    """Softmax policies of rationality 4: off the published bids by what 10^5 agent-steps leave to learn."""
    game = game_of("auction", n_agents=200)
    found = solve(
        game,
        "learned_response",
        learner_config={"rationality": 4.0, "learning_rate_final": 0.003},
        budget=200_000,
        iterations=8,
        initial_statistic=[0.209, 0.2266, 0.2785, 0.1897, 0.0564, 0.0194, 0.0093, 0.0054, 0.0034, 0.0022],
        tolerance=1e-12,
    )
    assert isinstance(found.policy, TabularPolicy)
    assert not found.converged
    np.testing.assert_allclose(found.statistic[:4], [0.209, 0.2266, 0.2785, 0.1897], atol=0.08)


def test_a_learner_of_boxes_lowers_exploitability() -> None:
    """In cells of .45 hours' width; the least exploitable policy is returned, and judged by what it does."""
    game = game_of("meeting_time", n_agents=400)
    found = solve(
        game,
        "learned_response",
        learner="tabular",
        learner_config={"cells": 41},
        budget=200_000,
        iterations=3,
        initial_statistic=[2.0],
    )
    assert found.exploitability_normalised < 0.1
    assert found.statistic[0] == pytest.approx(2.05, abs=0.5)
    model = game.mean_field()
    assert model is not None
    again = exploitability(model, found.policy)
    assert again.normalised == pytest.approx(found.exploitability_normalised, rel=0.1)


def test_the_statistic_that_is_played_is_the_models_for_many_agents() -> None:
    rng = np.random.default_rng(0)
    meeting = game_of("meeting_time", n_agents=20_000)
    model = meeting.mean_field()
    assert model is not None
    policy = ArrivalPolicy(1.0)
    played = simulated_statistic(meeting, model, policy, 10, rng)
    # The quantile of 20,000 arrivals: standard error sqrt(.09 / 20,000) / density .16 = .013; seed 0.
    assert played == pytest.approx(model.statistic_of(policy), abs=4 * 0.013)
    auction = game_of("auction", n_agents=2000)
    tables = auction.mean_field()
    assert tables is not None
    uniform = uniform_policy(tables)  # type: ignore[arg-type]
    played = simulated_statistic(auction, tables, uniform, 100, rng)
    np.testing.assert_allclose(played, tables.statistic_of(uniform), atol=1e-12)  # bids are uniform anywhere
    bidding = np.eye(10)[np.minimum(np.arange(10), 4)][None]  # all one has, up to 4
    played = simulated_statistic(auction, tables, bidding, 400, rng)
    # Means of 2000 agents over 200 steps, correlated over about 10: standard errors below .003; seed 0.
    np.testing.assert_allclose(played, tables.statistic_of(bidding), atol=0.012)


def test_ctrl_c_keeps_the_best_policy() -> None:
    def stop(step: Any) -> None:
        if step.iteration == 2:
            raise KeyboardInterrupt

    game = game_of("meeting_time", n_agents=50)
    found = solve(game, "learned_response", learner=exactly, observer=stop)
    assert found.interrupted
    assert len(found.history) == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"learner": "magic"}, "learner"),
        ({"learner": "no_such_module:train"}, "learner"),
        ({"learner": exactly, "learner_config": {"cells": 3}}, "learner_config"),
        ({"learner_config": {"cells": 1}}, "cells"),
        ({"statistic": "guessed"}, "statistic"),
        ({"budget": 0}, "budget"),
        ({"epochs": 0}, "epochs"),
        ({"step": 2}, "step"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        solve(game_of("meeting_time"), "learned_response", **options)


def test_a_learner_that_sees_more_than_the_game_shows_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"learner.*such as the time"):
        solve(game_of("spatial_congestion", length=2), "learned_response", learner="actor_critic")


def test_games_without_a_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="mean-field model"):
        solve(DriftGame(), "learned_response")


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "bound"), [("auction", 30.0), ("meeting_time", 0.5)])
def test_a_trainer_of_another_package(name: str, bound: float) -> None:
    """Stable-Baselines3's PPO, briefly; a random policy leaves more than ten times as much."""
    pytest.importorskip("stable_baselines3")
    found = solve(
        game_of(name, n_agents=100),
        "learned_response",
        learner="training.integrations.sb3_algorithms:ppo",
        budget=100_000,
        iterations=1,
    )
    assert found.exploitability_normalised < bound
