"""Games with incentives: the same game, but for what is paid."""

import numpy as np
import pytest

import agents
import karma_envs
from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.incentives import IncentivisedGame, PowerSeries, incentivised
from karma_envs.mean_field import DecisionProblem
from karma_envs.outcome import summarise
from karma_envs.tabulated import tabulated
from karma_envs.views.parallel import PopulationParallelEnv
from tests.own_games import DriftGame, OneShotGame

FINITE = {"matching": {}, "auction": {}, "two_state_control": {}, "grid_city": {}}
BOXES = {"malware": {}, "lq_regulator": {}, "supply": {"length": 3}, "spatial_congestion": {"length": 2}}


def last_feature(features):
    """A tenth of the last feature."""
    return 0.1 * features[:, -1]


def nothing(features):
    return np.zeros(len(features))


def a_game(name):
    return karma_envs.make(name, n_agents=6, **{**FINITE, **BOXES}[name])


def played(game, policy, n_steps, seed=0):
    """Rewards of a rollout, and the state after it."""
    game.reset(np.random.default_rng(seed))
    chunk = game.rollout(policy, n_steps)
    return chunk.rewards, game.state_dict()


@pytest.mark.parametrize("name", [*FINITE, *BOXES])
def test_conforms(name):
    check_game(incentivised(a_game(name), last_feature))


@pytest.mark.parametrize("own", [DriftGame, OneShotGame])
def test_own_games_conform(own):
    check_game(incentivised(own(n_agents=6), last_feature))
    check_game(incentivised(tabulated(own(n_agents=6), cells=5), last_feature))


@pytest.mark.parametrize("name", [*FINITE, *BOXES])
def test_no_incentive_is_the_game_itself(name):
    """The same bits: rewards, states, random streams."""
    game, other = a_game(name), a_game(name)
    policy = game.uniform_policy()
    rewards, state = played(game, policy, 2)
    paid_rewards, paid_state = played(incentivised(other, nothing), policy, 2)
    np.testing.assert_array_equal(rewards, paid_rewards)
    assert not paid_state.pop("incentive_total").any()
    assert state.keys() == paid_state.keys()
    for part, array in state.items():
        np.testing.assert_array_equal(array, paid_state[part])


@pytest.mark.parametrize("name", [*FINITE, *BOXES])
def test_pays_for_what_is_done(name):
    """Rewards with incentives less those without are the incentives, and these add up."""
    policy = a_game(name).uniform_policy()
    rewards, _ = played(a_game(name), policy, 2)
    game = incentivised(a_game(name), last_feature)
    paid_rewards, _ = played(game, policy, 2)
    outcome = game.outcome()
    np.testing.assert_allclose((paid_rewards - rewards).sum(axis=0), outcome.incentives, rtol=1e-5, atol=1e-5)
    estimates = summarise([outcome], game.metrics)
    assert estimates["welfare"].value == pytest.approx(rewards.mean(), rel=1e-5, abs=1e-6)
    assert estimates["incentive"].value == pytest.approx(outcome.incentives.mean() / 2)


def test_features_of_a_karma_game_are_urgency_karma_and_bid():
    series = PowerSeries(names=("urgency", "karma", "bid"), low=(0, 0, 0), high=(10, 20, 20), degree=1)
    game = incentivised(karma_envs.make("matching", n_agents=2), series.weighted({"urgency": 1.0}))
    urgencies = game.observation_values()["urgency"][0]
    expected = np.where(game.legal_actions, (urgencies / 5 - 1)[:, None], 0)
    np.testing.assert_allclose(game.table[0], expected)


def test_features_of_a_crowd_are_places_and_time():
    """All move by (1, 0); what is paid is where they arrive, times how much was over before."""
    game = incentivised(
        karma_envs.make("spatial_congestion", n_agents=3, length=2, start_variance=0.0),
        lambda features: features[:, 0] * (1 + features[:, 2]),
    )
    game.reset(np.random.default_rng(0))
    moves = np.tile(np.float32([1, 0]), (3, 1))
    game.step(moves)
    np.testing.assert_allclose(game.outcome().incentives, 2)
    game.step(moves)
    np.testing.assert_allclose(game.outcome().incentives, 2 + 3 * 1.5)


def test_incentives_are_added_to_the_decision_problem():
    game = karma_envs.make("matching", n_agents=20, karma_max=6, karma_mean=3)
    paid = incentivised(game, lambda features: -0.2 * features[:, 2])
    model, without = paid.mean_field(), game.mean_field()
    statistic = without.initial_statistic
    problem = model.decision_problem(statistic)
    assert isinstance(problem, DecisionProblem)
    change = problem.reward - without.decision_problem(statistic).reward
    np.testing.assert_allclose(change, np.where(game.legal_actions, -0.2 * np.arange(7), 0)[None])


def test_a_charge_on_bids_lowers_bids_in_equilibrium():
    """And the incentive that the model tells is that of play: seed 0, 4 standard errors."""
    game = karma_envs.make("matching", n_agents=100, karma_max=6, karma_mean=3, payment="pbs")
    paid = incentivised(game, lambda features: -0.05 * features[:, 2])
    bids = {}
    for each in (game, paid):
        found = agents.solve(each.mean_field())
        assert found.converged
        bids[each] = float(
            (found.mean_field[0][:, None] * found.policy.probabilities[0] * np.arange(7)).sum()
        )
    assert bids[paid] < bids[game] - 0.03
    model = paid.mean_field()
    np.testing.assert_allclose(model.incentive(found.policy.probabilities), -0.05 * bids[paid], rtol=1e-9)
    paid.reset(np.random.default_rng(0))
    policy = paid.fitted(found.policy)
    paid.rollout(policy, 200)
    stretches = []
    for _ in range(10):
        before = paid.outcome()
        paid.rollout(policy, 100)
        stretches.append(paid.outcome().since(before))
    estimate = summarise(stretches, paid.metrics)["incentive"]
    assert abs(estimate.value + 0.05 * bids[paid]) < 4 * estimate.standard_error + 1e-3


def test_a_game_that_ends_has_incentives_in_every_step():
    game = tabulated(OneShotGame(n_agents=4), cells=3)
    if game.mean_field() is not None:
        assert incentivised(game, last_feature).mean_field().length == game.length


def test_a_given_statistic_or_a_belief_is_met_with_incentives():
    game = incentivised(karma_envs.make("spatial_congestion", n_agents=5, grid_cells=60), last_feature)
    z = game.mean_field().initial_statistic
    alone = game.against(z, n_agents=7)
    assert isinstance(alone, IncentivisedGame)
    assert alone.n_agents == 7
    np.testing.assert_array_equal(alone.given_statistic, z)
    assert game.believing().belief_rate == (1.0, 0.85)
    finite = incentivised(karma_envs.make("matching", n_agents=5), last_feature)
    against = finite.against(finite.mean_field().initial_statistic, n_agents=3)
    np.testing.assert_array_equal(against.table, finite.table)


def test_views_play_it():
    env = PopulationParallelEnv(
        incentivised(a_game("matching"), lambda f: np.full(len(f), 3.0)), max_cycles=2
    )
    env.reset(seed=0)
    _, rewards, *_ = env.step(dict.fromkeys(env.agents, 0))
    assert sorted(rewards.values())[-1] == 3.0


@pytest.mark.parametrize("wrong", [lambda f: f, lambda f: np.full(len(f), np.nan), 3])
def test_refuses_what_is_no_incentive(wrong):
    game = karma_envs.make("matching", n_agents=2)
    with pytest.raises(ConfigError, match="incentive"):
        incentivised(game, wrong)


def test_an_incentive_may_be_named():
    game = incentivised(a_game("matching"), "tests.incentives.test_incentivised:last_feature")
    assert game.incentive is last_feature or game.incentive.__name__ == "last_feature"
