"""Tianshou's view of one learner, and what it learns as a policy of all."""

import gymnasium as gym
import numpy as np
import pytest

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import PolicyError
from karma_envs.views.single_agent import SingleAgentEnv
from tests.integrations.common import SMALL, TABULAR, require, two_types
from tests.own_games import DriftGame, SprintGame
from training.benchmark.best_response import BestResponseGame

require("tianshou")

import torch  # noqa: E402
from tianshou.algorithm import DQN  # noqa: E402
from tianshou.algorithm.algorithm_base import Algorithm  # noqa: E402
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy  # noqa: E402
from tianshou.algorithm.optim import AdamOptimizerFactory  # noqa: E402
from tianshou.data import Batch, Collector, VectorReplayBuffer  # noqa: E402
from tianshou.env import DummyVectorEnv  # noqa: E402
from tianshou.trainer import OffPolicyTrainerParams  # noqa: E402
from tianshou.utils.net.common import Net  # noqa: E402
from tianshou.utils.torch_utils import policy_within_training_step  # noqa: E402

from training.integrations.tianshou import MaskedObservation, distil, learner_env, train  # noqa: E402

TWO_TYPES = two_types((0.1, 0.9), karma_max=6, karma_mean=3)


def policy_of(env, seed=0, **arguments):
    torch.manual_seed(seed)
    space = env.observation_space["obs"]
    model = Net(state_shape=space.shape, action_shape=env.action_space.n, hidden_sizes=[32])
    return DiscreteQLearningPolicy(model=model, action_space=env.action_space, **arguments)


def collected(n_steps, policy=None, **arguments):
    """A buffer of transitions of two environments; actions explore."""
    envs = DummyVectorEnv([lambda: learner_env("matching", **SMALL, **arguments)] * 2)
    envs.seed(3)
    policy = policy or policy_of(learner_env("matching", **SMALL), eps_training=0.5)
    buffer = VectorReplayBuffer(2 * n_steps, 2)
    collector = Collector(policy, envs, buffer, exploration_noise=True)
    collector.reset(reset_buffer=False)
    np.random.seed(0)  # noqa: NPY002  (Tianshou's)
    with policy_within_training_step(policy):
        collector.collect(n_step=2 * n_steps)
    return buffer


@pytest.mark.parametrize("name", TABULAR)
def test_it_is_the_single_learner_view(name):
    """Under other names, over two episodes."""
    arguments = {"n_agents": 6, "max_cycles": 5, "population": "random", "learner": 2}
    env, view = learner_env(name, **arguments), SingleAgentEnv(name, **arguments)
    found, known = env.reset(seed=4)[0], view.reset(seed=4)
    for action in np.random.default_rng(9).integers(0, env.action_space.n, 8):
        assert env.observation_space.contains(found)
        np.testing.assert_array_equal(found["obs"], known[0])
        np.testing.assert_array_equal(found["mask"], known[1]["action_mask"])
        found, reward, terminated, truncated, info = env.step(action)
        *known, expected, never, horizon, known_info = view.step(action)
        known.append(known_info)
        assert (reward, terminated, truncated) == (expected, never, horizon)
        assert info.get("TimeLimit.truncated", False) == horizon
        if truncated:
            found, known = env.reset()[0], view.reset()


@pytest.mark.parametrize("game", [DriftGame, SprintGame])
def test_games_with_boxes_and_an_end_are_the_single_learner_view(game):
    """Two episodes; where all actions are legal there is no mask."""
    env, view = learner_env(game), SingleAgentEnv(game)
    env.action_space.seed(0)
    seen, (expected, info) = env.reset(seed=4)[0], view.reset(seed=4)
    for step in range(1, 2 * game.length + 1):
        assert env.observation_space.contains(seen)
        if game is SprintGame:
            np.testing.assert_array_equal(seen["mask"], info["action_mask"])
            seen = seen["obs"]
        np.testing.assert_array_equal(seen, expected)
        action = env.action_space.sample()
        seen, reward, terminated, truncated, _ = env.step(action)
        expected, earned, *_, info = view.step(action)
        assert (reward, terminated, truncated) == (earned, step % game.length == 0, False)
        if terminated:
            seen, (expected, info) = env.reset()[0], view.reset()


def test_nothing_comes_after_the_end():
    envs = DummyVectorEnv([lambda: learner_env(SprintGame)] * 2)
    envs.seed(3)
    policy = policy_of(learner_env(SprintGame))
    buffer = VectorReplayBuffer(20, 2)
    collector = Collector(policy, envs, buffer)
    collector.reset(reset_buffer=False)
    collector.collect(n_step=16)
    batch, indices = buffer.sample(0)
    ends = np.tile([False, False, False, True] * 2, 2)
    np.testing.assert_array_equal(batch.terminated, ends)
    assert not batch.truncated.any()
    returns = Algorithm.compute_nstep_return(
        batch, buffer, indices, lambda _, rows: torch.full((len(rows), 1), -8.0), gamma=0.5
    ).returns.flatten()
    np.testing.assert_allclose(returns, batch.rew - 4 * ~ends, rtol=1e-6)


def test_what_gymnasium_makes_can_be_wrapped():
    env = MaskedObservation(gym.make("karma_envs/Matching-v0", observation="dict", n_agents=4))
    observation, _ = env.reset(seed=0)
    assert observation.keys() == env.observation_space.keys() == {"obs", "mask"}
    assert observation["mask"].tolist() == [1] * 11 + [0] * 10


def test_masks_are_respected():
    """Strict: the first illegal action would have raised. Both exploring and greedy actions are played."""
    buffer = collected(300, strict=True)
    batch = buffer.sample(0)[0]
    assert batch.obs.mask[np.arange(600), batch.act].all()
    policy = policy_of(learner_env("matching", **SMALL), eps_training=0.5)
    greedy = policy(Batch(obs=batch.obs, info=None)).act == batch.act
    assert 0.5 < greedy.mean() < 0.9
    unmasked = policy(Batch(obs=batch.obs.obs, info=None)).act
    assert not batch.obs.mask[np.arange(600), unmasked].all()  # without masks it would have gone wrong


def test_the_horizon_is_bootstrapped_over():
    """A transition at the horizon leads to the observation there, not to that of the next episode."""
    buffer = collected(9, max_cycles=4)
    batch, indices = buffer.sample(0)
    assert not batch.terminated.any()
    ends = np.tile([False, False, False, True] * 2 + [False], 2)
    np.testing.assert_array_equal(batch.truncated, ends)
    following = np.delete(np.arange(18), [8, 17])
    same = (batch.obs_next.obs[following] == batch.obs.obs[following + 1]).all(axis=1)
    assert same[~ends[following]].all()
    assert not same[ends[following]].all()
    found = Algorithm.compute_nstep_return(
        batch, buffer, indices, lambda _, rows: torch.full((len(rows), 1), -8.0), gamma=0.5
    )
    np.testing.assert_allclose(found.returns.flatten(), batch.rew - 4, rtol=1e-6)


def test_the_rewards_are_the_learners():
    """Who never bids among others who bid all their karma yields whenever it meets somebody with karma."""
    env = learner_env("matching", population="bid_all", **SMALL)
    env.reset(seed=0)
    rewards = np.array([env.step(0)[1] for _ in range(200)])
    game = env.unwrapped.game
    assert rewards.sum() == pytest.approx(game.outcome().rewards[0], rel=1e-6)
    assert rewards.mean() < -1.5


def test_tianshous_own_trainer_runs():
    envs = DummyVectorEnv([lambda: learner_env("matching", **SMALL)] * 2)
    policy = policy_of(learner_env("matching", **SMALL), eps_training=0.1)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(), gamma=0.9, target_update_freq=20)
    collector = Collector(policy, envs, VectorReplayBuffer(1000, 2), exploration_noise=True)
    before = [array.clone() for array in policy.parameters()]
    stats = algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector, max_epochs=1, epoch_num_steps=100,
            collection_step_num_env_steps=10, verbose=False, show_progress=False,
        )
    )  # fmt: skip
    assert stats.train_step == 100
    assert any((old != new).any() for old, new in zip(before, policy.parameters()))


def test_the_table_is_what_the_network_does():
    env = learner_env("matching", **SMALL)
    game, policy = env.unwrapped.game, policy_of(env)
    table = distil(policy, game).policy.probabilities[0]
    assert np.isin(table, (0, 1)).all()
    observation, _ = env.reset(seed=1)
    for _ in range(30):
        batch = Batch(obs=Batch(obs=observation["obs"][None], mask=observation["mask"][None]), info=None)
        action = policy(batch).act[0]
        assert table[game.observation_index()[0]].argmax() == action
        observation, *_ = env.step(action)


def test_a_network_for_each_type():
    env = learner_env("matching", **TWO_TYPES)
    game = env.unwrapped.game
    policies = [policy_of(env, seed=seed) for seed in (0, 1)]
    both = distil(policies, game).policy
    assert both.row_of_agent.tolist() == game.type_of_agent.tolist()
    for number, policy in enumerate(policies):
        alone = distil(policy, game).policy
        np.testing.assert_array_equal(both.probabilities[number], alone.probabilities[number])
    with pytest.raises(ConfigError, match=r"policy = '3 models' .* one for each of 2 types"):
        distil(policies[:1] * 3, game)
    with pytest.raises(ConfigError, match=r"policy = 'object' .* with action values"):
        distil(object(), game)


def test_it_learns(score_of):
    assert score_of("tianshou-dqn", budget=20_000) > 0.3


def test_the_seed_decides():
    game = karma_envs.make("matching", **SMALL)
    first, again, other = (train(game, 2400, seed).policy.probabilities for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_every_type_has_a_learner():
    """To whom the future is worth little, urgent or not, bidding is worth more."""
    game = karma_envs.make("matching", **TWO_TYPES)
    trained = train(game, 20_000, 0)
    assert trained.agent_steps == 19_968
    assert trained.policy.row_of_agent.tolist() == game.type_of_agent.tolist()
    impatient, patient = (trained.policy.probabilities @ np.arange(7))[:, :7].sum(axis=1)  # not urgent
    assert impatient > patient


def test_a_game_of_one_agent():
    """Where a transition costs one agent-step."""
    game = BestResponseGame(**SMALL)
    trained = train(game, 401, 0)
    assert trained.agent_steps == 400
    game.check_policy(trained.policy)


def test_wrong_use_is_refused():
    with pytest.raises(ConfigError, match=r"observation = 'flat' .* dict"):
        learner_env("matching", observation="flat")
    with pytest.raises(ConfigError, match=r"env = .* observation='dict'"):
        MaskedObservation(gym.make("karma_envs/Matching-v0"))
    with pytest.raises(ConfigError, match=r"learner = 10 .* 0 to 9"):
        learner_env("matching", learner=10, **SMALL)
    with pytest.raises(ConfigError, match="baseline = 'nobody'"):
        learner_env("matching", population="nobody")
    policy = karma_envs.baselines.baseline_policy("random", karma_envs.make("matching", **SMALL))
    with pytest.raises(PolicyError, match="rows for 10 agents"):
        learner_env("matching", population=policy, **{**SMALL, "n_agents": 12})
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        train(DriftGame(), 1000, 0)
    with pytest.raises(ConfigError, match=r"budget = 39 .* at least 40"):
        train(karma_envs.make("matching", **SMALL), 39, 0)
