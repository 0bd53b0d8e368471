"""Conventions of the parallel view that the checks for all games do not state exactly."""

import cloudpickle
import numpy as np
import pytest

from karma_envs import matching_v0
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.games.matching import MatchingGame
from karma_envs.views.parallel import PopulationParallelEnv


def started(**arguments):
    env = matching_v0.parallel_env(**{"n_agents": 6, **arguments})
    env.reset(seed=0)
    return env


def all_bid(env, bid):
    return dict.fromkeys(env.possible_agents, bid)


@pytest.mark.parametrize(
    ("n_agents", "first", "last"),
    [
        (2, "player_000", "player_001"),
        (1000, "player_000", "player_999"),
        (1001, "player_0000", "player_1000"),
    ],
)
def test_names(n_agents, first, last):
    env = matching_v0.parallel_env(n_agents=n_agents)
    assert (env.possible_agents[0], env.possible_agents[-1]) == (first, last)
    assert env.max_num_agents == n_agents


def test_illegal_bid_becomes_karma():
    """Everyone has karma 10 at the start, so that 13 is taken as 10."""
    env, twin = started(), started()
    observations, rewards, *_, infos = env.step(all_bid(env, 13) | {"player_002": 3})
    expected, paid, *_ = twin.step(all_bid(twin, 10) | {"player_002": 3})
    flagged = [agent for agent, info in infos.items() if "illegal_action" in info]
    assert flagged == [agent for agent in env.agents if agent != "player_002"]
    assert all(infos[agent]["illegal_action"] is True for agent in flagged)
    assert rewards == paid
    for agent in env.agents:
        np.testing.assert_array_equal(observations[agent], expected[agent])
    *_, infos = env.step(all_bid(env, 0))
    assert not any("illegal_action" in info for info in infos.values())


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (-1, 0),
        (-(2**40), 0),
        (-(10**30), 0),
        (21, 10),
        (2**40, 10),
        (2**63, 10),
        (10**30, 10),
        (np.uint64(2**63), 10),
    ],
)
def test_actions_outside_the_space_are_clipped_too(given, taken):
    env = started()
    *_, infos = env.step(all_bid(env, given))
    assert all(info["illegal_action"] for info in infos.values())
    assert set(env.game.scene()["bids"]) == {taken}


def test_strict_refuses_and_changes_nothing():
    env = started(strict=True)
    before = env.state()
    with pytest.raises(IllegalActionError, match=r"agent 2 takes action 11, .*; allowed: 0 … 10"):
        env.step(all_bid(env, 0) | {"player_002": 11})
    np.testing.assert_array_equal(env.state(), before)
    env.step(all_bid(env, 10))


def test_allocation_without_bids_allows_only_zero():
    env = matching_v0.parallel_env(preset="coin", n_agents=4)
    _, infos = env.reset(seed=0)
    assert all(info["action_mask"].tolist() == [1] + [0] * 20 for info in infos.values())
    *_, infos = env.step(all_bid(env, 5))
    assert all(info["illegal_action"] for info in infos.values())


def test_tensors_are_actions():
    torch = pytest.importorskip("torch")
    results = []
    for form in (int, torch.tensor, lambda bid: torch.tensor([bid])):
        env = started()
        results.append(env.step(all_bid(env, form(3)))[1])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("wrong", [0.0, 1.5, float("nan"), "1", None, [1, 2], np.zeros(2, int)])
def test_what_is_not_a_whole_number_is_refused(wrong):
    env = started()
    with pytest.raises(IllegalActionError, match="whole number"):
        env.step(all_bid(env, 0) | {"player_002": wrong})
    with pytest.raises(IllegalActionError, match="whole number"):
        env.step(all_bid(env, wrong))


def test_missing_and_unknown_agents_are_named():
    env = started()
    with pytest.raises(IllegalActionError, match="no action for agent 'player_005'"):
        env.step(dict.fromkeys(env.agents[:-1], 0))
    with pytest.raises(IllegalActionError, match="'player_6', which is no agent"):
        env.step(all_bid(env, 0) | {"player_6": 0})
    with pytest.raises(KeyError, match="player_6"):
        env.observation_space("player_6")
    with pytest.raises(KeyError, match="player_6"):
        env.action_space("player_6")


def test_before_and_after_an_episode():
    env = matching_v0.parallel_env(n_agents=6, max_cycles=1)
    assert env.agents == []
    with pytest.raises(RuntimeError, match="reset"):
        env.step(all_bid(env, 0))
    env.reset()
    *_, truncations, infos = env.step(all_bid(env, 0))
    assert all(flag is True for flag in truncations.values())
    assert all(info["TimeLimit.truncated"] is True for info in infos.values())
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(RuntimeError, match="reset"):
        env.step(all_bid(env, 0))
    env.reset()
    assert env.agents == env.possible_agents


def test_pickling_keeps_arguments():
    env = PopulationParallelEnv(
        MatchingGame, preset="pbs", n_agents=4, max_cycles=7, observation="dict", strict=True
    )
    in_closure = cloudpickle.loads(cloudpickle.dumps(lambda: env))()
    for copy in (cloudpickle.loads(cloudpickle.dumps(env)), in_closure):
        assert copy.game.config == env.game.config
        assert copy.max_cycles == 7
        assert copy.observation_space("player_000") == env.observation_space("player_000")
        copy.reset(seed=0)
        with pytest.raises(IllegalActionError):
            copy.step(all_bid(copy, 20))


def test_copies_without_seed_differ():
    """Environments are often copied before they are seeded; they must not share a generator."""
    env = matching_v0.parallel_env(n_agents=20)
    copies = [cloudpickle.loads(cloudpickle.dumps(env)) for _ in range(2)]
    for copy in copies:
        copy.reset()
    assert not np.array_equal(copies[0].state(), copies[1].state())


def test_wrapped_turns_can_be_pickled():
    env = cloudpickle.loads(cloudpickle.dumps(matching_v0.env(n_agents=4)))
    env.reset(seed=0)
    env.step(0)
    assert env.agent_selection == "player_001"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_cycles": 0}, "max_cycles = 0 .* from 1 up"),
        ({"observation": "image"}, "observation = 'image' .* flat, dict"),
        ({"render_mode": "ansi"}, "render_mode = 'ansi' .* None, human, rgb_array"),
        ({"preset": "pbss"}, "preset = 'pbss' .*did you mean pbs"),
        ({"num_agents": 3}, "no field 'num_agents'.*did you mean n_agents"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        matching_v0.parallel_env(**arguments)
