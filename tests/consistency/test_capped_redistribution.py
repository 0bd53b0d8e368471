"""Simulation and mean field where the cap binds in every step: uniformly random bids, small karma_max."""

from __future__ import annotations

import numpy as np
import pytest

import karma_envs
from karma_envs.baselines import baseline_policy, random
from karma_envs.mean_field.stationary import stationary_mean_field


@pytest.mark.parametrize("payment", ["pay_bid_to_peer", "pay_bid_to_society"])
def test_the_karma_distribution_agrees(payment: str) -> None:
    n_agents, n_steps = 20_000, 400
    game = karma_envs.make("matching", n_agents=n_agents, karma_max=6, karma_mean=3, payment=payment)
    game.reset(np.random.default_rng(5))
    policy = baseline_policy("random", game)
    game.rollout(policy, 200)
    observed = game.rollout(policy, n_steps).observations[:-1]
    simulated = np.bincount(observed.ravel(), minlength=game.n_observations) / observed.size
    model = game.mean_field()
    assert model is not None
    expected = stationary_mean_field(model, random(game)).mean_field[0]
    # Sampling error of the L1 distance: 14 states, 20,000 agents that forget within some ten steps:
    # below 14 * sqrt(0.07 / (20,000 * 40)) = 0.004.
    assert np.abs(simulated - expected).sum() < 0.005
