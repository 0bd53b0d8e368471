"""The actor–critic learner: its parts by hand, what it learns, and that it goes on to the bit."""

from __future__ import annotations

import importlib
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.learners import TabularConfig, kind_of, learners
from agents.learners.actor_critic import ActorCriticConfig
from agents.learners.actor_critic.advantages import advantages
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.timed import TimedGame
from tests.own_games import DriftGame, OneShotGame, RoadsGame
from tests.test_exchangeable import HerdGame

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the networks are in PyTorch"
)
KIND = learners()["actor_critic"]


def trained(
    game: PopulationGame, epochs: int, epoch_length: int = 1, seed: int = 0, **config: Any
) -> tuple[Any, PopulationGame]:
    """A learner after some epochs, and its game."""
    how = ActorCriticConfig(**{"device": "cpu", **config})
    game = KIND.prepare(KIND.in_training(game, how), how)
    game.reset(np.random.default_rng([seed, 0]))
    learner = KIND.learner_class(game, how, np.random.default_rng([seed, 1]))
    go_on(learner, game, range(epochs), epochs, epoch_length)
    return learner, game


def go_on(learner: Any, game: PopulationGame, epochs: range, of: int, epoch_length: int = 1) -> None:
    for epoch in epochs:
        done = 0
        while done < epoch_length:
            played = game.rollout(learner.policy, epoch_length - done)
            done += len(played)
            learner.update(played, progress=epoch / of, end_of_epoch=done == epoch_length)


# --- advantages -------------------------------------------------------------------------------------


@given(st.integers(1, 6), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_advantages_are_sums_of_td_errors(steps: int, discount: float, decay: float, seed: int) -> None:
    """The sum of the definition, term by term, which ends with the game."""
    rng = np.random.default_rng(seed)
    rewards, values, next_values = rng.normal(size=(3, steps, 2)).astype(np.float32)
    goes_on = rng.random(steps) < 0.7
    found = advantages(rewards, values, next_values, goes_on, discount, decay)
    for agent in range(2):
        for start in range(steps):
            total, weight = 0.0, 1.0
            for step in range(start, steps):
                ahead = discount * next_values[step, agent] if goes_on[step] else 0.0
                total += weight * (rewards[step, agent] + ahead - values[step, agent])
                if not goes_on[step]:
                    break
                weight *= discount * decay
            assert found[start, agent] == pytest.approx(total, abs=1e-4)


# --- what it learns ---------------------------------------------------------------------------------


@needs_torch
def test_a_one_shot_game_is_learned() -> None:
    """Best is x = t for -|x - t|; y is drawn to an edge, where it is as far from the crowd as can be.

    200 epochs of 400 agents, seed 0. With actions' variance .01 the mean error of the greedy x was .02.
    """
    learner, _ = trained(
        OneShotGame(n_agents=400),
        200,
        actor_learning_rate=1e-2,
        critic_learning_rate=1e-2,
        action_variance=0.01,
    )
    own = np.linspace(0, 1, 21, dtype=np.float32)[:, None]
    greedy = learner.learned_policy().greedy().mean(own)
    assert np.abs(greedy[:, 0] - own[:, 0]).mean() < 0.1
    assert learner.learned_policy().variance.tolist() == [0.01, 0.01]


@needs_torch
def test_time_matters_where_a_game_ends() -> None:
    """Who moves pays, and being near the others pays at each step: moving early is worth more than late."""
    learner, game = trained(
        DriftGame(n_agents=100),
        150,
        3,
        actor_learning_rate=1e-2,
        critic_learning_rate=1e-2,
        action_variance=0.02,
    )
    assert isinstance(game, TimedGame)
    observed = np.array([[0.8, 0, 0], [-0.8, 0, 0]], np.float32)
    moves = learner.learned_policy().mean(observed)[:, 0]
    assert moves[0] < -0.3 < 0.3 < moves[1]


# --- clipped actions --------------------------------------------------------------------------------


@needs_torch
def test_log_probabilities_are_those_of_clipped_actions() -> None:
    """In [0, 1] the density within and the masses on the ends sum to 1, whatever the mean."""
    import torch

    learner, _ = trained(OneShotGame(), 0)
    spread, n = 0.5, 2001
    grid = torch.linspace(0, 1, n)
    for mean in (-0.3, 0.5, 0.9):
        actions = torch.stack([grid, torch.full((n,), 0.5)], dim=-1)[None]
        means = torch.tensor([[[mean, 0.5]]])  # in the second dimension at the mean: log density 0
        weights = torch.exp(learner._log_probability(means, actions, spread))[0]
        density = weights[1:-1] / (spread * math.sqrt(2 * math.pi))
        total = float(weights[0] + weights[-1] + density.sum() / (n - 1))
        assert total == pytest.approx(1, abs=1e-3)


@needs_torch
def test_gradients_are_finite_without_bounds() -> None:
    import torch

    learner, _ = trained(OneShotGame(), 0)
    learner._low, learner._high = torch.full((2,), -math.inf), torch.full((2,), math.inf)
    means = torch.zeros(1, 3, 2, requires_grad=True)
    actions = torch.tensor([[[0.5, -3.0], [0.0, 9.0], [2.0, 0.0]]])
    learner._log_probability(means, actions, 0.5).sum().backward()
    assert means.grad is not None
    torch.testing.assert_close(means.grad, actions / 0.25)


# --- states and seeds -------------------------------------------------------------------------------


@needs_torch
def test_the_same_seed_learns_the_same_and_a_loaded_state_goes_on_to_the_bit() -> None:
    config = {"action_variance_final": 0.01, "learning_rate_left": 0.5, "belief_exponent": 0.7}
    whole, game = trained(HerdGame(), 6, 6, seed=3, **config)
    half, half_game = trained(HerdGame(), 0, seed=3, **config)
    go_on(half, half_game, range(3), 6, 6)
    resumed, other_game = trained(HerdGame(), 0, seed=9, **config)
    resumed.load_state_dict(half.state_dict())
    other_game.load_state_dict(half_game.state_dict())
    observed = other_game.observations()
    np.testing.assert_array_equal(resumed.policy.mean(observed), half.policy.mean(observed))
    go_on(resumed, other_game, range(3, 6), 6, 6)
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], array, err_msg=name)
    for name, array in game.state_dict().items():
        np.testing.assert_array_equal(other_game.state_dict()[name], array, err_msg=name)
    assert whole.policy.variance[0] == pytest.approx(0.1 * 0.1 ** (5 / 6))


@needs_torch
def test_how_an_epoch_is_cut_does_not_matter() -> None:
    whole, game = trained(HerdGame(length=0), 0, seed=1)
    pieces, other = trained(HerdGame(length=0), 0, seed=1)
    whole.update(game.rollout(whole.policy, 5))
    for length in (1, 3, 1):
        pieces.update(other.rollout(pieces.policy, length), end_of_epoch=length == 1 and other.elapsed == 5)
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(pieces.state_dict()[name], array, err_msg=name)


@needs_torch
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("actor_weights", np.nan, r"actor_weights\[0\]"),
        ("critic_second_moment", -1, r"critic_second_moment\[0\]"),
        ("observation_spread", 0, r"observation_spread\[0\]"),
        ("variance", -1, r"variance\[0\]"),
        ("actor_steps", -1, r"actor_steps\[0\]"),
    ],
)
def test_states_of_no_learner_are_refused(name: str, value: float, message: str) -> None:
    learner, _ = trained(OneShotGame(), 1)
    before = learner.state_dict()
    wrong = {**before, name: np.full_like(before[name], value)}
    with pytest.raises(ValueError, match=message):
        learner.load_state_dict(wrong)
    for key, array in learner.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


@needs_torch
def test_a_learned_policy_is_changed_by_no_later_update() -> None:
    learner, game = trained(OneShotGame(), 1)
    learned, observed = learner.learned_policy(), np.full((1, 1), 0.5, np.float32)
    before = learned.mean(observed)
    go_on(learner, game, range(1, 3), 3)
    np.testing.assert_array_equal(learned.mean(observed), before)
    assert not np.array_equal(learner.policy.mean(observed), before)
    assert 0 < learner.policy_change[0] < 1


# --- what is learned in which game ------------------------------------------------------------------


def test_beliefs_are_met_in_training_alone() -> None:
    config = ActorCriticConfig(belief_exponent=0.85, belief_rate=0.5)
    assert kind_of(config) is KIND
    game = HerdGame()
    assert KIND.in_training(game, ActorCriticConfig()) is game
    training = KIND.prepare(KIND.in_training(game, config), config)
    assert isinstance(training, TimedGame)
    assert isinstance(training.game, HerdGame)
    assert training.game.belief_rate == (0.5, 0.85)
    plain = KIND.prepare(game, config)
    assert isinstance(plain, TimedGame)
    assert plain.game is game
    assert KIND.prepare(game, config.replace(observe_time=False)) is game
    with pytest.raises(ConfigError, match=r"belief_exponent = 0.85 .* the game one_shot has no statistic"):
        KIND.in_training(OneShotGame(), config)


def test_games_that_cannot_be_learned_so_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for game in (RoadsGame(), make("matching", n_agents=4)):
        with pytest.raises(ConfigError, match=r"learner.kind = 'actor_critic' .* numbered actions"):
            KIND.learner_class(game, ActorCriticConfig(), np.random.default_rng(0))
    two_types = OneShotGame()
    two_types.discounts = np.array([0.9, 0.8])
    with pytest.raises(ConfigError, match="several types"):
        KIND.check(two_types)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'karma-envs\[torch\]'"):
        KIND.check(OneShotGame())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_units", 0),
        ("actor_learning_rate", 0),
        ("action_variance", 0),
        ("action_variance_final", -1),
        ("trace_decay", 1.5),
        ("belief_exponent", 2),
        ("device", "abacus"),
    ],
)
def test_configurations_that_cannot_be_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = "):
        ActorCriticConfig(**{name: value})


def test_schedules() -> None:
    config = ActorCriticConfig(learning_rate_left=0.01, action_variance=0.4, action_variance_final=0.1)
    assert config.rate_left(0.5) == pytest.approx(0.1)
    assert [config.variance(progress) for progress in (0, 0.5, 1)] == pytest.approx([0.4, 0.2, 0.1])
    assert (config.schedule, ActorCriticConfig().schedule) == ("exponential", "constant")
    assert ActorCriticConfig().exploration == TabularConfig(exploration=0).exploration
