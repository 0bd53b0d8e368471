"""The two-state control game: its rules by hand, its configuration, its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.games.two_state_control import TwoStateControlConfig, TwoStateControlGame


def begun(seed: int = 0, **fields: Any) -> TwoStateControlGame:
    game = TwoStateControlGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def with_positions(game: TwoStateControlGame, positions: list[int]) -> TwoStateControlGame:
    game.load_state_dict({**game.state_dict(), "position": np.array(positions, np.uint8)})
    return game


def test_a_step_by_hand() -> None:
    """Three of four are in state 1: it yields 1 - 2 * 3/4, and each try costs .1; control 1: all succeed."""
    game = with_positions(begun(n_agents=4, control=1.0), [0, 1, 1, 1])
    rewards = game.step(np.array([1, 1, 0, 0]))
    np.testing.assert_allclose(rewards, [-0.1, -0.5, -0.6, -0.6], rtol=1e-6)
    assert rewards.dtype == np.float32
    np.testing.assert_array_equal(game.observation_index(), [1, 1, 0, 0])
    outcome = game.outcome()
    np.testing.assert_array_equal(outcome.occupied, [0, 1, 1, 1])
    np.testing.assert_array_equal(outcome.attempts, [1, 0, 1, 1])
    assert (outcome.mean_share, outcome.attempt_rate) == (0.75, 0.75)
    assert outcome.efficiency == pytest.approx(-0.45)
    counts = game.scene()["counts"]
    assert counts[0, 1, 1] == counts[1, 1, 1] == 1
    assert counts[1, 0, 0] == 2
    assert counts.sum() == 4


def test_who_tries_to_switch_does_with_the_probability_of_control() -> None:
    """40 000 from each state, seed 0: standard error sqrt(.3 * .7 / 40000) = .0023."""
    game = begun(n_agents=80_000, control=0.3)
    before = game.observation_index()
    game.step(1 - before)
    switched = game.observation_index() != before
    for state in (0, 1):
        assert abs(switched[before == state].mean() - 0.3) < 4 * 0.0023


@settings(deadline=None, max_examples=30)
@given(
    n_agents=st.integers(1, 9),
    initial_share=st.floats(0, 1),
    control=st.floats(0.01, 1),
    crowding=st.floats(0, 3),
    seed=st.integers(0, 99),
)
def test_invariants(n_agents: int, initial_share: float, control: float, crowding: float, seed: int) -> None:
    """Who stays stays; rewards are within bounds; the first share is the configured one, rounded."""
    game = begun(seed, n_agents=n_agents, initial_share=initial_share, control=control, crowding=crowding)
    assert game.observation_index().sum() == round(initial_share * n_agents)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        before, aims = game.observation_index(), rng.integers(0, 2, n_agents)
        rewards = game.step(aims)
        after = game.observation_index()
        np.testing.assert_array_equal(after[aims == before], before[aims == before])
        assert game.reward_bounds[0] - 1e-6 <= rewards.min() <= rewards.max() <= game.reward_bounds[1] + 1e-6
        cost = game.config.switching_cost * (aims != before).sum()
        share = before.mean()
        assert rewards.sum() == pytest.approx(before.sum() * (1 - crowding * share) - cost, abs=1e-5)


@pytest.mark.parametrize(("name", "aims"), [("stay", [0, 1]), ("leave", [0, 0]), ("enter", [1, 1])])
def test_baselines(name: str, aims: list[int]) -> None:
    game = begun(n_agents=40)
    played = game.rollout(game.baselines[name](game), 5)
    np.testing.assert_array_equal(played.actions, np.array(aims)[played.observations[:-1]])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_agents": 0}, "n_agents = 0"),
        ({"benefit": float("nan")}, "benefit = nan"),
        ({"crowding": -1}, "crowding = -1"),
        ({"switching_cost": -0.1}, "switching_cost = -0.1"),
        ({"control": 0.0}, "control = 0.0"),
        ({"initial_share": 1.5}, "initial_share = 1.5"),
        ({"discount": 1.0}, "discount = 1.0"),
    ],
)
def test_what_a_configuration_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TwoStateControlConfig(**fields)


def test_presets_and_references_begin_where_they_say() -> None:
    assert karma_envs.make("two_state_control", "full").config.initial_share == 1.0  # type: ignore[attr-defined]
    efficiencies = {}
    for name, (game, policy) in TwoStateControlGame(n_agents=100).references().items():
        game.reset(np.random.default_rng(0))
        game.rollout(policy, 3)
        efficiencies[name] = game.outcome().efficiency
    assert efficiencies == {"planner": pytest.approx(0.125), "selfish": pytest.approx(0.0)}


def test_illegal_aims_are_refused() -> None:
    with pytest.raises(IllegalActionError, match="agent 1 aims at 2; allowed: 0 and 1"):
        begun(n_agents=3).step(np.array([0, 2, 1]))


@pytest.mark.parametrize(
    ("name", "value"), [("position", 2), ("occupied", 3), ("attempts", 3), ("reward_total", 9.0)]
)
def test_impossible_states_are_refused(name: str, value: float) -> None:
    """After 2 steps nobody has been in state 1 three times, or got 9."""
    game = begun(n_agents=6)
    for _ in range(2):
        game.step(np.zeros(6, np.int64))
    state = game.state_dict()
    with pytest.raises(ValueError, match=name):
        game.load_state_dict({**state, name: np.full_like(state[name], value)})
