"""The population as a vector environment."""

import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.views.vector import PopulationVectorEnv


def test_next_step_autoreset_continues_the_generator():
    env, twin = (PopulationVectorEnv("matching", n_agents=6, max_cycles=3) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    for _ in range(3):
        *_, truncations, infos = env.step(np.zeros(6, int))
    assert truncations.all()
    assert infos["TimeLimit.truncated"].all()
    assert infos["_TimeLimit.truncated"].all()
    expected, _ = twin.reset()
    observations, rewards, terminations, truncations, infos = env.step(np.full(6, 99))
    np.testing.assert_array_equal(observations, expected)
    assert not rewards.any()
    assert not terminations.any()
    assert not truncations.any()
    assert set(infos) == {"action_mask", "_action_mask"}
    *_, truncations, _ = env.step(np.zeros(6, int))
    assert not truncations.any()


def test_reset_after_the_horizon_is_not_followed_by_another():
    env = PopulationVectorEnv("matching", n_agents=6, max_cycles=1)
    env.reset(seed=0)
    env.step(np.zeros(6, int))
    env.reset()
    *_, truncations, _ = env.step(np.zeros(6, int))
    assert truncations.all()


def test_illegal_actions_are_marked():
    env = PopulationVectorEnv("matching", n_agents=4)
    env.reset(seed=0)
    *_, infos = env.step(np.array([11, 10, -1, 0]))
    assert infos["illegal_action"].tolist() == infos["_illegal_action"].tolist() == [True, False, True, False]
    assert env.game.scene()["bids"].tolist() == [10, 10, 0, 0]


def test_actions_are_neither_changed_nor_kept():
    env = PopulationVectorEnv("matching", n_agents=4)
    env.reset(seed=0)
    actions = np.array([11, 10, -1, 0])
    env.step(actions)
    assert actions.tolist() == [11, 10, -1, 0]
    actions[:] = 7
    assert env.game.scene()["bids"].tolist() == [10, 10, 0, 0]


@pytest.mark.parametrize(
    "form", [list, lambda row: np.array(row, np.int8), lambda row: np.array(row)[:, None]]
)
def test_forms_of_actions(form):
    env, twin = (PopulationVectorEnv("matching", n_agents=4) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    row = [1, 2, 3, 4]
    np.testing.assert_array_equal(env.step(form(row))[1], twin.step(np.array(row))[1])


@pytest.mark.parametrize("wrong", [np.zeros(4), np.zeros(5, int), np.zeros((2, 4), int)])
def test_wrong_actions(wrong):
    env = PopulationVectorEnv("matching", n_agents=4)
    env.reset(seed=0)
    with pytest.raises(IllegalActionError, match=r"4 whole numbers|not a whole number"):
        env.step(wrong)


def test_number_of_environments():
    assert PopulationVectorEnv("matching").num_envs == 100
    assert PopulationVectorEnv("matching", preset="coin").num_envs == 200
    assert PopulationVectorEnv("matching", 8, preset="coin").num_envs == 8
    assert PopulationVectorEnv("matching", 8, n_agents=8).num_envs == 8
    with pytest.raises(ConfigError, match=r"num_envs = 8 .* n_agents, which is 6"):
        PopulationVectorEnv("matching", 8, n_agents=6)


def test_dict_observations_are_batched():
    env = PopulationVectorEnv("matching", n_agents=4, observation="dict")
    observations, infos = env.reset(seed=0)
    assert observations["observation"].shape == (4, 2)
    assert observations["action_mask"].shape == (4, 21)
    assert infos == {}
