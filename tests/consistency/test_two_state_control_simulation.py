"""Many agents of the two-state control game against its mean field."""

from __future__ import annotations

import numpy as np

from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import assess
from karma_envs.games.two_state_control import TwoStateControlGame


def test_many_play_as_their_mean_field_says() -> None:
    """20 000 agents, 40 batches of 25 steps, seed 0. What the share remembers falls by .37 a step, so that
    batch means are independent; probabilities are multiples of 1/65535, as those of .2 are."""
    game = TwoStateControlGame(n_agents=20_000)
    policy = np.array([[[0.8, 0.2], [0.4, 0.6]]])
    expected = assess(game.mean_field(), policy)
    everyone = TabularPolicy(policy).for_agents(game.type_of_agent)
    game.reset(np.random.default_rng(0))
    game.rollout(everyone, 50)
    room = game.transitions(25)
    batches = []
    for _ in range(40):
        played = game.rollout(everyone, 25, out=room)
        batches.append([played.observations[:-1].mean(), played.rewards.mean(dtype=np.float64)])
    means, errors = np.mean(batches, axis=0), np.std(batches, axis=0, ddof=1) / np.sqrt(40)
    assert errors.max() < 2e-4
    gap = np.abs(means - [expected.mean_field[0, 1], expected.efficiency])
    assert (gap < 4 * errors + 2 / 20_000).all()  # the mean of u(m_t) differs from u of the mean by O(1/N)
