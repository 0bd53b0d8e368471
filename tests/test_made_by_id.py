"""Every registered id, made in all the ways there are, and stepped.

This is what has to hold with every version of Gymnasium and PettingZoo that is allowed, and what the session
``versions`` of ``noxfile.py`` runs with each; it tells the ways apart by the functions' names.
"""

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Discrete

import karma_envs
from karma_envs.registry import game_class, title_of, version_of
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

NAMES = karma_envs.names()
ID = "karma_envs/Matching-v0"
has_registry = pytest.mark.skipif(not hasattr(pettingzoo, "make"), reason="PettingZoo before 1.27")


def identifier(name):
    return f"karma_envs/{title_of(name)}-v{version_of(name)}"


def ends_of(name):
    """Whether an episode has ended after each of its steps: the game's own, or three where it has no end."""
    length = game_class(name)(n_agents=6).length or 3
    return [step == length for step in range(1, length + 1)]


def horizon_of(name):
    """The argument that an episode of :func:`ends_of` takes; a game with an end takes none."""
    return {} if game_class(name)(n_agents=6).length else {"max_cycles": 3}


def an_action(space):
    """One that is always legal."""
    return 0 if isinstance(space, Discrete) else space.low


def play_parallel(env, name):
    """An episode."""
    assert isinstance(env, PopulationParallelEnv)
    observations, _ = env.reset(seed=0)
    for ended in ends_of(name):
        assert all(env.observation_space(agent).contains(row) for agent, row in observations.items())
        actions = {agent: an_action(env.action_space(agent)) for agent in env.agents}
        observations, _, terminations, truncations, _ = env.step(actions)
        of_the_game = env.game.length is not None
        assert set(truncations.values()) == {ended and not of_the_game}
        assert set(terminations.values()) == {ended and of_the_game}
        assert len(observations) == 6
    assert env.agents == []


def play_in_turns(env, name):
    """The same, agent by agent."""
    env.reset(seed=0)
    turns = 0
    for agent in env.agent_iter():
        observation, _, terminated, truncated, _ = env.last()
        assert env.observation_space(agent).contains(observation)
        ended = terminated or truncated
        turns += not ended
        env.step(None if ended else an_action(env.action_space(agent)))
    assert turns == len(ends_of(name)) * 6


def test_the_ids_are_the_games():
    ids = [each for each in gymnasium.registry if each.startswith("karma_envs/")]
    assert sorted(ids) == sorted(identifier(name) for name in NAMES)
    for registry in ("parallel_registry", "aec_registry"):
        ids = [each for each in getattr(pettingzoo, registry, ()) if each.startswith("karma_envs/")]
        assert len(ids) == (len(NAMES) if hasattr(pettingzoo, "make") else 0)


@pytest.mark.parametrize("name", NAMES)
def test_karma_envs_make(name):
    game = karma_envs.make(name, n_agents=6)
    game.reset(np.random.default_rng(0))
    for _ in ends_of(name):
        assert game.step(np.array([an_action(game.action_space)] * 6)).shape == (6,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("module", ["", "karma_envs:"])
def test_gymnasium_make(name, module):
    env = gymnasium.make(module + identifier(name), n_agents=6, learner=2, **horizon_of(name))
    assert isinstance(env.unwrapped, SingleAgentEnv)
    assert env.unwrapped.game.name == name
    env.reset(seed=0)
    steps = [env.step(an_action(env.action_space)) for _ in ends_of(name)]
    assert [terminated or truncated for _, _, terminated, truncated, _ in steps] == ends_of(name)
    assert all(observation in env.observation_space for observation, *_ in steps)
    env.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [None, "vector_entry_point"])
def test_gymnasium_make_vec_of_the_population(name, mode):
    env = gymnasium.make_vec(identifier(name), num_envs=6, vectorization_mode=mode, **horizon_of(name))
    assert isinstance(env, PopulationVectorEnv)
    assert env.game.name == name
    assert env.num_envs == 6
    assert gymnasium.make_vec(identifier(name), vectorization_mode=mode, n_agents=8).num_envs == 8
    check_vector(env, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_make_vec_of_learners(name, mode):
    how = {"vectorization_mode": mode, **horizon_of(name)}
    env = gymnasium.make_vec(identifier(name), num_envs=2, n_agents=6, **how)
    _, infos = env.reset(seed=0)
    if isinstance(env.single_action_space, Discrete):
        assert infos["action_mask"].shape == (2, env.single_action_space.n)
    check_vector(env, name)


def check_vector(env, name):
    """An episode of a vector environment."""
    env.reset(seed=0)
    actions = np.array([an_action(env.single_action_space)] * env.num_envs)
    steps = [env.step(actions) for _ in ends_of(name)]
    assert [set(terminated | truncated) for _, _, terminated, truncated, _ in steps] == [
        {ended} for ended in ends_of(name)
    ]
    assert all(observations in env.observation_space for observations, *_ in steps)
    env.close()


@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo_modules(name):
    module = getattr(karma_envs, f"{name}_v{version_of(name)}")
    play_parallel(module.parallel_env(n_agents=6, **horizon_of(name)), name)
    play_in_turns(module.env(n_agents=6, **horizon_of(name)), name)


@has_registry
@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo_make(name):
    there, how = f"karma_envs/{name}_v{version_of(name)}", {"n_agents": 6, **horizon_of(name)}
    play_parallel(pettingzoo.make("parallel", there, **how), name)
    play_in_turns(pettingzoo.make("aec", there, **how), name)


def test_a_spec_makes_the_environment_again():
    env = gymnasium.make(ID, n_agents=8, population="bid_all")
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.game.config == env.unwrapped.game.config


def test_a_parallel_environment_is_not_for_gymnasium():
    with pytest.raises(TypeError, match=r"gymnasium\.Env"):
        gymnasium.make(EnvSpec("P-v0", karma_envs.matching_v0.parallel_env))
