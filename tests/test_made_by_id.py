"""Every registered id, made in all the ways there are, and stepped.

This is what has to hold with every version of Gymnasium and PettingZoo that is allowed, and what the session
``versions`` of ``noxfile.py`` runs with each; it tells the ways apart by the functions' names.
"""

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.envs.registration import EnvSpec

import karma_envs
from karma_envs.registry import title_of
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

NAMES = karma_envs.names()
ID = "karma_envs/Matching-v0"
AT_THE_END = [False, False, True]
has_registry = pytest.mark.skipif(not hasattr(pettingzoo, "make"), reason="PettingZoo before 1.27")


def identifier(name):
    return f"karma_envs/{title_of(name)}-v0"


def play_parallel(env):
    """An episode of three steps."""
    assert isinstance(env, PopulationParallelEnv)
    observations, _ = env.reset(seed=0)
    for truncated in AT_THE_END:
        assert all(env.observation_space(agent).contains(row) for agent, row in observations.items())
        observations, _, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
        assert set(truncations.values()) == {truncated}
        assert set(terminations.values()) == {False}
        assert len(observations) == 6
    assert env.agents == []


def play_in_turns(env):
    """The same, agent by agent."""
    env.reset(seed=0)
    turns = 0
    for agent in env.agent_iter():
        observation, _, terminated, truncated, _ = env.last()
        assert env.observation_space(agent).contains(observation)
        assert not terminated
        turns += not truncated
        env.step(None if truncated else 0)
    assert turns == 3 * 6


def test_the_ids_are_the_games():
    ids = [each for each in gymnasium.registry if each.startswith("karma_envs/")]
    assert sorted(ids) == [identifier(name) for name in NAMES]
    for registry in ("parallel_registry", "aec_registry"):
        ids = [each for each in getattr(pettingzoo, registry, ()) if each.startswith("karma_envs/")]
        assert len(ids) == (len(NAMES) if hasattr(pettingzoo, "make") else 0)


@pytest.mark.parametrize("name", NAMES)
def test_karma_envs_make(name):
    game = karma_envs.make(name, n_agents=6)
    game.reset(np.random.default_rng(0))
    for _ in range(3):
        assert game.step(np.zeros(6, int)).shape == (6,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("module", ["", "karma_envs:"])
def test_gymnasium_make(name, module):
    env = gymnasium.make(module + identifier(name), n_agents=6, learner=2, max_cycles=3)
    assert isinstance(env.unwrapped, SingleAgentEnv)
    assert env.unwrapped.game.name == name
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(3)]
    assert [truncated for *_, truncated, _ in steps] == AT_THE_END
    assert all(observation in env.observation_space for observation, *_ in steps)
    env.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [None, "vector_entry_point"])
def test_gymnasium_make_vec_of_the_population(name, mode):
    env = gymnasium.make_vec(identifier(name), num_envs=6, vectorization_mode=mode, max_episode_steps=3)
    assert isinstance(env, PopulationVectorEnv)
    assert env.game.name == name
    assert env.num_envs == 6
    assert gymnasium.make_vec(identifier(name), vectorization_mode=mode, n_agents=8).num_envs == 8
    env.reset(seed=0)
    steps = [env.step(np.zeros(6, int)) for _ in range(3)]
    assert [set(truncations) for *_, truncations, _ in steps] == [{each} for each in AT_THE_END]
    assert all(observations in env.observation_space for observations, *_ in steps)
    env.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_make_vec_of_learners(name, mode):
    env = gymnasium.make_vec(identifier(name), num_envs=2, vectorization_mode=mode, n_agents=6, max_cycles=3)
    _, infos = env.reset(seed=0)
    assert infos["action_mask"].shape == (2, env.single_action_space.n)
    steps = [env.step(np.zeros(2, int)) for _ in range(3)]
    assert [set(truncations) for *_, truncations, _ in steps] == [{each} for each in AT_THE_END]
    assert all(observations in env.observation_space for observations, *_ in steps)
    env.close()


@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo_modules(name):
    module = getattr(karma_envs, f"{name}_v0")
    play_parallel(module.parallel_env(n_agents=6, max_cycles=3))
    play_in_turns(module.env(n_agents=6, max_cycles=3))


@has_registry
@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo_make(name):
    play_parallel(pettingzoo.make("parallel", f"karma_envs/{name}_v0", n_agents=6, max_cycles=3))
    play_in_turns(pettingzoo.make("aec", f"karma_envs/{name}_v0", n_agents=6, max_cycles=3))


def test_a_spec_makes_the_environment_again():
    env = gymnasium.make(ID, n_agents=8, population="bid_all")
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.game.config == env.unwrapped.game.config


def test_a_parallel_environment_is_not_for_gymnasium():
    with pytest.raises(TypeError, match=r"gymnasium\.Env"):
        gymnasium.make(EnvSpec("P-v0", karma_envs.matching_v0.parallel_env))
