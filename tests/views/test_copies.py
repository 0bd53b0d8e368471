"""A copy of any view plays on with the same bits as the original, by itself, whatever state it is in."""

import copy
import importlib
import pickle

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from karma_envs import matching_v0
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

TWO_TYPES = {
    "n_agents": 6,
    "types": [
        {"share": 0.5, "discount": 0.5, "urgencies": (1, 5)},
        {"share": 0.5, "discount": 0.9, "urgencies": (1, 5)},
    ],
}


def sb3_env(**arguments):
    pytest.importorskip("stable_baselines3")
    module = importlib.import_module("training.integrations.sb3")
    return module.PopulationVecEnv("matching", **TWO_TYPES, **arguments)


def supersuit_env():
    supersuit = pytest.importorskip("supersuit")
    return supersuit.pettingzoo_env_to_vec_env_v1(PopulationParallelEnv("matching", n_agents=6))


VIEWS = {
    "parallel": lambda: matching_v0.parallel_env(n_agents=6),
    "env": lambda: matching_v0.env(n_agents=6),
    "raw_env": lambda: matching_v0.raw_env(n_agents=6),
    "vector": lambda: PopulationVectorEnv("matching", n_agents=6),
    "single": lambda: SingleAgentEnv("matching", n_agents=6, population="random"),
    "made": lambda: gymnasium.make("karma_envs/Matching-v0", n_agents=6),
    "sb3": lambda: sb3_env(copies=2),
    "sb3-type": lambda: sb3_env(agent_type=1, copies=2),
    "supersuit": supersuit_env,
}
WRAPPED = {"made", "supersuit"}  # by others, so that copy.copy shares what is in them
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "cloudpickle": lambda env: cloudpickle.loads(cloudpickle.dumps(env)),
}
HORIZON = 4


def population(env):
    """What holds the game and the horizon."""
    if hasattr(env, "get_attr"):
        return env._copies[0]
    return env.par_env.unwrapped if hasattr(env, "par_env") else env.unwrapped


def reset(env, seed=None):
    if hasattr(env, "get_attr"):
        if seed is not None:  # otherwise it draws one
            env.seed(seed)
        return env.reset()
    return env.reset(seed=seed)


def step(env, number):
    """Every agent takes the same action, which is another one in every step."""
    action = number % 4
    if hasattr(env, "possible_agents") and not hasattr(env, "agent_selection"):
        return env.step(dict.fromkeys(env.agents, action))
    if hasattr(env, "agent_selection"):
        turns = []
        for _ in range(env.num_agents):
            turns.append(env.last())
            env.step(None if turns[-1][3] else action)
        return turns
    n_envs = getattr(env, "num_envs", None)
    return env.step(action if n_envs is None else np.full(n_envs, action))


def play(env, first, n_steps):
    return [step(env, number) for number in range(first, first + n_steps)]


@pytest.mark.parametrize(
    ("view", "way"), [(view, way) for view in VIEWS for way in WAYS if way != "copy" or view not in WRAPPED]
)
def test_copies_play_on(view, way):
    for steps_before in (None, 0, 2, HORIZON):  # None: never reset
        env = VIEWS[view]()
        population(env).max_cycles = HORIZON
        if steps_before is not None:
            reset(env, seed=3)
            play(env, 0, steps_before)
        other = WAYS[way](env)
        assert population(other).max_cycles == HORIZON
        assert population(other).game is not population(env).game
        traces = []
        for each in (other, env):  # the copy first: the original must not notice
            trace = []
            if steps_before is None:
                trace.append(reset(each, seed=3))
            trace += play(each, 7, HORIZON - (steps_before or 0))
            trace += [reset(each), *play(each, 9, 3)]  # the next episode, of the same generator
            traces.append(trace)
            assert population(each).game.outcome().steps == 3
        assert data_equivalence(*traces, exact=True)


def test_the_game_of_a_copy_is_the_one_that_plays():
    env = sb3_env(copies=2)
    env.reset()
    for make_copy in WAYS.values():
        other = make_copy(env)
        other.step(np.zeros(12, int))
        assert other.game.outcome().steps == 1
        assert env.game.outcome().steps == 0


def test_a_turn_can_be_copied_in_the_middle():
    """With what the agents before it have chosen."""
    env = matching_v0.env(n_agents=4)
    env.reset(seed=0)
    env.step(3)
    env.step(1)
    other = copy.deepcopy(env)
    for each in (other, env):
        each.step(2)
        each.step(0)
    assert other.unwrapped.game.scene()["bids"].tolist() == [3, 1, 2, 0]
    assert other.rewards == env.rewards


def test_a_changed_render_mode_is_kept_and_the_window_is_not():
    pytest.importorskip("matplotlib")
    env = matching_v0.parallel_env(n_agents=4)
    env.reset(seed=0)
    env.render_mode = "rgb_array"
    picture = env.render()
    for make_copy in WAYS.values():
        other = make_copy(env)
        assert other.render_mode == "rgb_array"
        np.testing.assert_array_equal(other.render(), picture)


def test_spaces_go_on_sampling_what_the_originals_would():
    env = matching_v0.parallel_env(n_agents=4)
    env.action_space("player_001").seed(5)
    other = copy.deepcopy(env)
    draws = [[each.action_space("player_001").sample() for _ in range(20)] for each in (env, other)]
    assert draws[0] == draws[1]
