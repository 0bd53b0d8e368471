"""The auction's mean-field model against enumeration, closed forms and the published fixed point."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.solvers.equilibrium import assess
from agents.solvers.first_order.iteration import logit_policy
from karma_envs.games.auction import AuctionConfig
from karma_envs.games.auction.closed_forms import (
    budgets_where_all_bid_one,
    efficiency_where_all_bid_one,
    highest_efficiency,
    highest_price_worth_paying,
    mean_price,
)
from karma_envs.games.auction.kernels import hammer
from karma_envs.games.auction.mean_field import AuctionMeanField
from karma_envs.mean_field.dynamic_programming import (
    best_response,
    greedy,
    q_values,
    transition_matrix,
    uniform_policy,
)

PUBLISHED = [0.209, 0.2266, 0.2785, 0.1897, 0.0564, 0.0194, 0.0093, 0.0054, 0.0034, 0.0023]
"""Bids 0 … 9 at the fixed point of GMF-V with c = 4."""

distributions = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda weights: sum(weights) > 0.01)


def model_of(**fields: Any) -> AuctionMeanField:
    return AuctionMeanField(AuctionConfig(**fields))


def always(model: AuctionMeanField, bid: int) -> NDArray[np.float64]:
    policy = np.zeros((1, model.n_states, model.n_actions))
    policy[..., bid] = 1
    return policy


@settings(deadline=None, max_examples=40)
@given(distributions, st.integers(1, 4))
def test_chances_to_win_are_what_enumeration_gives(weights: list[float], n_bidders: int) -> None:
    """All bids of all rivals and all places among them, by the auction that the simulation holds."""
    bids = np.array(weights) / sum(weights)
    expected = np.zeros((4, 4))
    everyone = np.arange(n_bidders, dtype=np.int32)
    for bid, *rivals in itertools.product(range(4), repeat=n_bidders):
        for place in range(n_bidders):
            group = np.array([*rivals[:place], bid, *rivals[place:]])
            winner, price = hammer(group, everyone, 0, n_bidders)
            if winner == place:
                expected[bid, price] += bids[rivals].prod() / n_bidders
    fields = {"n_bidders": n_bidders, "bid_max": 3, "n_agents": 4}
    np.testing.assert_allclose(model_of(**fields).win_probabilities(bids), expected, atol=1e-13)


@settings(deadline=None, max_examples=60)
@given(distributions, st.integers(1, 40))
def test_prices_are_order_statistics(weights: list[float], n_bidders: int) -> None:
    """Each auction has one winner, who pays the mean price; a chance is never below 0 or above 1."""
    bids = np.array(weights) / sum(weights)
    win = model_of(n_bidders=n_bidders, bid_max=3).win_probabilities(bids)
    assert win.min() >= 0
    assert win.sum(axis=1).max() <= 1 + 1e-12
    assert (np.diff(win.sum(axis=1)) >= -1e-12).all()
    assert n_bidders * (bids @ win).sum() == pytest.approx(1, abs=1e-12)
    assert n_bidders * (bids @ win) @ np.arange(4) == pytest.approx(mean_price(bids, n_bidders), abs=1e-12)


def test_two_bidders_by_hand() -> None:
    """Against 0 or 1, equally likely: a bid of 1 wins against 0 for nothing, and half of the ties for 1."""
    model = model_of(n_bidders=2, bid_max=2, budget_max=1, values=(4.0,), refill_probability=0.0)
    bids = np.array([0.5, 0.5, 0.0])
    np.testing.assert_allclose(model.win_probabilities(bids), [[0.25, 0, 0], [0.5, 0.25, 0], [0.5, 0.5, 0]])
    problem = model.decision_problem(bids)
    np.testing.assert_allclose(problem.reward[0, 1], [1, 0.5 * 4 + 0.25 * 3, 0.5 * 4 + 0.5 * 3])
    np.testing.assert_allclose(problem.reward[0, 0, 2], 0.5 * 4 + 0.5 * (3 - 1.2))
    np.testing.assert_allclose(problem.kernel[0, 1, 2], [0.5, 0.5])
    np.testing.assert_allclose(problem.kernel[0, 0, 2], [1, 0])


@pytest.mark.parametrize("fields", [{}, {"n_bidders": 2, "budget_max": 3, "refill_probability": 0.3}])
def test_bids_of_one_have_a_birth_and_death_process(fields: dict[str, Any]) -> None:
    model = model_of(**fields)
    found = assess(model, always(model, 1))
    assert found.efficiency == pytest.approx(efficiency_where_all_bid_one(model.config), abs=1e-12)
    np.testing.assert_allclose(found.mean_field[0], budgets_where_all_bid_one(model.config), atol=1e-12)


@pytest.mark.parametrize("n_bidders", [1, 2, 5])
def test_nobody_pays_where_nobody_bids(n_bidders: int) -> None:
    """Nor does a bidder alone, whatever it bids: its payoff is E[v] / (1 - gamma)."""
    model = model_of(n_bidders=n_bidders)
    found = assess(model, always(model, 0))
    assert found.efficiency == pytest.approx(highest_efficiency(model.config))
    assert found.mean_field[0, -1] == pytest.approx(1)
    if n_bidders == 1:
        _, value = best_response(model, model.decision_problem(found.statistic))
        np.testing.assert_allclose(value, 2.5 / (1 - 0.8))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=10, max_size=10).filter(lambda weights: sum(weights) > 0.01))
def test_who_does_not_look_ahead_bids_what_winning_is_worth(weights: list[float]) -> None:
    model = model_of(discount=0.0)
    reward = model.decision_problem(np.array(weights) / sum(weights)).reward[0]
    worth = highest_price_worth_paying(model.config)
    np.testing.assert_array_equal(worth, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2])
    budgets = np.arange(10)
    best = np.maximum(reward[budgets, worth], reward[budgets, worth + 1])
    np.testing.assert_allclose(best, reward.max(axis=1), atol=1e-12)


def rounds(rationality: float, n_rounds: int) -> tuple[list[float], NDArray[np.float64]]:
    """GMF-V of the source: L is the joint distribution of budget and bid, and moves by one step a round.

    Returns:
        the L1 norms of its changes, and the last distribution of bids.
    """
    model = model_of()
    mean_field, policy = model.initial_mean_field, uniform_policy(model)
    bids = model.statistic(mean_field, policy)
    joint, changes = mean_field[..., None] * policy, []
    for _ in range(n_rounds):
        problem = model.decision_problem(bids)
        q = q_values(model, problem, best_response(model, problem)[1])
        policy = greedy(q) if rationality == np.inf else logit_policy(model, rationality * q)
        mean_field = np.einsum("tx,txy->ty", mean_field, transition_matrix(problem, policy))
        bids, before, joint = model.statistic(mean_field, policy), joint, mean_field[..., None] * policy
        changes.append(float(np.abs(joint - before).sum()))
    return changes, bids


def test_the_smoothed_algorithm_converges_as_published() -> None:
    changes, bids = rounds(4.0, 150)
    assert changes[9] == pytest.approx(2.8e-2, abs=5e-4)
    assert changes[19] == pytest.approx(5.5e-3, abs=5e-5)
    np.testing.assert_allclose(bids, PUBLISHED, atol=1e-4)


def test_the_naive_algorithm_never_does() -> None:
    changes, _ = rounds(np.inf, 60)
    np.testing.assert_allclose(changes[-50:], 2.0)


def test_types_of_one_kind_are_one() -> None:
    """A model by agent gives everyone what the model of one type gives."""
    one, three = model_of(), AuctionMeanField(AuctionConfig(), 3)
    rng = np.random.default_rng(0)
    policy = rng.dirichlet(np.ones(10), (1, 10))
    field = rng.dirichlet(np.ones(10), 1)
    bids = one.statistic(field, policy)
    np.testing.assert_allclose(three.statistic(np.repeat(field, 3, 0), np.repeat(policy, 3, 0)), bids)
    np.testing.assert_array_equal(
        three.decision_problem(bids).reward[2], one.decision_problem(bids).reward[0]
    )
    np.testing.assert_allclose(one.decision_problem(bids).kernel.sum(axis=3), 1, atol=1e-12)
    assert three.masses.sum() == pytest.approx(1)
