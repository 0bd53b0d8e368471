"""Policy distance and payoff estimates (Thesis, Definition 4.1 and equation 4.4)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import karma_envs
from agents import TabularPolicy
from agents.evaluators import payoff_estimates, policy_distance
from karma_envs.numerics.sampling import thresholds_of


def random_policies(rows: int, seed: int) -> tuple[TabularPolicy, np.ndarray]:
    legal = karma_envs.make("matching", n_agents=4, karma_max=5, karma_mean=2).legal_actions
    weights = np.random.default_rng(seed).random((rows, *legal.shape)) * legal
    return TabularPolicy(weights / weights.sum(axis=2, keepdims=True)), legal


def test_the_distance_is_scipys() -> None:
    (first, legal), (second, _) = random_policies(2, 0), random_policies(3, 1)
    first, second = first.for_agents([0, 1, 1, 0]), second.for_agents([2, 0, 0, 1])
    expected = np.zeros(4)
    bids = np.arange(6)
    for agent in range(4):
        one = first.probabilities[first.row_of_agent[agent]]
        other = second.probabilities[second.row_of_agent[agent]]
        for observation in range(12):
            if observation % 6:
                distance = wasserstein_distance(bids, bids, one[observation], other[observation])
                expected[agent] += distance / (observation % 6)
    found = policy_distance(first, second, legal)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[1] == found[2]


def test_the_distance_of_opposites_counts_the_states_with_a_choice() -> None:
    _, legal = random_policies(1, 0)
    nothing = TabularPolicy(np.eye(6)[np.zeros(12, int)])
    everything = TabularPolicy(np.eye(6)[np.tile(np.arange(6), 2)])
    assert policy_distance(nothing, everything, legal) == pytest.approx([10.0])
    assert policy_distance(nothing, nothing, legal) == pytest.approx([0.0])
    drawn = TabularPolicy.from_thresholds(thresholds_of(everything.probabilities), 6)
    assert policy_distance(drawn, everything, legal) == pytest.approx([0.0])
    with pytest.raises(ValueError, match="cannot be compared"):
        policy_distance(nothing, everything.for_agents([0, 0]), legal)


def test_payoffs_average_q_along_the_way() -> None:
    """Q(x, a) = urgency index: half of the time 1. The entropy of a uniform bid on 0 … k is log(k + 1)."""
    game = karma_envs.make("matching", n_agents=10, karma_max=5, karma_mean=2)
    q = np.zeros((1, 12, 6))
    q[:, 6:] = 1.0
    uniform = TabularPolicy(game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True))
    found = payoff_estimates(game, uniform, q, n_steps=20_000)
    assert found.values.shape == found.standard_errors.shape == (10,)
    assert (np.abs(found.values - 0.5) < 5 * found.standard_errors + 1e-3).all()
    assert found.standard_errors.mean() == pytest.approx(0.5 / np.sqrt(20_000), rel=0.4)

    again = payoff_estimates(game, uniform, q + 2.5, n_steps=20_000)
    assert found.largest_change(again) == pytest.approx(2.5)
    entropic = payoff_estimates(game, uniform, q, n_steps=20_000, rationality=2.0)
    gained = (entropic.values - found.values).mean()
    assert 0 < gained < np.log(6) / 2
    with pytest.raises(ValueError, match="q must be"):
        payoff_estimates(game, uniform, q[:, :3])
