"""Stable-Baselines3's view of a population, and its models as policies of one."""

import numpy as np
import pytest
from gymnasium.utils import seeding

import karma_envs
from agents import exploitability
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError, PolicyError
from karma_envs.views.vector import PopulationVectorEnv
from tests.integrations.common import SMALL, TABULAR, assert_played_as_in_the_table, require, two_types
from training.evaluation.play import measure

require("sb3")

import stable_baselines3 as sb3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize  # noqa: E402

from training.integrations.sb3 import (  # noqa: E402
    PopulationVecEnv,
    action_probabilities,
    distil,
    supersuit_vec_env,
)

TWO_TYPES = two_types()


def started(game="matching", *, seed=0, **arguments):
    env = PopulationVecEnv(game, **{**SMALL, **arguments} if game == "matching" else arguments)
    env.seed(seed)
    return env, env.reset()


def any_actions(env, n_steps, seed=9):
    return np.random.default_rng(seed).integers(0, env.action_space.n, (n_steps, env.num_envs))


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("copies", [1, 3])
def test_arrays(name, copies):
    env, observations = started(name, n_agents=6, copies=copies, max_cycles=3)
    assert env.num_envs == 6 * copies
    kept = []
    for actions in any_actions(env, 7):
        assert observations.dtype == np.float32
        assert observations.shape == (env.num_envs, *env.observation_space.shape)
        assert all(env.observation_space.contains(row) for row in observations)
        masks = env.action_masks()
        assert masks.dtype == np.bool_
        assert masks.shape == (env.num_envs, env.action_space.n)
        assert masks[:, 0].all()
        kept += [(array, array.copy()) for array in (observations, masks)]
        observations, rewards, dones, infos = env.step(actions)
        assert (rewards.dtype, dones.dtype) == (np.float32, np.bool_)
        assert rewards.shape == dones.shape == (len(infos),) == (env.num_envs,)
        assert len({id(info) for info in infos}) == env.num_envs
        kept += [(array, array.copy()) for array in (rewards, dones)]
    for array, before in kept:  # nothing that was given away has been written to since
        np.testing.assert_array_equal(array, before)


def test_it_is_the_game_stepped_by_hand():
    """Over several episodes, which continue one random generator; illegal actions as in all views."""
    env, observations = started(seed=4, max_cycles=5)
    game, (rng, _) = karma_envs.make("matching", **SMALL), seeding.np_random(4)
    game.reset(rng)
    for step, actions in enumerate(any_actions(env, 17), 1):
        np.testing.assert_array_equal(observations, game.observations())
        legal = game.legal_actions[game.observation_index()]
        np.testing.assert_array_equal(env.action_masks(), legal)
        observations, rewards, dones, infos = env.step(actions)
        np.testing.assert_array_equal(rewards, game.step(np.minimum(actions, legal.sum(axis=1) - 1)))
        np.testing.assert_array_equal(env.illegal, actions >= legal.sum(axis=1))
        assert (dones == (step % 5 == 0)).all()
        if step % 5:
            assert infos == [{}] * 10
            continue
        assert all(info.keys() == {"terminal_observation", "TimeLimit.truncated"} for info in infos)
        assert all(info["TimeLimit.truncated"] is True for info in infos)
        last = np.array([info["terminal_observation"] for info in infos])
        np.testing.assert_array_equal(last, game.observations())
        game.reset(rng)


def test_copies_are_independent_and_seeded_by_their_first_agent():
    env, observations = started(seed=4, copies=3, max_cycles=4)
    alone = [started(seed=4 + 10 * number, max_cycles=4) for number in range(3)]
    assert not np.array_equal(observations[:10], observations[10:20])
    expected = [each for _, each in alone]
    for actions in any_actions(env, 9):
        np.testing.assert_array_equal(observations, np.concatenate(expected))
        np.testing.assert_array_equal(
            env.action_masks(), np.concatenate([each.action_masks() for each, _ in alone])
        )
        observations, rewards, *_ = env.step(actions)
        results = [each.step(part) for (each, _), part in zip(alone, np.split(actions, 3))]
        np.testing.assert_array_equal(rewards, np.concatenate([result[1] for result in results]))
        expected = [result[0] for result in results]


def test_copies_without_seed_differ():
    env = PopulationVecEnv("matching", n_agents=20, copies=2)
    observations = env.reset()
    assert not np.array_equal(observations[:20], observations[20:])


def test_seeds_count_for_the_next_reset_only():
    env, first = started(n_agents=20)
    second = env.reset()
    assert not np.array_equal(first, second)
    env.seed(0)
    np.testing.assert_array_equal(env.reset(), first)
    np.testing.assert_array_equal(env.reset(), second)


def test_masks_as_maskable_models_ask_for_them():
    env, _ = started()
    for wrapped in (env, VecMonitor(env)):
        assert wrapped.has_attr("action_masks")
        np.testing.assert_array_equal(np.stack(wrapped.env_method("action_masks")), env.action_masks())
        np.testing.assert_array_equal(
            wrapped.env_method("action_masks", indices=[7, 2]), env.action_masks()[[7, 2]]
        )
        np.testing.assert_array_equal(wrapped.get_attr("action_masks", indices=3)[0](), env.action_masks()[3])


def test_attributes_and_methods_are_those_of_each_population():
    env, _ = started(copies=2, max_cycles=5)
    assert env.get_attr("max_cycles") == [5] * 20
    assert not env.has_attr("max_circles")
    with pytest.raises(AttributeError):
        env.get_attr("max_circles", indices=0)
    env.set_attr("max_cycles", 1, indices=[10, 11])
    assert env.get_attr("max_cycles", indices=[9, 10]) == [5, 1]
    *_, dones, _ = env.step(np.zeros(20, int))
    assert dones.tolist() == [False] * 10 + [True] * 10
    assert env.env_is_wrapped(VecMonitor) == [False] * 20


def test_methods_are_called_once_for_each_population(monkeypatch):
    called = []  # not the populations themselves: Gymnasium 1.1 closes what it deletes
    monkeypatch.setattr(PopulationVectorEnv, "close", lambda self: called.append(id(self)) or len(called))
    env, _ = started(copies=3)
    assert env.env_method("close", indices=[3, 0, 29, 21]) == [1, 1, 2, 2]
    assert len(called) == len(set(called)) == 2


def test_pictures():
    pytest.importorskip("matplotlib").use("agg")
    env, _ = started(copies=2, render_mode="rgb_array")
    env.step(np.zeros(20, int))
    one, other = env.get_images()
    assert one.dtype == np.uint8
    assert one.shape == other.shape
    assert env.render().shape[1] == 2 * one.shape[1] or env.render().shape[0] == 2 * one.shape[0]
    env.close()


def test_wrong_use_is_refused():
    env, _ = started(strict=True)
    with pytest.raises(IllegalActionError, match="10 whole numbers"):
        env.step(np.zeros(9, int))
    with pytest.raises(IllegalActionError, match="agent 4 takes action 5, which is illegal now"):
        env.step(5 * np.eye(10, dtype=int)[4])
    with pytest.raises(RuntimeError, match="step_async"):
        PopulationVecEnv("matching").step_wait()
    with pytest.raises(RuntimeError, match="reset"):
        PopulationVecEnv("matching").step(np.zeros(100, int))
    with pytest.raises(ConfigError, match=r"observation = 'dict' .* flat"):
        PopulationVecEnv("matching", observation="dict")
    with pytest.raises(ConfigError, match=r"agent_type = 1 .* 0 to 0"):
        PopulationVecEnv("matching", agent_type=1)
    with pytest.raises(ConfigError, match="copies = 0"):
        PopulationVecEnv("matching", copies=0)
    with pytest.raises(PolicyError, match="rows for 9 agents"):
        PopulationVecEnv(
            "matching", n_agents=10, others=baseline_policy("random", karma_envs.make("matching", n_agents=9))
        )


def test_agents_of_one_type_learn_while_the_others_play():
    env = PopulationVecEnv("matching", agent_type=1, copies=2, others="bid_all", max_cycles=3, **TWO_TYPES)
    assert env.agents.tolist() == np.flatnonzero(env.game.type_of_agent == 1).tolist()
    assert len(env.agents) == 6
    env.seed(2)
    observations = env.reset()
    twin = PopulationVectorEnv("matching", max_cycles=3, **TWO_TYPES)
    whole, _ = twin.reset(seed=2)
    np.testing.assert_array_equal(observations[:6], whole[env.agents])
    others = np.flatnonzero(env.game.type_of_agent == 0)
    for actions in any_actions(env, 2):
        everyone = twin.game.scene()["karma"].astype(int)  # what bid_all bids
        everyone[env.agents] = actions[:6]
        observations, rewards, *_ = env.step(actions)
        whole, earned, *_, infos = twin.step(everyone)
        np.testing.assert_array_equal(env.game.scene()["bids"][others], everyone[others])
        np.testing.assert_array_equal(observations[:6], whole[env.agents])
        np.testing.assert_array_equal(rewards[:6], earned[env.agents])
        np.testing.assert_array_equal(env.action_masks()[:6], infos["action_mask"][env.agents])
    env.set_others("bid_nothing")
    *_, dones, infos = env.step(np.zeros(12, int))
    assert dones.all()
    assert len(infos) == 12
    assert not env.game.outcome().rewards.any()  # the next episode has begun


def test_what_others_draw_is_seeded():
    def trajectory():
        env = PopulationVecEnv("matching", agent_type=0, max_cycles=4, **TWO_TYPES)
        env.seed(2)
        env.reset()
        return [env.step(row)[:2] for row in any_actions(env, 9)]

    for one, other in zip(trajectory(), trajectory()):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_supersuit_plays_the_same():
    """Its ``seed`` is a reset, so that the one after it continues the generator."""
    pytest.importorskip("supersuit")
    vec = supersuit_vec_env("matching", copies=2, max_cycles=4, **SMALL)
    env, _ = started(seed=3, max_cycles=4)
    other, _ = started(seed=4, max_cycles=4)
    vec.seed(3)
    observations, expected = vec.reset(), np.concatenate([env.reset(), other.reset()])
    for actions in any_actions(vec, 9):
        np.testing.assert_array_equal(observations, expected)
        observations, rewards, dones, infos = vec.step(actions)
        one, two = env.step(actions[:10]), other.step(actions[10:])
        np.testing.assert_array_equal(rewards, np.concatenate([one[1], two[1]]))
        np.testing.assert_array_equal(dones, np.concatenate([one[2], two[2]]))
        expected = np.concatenate([one[0], two[0]])
        for info, ours in zip(infos, one[3] + two[3]):
            assert info.get("TimeLimit.truncated", False) == ours.get("TimeLimit.truncated", False)
            if ours:
                np.testing.assert_array_equal(info["terminal_observation"], ours["terminal_observation"])


def test_supersuit_feeds_a_model():
    pytest.importorskip("supersuit")
    vec = supersuit_vec_env("matching", copies=2, max_cycles=10, **SMALL)
    model = sb3.PPO("MlpPolicy", vec, n_steps=16, batch_size=80, n_epochs=1, seed=0, device="cpu").learn(320)
    assert model.num_timesteps == 320


def test_wrappers_and_the_bootstrap_at_the_horizon():
    """Episodes are reported; a constant value at the horizon is added to the last reward."""
    env = VecMonitor(PopulationVecEnv("matching", max_cycles=4, **SMALL))
    model = sb3.A2C("MlpPolicy", env, n_steps=4, gamma=0.5, seed=0, device="cpu", learning_rate=1e-30)
    with torch.no_grad():
        model.policy.value_net.weight.zero_()
        model.policy.value_net.bias.fill_(-8)
    model.learn(40)
    assert [episode["l"] for episode in model.ep_info_buffer] == [4] * 10
    rewards = model.rollout_buffer.rewards.sum(axis=0)
    returns = np.array([episode["r"] for episode in model.ep_info_buffer])
    np.testing.assert_allclose(rewards, returns + 0.5 * -8, atol=1e-4)


SETTINGS = {
    "PPO": {"n_steps": 16, "batch_size": 200},
    "MaskablePPO": {"n_steps": 16, "batch_size": 200},
    "A2C": {"n_steps": 8},
    "DQN": {
        "learning_starts": 1000,
        "train_freq": 1,
        "gradient_steps": 2,
        "batch_size": 256,
        "exploration_fraction": 1.0,
        "exploration_final_eps": 0.3,
        "buffer_size": 10_000,
    },
}


def model_of(algorithm, env, **arguments):
    module = sb3
    if algorithm == "MaskablePPO":
        module = pytest.importorskip("sb3_contrib", reason="MaskablePPO is in sb3-contrib")
    return getattr(module, algorithm)("MlpPolicy", env, seed=0, device="cpu", **arguments)


@pytest.fixture(scope="module", params=["PPO", "MaskablePPO"])
def learned(request):
    """A model that has learned the small game; PPO's illegal actions are played as all karma."""
    torch.set_num_threads(1)
    env = VecNormalize(
        PopulationVecEnv("matching", copies=10, **SMALL), norm_obs=False, gamma=SMALL["discount"]
    )
    model = model_of(
        request.param, env, n_steps=16, batch_size=320, n_epochs=5, gamma=SMALL["discount"], gae_lambda=0.9,
        learning_rate=3e-3, ent_coef=0.01,
    )  # fmt: skip
    return model.learn(32_000)


def efficiency(game, policy):
    return measure(game, policy, n_steps=8000, seed=1)["efficiency"]


def test_models_learn_the_game(learned):
    """Efficiency is better than that of random bids by more than ten standard errors of the difference."""
    game = karma_envs.make("matching", **SMALL)
    found = distil(learned, game)
    assert found.share_visited == found.share_of_play == 1
    mine, random = (efficiency(game, policy) for policy in (found.policy, baseline_policy("random", game)))
    error = np.hypot(mine.standard_error, random.standard_error)
    assert 0 < error < 0.01
    assert mine.value > random.value + 10 * error
    model = game.mean_field()
    bad = TabularPolicy(game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True))
    gain = exploitability(model, TabularPolicy(found.policy.probabilities)).absolute
    assert gain < exploitability(model, bad).absolute


def test_the_table_plays_like_the_model(learned):
    """In every situation actions come as often as the table says, within 4 standard errors; seeded.

    Given the situations actions are independent, so that counts are binomial.
    """
    env, observations = started(seed=11, copies=4)
    masked = type(learned).__name__ == "MaskablePPO"
    torch.manual_seed(5)
    policy = distil(learned, env.game).policy
    assert not policy.probabilities[0][~env.game.legal_actions].any()
    counts = np.zeros((policy.n_observations, policy.n_actions))
    for _ in range(400):
        masks = env.action_masks()
        actions, _ = learned.predict(observations, **({"action_masks": masks} if masked else {}))
        karma = np.rint(observations[:, 1] * 6).astype(int)
        now = (observations[:, 0] == 1) * 7 + karma
        np.add.at(counts, (now, np.minimum(actions, karma)), 1)
        observations, *_ = env.step(actions)
        assert not (masked and env.illegal.any())
    assert_played_as_in_the_table(counts, policy.probabilities[0])


def test_a_maskable_model_learns_without_an_illegal_action():
    env = PopulationVecEnv("matching", strict=True, **SMALL)
    model = model_of("MaskablePPO", env, n_steps=32, batch_size=80, n_epochs=2)
    model.learn(2000)  # strict: the first illegal action would have raised
    assert model.num_timesteps >= 2000


def mean_share_bid(model):
    """Mean bid as a share of karma, over all urgencies and karma above 0.

    0.5 for random legal bids; 0.68 for random bids of which illegal ones are played as all karma.
    """
    bids = distil(model, karma_envs.make("matching", **SMALL)).policy.mean_actions()[0]
    return (bids.reshape(2, 7)[:, 1:] / np.arange(1, 7)).mean()


@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "DQN", "MaskablePPO"])
def test_every_algorithm_learns_what_pays_at_once(algorithm):
    """To whom the future is worth nothing, high bids pay."""
    env = PopulationVecEnv("matching", copies=5, **SMALL)
    model = model_of(algorithm, env, gamma=0.0, learning_rate=3e-3, **SETTINGS[algorithm])
    before = mean_share_bid(model)
    model.learn(10_000)
    assert before < 0.75
    assert mean_share_bid(model) > 0.85


def test_greedy_models_are_played_greedily():
    env, observations = started(seed=1)
    model = sb3.DQN("MlpPolicy", env, seed=0, device="cpu")
    policy = distil(model, env.game).policy
    assert np.isin(policy.probabilities, (0, 1)).all()
    for _ in range(20):
        actions, _ = model.predict(observations, deterministic=True)
        expected = np.minimum(actions, env.action_masks().sum(axis=1) - 1)
        table = policy.probabilities[0].argmax(axis=1)
        np.testing.assert_array_equal(table[env.game.observation_index()], expected)
        observations, *_ = env.step(actions)


def test_one_model_per_type():
    """Type 0 bids everything, type 1 nothing: told apart by anything that predicts."""

    class Bids:
        def __init__(self, share):
            self.share = share

        def predict(self, observation, deterministic=False, action_masks=None):
            return (self.share * (action_masks.sum(axis=1) - 1)).astype(int), None

    game = karma_envs.make("matching", **TWO_TYPES)
    policy = distil([Bids(1), Bids(0)], game).policy
    bids, karma = policy.mean_actions(), np.arange(game.n_observations) % 21
    np.testing.assert_array_equal(bids, [karma, 0 * karma])
    assert policy.row_of_agent.tolist() == game.type_of_agent.tolist()
    env = PopulationVecEnv("matching", agent_type=1, others=policy, **TWO_TYPES)
    env.seed(0)
    env.reset()
    env.step(np.ones(6, int))
    np.testing.assert_array_equal(env.game.scene()["bids"], np.where(game.type_of_agent == 0, 10, 1))
    with pytest.raises(ConfigError, match=r"model = '3 models' .* one for each of 2 types"):
        distil([Bids(1)] * 3, game)


def test_models_with_memory_are_refused():
    contrib = pytest.importorskip("sb3_contrib")
    env, observations = started()
    model = contrib.RecurrentPPO("MlpLstmPolicy", env, n_steps=8, seed=0, device="cpu")
    with pytest.raises(ConfigError, match=r"RecurrentPPO.*without memory"):
        action_probabilities(model, observations, env.action_masks())
