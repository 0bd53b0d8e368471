"""One learner in a population."""

import pickle

import numpy as np
import pytest

from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError, PolicyError
from karma_envs.karma.baselines import bid_all
from karma_envs.registry import make
from karma_envs.views.single_agent import SingleAgentEnv


def played_bids(population, **arguments):
    env = SingleAgentEnv("matching", n_agents=6, population=population, **arguments)
    env.reset(seed=0)
    karma = env.game.scene()["karma"]
    env.step(3)
    scene = env.game.scene()
    return env, scene["bids"], karma, scene["urgency"]


def test_learner_acts_and_the_others_follow_their_policy():
    _, bids, karma, _ = played_bids("bid_all", learner=2)
    expected = karma.copy()
    expected[2] = 3
    np.testing.assert_array_equal(bids, expected)
    assert played_bids("bid_nothing")[1].tolist() == [3, 0, 0, 0, 0, 0]
    _, bids, karma, urgency = played_bids("proportional")
    np.testing.assert_array_equal(bids[1:], np.rint(urgency[1:] / 5 * karma[1:]))


def test_tabular_policies_are_taken():
    probabilities = np.zeros((42, 21))
    probabilities[:, 0] = 1
    one = TabularPolicy(probabilities)
    assert played_bids(one)[1].tolist() == [3, 0, 0, 0, 0, 0]
    two = TabularPolicy(np.stack([probabilities, bid_all(make("matching"))[0]]), [0, 0, 1, 1, 0, 0])
    assert played_bids(two)[1].tolist() == [3, 0, 10, 10, 0, 0]


def test_policies_that_do_not_fit_are_refused():
    with pytest.raises(PolicyError, match="42 observations"):
        SingleAgentEnv("matching", n_agents=6, population=TabularPolicy(np.ones((4, 1))))
    of_five = baseline_policy("random", make("matching", n_agents=5))
    with pytest.raises(PolicyError, match="rows for 5 agents"):
        SingleAgentEnv("matching", n_agents=6, population=of_five)
    with pytest.raises(ConfigError, match=r"baseline = 'bid_al' .*did you mean bid_all"):
        SingleAgentEnv("matching", population="bid_al")
    with pytest.raises(ConfigError, match=r"learner = 6 .* 0 to 5"):
        SingleAgentEnv("matching", n_agents=6, learner=6)


def test_illegal_actions():
    env = SingleAgentEnv("matching", n_agents=6, population="bid_nothing")
    env.reset(seed=0)
    *_, info = env.step(20)
    assert info["illegal_action"] is True
    assert env.game.scene()["bids"][0] == 10
    with pytest.raises(IllegalActionError, match="not a whole number"):
        env.step(0.5)


def test_a_refused_action_changes_nothing():
    """In particular not what the others will draw."""
    env, twin = (SingleAgentEnv("matching", n_agents=6, strict=True) for _ in range(2))
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(IllegalActionError):
        env.step(11)
    for _ in range(10):
        np.testing.assert_array_equal(env.step(0)[0], twin.step(0)[0])
    np.testing.assert_array_equal(env.game.scene()["bids"], twin.game.scene()["bids"])


def test_horizon():
    env = SingleAgentEnv("matching", n_agents=6, max_cycles=2)
    env.reset(seed=0)
    assert env.step(0)[2:4] == (False, False)
    *_, terminated, truncated, info = env.step(0)
    assert terminated is False
    assert truncated is True
    assert info["TimeLimit.truncated"] is True


def test_pickling_keeps_arguments():
    env = SingleAgentEnv("matching", n_agents=6, learner=3, population="bid_all", max_cycles=4)
    copy = pickle.loads(pickle.dumps(env))
    env.reset(seed=0)
    copy.reset(seed=0)
    for _ in range(4):
        one, other = env.step(1), copy.step(1)
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:4] == other[1:4]
    assert one[3]
