"""Agents who meet what they believe of the population: means over what it was, a flow where games end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from tests.test_exchangeable import HerdGame, Walk


def begun(game: HerdGame) -> HerdGame:
    game.reset(np.random.default_rng(5))
    return game


def own_statistics(game: HerdGame, moves: list[float]) -> list[NDArray[np.float64]]:
    """Each step's own z, as the rule gives it, while the game is played on."""
    own = []
    for move in moves:
        if game.is_over:
            game.begin_anew()
        actions = np.full((game.n_agents, 1), move, np.float32)
        own.append(game.statistic(game.states, actions))
        game.step(actions)
    return own


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=12))
def test_with_rate_and_exponent_1_the_belief_is_the_mean_of_each_step(moves: list[float]) -> None:
    game = begun(HerdGame(length=3).believing(1.0))
    own = own_statistics(game, moves)
    belief = game.belief
    assert belief is not None
    assert belief.shape == (3, 1)
    for step in range(3):
        seen = own[step::3]
        assert belief[step] == pytest.approx(np.mean(seen, axis=0) if seen else 0)


def test_rewards_are_for_the_belief_before_the_step() -> None:
    game = begun(HerdGame(length=1).believing(0.0, rate=0.25))
    belief = None
    for move in (0.5, -0.5, 1.0):
        if game.is_over:
            game.begin_anew()
        going = game.states["place"] + move
        met = going.mean() if belief is None else belief  # the first is believed as it is
        rewards = game.step(np.full((4, 1), move, np.float32))
        assert rewards == pytest.approx(-((going - met) ** 2), abs=1e-6)
        assert game.last_step is not None
        assert game.last_step.statistic == pytest.approx([met])
        belief = met + 0.25 * (going.mean() - met)
        assert game.belief == pytest.approx(belief)


def test_without_an_end_there_is_one_belief() -> None:
    game = begun(HerdGame(length=0).believing(1.0))
    own = own_statistics(game, [0.5, -0.5, 0.25, 0.25])
    assert game.belief == pytest.approx(np.mean(own))


def test_belief_in_a_population_at_rest_is_the_population() -> None:
    """Constant z: whatever the rates, beliefs do not move, and all is as in the game itself."""
    game, other = begun(HerdGame(n_agents=1)), begun(HerdGame(n_agents=1).believing(0.7, rate=0.5))
    one, two = game.rollout(Walk(0.0), 1), other.rollout(Walk(0.0), 1)
    np.testing.assert_array_equal(one.rewards, two.rewards)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_beliefs_are_part_of_the_state(length: int) -> None:
    check_game(HerdGame(length=length).believing(0.85, rate=0.9))
    game = begun(HerdGame(length=length).believing(0.85))
    game.rollout(Walk(0.5), 2)
    other = HerdGame(length=length).believing(0.85)
    other.load_state_dict(game.state_dict())
    for _ in range(3):
        one, two = game.rollout(Walk(0.25), 2), other.rollout(Walk(0.25), 2)
        np.testing.assert_array_equal(one.rewards, two.rewards)
    np.testing.assert_array_equal(game.belief, other.belief)
    game.reset(np.random.default_rng(1))
    assert game.state_dict()["believed_seen"].tolist() == [0] * (length or 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("believed_statistic", np.full((3, 1), np.nan)), ("believed_seen", np.array([0, -1, 0]))],
)
def test_beliefs_of_no_game_are_refused(name: str, value: NDArray[Any]) -> None:
    game = begun(HerdGame().believing())
    before = game.state_dict()
    with pytest.raises(ValueError, match=name):
        game.load_state_dict({**before, name: value})
    with pytest.raises(ValueError, match="believed"):
        HerdGame().load_state_dict(before)


def test_a_fresh_game_believes_alike_and_a_game_against_a_statistic_does_not() -> None:
    game = HerdGame().believing(0.6, rate=0.5)
    assert game.fresh().belief_rate == game.belief_rate == (0.5, 0.6)
    assert game.belief is None  # not begun
    assert game.against([0.0]).belief_rate is None
    assert begun(HerdGame()).belief is None


@pytest.mark.parametrize("how", [{"exponent": 1.5}, {"exponent": -0.1}, {"rate": 0.0}, {"rate": 1.1}])
def test_rates_out_of_range_are_refused(how: dict[str, float]) -> None:
    (name,) = how
    with pytest.raises(ConfigError, match=f"^{name} = "):
        HerdGame().believing(**how)
