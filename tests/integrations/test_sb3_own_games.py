"""Games with boxes and with an end in Stable-Baselines3: how episodes end, what is learned, who acts how."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.config import ConfigError
from karma_envs.game import PolicyError, PopulationGame
from karma_envs.views.vector import PopulationVectorEnv
from tests.integrations.common import require
from tests.own_games import DriftGame, OneShotGame, OwnConfig, OwnGame, RoadsGame, SprintGame

require("sb3")

import stable_baselines3 as sb3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize  # noqa: E402

from training.integrations.sb3 import PopulationVecEnv, distil, policy_of  # noqa: E402
from training.integrations.sb3_algorithms import ppo  # noqa: E402


class TwoKinds(DriftGame):
    """The first half cares for the next step only."""

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.type_of_agent[self.n_agents // 2 :] = 1
        self.discounts = np.array([0.0, 0.9])


def ppo_of(env: Any, **arguments: Any) -> sb3.PPO:
    settings = {"n_steps": 30, "batch_size": 180, "n_epochs": 5, "gamma": 0.9, "learning_rate": 3e-3}
    return sb3.PPO("MlpPolicy", env, seed=0, device="cpu", **{**settings, **arguments})


def episode_means(game: PopulationGame, policy: Any, n_episodes: int = 100) -> NDArray[np.float64]:
    """Mean reward of an agent and step in episodes, which are independent of each other."""
    game.reset(np.random.default_rng(1))
    return np.array([game.rollout(policy, 100).rewards.mean(dtype=np.float64) for _ in range(n_episodes)])


@pytest.mark.parametrize("game", [DriftGame, OneShotGame, SprintGame])
def test_a_game_that_ends_is_done_and_not_truncated(game: type[OwnGame]) -> None:
    """Two copies, over several episodes: the vector view, whose next episode begins in the same step."""
    env, twins = PopulationVecEnv(game, copies=2), [PopulationVectorEnv(game) for _ in range(2)]
    env.seed(4)
    observations = env.reset()
    expected = np.concatenate([twin.reset(seed=4 + 6 * number)[0] for number, twin in enumerate(twins)])
    env.action_space.seed(1)
    for step in range(1, 9):
        np.testing.assert_array_equal(observations, expected)
        actions = np.array([env.action_space.sample() for _ in range(12)])
        observations, rewards, dones, infos = env.step(actions)
        played = [twin.step(part) for twin, part in zip(twins, np.split(actions, 2))]
        np.testing.assert_array_equal(
            rewards, np.concatenate([each[1] for each in played]).astype(np.float32)
        )
        expected = np.concatenate([each[0] for each in played])
        over = step % (game.length or 0) == 0
        assert (dones == over).all()
        assert all(info.keys() == ({"terminal_observation"} if over else set()) for info in infos)
        if over:
            np.testing.assert_array_equal([info["terminal_observation"] for info in infos], expected)
            expected = np.concatenate([twin.reset()[0] for twin in twins])


def test_nothing_comes_after_the_end() -> None:
    """A constant value is not added to the last reward of a game that ends."""
    env = VecMonitor(PopulationVecEnv(SprintGame))
    model = sb3.A2C("MlpPolicy", env, n_steps=4, gamma=0.5, seed=0, device="cpu", learning_rate=1e-30)
    with torch.no_grad():
        model.policy.value_net.weight.zero_()
        model.policy.value_net.bias.fill_(-8)
    model.learn(24)
    assert [episode["l"] for episode in model.ep_info_buffer] == [4] * 6
    returns = np.array([episode["r"] for episode in model.ep_info_buffer])
    np.testing.assert_allclose(model.rollout_buffer.rewards.sum(axis=0), returns, atol=1e-6)
    assert returns.any()


def test_where_actions_are_a_box_there_are_no_masks() -> None:
    env = PopulationVecEnv(DriftGame)
    env.reset()
    assert not env.has_attr("action_masks")
    with pytest.raises(ConfigError, match=r"game = 'drift' .*numbered actions"):
        env.action_masks()
    assert PopulationVecEnv(RoadsGame).has_attr("action_masks")


@pytest.fixture(scope="module")
def learned() -> sb3.PPO:
    torch.set_num_threads(1)
    return ppo_of(PopulationVecEnv(DriftGame, copies=5), policy_kwargs={"log_std_init": -1}).learn(9000)


def test_ppo_learns_in_a_box(learned: sb3.PPO) -> None:
    """Close to the mean place, where it would come from -0.47: in 100 episodes, of which the error is."""
    means = episode_means(DriftGame(), policy_of(learned, DriftGame()))
    error = means.std() / 10
    assert error < 0.003
    assert means.mean() > -0.06 + 4 * error


def test_what_a_model_does_is_drawn_from_the_games_streams(learned: sb3.PPO) -> None:
    """So that a state gives the same play again, and PyTorch's own generator is as it was."""
    game = DriftGame()
    game.reset(np.random.default_rng(0))
    policy, state = policy_of(learned, game), game.state_dict()
    before = torch.get_rng_state()
    first = game.rollout(policy, 3)
    assert torch.equal(torch.get_rng_state(), before)
    game.load_state_dict(state)
    torch.manual_seed(9)
    again = game.rollout(policy, 3)
    np.testing.assert_array_equal(first.actions, again.actions)
    assert (first.actions[0] != first.actions[1]).any()
    mean, _ = learned.predict(first.observations[0], deterministic=True)
    assert 0.001 < np.abs(first.actions[0] - mean).max() < 2


def test_a_model_is_asked_with_what_it_saw() -> None:
    """Twice the place and what it was normalised to; without the statistics it is refused."""
    env = VecNormalize(PopulationVecEnv(DriftGame), norm_reward=False)
    model = ppo_of(env, n_steps=6, batch_size=36, n_epochs=1, policy_kwargs={"log_std_init": -20}).learn(360)
    rows = np.array([[-2, 0], [-1, 0], [0, 1 / 3], [1, 1 / 3], [2, 2 / 3], [3, 2 / 3]], np.float32)
    streams = np.zeros(1, np.uint64)
    actions = policy_of(model, DriftGame()).act(rows, streams)
    expected, _ = model.predict(env.normalize_obs(rows), deterministic=True)
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    assert np.abs(expected - model.predict(rows, deterministic=True)[0]).max() > 1e-3
    model.set_env(PopulationVecEnv(DriftGame))
    with pytest.raises(ConfigError, match=r"cannot be asked here.*VecNormalize"):
        policy_of(model, DriftGame())


def test_models_without_a_distribution_do_what_is_best() -> None:
    """Of continuous control, too: SAC draws while it learns, but not when it is asked."""
    model = sb3.SAC("MlpPolicy", PopulationVecEnv(OneShotGame), seed=0, device="cpu", learning_starts=6)
    model.learn(12)
    game = OneShotGame()
    game.reset(np.random.default_rng(0))
    played = game.rollout(policy_of(model, game), 1)
    np.testing.assert_array_equal(
        played.actions[0], model.predict(played.observations[0], deterministic=True)[0]
    )


class Halves:
    """Everybody moves by one half."""

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        return np.full((len(observations), 1), 0.5, np.float32)


def test_one_type_learns_while_the_others_act() -> None:
    env, twin = PopulationVecEnv(TwoKinds, agent_type=1, others=Halves()), PopulationVectorEnv(TwoKinds)
    env.seed(2)
    env.reset()
    twin.reset(seed=2)
    everyone = np.array([0.5, 0.5, 0.5, -0.1, 0.2, 0.3], np.float32)[:, None]
    np.testing.assert_array_equal(env.step(everyone[3:])[0], twin.step(everyone)[0][3:])


def test_a_model_for_each_type() -> None:
    trained = ppo(TwoKinds(), 600, 0)
    assert trained.agent_steps == 594  # 33 updates of three steps
    game = TwoKinds()
    game.reset(np.random.default_rng(0))
    assert game.rollout(trained.policy, 10).ended
    with pytest.raises(PolicyError, match="for 6 agents, not 5"):
        trained.policy.act(np.zeros((5, 2), np.float32), np.zeros(1, np.uint64))
    models = [ppo_of(PopulationVecEnv(TwoKinds), policy_kwargs={"log_std_init": -20}) for _ in range(2)]
    with torch.no_grad():
        for model, move in zip(models, (-0.5, 0.25)):
            model.policy.action_net.weight.zero_()
            model.policy.action_net.bias.fill_(move)
    moves = policy_of(models, game).act(game.observations(), np.zeros(1, np.uint64))[:, 0]
    np.testing.assert_allclose(moves, [-0.5] * 3 + [0.25] * 3, atol=1e-6)
    with pytest.raises(ConfigError, match=r"model = '3 models' .* one for each of 2 types"):
        policy_of([*models, models[0]], game)


def test_games_with_tables_and_an_end_give_tables() -> None:
    """Of an actor without weights: who has energy runs or rests with the same probability."""
    model = ppo_of(PopulationVecEnv(SprintGame))
    with torch.no_grad():
        model.policy.action_net.weight.zero_()
    policy = policy_of(model, SprintGame())
    assert isinstance(policy, TabularPolicy)
    np.testing.assert_array_equal(policy.probabilities[0, :5], np.tile([1.0, 0.0], (5, 1)))
    np.testing.assert_allclose(policy.probabilities[0, 5:], 0.5)
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        distil(model, DriftGame())
