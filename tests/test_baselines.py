"""Baselines are policies of the game: legal, and what their name says."""

import numpy as np
import pytest

from karma_envs import make
from karma_envs.baselines import BASELINES, baseline_policy
from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingGame


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("preset", ["default", "coin", "two-urgencies"])
def test_probabilities(name, preset):
    game = make("matching", preset, n_agents=8)
    probabilities = BASELINES[name](game)
    assert probabilities.dtype == np.float64
    assert probabilities.shape[0] in (1, len(game.discounts))
    assert probabilities.shape[1:] == (game.n_observations, game.n_actions)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1)
    assert not probabilities[:, ~game.legal_actions].any()
    game.check_policy(baseline_policy(name, game))


def test_what_they_bid():
    game = make("matching", karma_max=4, karma_mean=2, urgencies=(0, 1, 4))
    karma = np.tile(np.arange(5), 3)
    bids = {name: BASELINES[name](game)[0] @ np.arange(5) for name in BASELINES}
    np.testing.assert_allclose(bids["random"], karma / 2)
    np.testing.assert_allclose(bids["bid_all"], karma)
    np.testing.assert_allclose(bids["bid_nothing"], 0)
    # a quarter of 0 … 4, rounded, halves to even
    np.testing.assert_allclose(bids["proportional"], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 2, 3, 4])


def test_types_report_on_one_scale():
    types = [{"urgencies": (1, 2)}, {"urgencies": (1, 4)}]
    game = make("matching", n_agents=4, karma_max=4, karma_mean=2, types=types)
    bids = BASELINES["proportional"](game) @ np.arange(5)
    np.testing.assert_allclose(bids[0, 5:], [0, 0, 1, 2, 2])
    np.testing.assert_allclose(bids[1, 5:], [0, 1, 2, 3, 4])
    assert baseline_policy("proportional", game).row_of_agent.tolist() == [0, 0, 1, 1]


def test_games_without_bids_take_the_highest_and_the_lowest_action(monkeypatch):
    game = make("matching", n_agents=4, karma_max=3, karma_mean=2)
    assert game.bid_of_action.tolist() == [0, 1, 2, 3]
    expected = {name: BASELINES[name](game) for name in BASELINES}
    monkeypatch.setattr(type(game), "action_features", {})
    for name in BASELINES:
        np.testing.assert_array_equal(BASELINES[name](game), expected[name])


def test_game_without_truthful_actions():
    class Silent(MatchingGame):
        def truthful_actions(self):
            return None

    with pytest.raises(ConfigError, match="proportional"):
        baseline_policy("proportional", Silent(n_agents=4))
