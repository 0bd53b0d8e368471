"""Exploitability in the benchmark, and the game of one learner among others who play an equilibrium."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents import solve
from agents.evaluators import finite_exploitability
from agents.evaluators.exploitability.exact import exploitability_by_agent
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.baselines import random as random_bids
from karma_envs.checks import check_game
from karma_envs.game import PopulationGame
from karma_envs.mean_field.exploitability import exploitability
from tests.training.benchmark.tiny_tasks import TINY
from training.benchmark.best_response import BestResponseGame
from training.benchmark.columns import columns
from training.benchmark.measure import gain_of_deviating, meaning_of, measure, measure_reference
from training.benchmark.tasks import Task


def normalised_exploitability(game: PopulationGame, policy: Any) -> float:
    gain = gain_of_deviating(game, policy)
    assert gain is not None
    return gain.normalised


def test_exploitability_is_per_type_or_agent_by_agent() -> None:
    game = karma_envs.make("matching", **TINY)
    uniform = random_bids(game)
    shared = TabularPolicy(uniform, np.zeros(6, int))
    own = TabularPolicy(np.repeat(uniform, 6, axis=0), np.arange(6))
    expected = exploitability(game.mean_field(), uniform).normalised  # type: ignore[arg-type]
    assert normalised_exploitability(game, shared) == pytest.approx(expected, rel=1e-3)
    by_agent = exploitability_by_agent(game, own).normalised
    assert normalised_exploitability(game, own) == pytest.approx(by_agent, rel=1e-3)
    bid_nothing = np.repeat(np.eye(42, 21)[None] * 0 + np.eye(21)[0], 2, axis=0)
    many = karma_envs.make("matching", n_agents=6000)
    assert gain_of_deviating(many, TabularPolicy(bid_nothing, np.arange(6000) % 2)) is None


def test_a_task_can_be_scored_by_exploitability() -> None:
    """The equilibrium scores 1, what scores 0 scores 0; drawn anew, both err by some percent of the gain."""
    task = Task(
        "meeting",
        "when a meeting starts",
        10**6,
        "meeting_time",
        {"n_agents": 2000},
        n_steps=100,
        burn_in=0,
        references={"punctual": "who expects the schedule to be kept"},
        by_exploitability=True,
    )
    reference = measure_reference(task)
    model = task.make().mean_field()
    assert model is not None
    punctual = baseline_policy("punctual", task.make())
    assert reference["punctual"] == pytest.approx(model.exploitability(punctual).absolute, rel=0.05)
    equilibrium = solve(model).policy
    assert measure(task, equilibrium, 0, reference)["score"] == pytest.approx(1, abs=0.01)
    assert measure(task, punctual, 0, reference)["score"] == pytest.approx(0, abs=1e-9)  # of the same draws
    assert task.definition()["by_exploitability"] is True


def test_a_task_of_few_agents_is_of_their_own_game() -> None:
    few = {"n_agents": 4, "karma_max": 3, "karma_mean": 1, "discount": 0.9}
    references = {"random": "who acts at random"}
    task = Task("few", "four agents", 10**5, "matching", few, 100, 0, references, True, finite=True)
    game = task.make()
    random = baseline_policy("random", game)
    reference = measure_reference(task)
    expected = finite_exploitability(game, TabularPolicy(random_bids(game)), upper=False)
    assert reference["random"] == pytest.approx(expected.lower, rel=1e-3)
    row = measure(task, random, 0, reference)
    assert row["score"] == pytest.approx(0, abs=1e-9)
    assert row["exploitability"] == pytest.approx(expected.normalised_lower, rel=1e-3)
    assert task.numbers_text.endswith("; exploitability: 4 agents, lower bound; any deviation of one agent")
    assert "in few what one gains at least" in columns([task])["exploitability"].meaning
    assert task.definition()["finite"] is True


def test_a_task_says_which_exploitability_it_tells() -> None:
    matching, meeting = (meaning_of(Task(game, game, 1, game)) for game in ("matching", "meeting_time"))
    assert str(matching) == "mean field, exact; any stationary deviation of one agent"
    assert str(meeting) == "mean field, estimate; any deviation of one agent"
    assert meaning_of(Task("coin", "no model", 1, "matching", {"allocation": "coin"})) is None


def test_the_game_of_one_learner_keeps_the_contract() -> None:
    check_game(BestResponseGame(**TINY))


def test_the_others_play_the_equilibrium_in_steps_and_rollouts() -> None:
    """The learner's mean reward is the same both ways; tolerance five standard errors of 20 batches."""
    game = BestResponseGame(**TINY)
    proportional = baseline_policy("proportional", game)
    game.reset(np.random.default_rng(0))
    rolled = game.rollout(proportional, 40_000).rewards[:, 0].reshape(20, -1).mean(axis=1)
    game.reset(np.random.default_rng(1))
    actions = game.truthful_actions()
    assert actions is not None
    stepped = np.array([game.step(actions[0, game.observation_index()])[0] for _ in range(20_000)])
    stepped = stepped.reshape(20, -1).mean(axis=1)
    error = np.sqrt((rolled.var(ddof=1) + stepped.var(ddof=1)) / 20)
    assert abs(rolled.mean() - stepped.mean()) < 5 * error
    assert error < 0.03


def test_a_rollout_in_parts_is_the_same_as_one() -> None:
    game, other = BestResponseGame(**TINY), BestResponseGame(**TINY)
    policy = baseline_policy("random", game)
    for each in (game, other):
        each.reset(np.random.default_rng(0))
    whole = game.rollout(policy, 2500)
    parts = [other.rollout(policy, steps) for steps in (1000, 1000, 500)]
    np.testing.assert_array_equal(whole.rewards, np.concatenate([part.rewards for part in parts]))
    np.testing.assert_array_equal(whole.observations[-1], parts[-1].observations[-1])
