"""Games whose agents observe how much is over: the game below plays on as it is."""

from __future__ import annotations

import numpy as np
import pytest

from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.timed import TimedGame
from tests.own_games import DriftGame, OneShotGame, RoadsGame
from tests.test_exchangeable import HerdGame, Walk


@pytest.mark.parametrize("below", [DriftGame, OneShotGame, HerdGame])
def test_a_timed_game_keeps_the_contract(below: type[PopulationGame]) -> None:
    check_game(TimedGame(below()))


def test_agents_observe_the_share_that_is_over() -> None:
    game, below = TimedGame(HerdGame()), HerdGame()
    game.reset(np.random.default_rng(2))
    below.reset(np.random.default_rng(2))
    played, alone = game.rollout(Walk(0.5), 10), below.rollout(Walk(0.5), 10)
    np.testing.assert_array_equal(played.observations[..., :1], alone.observations)
    np.testing.assert_allclose(
        played.observations[..., 1], np.repeat([[0], [1 / 3], [2 / 3], [1]], 4, axis=1)
    )
    np.testing.assert_array_equal(played.rewards, alone.rewards)
    assert game.is_over
    assert game.observation_space.contains(played.observations[3, 0])


def test_what_is_for_the_game_below_is_compared_with_in_it() -> None:
    game = TimedGame(HerdGame())
    assert "random" in game.baselines
    assert all(other is game.game for other, _ in game.references().values())
    assert game.fresh().game is not game.game


def test_a_game_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="game = 'roads' is not allowed; allowed: a game that ends"):
        TimedGame(RoadsGame())
