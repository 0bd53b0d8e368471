"""Exploitability of one agent after the other, each exploring on its own.

Source: Thesis, section 4.1, Algorithm 4. Agent i leaves its policy for one that explores, the others keep
theirs; from its transitions it learns, off-policy, Q of its policy, of its best response and of target
policies. Back at its policy, the values are sampled at the states it visits.

Differences from the source: as for Algorithm 3 (:mod:`agents.evaluators.parallel`); values stand still
while they are sampled; the exploring policy, which the source leaves open, is the agent's own mixed with
uniformly random legal actions. One agent sees too little for values to settle while it explores (their
common level moves by alpha (1 - gamma) per visit), so its transitions are kept and learned from many times
over: the values are those that SARSA and Q-learning end at on these data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from agents.evaluators.estimate import EstimatedExploitability, MonitorConfig, summarised
from agents.evaluators.play import (
    PIECES,
    agent_numbers,
    columns_of,
    fitted,
    new_buffer,
    own_probabilities,
    own_transitions,
    play_on,
    rollouts,
    with_deviation,
)
from agents.evaluators.values import InitialQ, PolicyValues, pilot_value
from agents.policy import TabularPolicy
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame

_SETTLING = 0.1  # share of the sampling run before the samples, for the state's return


def one_at_a_time_exploitability(
    game: PopulationGame,
    policy: TabularPolicy,
    agents: ArrayLike,
    *,
    targets: Sequence[TabularPolicy] = (),
    exploration: float = 0.8,
    replays: int = 50,
    config: MonitorConfig | None = None,
    initial_q: InitialQ | None = None,
    seed: int | Sequence[int] = 0,
) -> EstimatedExploitability:
    """Estimate the exploitability of some agents, one at a time (Algorithm 4).

    Args:
        game: the game; it is reset for every agent.
        policy: what the agents play.
        agents: whose exploitability to estimate.
        targets: policies to compare with.
        exploration: share of uniformly random legal actions while an agent explores, in (0, 1].
        replays: how often the transitions of exploration are learned from, while alpha falls. Values
            have settled when replays times the mean alpha times (1 - gamma) times the visits of a state
            and action is well above 1.
        config: the configuration; ``burn_in`` is the number of steps of exploration, ``pooled`` has no
            effect. If None, the defaults, but with larger steps to begin with.
        initial_q: where Q starts, for instance a learner's ``q``; None: from the mean reward.
        seed: of all random draws.

    Returns:
        the estimates, for the agents asked for.

    Raises:
        ConfigError: for an agent that the game does not have, or a number out of range.
        PolicyError: when a policy does not fit the game.
    """
    config = config or MonitorConfig(learning_rate=0.03)
    replays = whole("replays", replays, 1)
    exploration = real("exploration", exploration, 0, 1, open_low=True)
    policies = [fitted(each, game) for each in (policy, *targets)]
    chosen = agent_numbers(agents, game)
    uniform = game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True)
    n_sampling = config.n_samples * config.gap
    buffer = new_buffer(game, max(config.burn_in, n_sampling) // PIECES)
    samples, greedy_actions = [], []
    for agent in chosen:
        rng = np.random.default_rng([*np.atleast_1d(seed), int(agent)])
        game.reset(rng)
        own = own_probabilities(policies[0], int(agent))
        exploring = with_deviation(policies[0], int(agent), (1 - exploration) * own + exploration * uniform)
        start = initial_q
        if start is None:
            start = pilot_value(game, policies[0], buffer)
        values = PolicyValues(
            game, policies, config.replace(pooled=False), start, config.batches, rng, np.array([agent])
        )
        explored = own_transitions(game, exploring, int(agent), config.burn_in, buffer)
        for replay in range(replays):
            values.update(explored, config.rate(replay / max(replays - 1, 1)), 0, sampling=False)
        game.reset(rng)  # karma that was lost by exploring would not come back where nobody bids
        play_on(game, policies[0], int(_SETTLING * n_sampling) + 1, buffer)
        for time, piece in rollouts(game, policies[0], n_sampling, buffer):
            values.update(columns_of(piece, np.array([agent])), 0.0, time)
        samples.append(values.samples())
        greedy_actions.append(values.greedy_actions())
    return summarised(
        "one at a time (Algorithm 4)",
        chosen,
        np.concatenate(samples, axis=1),
        np.concatenate(greedy_actions),
        config,
        burn_in_bins=0,
    )
