"""Gymnasium's and Stable-Baselines3's checkers, over all games by space and length; warnings are errors."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

from tests.conformance.played import GAMES, by_observation, class_of, horizon_of, single_agent_env, vector_env

HORIZON = 5
OWN_UNITS = "(?i).*we recommend .*symmetric and normalized"
"""A warning that does not apply: actions have units of their own, and who trains may scale them."""
NO_BOUNDS = ".*A Box observation space (minimum|maximum) value is -?infinity"
"""A warning that does not apply: a position on a line has no bounds."""

by_game = pytest.mark.parametrize("game", GAMES)
by_game_and_observation = pytest.mark.parametrize(("game", "observation"), by_observation())


@by_game_and_observation
def test_single_agent_passes_gymnasium_check(game, observation):
    env = single_agent_env(game, n_agents=6, observation=observation)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OWN_UNITS)
        warnings.filterwarnings("ignore", NO_BOUNDS)
        check_env(env, skip_render_check=class_of(game).picture is None)


@by_game_and_observation
def test_single_agent_passes_sb3_check(game, observation):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = single_agent_env(game, n_agents=6, observation=observation)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OWN_UNITS)
        checker.check_env(env, warn=True, skip_render_check=True)


@by_game
def test_vector(game):
    """An episode's end is the game's, or the horizon; the step after it begins the next one."""
    length, steps = class_of(game).length, horizon_of(game, HORIZON)
    env = vector_env(game, steps)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.num_envs == 6
    env.action_space.seed(0)
    observations, infos = env.reset(seed=1)
    assert data_equivalence((observations, infos), env.reset(seed=1), exact=True)
    for step in range(1, 2 * steps + 3):
        assert observations in env.observation_space
        observations, rewards, terminations, truncations, infos = env.step(env.action_space.sample())
        assert rewards.dtype == np.float64
        assert rewards.shape == terminations.shape == truncations.shape == (6,)
        assert terminations.dtype == truncations.dtype == np.bool_
        last = step in (steps, 2 * steps + 1)
        assert set(terminations.tolist()) == {last and length is not None}
        assert set(truncations.tolist()) == {last and length is None}
        if step == steps + 1:  # the step after the end begins the next episode
            assert not rewards.any()
            assert "illegal_action" not in infos
        for key in infos:
            assert len(infos[key]) == 6
            assert key.startswith("_") or infos[f"_{key}"].dtype == np.bool_
    env.close()


@by_game
def test_vector_wrappers_work(game):
    length, steps = class_of(game).length, horizon_of(game, HORIZON)
    env = vector_env(game, steps)
    actions = np.zeros_like(env.action_space.sample())
    counted = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    listed = gymnasium.wrappers.vector.DictInfoToList(env)
    counted.reset(seed=0)
    for _ in range(steps):
        *_, infos = counted.step(actions)
    assert infos["episode"]["l"].tolist() == [steps] * 6
    listed.reset(seed=0)
    for _ in range(steps):
        *_, infos = listed.step(actions)
    assert [info.get("TimeLimit.truncated", False) for info in infos] == [length is None] * 6
