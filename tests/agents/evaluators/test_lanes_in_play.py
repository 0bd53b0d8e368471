"""What the others leave to an agent on a lane: counted in play, and told again from ordered agents."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import karma_envs
from agents.evaluators.city.kernels import count_chances
from agents.evaluators.city.lanes_in_play import check_countable, count_lanes
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame
from tests.games.grid_city_reference import one_lane

SMALL: dict[str, Any] = {"n_agents": 40, "rows": 2, "columns": 2, "capacity": 2}


def chance_by_orders(others: list[int], bid: int, capacity: int) -> float:
    """Share of all orders in which ties can fall, of the others and one with ``bid``, that admit that one."""
    bidders = [*others, bid]
    orders = list(permutations(range(len(bidders))))
    admitted = [sorted(order, key=lambda agent: -bidders[agent])[:capacity] for order in orders]
    return sum(len(others) in first for first in admitted) / len(orders)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(1, 4))
def test_the_chance_of_every_bid_of_everyone_there(bids: list[int], capacity: int) -> None:
    here = np.zeros((1, 2, 4), np.int64)
    for agent, bid in enumerate(bids):
        here[0, agent % 2, bid] += 1
    wins, own_bids, own_wins = np.zeros((1, 4)), np.zeros((1, 2, 4)), np.zeros((1, 2, 4))
    count_chances(here, np.array([capacity]), wins, own_bids, own_wins)
    expected = [
        sum(chance_by_orders(bids[:agent] + bids[agent + 1 :], bid, capacity) for agent in range(len(bids)))
        for bid in range(4)
    ]
    assert wins[0] == pytest.approx(expected)
    own = np.zeros((2, 4))
    for agent, bid in enumerate(bids):
        own[agent % 2, bid] += chance_by_orders(bids[:agent] + bids[agent + 1 :], bid, capacity)
    assert own_wins[0] == pytest.approx(own)
    assert (own_bids == here).all()


def test_two_who_bid_alike_share_a_lane() -> None:
    """Both bid nothing for one place: a bid of one always wins, none wins half of the time."""
    game = one_lane(2, capacity=1)
    lanes = count_lanes(game, baseline_policy("bid_nothing", game), n_steps=100, burn_in=0, batches=2)
    assert lanes.queues == pytest.approx([2.0])
    assert lanes.win()[0, lanes.columns[0, 0]] == pytest.approx([0.5] + [1.0] * 10)
    assert lanes.levels.tolist() == [0.0, 0.0]


def test_the_level_is_what_winners_pay() -> None:
    """All get in and pay all they have, 5 of 10 units each, and are given it back."""
    game = one_lane(4, capacity=4)
    lanes = count_lanes(game, baseline_policy("bid_all", game), n_steps=100, burn_in=0, batches=2)
    assert lanes.levels.tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"redistribution": "uniform_to_active"},
        {"route_choice": "node", "rows": 3, "columns": 2},
        {"allocation": "dict"},
        {"types": ({"share": 1, "urgencies": (1, 5)}, {"share": 1, "urgencies": (2, 3, 4)})},
    ],
)
def test_chances_make_the_entries_that_were_made(fields: dict[str, Any]) -> None:
    """Of all who are at a lane, weighted by what they bid, as many get in as did; error: sampling of bids."""
    game = GridCityGame(**{**SMALL, **fields})
    policy = baseline_policy("random", game)
    lanes = count_lanes(game, policy, n_steps=4000, burn_in=100, batches=10, seed=3)
    outcome = game.lane_outcome()
    entries = outcome.entries / outcome.steps
    predicted = (lanes.flows * lanes.wins).sum(axis=2)
    error = predicted.std(axis=0, ddof=1) / np.sqrt(lanes.n_batches)
    assert np.abs(predicted.mean(axis=0) - entries).max() < 5 * error.max() + 0.02
    assert lanes.queues == pytest.approx(outcome.congestion, rel=0.15, abs=0.1)
    assert lanes.efficiency == pytest.approx(game.outcome().efficiency, abs=0.05)


def test_one_seed_one_count() -> None:
    game = GridCityGame(**SMALL)
    policy = baseline_policy("proportional", game)
    one, other = (count_lanes(game, policy, n_steps=100, burn_in=10, batches=2, seed=5) for _ in range(2))
    assert (one.wins == other.wins).all()
    assert (one.rewards == other.rewards).all()


@pytest.mark.parametrize(
    ("game", "field"),
    [
        (karma_envs.make("matching", n_agents=10), "game"),
        (GridCityGame(**SMALL, allocation="turn"), "allocation"),
        (GridCityGame(**SMALL, redistribution="none"), "redistribution"),
    ],
)
def test_what_cannot_be_counted_is_refused(game: Any, field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        check_countable(game)


def test_a_policy_of_another_game_is_refused() -> None:
    game = GridCityGame(**SMALL)
    with pytest.raises(ValueError, match="policy"):
        count_lanes(game, TabularPolicy(np.ones((1, 2, 1))).for_agents(np.zeros(40, int)))
