"""Karma mechanisms with a learned population beside allocations that need no karma (Thesis, Table 6.1).

Efficiency is the mean reward of those who compete; fairness is minus the standard deviation over
agents of how often they get the resource (access) and of their mean reward; 0 is perfectly fair. In
brackets the standard error, in units of the last digit.
"""

import numpy as np

import karma_envs
from agents.learners import TabularConfig, TabularLearner
from karma_envs.baselines import baseline_policy
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from training.evaluation.play import measure


def learned(game: PopulationGame, epochs: int = 400) -> SamplingPolicy:
    """The policy that one Q table for all agents learns in ``epochs`` of 1000 steps."""
    game.reset(np.random.default_rng(0))
    config = TabularConfig(algorithm="q_learning", grouping="pooled", rationality=50, initial_q=-50)
    learner = TabularLearner(game, config)
    for _ in range(epochs):
        learner.update(game.rollout(learner.policy, 1000))
    return learner.learned_policy()


print(f"{'':30s} {'efficiency':>12s} {'access fairness':>16s} {'reward fairness':>16s}")
for name, config in {
    "PBP: pay the bid to the peer": {"payment": "pbp"},
    "PBS: pay the bid to society": {"payment": "pbs"},
    "DICT: the most urgent gets it": {"allocation": "dict"},
    "COIN: a coin decides": {"allocation": "coin"},
    "TURN: who had least gets it": {"allocation": "turn"},
}.items():
    game = karma_envs.make("matching", **config)
    policy = learned(game) if "payment" in config else baseline_policy("bid_nothing", game)
    summary = measure(game, policy, n_steps=20_000, seed=1)
    print(
        f"{name:30s} {summary['efficiency'].concise():>12s} {summary['access_fairness'].concise():>16s} "
        f"{summary['reward_fairness'].concise():>16s}"
    )
