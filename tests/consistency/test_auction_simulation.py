"""Many bidders against the auction's mean field, and few against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from agents.solvers import solve
from agents.solvers.equilibrium import assess
from karma_envs.games.auction import AuctionGame
from karma_envs.games.auction.closed_forms import budgets_where_all_bid_one, efficiency_where_all_bid_one
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.transitions import Transitions

BATCHES, BATCH, BURN_IN = 40, 50, 100
"""Steps. What budgets remember falls by a tenth a step (the second eigenvalue of their chain is .82 and .90
for the two policies), so that means of batches are independent but for .9^50."""


def batches(game: AuctionGame, policy: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Of each batch of steps, seed 0: shares of the bids, shares of the budgets, and the mean reward."""
    everyone = TabularPolicy(policy).for_agents(game.type_of_agent)
    room = Transitions.empty(BURN_IN, game.n_agents)
    game.reset(np.random.default_rng(0))
    game.rollout(everyone, BURN_IN, out=room)
    bids, budgets = np.empty((BATCHES, game.n_actions)), np.empty((BATCHES, game.n_observations))
    rewards = np.empty(BATCHES)
    for batch in range(BATCHES):
        played = game.rollout(everyone, BATCH, out=room)
        bids[batch] = np.bincount(played.actions.ravel(), minlength=game.n_actions)
        budgets[batch] = np.bincount(played.observations[:-1].ravel(), minlength=game.n_observations)
        rewards[batch] = played.rewards.mean(dtype=np.float64)
    return bids / played.actions.size, budgets / played.actions.size, rewards[:, None]


def check_within_errors(batched: NDArray[np.float64], expected: NDArray[np.float64], largest: float) -> None:
    """Means within 4 standard errors, told by how batches differ, which are at most ``largest``."""
    error = batched.std(axis=0, ddof=1) / np.sqrt(len(batched))
    assert error.max() < largest
    gap = np.abs(batched.mean(axis=0) - expected)
    assert (gap <= 4 * error + 1e-12).all(), (gap / np.maximum(error, 1e-12)).round(1)


@pytest.mark.parametrize("which", ["uniform", "smoothed"])
def test_many_bid_as_their_mean_field_says(which: str) -> None:
    game = AuctionGame(n_agents=20_000)
    model = game.mean_field()
    policy = uniform_policy(model) if which == "uniform" else solve(model, "smoothed", rationality=4.0).policy
    expected = assess(model, np.asarray(getattr(policy, "probabilities", policy), np.float64))
    bids, budgets, rewards = batches(game, expected.policy)
    check_within_errors(bids, expected.statistic, 1.5e-4)
    check_within_errors(budgets, expected.mean_field[0], 2.5e-4)
    check_within_errors(rewards, np.array([expected.efficiency]), 1e-3)


@pytest.mark.parametrize("n_agents", [5, 15])
def test_few_that_bid_one_fare_as_the_closed_form_says(n_agents: int) -> None:
    """Exact for any number of agents in whole groups, as every price is 1."""
    game = AuctionGame(n_agents=n_agents, budget_max=3)
    policy = np.zeros((1, 4, 10))
    policy[..., 1] = 1
    everyone = TabularPolicy(policy).for_agents(game.type_of_agent)
    game.reset(np.random.default_rng(0))
    game.rollout(everyone, BURN_IN)
    played = [game.rollout(everyone, 1000) for _ in range(BATCHES)]
    rewards = np.array([[each.rewards.mean(dtype=np.float64)] for each in played])
    check_within_errors(rewards, np.array([efficiency_where_all_bid_one(game.config)]), 5e-3)
    shares = np.array([np.bincount(each.observations[:-1].ravel(), minlength=4) for each in played])
    expected = budgets_where_all_bid_one(game.config)
    check_within_errors(shares / shares[0].sum(), expected, 5e-3)
