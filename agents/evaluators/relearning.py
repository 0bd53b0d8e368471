"""What agents gain by learning anew in a population that stands still: an independent check.

Ours. One agent at a time learns by Q-learning, its exploration and step size falling over time; the greedy
policy it ends with is then played against its current one (:mod:`agents.evaluators.deviation`). The gain is
that of an actual policy, so it is a lower bound on the exploitability, whatever was learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.evaluators.deviation import DeviationGain, deviation_gain
from agents.evaluators.estimate import MonitorConfig
from agents.evaluators.play import (
    agent_numbers,
    columns_of,
    fitted,
    new_buffer,
    own_probabilities,
    rollouts,
    with_deviation,
)
from agents.evaluators.values import InitialQ, PolicyValues, pilot_value
from agents.policy import TabularPolicy
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame


def relearning_gain(
    game: PopulationGame,
    policy: TabularPolicy,
    agents: ArrayLike = 0,
    *,
    n_steps: int = 2_000_000,
    n_updates: int = 50,
    exploration: tuple[float, float] = (1.0, 0.5),
    learning_rate: tuple[float, float] = (0.02, 0.0005),
    initial_q: InitialQ | None = None,
    n_samples: int = 400,
    seed: int | Sequence[int] = 0,
) -> DeviationGain:
    """Let agents learn, one at a time, against the frozen population and measure what they gain.

    Args:
        game: the game; it is reset.
        policy: what the agents play.
        agents: who learn, one at a time: a number or several. What one of them learns does not depend on the
            others.
        n_steps: steps for each to learn for.
        n_updates: how often its exploring policy is renewed.
        exploration: share of uniformly random legal actions, first and last, falling in equal steps; the
            rest is greedy.
        learning_rate: step size alpha, first and last, falling in equal ratios.
        initial_q: where Q starts; None: from the mean reward.
        n_samples: pairs of returns to evaluate with.
        seed: of all random draws.

    Raises:
        ConfigError: for an agent that the game does not have, or a number out of range.
        PolicyError: when the policy does not fit the game.
    """
    n_steps, n_updates = whole("n_steps", n_steps, 1), whole("n_updates", n_updates, 1)
    high, low = (real("exploration", share, 0, 1) for share in exploration)
    rates = [real("learning_rate", rate, 0, 1, open_low=True) for rate in learning_rate]
    config = MonitorConfig(learning_rate=rates[0], learning_rate_final=rates[1])
    policy = fitted(policy, game)
    chosen = agent_numbers(agents, game)
    learned = [
        _learned(game, policy, int(agent), n_steps, n_updates, (high, low), config, initial_q, seed)
        for agent in chosen
    ]
    return deviation_gain(
        game,
        policy,
        chosen,
        np.stack(learned),
        n_samples=n_samples,
        seed=[*np.atleast_1d(seed), int(chosen[0]), 1],
        method=f"re-learning (Q-learning, {n_steps} steps)",
    )


def _learned(
    game: PopulationGame,
    policy: TabularPolicy,
    agent: int,
    n_steps: int,
    n_updates: int,
    exploration: tuple[float, float],
    config: MonitorConfig,
    initial_q: InitialQ | None,
    seed: int | Sequence[int],
) -> NDArray[np.float64]:
    """The greedy policy that one agent ends with, ``float64[observations, actions]``."""
    rng = np.random.default_rng([*np.atleast_1d(seed), agent])
    game.reset(rng)
    uniform = game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True)
    length = -(-n_steps // n_updates)
    buffer = new_buffer(game, length)
    if initial_q is None:
        initial_q = pilot_value(game, policy, buffer)
    values = PolicyValues(game, [policy], config, initial_q, 1, rng, np.array([agent]))
    greedy = own_probabilities(policy, agent)
    high, low = exploration
    for update in range(n_updates):
        progress = update / max(n_updates - 1, 1)
        share = high + (low - high) * progress
        exploring = with_deviation(policy, agent, (1 - share) * greedy + share * uniform)
        for time, piece in rollouts(game, exploring, length, buffer):
            own = columns_of(piece, np.array([agent]))
            values.update(own, config.rate((update + time / length) / n_updates), time, sampling=False)
        greedy = np.eye(game.n_actions)[values.greedy_actions()[0]]
    return greedy
