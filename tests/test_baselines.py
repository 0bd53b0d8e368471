"""Baselines are policies of the game: legal, and what their name says; references are games like it."""

import numpy as np
import pytest

from karma_envs import baselines, make
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame
from karma_envs.games.matching import MatchingGame
from karma_envs.karma.baselines import bid_all, bid_nothing, proportional
from karma_envs.numerics.sampling import thresholds_of
from tests.own_games import DriftGame, RoadsGame

TABLES = {
    "random": baselines.random,
    "bid_all": bid_all,
    "bid_nothing": bid_nothing,
    "proportional": proportional,
}


def test_which_there_are():
    assert list(MatchingGame.baselines) == list(TABLES)
    assert list(RoadsGame.baselines) == list(DriftGame.baselines) == ["random"]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("preset", ["default", "coin", "two-urgencies"])
def test_probabilities(name, preset):
    game = make("matching", preset, n_agents=8)
    probabilities = TABLES[name](game)
    assert probabilities.dtype == np.float64
    assert probabilities.shape[0] in (1, len(game.discounts))
    assert probabilities.shape[1:] == (game.n_observations, game.n_actions)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1)
    assert not probabilities[:, ~game.legal_actions].any()
    policy = baseline_policy(name, game)
    game.check_policy(policy)
    np.testing.assert_array_equal(policy.thresholds, thresholds_of(probabilities))


def test_what_they_bid():
    game = make("matching", karma_max=4, karma_mean=2, urgencies=(0, 1, 4))
    karma = np.tile(np.arange(5), 3)
    bids = {name: TABLES[name](game)[0] @ np.arange(5) for name in TABLES}
    np.testing.assert_allclose(bids["random"], karma / 2)
    np.testing.assert_allclose(bids["bid_all"], karma)
    np.testing.assert_allclose(bids["bid_nothing"], 0)
    # a quarter of 0 … 4, rounded, halves to even
    np.testing.assert_allclose(bids["proportional"], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 2, 3, 4])


def test_types_report_on_one_scale():
    types = [{"urgencies": (1, 2)}, {"urgencies": (1, 4)}]
    game = make("matching", n_agents=4, karma_max=4, karma_mean=2, types=types)
    bids = proportional(game) @ np.arange(5)
    np.testing.assert_allclose(bids[0, 5:], [0, 0, 1, 2, 2])
    np.testing.assert_allclose(bids[1, 5:], [0, 1, 2, 3, 4])
    assert baseline_policy("proportional", game).row_of_agent.tolist() == [0, 0, 1, 1]


def test_a_baseline_of_ones_own_is_found_and_no_other():
    def first(game: FiniteGame):
        return game.policy_of(np.eye(game.n_actions)[[0] * game.n_observations][None])

    class OwnRoads(RoadsGame):
        baselines = {**RoadsGame.baselines, "first": first}

    game = OwnRoads()
    game.reset(np.random.default_rng(0))
    assert not game.rollout(baseline_policy("first", game), 3).actions.any()
    with pytest.raises(ConfigError, match="baseline = 'bid_all' is not allowed; allowed: random, first"):
        baseline_policy("bid_all", game)


def test_random_actions_of_a_box_are_anywhere_in_it():
    """Scaled to -1 … 1, uniform numbers have mean 0 with standard error 1/sqrt(3 n); seed 0."""
    game = DriftGame()
    game.reset(np.random.default_rng(0))
    policy = baseline_policy("random", game)
    actions = np.concatenate([game.rollout(policy, 3).actions for _ in range(20)])
    space = game.action_space
    middle, half = (space.high + space.low) / 2, (space.high - space.low) / 2
    scaled = (actions - middle) / half
    assert np.abs(scaled).max() <= 1
    error = 1 / np.sqrt(3 * scaled.size)
    assert abs(scaled.mean()) < 4 * error
    assert np.abs(scaled).max() > 0.9


@pytest.mark.parametrize("name", ["matching", "grid_city"])
def test_karma_games_are_compared_with_allocations_that_need_no_karma(name):
    game = make(name, n_agents=12)
    references = game.references()
    assert list(references) == ["DICT", "COIN", "TURN"]
    for (reference, policy), allocation in zip(
        references.values(), ("benevolent_dictator", "coin_toss", "turn_taking")
    ):
        assert reference.config == game.config.replace(allocation=allocation)
        reference.reset(np.random.default_rng(0))
        played = reference.rollout(policy, 5)
        assert not reference.action_features["bid"][played.actions].any()
