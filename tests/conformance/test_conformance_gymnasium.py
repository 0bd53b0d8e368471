"""Gymnasium's and Stable-Baselines3's checkers, over the whole registry; warnings are errors."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

import karma_envs
from karma_envs.registry import game_class, title_of

pytestmark = pytest.mark.parametrize("name", karma_envs.names())


def identifier(name):
    return f"karma_envs/{title_of(name)}-v0"


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_single_agent_passes_gymnasium_check(name, observation):
    env = gymnasium.make(identifier(name), n_agents=6, observation=observation)
    check_env(env.unwrapped, skip_render_check=game_class(name).picture is None)


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_single_agent_passes_sb3_check(name, observation):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gymnasium.make(identifier(name), n_agents=6, observation=observation)
    checker.check_env(env.unwrapped, warn=True, skip_render_check=True)


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_vector(name, observation):
    env = gymnasium.make_vec(identifier(name), num_envs=6, observation=observation, max_episode_steps=5)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.num_envs == 6
    env.action_space.seed(0)
    observations, infos = env.reset(seed=1)
    assert data_equivalence((observations, infos), env.reset(seed=1), exact=True)
    for step in range(1, 13):
        assert observations in env.observation_space
        observations, rewards, terminations, truncations, infos = env.step(env.action_space.sample())
        assert rewards.dtype == np.float64
        assert rewards.shape == terminations.shape == truncations.shape == (6,)
        assert terminations.dtype == truncations.dtype == np.bool_
        assert not terminations.any()
        assert (truncations == (step in (5, 11))).all()
        if step == 6:  # the step after the horizon begins the next episode
            assert not rewards.any()
            assert "illegal_action" not in infos
        for key in infos:
            assert len(infos[key]) == 6
            assert key.startswith("_") or infos[f"_{key}"].dtype == np.bool_
    env.close()


def test_vector_wrappers_work(name):
    env = gymnasium.make_vec(identifier(name), num_envs=6, max_episode_steps=5)
    counted = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    listed = gymnasium.wrappers.vector.DictInfoToList(env)
    counted.reset(seed=0)
    for _ in range(5):
        *_, infos = counted.step(np.zeros(6, np.int64))
    assert infos["episode"]["l"].tolist() == [5] * 6
    listed.reset(seed=0)
    for _ in range(5):
        *_, infos = listed.step(np.zeros(6, np.int64))
    assert [info["TimeLimit.truncated"] for info in infos] == [True] * 6
