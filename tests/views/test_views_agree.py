"""The same seed and actions give the same trajectory in every view, legal actions or not."""

import numpy as np
import pytest

from karma_envs import baselines, matching_v0
from karma_envs.baselines import PlayedPolicy
from karma_envs.karma.baselines import proportional
from karma_envs.numerics.random import new_streams
from karma_envs.numerics.sampling import sample_actions
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

ARGUMENTS = [
    {"n_agents": 6},
    {"n_agents": 7},
    {"preset": "two-discounts", "n_agents": 8},
    {"payment": "pay_bid_to_society", "n_agents": 5},
]


def actions_of(n_agents, n_steps=30):
    return np.random.default_rng(9).integers(0, 21, (n_steps, n_agents))


def vector_trajectory(actions, seed, **arguments):
    env = PopulationVectorEnv("matching", max_cycles=len(actions), **arguments)
    observations, infos = env.reset(seed=seed)
    trajectory = [(observations, infos["action_mask"], None, None)]
    for row in actions:
        observations, rewards, _, _, infos = env.step(row)
        illegal = infos.get("illegal_action", np.zeros(len(row), bool))
        trajectory.append((observations, infos["action_mask"], rewards, illegal))
    return trajectory


def assert_same(found, expected):
    observations, masks, rewards, illegal = expected
    np.testing.assert_array_equal(found[0], observations)
    np.testing.assert_array_equal(found[1], masks)
    if rewards is not None:
        np.testing.assert_array_equal(found[2], rewards)
        np.testing.assert_array_equal(found[3], illegal)


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_parallel_is_vector(arguments):
    actions = actions_of(arguments["n_agents"])
    expected = vector_trajectory(actions, 3, **arguments)
    env = matching_v0.parallel_env(max_cycles=len(actions), **arguments)
    observations, infos = env.reset(seed=3)
    for step, row in enumerate(actions):
        masks = [info["action_mask"] for info in infos.values()]
        if step == 0:
            assert_same(([*observations.values()], masks), expected[0])
        observations, rewards, _, truncations, infos = env.step(dict(zip(env.possible_agents, row)))
        masks = [info["action_mask"] for info in infos.values()]
        illegal = [info.get("illegal_action", False) for info in infos.values()]
        found = ([*observations.values()], masks, [*rewards.values()], illegal)
        assert_same(found, expected[step + 1])
    assert all(truncations.values())


@pytest.mark.parametrize("make", [matching_v0.env, matching_v0.raw_env])
@pytest.mark.parametrize("arguments", ARGUMENTS[:2], ids=str)
def test_turns_are_vector(make, arguments):
    actions = actions_of(arguments["n_agents"], 10)
    expected = vector_trajectory(actions, 3, **arguments)
    env = make(max_cycles=len(actions), **arguments)
    env.reset(seed=3)
    for count, _ in enumerate(env.agent_iter()):
        step, number = divmod(count, arguments["n_agents"])
        observation, reward, terminated, truncated, info = env.last()
        observations, masks, rewards, illegal = expected[step]
        np.testing.assert_array_equal(observation, observations[number])
        np.testing.assert_array_equal(info["action_mask"], masks[number])
        assert not terminated
        assert truncated == (step == len(actions))
        if step:
            assert reward == rewards[number]
            assert info.get("illegal_action", False) == illegal[number]
        env.step(None if truncated else actions[step, number])
    assert count == (len(actions) + 1) * arguments["n_agents"] - 1


@pytest.mark.parametrize("learner", [0, 4])
def test_single_agent_is_vector_in_which_the_others_sample(learner):
    """The others' actions come from a stream drawn after the game's own."""
    env = SingleAgentEnv("matching", learner=learner, population="random", n_agents=6)
    population = PopulationVectorEnv("matching", n_agents=6)
    observation, _ = env.reset(seed=5)
    observations, _ = population.reset(seed=5)
    streams = new_streams(population.np_random, 1)
    policy = baselines.baseline_policy("random", population.game)
    actions = np.empty(6, np.int64)
    for _ in range(30):
        np.testing.assert_array_equal(observation, observations[learner])
        sample_actions(*policy, population.game.observation_index(), streams, 0, actions)
        actions[learner] = 2
        observations, rewards, *_, infos = population.step(actions)
        observation, reward, *_, info = env.step(2)
        assert reward == rewards[learner]
        assert info.get("illegal_action", False) == infos.get("illegal_action", np.zeros(6))[learner]
        np.testing.assert_array_equal(info["action_mask"], infos["action_mask"][learner])
        np.testing.assert_array_equal(env.action_masks(), infos["action_mask"][learner])


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_both_forms_of_observations_hold_the_same(observation):
    flat = matching_v0.parallel_env(n_agents=6)
    nested = matching_v0.parallel_env(n_agents=6, observation="dict")
    observations, infos = flat.reset(seed=0)
    pairs, empty = nested.reset(seed=0)
    for agent, pair in pairs.items():
        np.testing.assert_array_equal(pair["observation"], observations[agent])
        np.testing.assert_array_equal(pair["action_mask"], infos[agent]["action_mask"])
        assert empty[agent] == {}


def test_state_is_all_observations():
    env = matching_v0.parallel_env(n_agents=6)
    observations, _ = env.reset(seed=0)
    np.testing.assert_array_equal(env.state(), np.concatenate([*observations.values()]))
    turns = matching_v0.env(n_agents=6)
    turns.reset(seed=0)
    np.testing.assert_array_equal(turns.state(), env.state())
    assert turns.state_space == env.state_space


def test_rollout_of_a_deterministic_policy_is_the_views_trajectory():
    env = PopulationVectorEnv("matching", n_agents=7, max_cycles=100)
    env.reset(seed=2)
    policy = baselines.baseline_policy("proportional", env.game)
    env.game.rollout(PlayedPolicy(*policy), 40)
    expected = env.game.observations()
    env.reset(seed=2)
    table = proportional(env.game)[0].argmax(axis=1)
    for _ in range(40):
        observations, *_, infos = env.step(table[env.game.observation_index()])
        assert "illegal_action" not in infos
    np.testing.assert_array_equal(observations, expected)
