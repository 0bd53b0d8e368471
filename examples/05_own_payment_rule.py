"""A payment rule of one's own: the winner pays half of its bid to its peer and half to everyone.

A rule is a small function, in Python (``def`` or ``lambda``) or compiled with ``@kernel``; so are the
functions that it calls. It is taken as it is when the game is made: what changes later in the values that it
reads changes no game that is there. The game tries it on all arguments before it begins, and refuses one that
would create, destroy or overdraw karma, one that fails, and what is no function of these arguments.
"""

import numpy as np

import karma_envs
from agents.learners import TabularConfig, TabularLearner
from karma_envs import metrics
from karma_envs.config import ConfigError
from karma_envs.numerics.compile import kernel


@kernel
def pay_half_to_peer(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    """What goes to the loser and what to society; the sum is the price."""
    to_loser = min(winner_bid // 2, karma_max - loser_karma)
    return to_loser, winner_bid - to_loser


@kernel
def print_karma(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    """Not a payment: the loser gets more than the winner pays."""
    return winner_bid + 1, 0


def learned_efficiency(game: karma_envs.game.PopulationGame, epochs: int = 300) -> float:
    """Efficiency over the last third of ``epochs`` of 1000 steps, exploration included."""
    game.reset(np.random.default_rng(0))
    config = TabularConfig(algorithm="q_learning", grouping="pooled", initial_q=-50)
    learner = TabularLearner(game, config)
    for epoch in range(epochs):
        if epoch == epochs * 2 // 3:
            before = game.outcome()
        learner.update(game.rollout(learner.policy, 1000))
    window = game.outcome().since(before)
    return metrics.efficiency(window.rewards, window.contests)


for name, payment in (
    ("all to the peer", "pay_bid_to_peer"),
    ("half to the peer", pay_half_to_peer),
):
    game = karma_envs.make("matching", payment=payment)
    print(f"{name:18s} learned efficiency {learned_efficiency(game):.4f}")
for payment in (print_karma, lambda bid: bid):
    try:
        karma_envs.make("matching", payment=payment)
    except ConfigError as error:
        print(f"\nrefused: {error}")
