"""The training run behind Figures 4.1 to 4.3: the default game, its exploitability taken on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from agents import solve
from agents.evaluators import (
    EstimatedExploitability,
    EstimatorConfig,
    ExploitabilityByAgent,
    exploitability_by_agent,
    parallel_exploitability,
    payoff_estimates,
)
from agents.policies.tabular import TabularPolicy
from karma_envs.game import PopulationGame
from karma_envs.games.matching.config import MatchingConfig
from karma_envs.meaning import ESTIMATE, EXACT, ONE, STATIONARY, Meaning
from karma_envs.registry import make
from training.runs.config import TrainConfig
from training.runs.replica import Replica

STEPS = {"quick": 8_000_000, "full": 32_000_000}
SHARES = (0.0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the run at which exploitability is taken."""

ESTIMATED = Meaning(MatchingConfig().n_agents, ESTIMATE, STATIONARY)
EXACTLY = Meaning(None, EXACT, STATIONARY)
ESTIMATED_OF_ONE, EXACTLY_OF_ONE = (replace(each, deviations=ONE) for each in (ESTIMATED, EXACTLY))
"""Which exploitability Algorithm 3 estimates and which is known exactly; and of one given deviation."""

MONITOR = EstimatorConfig(burn_in=3_000_000, learning_rate=0.03)
"""Long, because values settle slowly at a discount of .98; with large steps first, as they come from afar."""


MOMENTS = {"beginning": 1, "end": -1}
"""Which of the moments of a monitored training are called what."""

COARSE = 20
"""Stretches of samples to a point of a curve."""


@dataclass(frozen=True)
class Moment:
    """How exploitable a population was at some time of its training.

    Attributes:
        share: of the training done.
        step: of training.
        policy: what the agents played, exploration included.
        target: the mean-field equilibrium's policy.
        estimate: Algorithm 3.
        exact: exact in the mean field of the population's own policies.
        unexploring: the same for the same policies without exploration.
        policy_change: of each agent in the last epoch (Definition 4.1); NaN at the start.
        payoff_change: the largest of an agent in the last epoch (equation 4.4); NaN at the start.
    """

    share: float
    step: int
    policy: TabularPolicy
    target: TabularPolicy
    estimate: EstimatedExploitability
    exact: ExploitabilityByAgent
    unexploring: ExploitabilityByAgent
    policy_change: NDArray[np.float64]
    payoff_change: float

    @property
    def greedy_policy(self) -> TabularPolicy:
        """Best responses to the population, as Algorithm 3 learned them; a row per agent."""
        return TabularPolicy(np.eye(self.policy.n_actions)[self.estimate.greedy_actions])


@cache
def monitored_training(scale: str, seed: int) -> tuple[Moment, ...]:
    """Train with the Thesis' defaults and take exploitability on the way.

    The estimates start from the mean reward over 1 - gamma, not from the learners' Q, which early in
    training is far from the value of any policy.
    """
    replica = Replica(TrainConfig(n_steps=STEPS[scale], seed=seed), 0)
    model = replica.game.mean_field()
    assert model is not None
    target = solve(model).policy.for_agents(replica.game.type_of_agent)
    monitor = make("matching")  # a game of its own, so that looking does not disturb training
    return tuple(_moment(replica, share, target, monitor) for share in SHARES)


def _moment(replica: Replica, share: float, target: TabularPolicy, monitor: PopulationGame) -> Moment:
    """Train until a share of the run is done, and look."""
    config, learner = replica.config, replica.learner
    last = round(share * config.n_epochs)
    while replica.epoch < last - 1:
        replica.run_epoch()
    payoff_change = float("nan")
    if share > 0:
        before = payoff_estimates(monitor, learner.policy.copy(), learner.q, seed=config.seed)
        replica.run_epoch()
        after = payoff_estimates(monitor, learner.policy.copy(), learner.q, seed=config.seed)
        payoff_change = before.largest_change(after)
    policy = learner.policy.copy()
    return Moment(
        share=share,
        step=replica.epoch * config.epoch_length,
        policy=policy,
        target=target,
        estimate=parallel_exploitability(
            monitor, policy, targets=[target], config=MONITOR, seed=[43, config.seed]
        ),
        exact=exploitability_by_agent(monitor, policy, targets=[target]),
        unexploring=exploitability_by_agent(monitor, learner.learned_policy(), targets=[target]),
        policy_change=learner.policy_change.copy() if share > 0 else np.full(monitor.n_agents, np.nan),
        payoff_change=payoff_change,
    )


def coarse(history: NDArray[np.float64], stretch: int) -> tuple[list[float], list[float]]:
    """A history as steps and means over :data:`COARSE` stretches each."""
    means = history[: len(history) // COARSE * COARSE].reshape(-1, COARSE).mean(axis=1)
    return [(index + 0.5) * COARSE * stretch for index in range(len(means))], means.tolist()
