"""Rollouts of the matching game play its steps, and states and outcomes hold what was played."""

from __future__ import annotations

import numpy as np
import pytest

from karma_envs.games.matching import MatchingGame
from karma_envs.karma.urgency import AgentType
from karma_envs.transitions import Transitions
from tests.games.matching_reference import FIELDS, assert_same, new_game, situation
from tests.games.rules_reference import random_policy, states_equal


def test_same_seed_same_bits() -> None:
    first, second, other = (new_game(seed, **FIELDS) for seed in (1, 1, 2))
    policy = random_policy(first, 3, rows=4)
    one = first.rollout(policy, 200)
    assert_same(one, second.rollout(policy, 200))
    assert states_equal(first, second)
    assert (other.rollout(policy, 200).actions != one.actions).any()
    first.reset(np.random.default_rng(1))
    assert_same(one, first.rollout(policy, 200))


def test_a_rollout_in_chunks_is_the_same() -> None:
    whole, chunked = (new_game(1, **FIELDS) for _ in range(2))
    policy = random_policy(whole, 3, rows=4)
    at_once = whole.rollout(policy, 150)
    start = 0
    for n_steps in (1, 1, 48, 100):
        part = chunked.rollout(policy, n_steps)
        np.testing.assert_array_equal(part.observations, at_once.observations[start : start + n_steps + 1])
        np.testing.assert_array_equal(part.actions, at_once.actions[start : start + n_steps])
        np.testing.assert_array_equal(part.rewards, at_once.rewards[start : start + n_steps])
        start += n_steps
    assert states_equal(whole, chunked)


def test_steps_with_the_recorded_actions_are_the_same() -> None:
    # What a rollout draws to sample bids comes from a stream of its own.
    rolled, stepped = (new_game(1, **FIELDS) for _ in range(2))
    transitions = rolled.rollout(random_policy(rolled, 3), 100)
    for step in range(100):
        np.testing.assert_array_equal(stepped.observation_index(), transitions.observations[step])
        np.testing.assert_array_equal(stepped.step(transitions.actions[step]), transitions.rewards[step])
    np.testing.assert_array_equal(stepped.observation_index(), transitions.observations[100])
    assert states_equal(rolled, stepped, but=("streams",))
    for name in ("pairs", "bids", "rewards", "urgency", "karma"):
        np.testing.assert_array_equal(rolled.scene()[name], stepped.scene()[name])


def test_what_a_rollout_records() -> None:
    game = new_game(1, **FIELDS)
    before = game.observation_index()
    policy = random_policy(game, 3)
    transitions = game.rollout(policy, 50)
    assert len(transitions) == 50
    assert transitions.observations.shape == (51, 7)
    assert transitions.observations.dtype == transitions.actions.dtype == np.uint16
    assert transitions.rewards.dtype == np.float32
    np.testing.assert_array_equal(transitions.observations[0], before)
    np.testing.assert_array_equal(transitions.observations[-1], game.observation_index())
    assert game.legal_actions[transitions.observations[:-1], transitions.actions].all()
    urgency = np.array([1, 5])[transitions.observations[:-1] // 7]
    assert ((transitions.rewards == 0) | (transitions.rewards == -urgency)).all()
    assert ((transitions.rewards < 0).sum(axis=1) == 3).all()
    np.testing.assert_allclose(game.outcome().rewards, transitions.rewards.sum(axis=0))


def test_a_rollout_writes_into_the_buffer_it_is_given() -> None:
    game, other = (new_game(1, **FIELDS) for _ in range(2))
    policy = random_policy(game, 3)
    out = Transitions.empty(30, 7)
    out.actions[20:] = 999
    written = game.rollout(policy, 20, out)
    assert len(written) == 20
    assert np.shares_memory(written.actions, out.actions)
    assert (out.actions[20:] == 999).all()
    assert_same(written, other.rollout(policy, 20))
    bids = game.scene()["bids"]
    out.actions[...] = 0
    np.testing.assert_array_equal(game.scene()["bids"], bids)


def test_transitions_are_cut_from_the_start() -> None:
    transitions = Transitions.empty(10, 3)
    assert len(transitions[:4]) == 4
    assert transitions[:4].observations.shape == (5, 3)
    assert len(transitions[:99]) == 10
    assert len(transitions[:-3]) == 7
    for steps in (slice(1, 4), slice(None, None, 2), slice(None, None, -1)):
        with pytest.raises(IndexError):
            transitions[steps]


# --- state, observations, start --------------------------------------------------------------------


def test_a_saved_state_continues_with_the_same_bits() -> None:
    game = new_game(1, **FIELDS)
    policy = random_policy(game, 3)
    game.rollout(policy, 20)
    saved = game.state_dict()
    kept = {name: array.copy() for name, array in saved.items()}
    expected = game.rollout(policy, 30)
    for name, array in saved.items():
        np.testing.assert_array_equal(array, kept[name])  # a copy: play goes on without it
    fresh = MatchingGame(**FIELDS)
    fresh.load_state_dict(saved)
    assert_same(expected, fresh.rollout(policy, 30))
    assert states_equal(game, fresh)
    np.testing.assert_array_equal(saved["karma"], kept["karma"])


@pytest.mark.parametrize("damage", ["missing", "shape", "dtype"])
def test_a_state_that_does_not_fit_is_refused(damage: str) -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    state = new_game(2, **FIELDS).state_dict()
    if damage == "missing":
        del state["urgency"]
    elif damage == "shape":
        state["urgency"] = state["urgency"][:-1]
    else:
        state["urgency"] = state["urgency"].astype(np.float64)
    with pytest.raises(ValueError, match="'urgency'"):
        game.load_state_dict(state)
    assert states_equal(game, untouched)


def test_observations_say_what_the_index_says() -> None:
    types = [AgentType(1, 0.9, (1, 2)), AgentType(1, 0.9, (0, 3, 4))]
    game = new_game(1, n_agents=9, types=types, karma_max=4, karma_mean=2, initial_karma="uniform")
    now, observations = situation(game), game.observations()
    low, high = game.observation_space.low, game.observation_space.high
    assert observations.dtype == np.float32
    assert observations.shape == (9, len(low)) == (9, 4)
    assert (low <= observations).all()
    assert (observations <= high).all()
    urgency = [types[k].urgencies[u] for k, u in zip(game.type_of_agent, now.urgency_index)]
    np.testing.assert_allclose(observations[:, 0], np.array(urgency) / 4, rtol=1e-6)
    np.testing.assert_allclose(observations[:, 1], now.karma / 4, rtol=1e-6)
    np.testing.assert_array_equal(observations[:, 2:], np.eye(2)[game.type_of_agent])
    np.testing.assert_array_equal(game.action_mask(), np.arange(5) <= now.karma[:, None])
    assert game.action_mask().dtype == np.int8
    assert game.type_of_agent.tolist() == [0] * 5 + [1] * 4
    assert game.reward_bounds == (-4, 0)
    one_type = new_game(1, **FIELDS).observations()
    assert one_type.shape == (7, 2)


def test_what_the_game_returns_can_be_written_without_harm() -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    for each in (game, untouched):
        each.step(np.full(7, 2))
    outcome = game.outcome()
    arrays = [game.observations(), game.observation_index(), game.action_mask(), outcome.rewards]
    arrays += [outcome.accesses, outcome.contests, outcome.karma, outcome.losses_if_never]
    arrays += [array for array in game.scene().values() if isinstance(array, np.ndarray)]
    arrays += list(game.state_dict().values())
    for array in arrays:
        array[...] = 1
    assert states_equal(game, untouched)
    np.testing.assert_array_equal(game.scene()["bids"], untouched.scene()["bids"])


def test_an_outcome_since_an_earlier_one() -> None:
    game = new_game(1, **FIELDS)
    policy = random_policy(game, 3)
    game.rollout(policy, 10)
    earlier = game.outcome()
    rewards = game.rollout(policy, 15).rewards
    stretch = game.outcome().since(earlier)
    assert stretch.steps == 15
    np.testing.assert_allclose(stretch.rewards, rewards.sum(axis=0))
    assert stretch.accesses.sum() == 15 * 3
    assert stretch.contests.sum() == 15 * 6
    np.testing.assert_allclose(stretch.losses_if_never, -3 * stretch.contests)
