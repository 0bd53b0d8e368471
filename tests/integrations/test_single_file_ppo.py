"""PPO in one file: its parts against their definitions, and that it learns."""

from functools import partial

import numpy as np
import pytest

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.tabulated import tabulated
from tests.integrations.common import SMALL, TABULAR, require
from tests.own_games import DriftGame, SprintGame

require("torch")

import torch  # noqa: E402

from karma_envs.views.vector import PopulationVectorEnv  # noqa: E402
from training.integrations import single_file_ppo  # noqa: E402
from training.integrations.single_file_ppo import LAMBDA, ActorCritic, advantages, train  # noqa: E402


def small():
    return karma_envs.make("matching", **SMALL)


@pytest.mark.nightly
def test_it_learns(score_of):
    assert score_of("single-file-ppo") > 0.3


@pytest.mark.parametrize("name", TABULAR)
def test_every_game_can_be_trained(name):
    game = karma_envs.make(name, n_agents=6)
    trained = train(game, 200, seed=0)
    game.check_policy(trained.policy)
    assert trained.agent_steps == 198


def test_same_seed_same_bits():
    first, again, other = (train(small(), 3000, seed).policy.probabilities for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_the_game_is_not_touched():
    game = small()
    game.reset(np.random.default_rng(3))
    before = game.state_dict()
    train(game, 500, seed=0)
    for name, array in game.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_advantages_are_their_definition():
    """Temporal differences, times lambda gamma to the power of their distance, up to the episode's end.

    After the end of a game no value counts, after a truncation that of the last observation does.
    """
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(12, 3)), rng.normal(size=(13, 3))
    terminated = rng.random((12, 3)) < 0.15
    truncated = (rng.random((12, 3)) < 0.25) & ~terminated
    discounts = np.array([0.0, 0.5, 0.98])
    expected = np.zeros_like(rewards)
    for step, agent in np.ndindex(rewards.shape):
        for later in range(step, 12):
            future = 0 if terminated[later, agent] else discounts[agent] * values[later + 1, agent]
            difference = rewards[later, agent] + future - values[later, agent]
            expected[step, agent] += (LAMBDA * discounts[agent]) ** (later - step) * difference
            if truncated[later, agent] or terminated[later, agent]:
                break
    assert truncated.any(axis=0).all()
    assert terminated.any(axis=0).all()
    columns = (rewards, values, terminated, truncated, discounts)
    estimates = advantages(*(torch.from_numpy(each) for each in columns))
    np.testing.assert_allclose(estimates.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_horizons_are_not_seen(monkeypatch):
    """Values are those of a game without end; steps that only begin an episode are not learned from."""
    given, counts = [], []

    def seen(rewards, values, terminated, truncated, discounts):
        given.append((rewards.clone(), values.clone(), truncated.clone()))
        return advantages(rewards, values, terminated, truncated, discounts)

    def counted(n):
        counts.append(n)
        return permutation(n)

    permutation = torch.randperm
    monkeypatch.setattr(single_file_ppo, "PopulationVectorEnv", partial(PopulationVectorEnv, max_cycles=3))
    monkeypatch.setattr(single_file_ppo, "advantages", seen)
    monkeypatch.setattr(torch, "randperm", counted)
    trained = train(small(), 20_000, seed=0)
    assert trained.agent_steps == 20_000
    truncated = torch.cat([each for *_, each in given]).numpy()
    assert (truncated == (np.arange(2000) % 4 == 2)[:, None]).all()
    assert sum(counts) == single_file_ppo.EPOCHS * 20_000 * 3 // 4
    rewards, values, truncated = (torch.cat(each) for each in zip(*given[-10:]))
    begins = (rewards == 0).all(dim=1)
    per_step = rewards[~begins].sum().item() / (~begins).sum().item() / 10 / (1 - 0.9)
    assert values.mean().item() == pytest.approx(per_step, rel=0.2)  # were it an end: half of it at most


def test_the_end_of_a_game_is_one(monkeypatch):
    """It is told from a horizon, and the step that begins the next game is not learned from."""
    ends, counts = [], []

    def seen(rewards, values, terminated, truncated, discounts):
        ends.append(terminated.clone())
        assert not truncated.any()
        return advantages(rewards, values, terminated, truncated, discounts)

    def counted(n):
        counts.append(n)
        return permutation(n)

    permutation = torch.randperm
    monkeypatch.setattr(torch, "randperm", counted)

    monkeypatch.setattr(single_file_ppo, "advantages", seen)
    game = SprintGame()
    trained = train(game, 600, seed=0)
    game.check_policy(trained.policy)
    assert (torch.cat(ends).numpy() == (np.arange(100) % 5 == 3)[:, None]).all()
    assert sum(counts) == single_file_ppo.EPOCHS * 600 * 4 // 5


def test_a_game_in_cells():
    game = tabulated(DriftGame(), cells=5)
    trained = train(game, 300, seed=0)
    game.reset(np.random.default_rng(0))
    assert game.rollout(trained.policy, 10).ended


def test_illegal_actions_have_no_probability():
    torch.manual_seed(0)
    network = ActorCritic(2, 7)
    with torch.no_grad():
        network.actor[-1].bias[:] = torch.linspace(-50, 50, 7)
    legal = torch.rand(500, 7) < 0.4
    legal[:, 0] = True
    chosen, values = network(torch.rand(500, 2), legal)
    assert values.shape == (500,)
    assert (chosen.probs[~legal] == 0).all()
    assert all(legal.gather(1, chosen.sample()[:, None]).all() for _ in range(50))
    (chosen.entropy().mean() + chosen.log_prob(chosen.sample()).mean()).backward()
    assert all(torch.isfinite(each.grad).all() for each in network.actor.parameters())


def test_an_illegal_action_while_training_is_an_error(monkeypatch):
    forward = ActorCritic.forward
    monkeypatch.setattr(
        ActorCritic,
        "forward",
        lambda self, observations, legal: forward(self, observations, torch.ones_like(legal)),
    )
    with pytest.raises(IllegalActionError):
        train(small(), 1000, seed=0)


@pytest.mark.nightly
def test_every_type_learns_what_suits_it():
    """To whom the future is worth nothing, high bids pay; the others save."""
    types = [{"share": 0.5, "discount": each, "urgencies": (1, 5)} for each in (0.0, 0.95)]
    game = karma_envs.make("matching", n_agents=10, karma_max=6, karma_mean=3, types=types)
    policy = train(game, 40_000, seed=0).policy
    assert policy.row_of_agent.tolist() == game.type_of_agent.tolist()
    shares = policy.mean_actions().reshape(2, 2, 7)[:, 0, 1:] / np.arange(1, 7)  # at low urgency
    impatient, patient = shares.mean(axis=1)
    assert impatient > 0.8
    assert patient < 0.6


def test_budgets(monkeypatch):
    assert train(small(), 10, seed=0).agent_steps == 10
    with pytest.raises(ConfigError, match="budget = 9 is not allowed; allowed: at least a step of 10 agents"):
        train(small(), 9, seed=0)
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        train(DriftGame(), 1000, seed=0)
    monkeypatch.setattr(single_file_ppo, "MOST_AGENT_STEPS", 2000)
    assert train(small(), 10**12, seed=0).agent_steps == 2000
