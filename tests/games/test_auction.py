"""The repeated auction: its rules by hand, its configuration, its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.games.auction import AuctionConfig, AuctionGame
from karma_envs.games.auction.kernels import budget_of_winner, hammer, refill, reward_of_winner
from karma_envs.numerics.random import new_streams


def begun(seed: int = 0, **fields: Any) -> AuctionGame:
    game = AuctionGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def with_budgets(game: AuctionGame, budgets: list[int]) -> AuctionGame:
    game.load_state_dict({**game.state_dict(), "budget": np.array(budgets, np.int16)})
    return game


@pytest.mark.parametrize(
    ("bids", "winner", "price"),
    [
        ([3, 1, 2], 0, 2),
        ([1, 2, 3], 2, 2),
        ([1, 3, 0], 1, 1),
        ([4, 4, 1], 0, 4),  # the first of equals, at its own bid
        ([1, 4, 4], 1, 4),
        ([2, 2, 2], 0, 2),
        ([0, 0, 0], 0, 0),
        ([7], 0, 0),  # a bidder alone pays nothing
    ],
)
def test_the_highest_bid_wins_at_the_second_highest(bids: list[int], winner: int, price: int) -> None:
    everyone = np.arange(len(bids), dtype=np.int32)
    assert hammer(np.array(bids), everyone, 0, len(bids)) == (winner, price)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=7), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_an_auction_is_what_sorting_says(bids: list[int], random: Any) -> None:
    """Among others who are in other groups, and in whatever order the bidders stand."""
    order = list(range(len(bids)))
    random.shuffle(order)
    places = np.array([*range(90, 94), *order], np.int32)
    values = np.array([*bids, *[99] * 100])
    winner, price = hammer(values, places, 4, len(bids))
    assert bids[winner] == max(bids)
    assert price == sorted(bids)[-2]
    assert winner == next(agent for agent in order if bids[agent] == max(bids))


@pytest.mark.parametrize(
    ("value", "price", "budget", "reward", "left"),
    [
        (4.0, 1, 3, 3.0, 2),
        (1.0, 3, 3, -2.0, 0),
        (4.0, 5, 3, -1.0 - 1.2 * 2, 0),  # two beyond the budget
        (2.0, 1, 0, 1.0 - 1.2, 0),
        (3.0, 0, 0, 3.0, 0),
    ],
)
def test_what_winners_get_and_keep(value: float, price: int, budget: int, reward: float, left: int) -> None:
    assert reward_of_winner(value, price, budget, 0.2) == pytest.approx(reward)
    assert budget_of_winner(budget, price) == left


def test_a_step_by_hand() -> None:
    """One group of three, one value, no refill: agent 1 wins with 3, pays agent 2's 2 out of 1."""
    game = begun(n_agents=3, n_bidders=3, values=(5.0,), refill_probability=0.0)
    rewards = with_budgets(game, [4, 1, 0]).step(np.array([1, 3, 2]))
    np.testing.assert_allclose(rewards, [0, 5 - 2 - 1.2, 0], rtol=1e-6)
    assert rewards.dtype == np.float32
    np.testing.assert_array_equal(game.observation_index(), [4, 0, 0])
    outcome = game.outcome()
    np.testing.assert_array_equal(outcome.wins, [0, 1, 0])
    np.testing.assert_array_equal(outcome.prices, [0, 2, 0])
    np.testing.assert_allclose(outcome.rewards, rewards)
    assert outcome.mean_price == 2
    assert outcome.efficiency == pytest.approx(1.8 / 3)
    np.testing.assert_array_equal(game.tables()["agents"]["budget"], [4, 0, 0])
    np.testing.assert_allclose(game.distributions()["budget"]["share"], [2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("name", "bids"),
    [("bid_nothing", [0, 0, 0, 0]), ("bid_budget", [0, 1, 2, 2]), ("bid_worth", [1, 1, 2, 2])],
)
def test_baselines(name: str, bids: list[int]) -> None:
    """Winning is worth 2.5 on average, at 1 beyond the budget .3: the price 1, the debt 1.2."""
    game = begun(n_agents=40, budget_max=3, bid_max=2)
    played = game.rollout(game.baselines[name](game), 5)
    np.testing.assert_array_equal(played.actions, np.array(bids)[played.observations[:-1]])


def test_every_budget_below_the_cap_is_refilled() -> None:
    """Those in no group too: 2 of 5 sit out."""
    game = begun(n_agents=5, n_bidders=3, refill_probability=1.0, budget_max=4)
    with_budgets(game, [0, 1, 2, 3, 4]).step(np.zeros(5, np.int64))
    np.testing.assert_array_equal(game.observation_index(), [1, 2, 3, 4, 4])
    assert game.arrays.sat_out.sum() == 2


def test_refills_come_with_their_probability() -> None:
    """Of 10^5 draws, seed 0: within 4 standard errors, sqrt(.3 * .7 / 10^5) = .00145."""
    budget = np.zeros(100_000, np.int16)
    refill(budget, 9, round(0.3 * 2**32), new_streams(np.random.default_rng(0), 1), 0)
    assert set(np.unique(budget)) == {0, 1}
    assert abs(budget.mean() - 0.3) < 4 * 0.00145


def test_who_is_left_over_gets_nothing_and_sits_out_as_often_as_others() -> None:
    """7 agents in groups of 5, 7000 steps, seed 0: 2000 each, error sqrt(7000 * 2/7 * 5/7) = 37.8."""
    game = begun(n_agents=7)
    for _ in range(7000):
        rewards = game.step(np.full(7, 3))
        assert (rewards != 0).sum() <= 1
    assert np.abs(game.arrays.sat_out - 2000).max() < 4 * 37.8
    assert game.arrays.wins.sum() == 7000
    assert (game.arrays.wins <= 7000 - game.arrays.sat_out).all()


def test_equals_win_equally_often() -> None:
    """All bid the same, 5000 steps, seed 1: 1000 wins each, standard error sqrt(5000 * .2 * .8) = 28.3."""
    game = begun(1, n_agents=5)
    for _ in range(5000):
        game.step(np.full(5, 2))
    assert np.abs(game.arrays.wins - 1000).max() < 4 * 28.3


def test_values_are_drawn_evenly() -> None:
    """Alone a bidder gets the value itself; 8000 of them, seed 0: standard error sqrt(.25 * .75 / 8000)."""
    rewards = begun(n_agents=8000, n_bidders=1).step(np.zeros(8000, np.int64))
    values, counts = np.unique(rewards, return_counts=True)
    np.testing.assert_array_equal(values, [1, 2, 3, 4])
    assert np.abs(counts / 8000 - 0.25).max() < 4 * 0.0049


@settings(deadline=None, max_examples=50)
@given(
    n_agents=st.integers(1, 30),
    n_bidders=st.integers(1, 7),
    budget_max=st.integers(1, 5),
    bid_max=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_invariants(n_agents: int, n_bidders: int, budget_max: int, bid_max: int, seed: int) -> None:
    """Budgets stay in range, each auction has one winner, and nobody pays for what another one wins."""
    n_agents = max(n_agents, n_bidders)
    sizes = {"n_agents": n_agents, "n_bidders": n_bidders, "budget_max": budget_max, "bid_max": bid_max}
    game = begun(seed, values=(2.5,), refill_probability=0.5, **sizes)
    rng = np.random.default_rng(seed)
    for step in range(1, 20):
        before, wins = game.observation_index(), game.arrays.wins.copy()
        rewards = game.step(rng.integers(0, bid_max, n_agents, endpoint=True))
        after, won = game.observation_index(), (game.arrays.wins - wins).astype(bool)
        assert ((after >= 0) & (after <= budget_max)).all()
        assert won.sum() == n_agents // n_bidders
        assert not rewards[~won].any()
        assert set(np.unique((after - before)[~won])) <= {0, 1}
        assert (after - before <= 1).all()
        assert game.reward_bounds[0] - 1e-5 <= rewards.min()
        assert rewards.max() <= game.reward_bounds[1]
        assert game.arrays.steps[0] == step


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_agents": 4}, "n_agents = 4 .* from 5"),
        ({"n_bidders": 0}, "n_bidders = 0"),
        ({"n_bidders": 1001, "n_agents": 2000}, "n_bidders = 1001"),
        ({"budget_max": 0}, "budget_max = 0"),
        ({"bid_max": 2.5}, "bid_max = 2.5"),
        ({"values": ()}, "values = "),
        ({"values": "1,2"}, "values = '1,2'"),
        ({"values": (1, -1)}, r"values\[1\] = -1"),
        ({"values": (float("nan"),)}, r"values\[0\] = nan"),
        ({"overbid_penalty": -0.1}, "overbid_penalty = -0.1"),
        ({"refill_probability": 1.1}, "refill_probability = 1.1"),
        ({"discount": 1.0}, "discount = 1.0"),
    ],
)
def test_what_a_configuration_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AuctionConfig(**fields)


def test_the_defaults() -> None:
    config = AuctionConfig()
    assert config.to_dict() == {
        "n_agents": 1000,
        "budget_max": 9,
        "bid_max": 9,
        "n_bidders": 5,
        "values": [1.0, 2.0, 3.0, 4.0],
        "overbid_penalty": 0.2,
        "refill_probability": 0.5,
        "discount": 0.8,
    }
    assert karma_envs.make("auction", "pairs").config.n_bidders == 2  # type: ignore[attr-defined]


def test_bids_may_exceed_budgets_but_not_the_highest_bid() -> None:
    game = with_budgets(begun(n_agents=5), [0] * 5)
    game.step(np.full(5, 9))
    with pytest.raises(IllegalActionError, match=r"agent 2 bids 10; allowed: 0 … 9"):
        game.step(np.array([0, 9, 10, -1, 0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("budget", 10), ("wins", 3), ("prices", 19), ("sat_out", 3), ("order", 0), ("reward_total", 9.0)],
)
def test_impossible_states_are_refused(name: str, value: float) -> None:
    """After 2 steps nobody has won 3 times, sat out 3 times, or got 9."""
    game = begun(n_agents=6)
    for _ in range(2):
        game.step(np.zeros(6, np.int64))
    state = game.state_dict()
    with pytest.raises(ValueError, match=name):
        game.load_state_dict({**state, name: np.full_like(state[name], value)})
