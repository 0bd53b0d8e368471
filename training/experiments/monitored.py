"""The training run behind Figures 4.1 to 4.3: the default game, its exploitability taken on the way."""

from __future__ import annotations

from functools import cache

from agents import solve
from agents.evaluators import EstimatedExploitability, MonitorConfig, parallel_exploitability
from karma_envs.registry import make
from training.config import TrainConfig
from training.results import Row
from training.train import Replica

STEPS = {"quick": 8_000_000, "full": 32_000_000}
SHARES = (0.0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the run at which exploitability is estimated."""


# Rare states need as long to forget where Q started, and the maximum of noisy Q is biased upward.
_MONITOR = MonitorConfig(burn_in=2_000_000, learning_rate_final=0.001)


@cache
def monitored_training(scale: str, seed: int) -> tuple[list[Row], list[EstimatedExploitability]]:
    """Train with the Thesis' defaults and estimate exploitability by Algorithm 3 on the way.

    The estimates start from the mean reward over 1 - gamma, not from the learners' Q, which early in
    training is far from the value of any policy.

    Returns:
        a row for each share of :data:`SHARES`, and the estimates behind it.
    """
    replica = Replica(TrainConfig(n_steps=STEPS[scale], seed=seed), 0)
    model = replica.game.mean_field()
    assert model is not None
    target = solve(model).policy.for_agents(replica.game.type_of_agent)
    monitor = make("matching")  # a game of its own, so that looking does not disturb training
    rows, estimates = [], []
    for share in SHARES:
        while replica.epoch < round(share * replica.config.n_epochs):
            replica.run_epoch()
        found = parallel_exploitability(
            monitor,
            replica.learner.policy.copy(),
            targets=[target],
            config=_MONITOR,
            seed=[43, seed],
        )
        estimates.append(found)
        rows.append(
            {
                "case": f"after {share:.4g} of training",
                "step": replica.epoch * replica.config.epoch_length,
                "payoff": found.payoff.value,
                "greedy": found.mean_greedy.value,
                "greedy_normalised": found.mean_greedy_normalised.value,
                "to_equilibrium": found.mean_to_targets[0].value,
                "to_equilibrium_normalised": found.mean_to_targets_normalised[0].value,
                "policy_change": replica.learner.policy_change.max(),
            }
        )
    return rows, estimates
