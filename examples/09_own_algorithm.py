"""An algorithm of your own in ten lines: batch Q-learning on transitions, evaluated like any other."""

from __future__ import annotations

import numpy as np

import agents
import karma_envs
from agents import TabularPolicy
from karma_envs.baselines import baseline_policy
from training.evaluation.play import play

game = karma_envs.make("matching", n_agents=100)
model = game.mean_field()
everyone = np.zeros(game.n_agents, int)  # all play row 0
illegal = np.where(game.legal_actions, 0.0, -np.inf)


def softmax(q: np.ndarray, beta: float) -> TabularPolicy:
    weights = np.exp(beta * (q + illegal - (q + illegal).max(axis=1, keepdims=True)))
    return TabularPolicy(weights / weights.sum(axis=1, keepdims=True), everyone)


game.reset(np.random.default_rng(0))
q = np.full((game.n_observations, game.n_actions), -50.0)
for beta in np.geomspace(0.1, 10, 300):
    played = game.rollout(softmax(q, beta), 200)  # observations[T+1, N], actions[T, N], rewards[T, N]
    here, there = played.observations[:-1], played.observations[1:]
    targets = played.rewards + game.discounts[0] * (q + illegal).max(axis=1)[there]
    counts, sums = np.zeros_like(q), np.zeros_like(q)
    np.add.at(counts, (here, played.actions), 1)
    np.add.at(sums, (here, played.actions), targets)
    visited = counts > 0
    q[visited] += 0.3 * (sums[visited] / counts[visited] - q[visited])

learned = softmax(q, 10)
for name, policy in (("learned", learned), ("random", baseline_policy("random", game))):
    rewards = sum(stretch.rewards.sum() for stretch in play(game, policy, n_steps=5000, seed=1))
    print(f"{name:8} efficiency {rewards / (5000 * game.n_agents):.3f}")
found = agents.exploitability(model, TabularPolicy(learned.probabilities))
print(f"learned  normalised exploitability {found.normalised:.3f} ({found.meaning})")
