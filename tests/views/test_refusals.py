"""What is refused changes nothing: not the game, not the other populations, not what anybody will draw."""

import re

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

import karma_envs
from karma_envs import matching_v0
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.views import GameViews
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

WRONG = [11, -1, 2**70, 0.5]
"""Illegal for who has karma 10, as all have at first; or no action at all."""


def state_of(*games):
    return [game.state_dict() for game in games]


@pytest.mark.parametrize("wrong", WRONG)
def test_vector(wrong):
    env, twin = (PopulationVectorEnv("matching", n_agents=4, strict=True) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(IllegalActionError):
        env.step([0, 0, wrong, 0])
    assert data_equivalence(state_of(env.game), state_of(twin.game), exact=True)
    assert data_equivalence(env.step([1, 2, 3, 4]), twin.step([1, 2, 3, 4]), exact=True)


@pytest.mark.parametrize("settings", [{"copies": 3}, {"agent_type": 1, "copies": 2}], ids=str)
def test_sb3_refuses_before_any_population_has_stepped(settings):
    """And before the agents of other types have drawn what they do."""
    pytest.importorskip("stable_baselines3")
    from training.integrations.sb3 import PopulationVecEnv

    env, twin = (
        PopulationVecEnv("matching", preset="two-discounts", n_agents=6, strict=True, **settings)
        for _ in range(2)
    )
    for each in (env, twin):
        each.seed(4)
        each.reset()
    for wrong in WRONG[:2]:
        actions = np.zeros(env.num_envs, np.int64)
        actions[-1] = wrong  # of the last agent of the last population
        with pytest.raises(IllegalActionError, match=f"takes action {wrong}"):
            env.step(actions)
        assert data_equivalence(
            state_of(*(each.game for each in env._copies)),
            state_of(*(each.game for each in twin._copies)),
            exact=True,
        )
    for number in range(8):
        actions = np.full(env.num_envs, number) * env.action_masks()[:, number]
        assert data_equivalence(env.step(actions), twin.step(actions), exact=True)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("make", [matching_v0.env, matching_v0.raw_env])
def test_turns_refuse_on_the_turn_of_the_agent_itself(make, wrong):
    env, twin = make(n_agents=4, strict=True), make(n_agents=4, strict=True)
    env.reset(seed=0)
    twin.reset(seed=0)
    for bid in (3, 1):
        env.step(bid)
        twin.step(bid)
    with pytest.raises(IllegalActionError):
        env.step(wrong)
    assert env.agent_selection == "player_002"
    for bid in (2, 0, 1, 1, 1, 1):  # two whole steps
        env.step(bid)
        twin.step(bid)
    assert env.agent_selection == "player_000"
    assert data_equivalence(state_of(env.unwrapped.game), state_of(twin.unwrapped.game), exact=True)
    assert env.rewards == twin.rewards


def test_turns_refuse_what_is_no_action_even_if_not_strict():
    env = matching_v0.env(n_agents=4)
    env.reset(seed=0)
    for wrong in (0.5, None, "1", [1, 2]):
        with pytest.raises(IllegalActionError, match="not a whole number"):
            env.step(wrong)
    for bid in (3, 99, 2, 0):
        env.step(bid)
    assert env.unwrapped.game.scene()["bids"].tolist() == [3, 10, 2, 0]


@pytest.mark.parametrize("name", karma_envs.names())
def test_refusals_say_what_is_allowed(name):
    env = GameViews(name).parallel_env(n_agents=6, strict=True)
    _, infos = env.reset(seed=0)
    agent = env.agents[4]
    space = env.action_space(agent)
    mask = infos[agent].get("action_mask")
    lowest, highest = (space.low, space.high) if mask is None else np.flatnonzero(mask)[[0, -1]]
    message = re.escape(f"; allowed: {lowest}") + ".*" + re.escape(str(highest))
    with pytest.raises(IllegalActionError, match="agent 4 takes action .*-99.*" + message):
        env.step(dict.fromkeys(env.agents, lowest) | {agent: lowest * 0 - 99})


@pytest.mark.parametrize("shape", [(2, 2), (1, 4), (4, 1, 1), (2, 2, 1)])
def test_arrays_of_another_shape_are_refused(shape):
    """Which agent acts in which way would be a guess."""
    env = PopulationVectorEnv("matching", n_agents=4)
    env.reset(seed=0)
    actions = np.arange(4).reshape(shape)
    for wrong in (actions, actions.tolist()):
        with pytest.raises(IllegalActionError, match=r"4 whole numbers|not a whole number"):
            env.step(wrong)


@pytest.mark.parametrize("high", [2**63, 2**64 - 1, 10**30])
def test_whole_numbers_of_any_size_are_actions(high):
    env = PopulationVectorEnv("matching", n_agents=4)
    env.reset(seed=0)
    *_, infos = env.step([high, 0, -high, 1])
    assert env.game.scene()["bids"].tolist() == [10, 0, 0, 1]
    assert infos["illegal_action"].tolist() == [True, False, True, False]
    if high < 2**64:
        env.reset(seed=0)
        env.step(np.array([high, 0, high, 1], np.uint64))
        assert env.game.scene()["bids"].tolist() == [10, 0, 10, 1]


def test_nothing_is_told_before_the_first_reset():
    learner = SingleAgentEnv("matching", n_agents=4)
    parallel = matching_v0.parallel_env(n_agents=4, render_mode="rgb_array")
    calls = [learner.action_masks, lambda: learner.step(0), parallel.state, parallel.render]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"not begun: call reset\(\) first"):
            call()


def test_sb3_tells_no_masks_before_the_first_reset():
    pytest.importorskip("stable_baselines3")
    from training.integrations.sb3 import PopulationVecEnv

    env = PopulationVecEnv("matching", n_agents=4)
    assert env.has_attr("action_masks")
    for call in (env.action_masks, lambda: env.env_method("action_masks"), lambda: env.step([0] * 4)):
        with pytest.raises(RuntimeError, match=r"not begun: call reset\(\) first"):
            call()


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (PopulationVectorEnv, {"population": "bid_all"}, "one learner among others takes it"),
        (PopulationVectorEnv, {"learner": 1}, "one learner among others takes it"),
        (PopulationVectorEnv, {"autoreset_mode": "SameStep"}, "autoreset_mode = 'SameStep' .*NEXT_STEP"),
        (SingleAgentEnv, {"num_envs": 4}, "number of agents is n_agents"),
        (SingleAgentEnv, {"max_episode_steps": 4}, "horizon is max_cycles"),
        (SingleAgentEnv, {"autoreset_mode": "NextStep"}, "the vector environment takes it"),
        (matching_v0.parallel_env, {"population": "bid_all"}, "one learner among others takes it"),
        (matching_v0.env, {"num_envs": 4}, "number of agents is n_agents"),
    ],
)
def test_arguments_of_other_views_are_refused_in_words(make, arguments, message):
    first = () if make in (matching_v0.parallel_env, matching_v0.env) else ("matching",)
    with pytest.raises(ConfigError, match=message):
        make(*first, **arguments)
