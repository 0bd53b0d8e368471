"""Networks as tables; the networks here are formulas."""

import numpy as np
import pytest

import karma_envs
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingGame
from karma_envs.registry import game_class
from tests.integrations.common import TABULAR
from tests.own_games import DriftGame, RoadsGame, SprintGame
from training.integrations.distillation import tabulate

SIZES = {"n_agents": 12, "karma_max": 5, "karma_mean": 3}
WEIGHTS = np.random.default_rng(5).normal(size=(2, 30, 200))


def arbitrary(observations, legal, types):
    """A softmax of a function of the observation and the type, over legal actions."""
    n, features = observations.shape
    logits = np.empty(legal.shape)
    for row in range(n):
        weights = WEIGHTS[types[row] % 2, :features, : legal.shape[1]]
        logits[row] = 3 * np.sin(2 * observations[row] @ weights)
    odds = np.exp(logits) * legal
    return odds / odds.sum(axis=1, keepdims=True)


def always(action):
    def network(observations, legal, types):
        assert legal[:, action].all()
        return np.tile(np.eye(legal.shape[1])[action], (len(legal), 1))

    return network


@pytest.mark.parametrize(
    ("name", "preset"), [*((name, None) for name in TABULAR), ("matching", "two-discounts")]
)
def test_the_table_is_what_the_network_does(name, preset):
    """In play that the distillation has not seen; exact, as the numbers are a function of the state."""
    fields = game_class(name).config_class.field_names()
    sizes = {field: size for field, size in SIZES.items() if field in fields}
    game = karma_envs.make(name, preset=preset, **sizes)
    found = tabulate(arbitrary, game, n_steps=200)
    assert found.policy.row_of_agent.tolist() == game.type_of_agent.tolist()
    assert found.share_of_play > 0.98
    assert 0.3 < found.share_visited <= 1
    assert not found.policy.probabilities[:, ~game.legal_actions].any()
    game.check_policy(found.policy)
    game.reset(np.random.default_rng(3))
    compared = 0
    for _ in range(50):
        types, now = game.type_of_agent, game.observation_index()
        known = found.visited[types, now]
        expected = arbitrary(game.observations(), game.legal_actions[now], types)
        table = found.policy.probabilities[types, now]
        np.testing.assert_allclose(table[known], expected[known], rtol=0, atol=1e-12)
        compared += known.sum()
        game.rollout(baseline_policy("random", game), 1)
    assert compared > 0.9 * 50 * game.n_agents


def test_where_nobody_was_seen():
    """One step shows only the start: karma 3, both urgencies.

    With karma 4 and 5 they do as with 3; with less too if they can, else anything.
    """
    game = karma_envs.make("matching", n_agents=40, karma_max=5, karma_mean=3)

    def network(observations, legal, types):
        np.testing.assert_array_equal(legal, np.tile(np.arange(6) <= 3, (2, 1)))
        urgent = observations[:, :1] == 1
        return np.where(urgent, np.eye(6)[3], (np.eye(6)[0] + np.eye(6)[1] + 2 * np.eye(6)[2]) / 4)

    found = tabulate(network, game, n_steps=1)
    assert found.visited.tolist() == [[False, False, False, True, False, False] * 2]
    assert found.share_visited == pytest.approx(2 / 12)
    assert found.share_of_play == 1
    relaxed, urgent = found.policy.probabilities[0].reshape(2, 6, 6)
    expected = [[1, 0, 0], [1 / 2, 1 / 2, 0], *[[1 / 4, 1 / 4, 1 / 2]] * 4]
    np.testing.assert_allclose(relaxed[:, :3], expected)
    for karma in range(3):
        np.testing.assert_allclose(urgent[karma], [1 / (karma + 1)] * (karma + 1) + [0] * (5 - karma))
    np.testing.assert_array_equal(urgent[3:], np.tile(np.eye(6)[3], (3, 1)))


@pytest.mark.parametrize("game", [SprintGame(n_agents=12), RoadsGame(n_agents=12)])
def test_games_without_karma_and_with_an_end(game):
    """After the end the next game begins: nobody is asked what to do when no step is left."""

    def network(observations, legal, types):
        if game.length is not None:
            assert (observations[:, 1] > 0).all()
        return arbitrary(observations, legal, types)

    distilled = tabulate(network, game, n_steps=200)
    game.check_policy(distilled.policy)
    assert distilled.share_of_play == 1
    left = np.arange(game.n_observations) % 5 if game.length else np.ones(3)
    assert not distilled.visited[0, left == 0].any()
    game.reset(np.random.default_rng(3))
    now = game.observation_index()
    expected = arbitrary(game.observations(), game.legal_actions[now], game.type_of_agent)
    np.testing.assert_allclose(distilled.policy.probabilities[0, now], expected, rtol=0, atol=1e-12)


def test_games_without_tables_are_refused():
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        tabulate(arbitrary, DriftGame())


def test_what_was_not_seen_in_play_is_counted():
    game = karma_envs.make("matching", n_agents=12)
    short, long = (tabulate(arbitrary, game, n_steps=n_steps) for n_steps in (2, 500))
    assert short.share_visited < long.share_visited
    assert short.share_of_play < 1
    assert long.share_of_play == 1


def test_the_game_is_not_touched_and_the_seed_decides():
    game = karma_envs.make("matching", **SIZES)
    game.reset(np.random.default_rng(0))
    before = game.state_dict()
    first, second = (tabulate(arbitrary, game, n_steps=3, seed=7) for _ in range(2))
    for name, array in game.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(first.visited, second.visited)
    np.testing.assert_array_equal(first.policy.probabilities, second.policy.probabilities)


def test_numbers_that_say_more_than_the_tabular_observation_are_refused():
    class Numbered(MatchingGame):
        def observations(self):
            return super().observations() * np.linspace(0.5, 1, self.n_agents, dtype=np.float32)[:, None]

    with pytest.raises(ValueError, match="see different numbers in tabular observation"):
        tabulate(always(0), Numbered(**SIZES))


def test_probabilities_in_single_precision_are_enough():
    """A softmax of float32 sums to 1 only nearly; the table's rows do as nearly as float64 can."""

    def network(observations, legal, types):
        return arbitrary(observations, legal, types).astype(np.float32)

    game = karma_envs.make("matching", **SIZES)
    found = tabulate(network, game, n_steps=100).policy.probabilities
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found, tabulate(arbitrary, game, n_steps=100).policy.probabilities, atol=1e-7)


def test_what_does_not_sum_to_one_is_refused():
    with pytest.raises(ValueError, match=r"sum to 1; row 0, .* sums to 0.999"):
        tabulate(lambda *seen: 0.999 * arbitrary(*seen), karma_envs.make("matching", **SIZES), n_steps=2)
