"""Exploitability of all agents from one run, off-policy.

Source: Thesis, section 4.1, Algorithm 3. While all agents play their policies, each learns Q of its own
policy (SARSA), Q of its best response (Q-learning) and Q of target policies. After a burn-in the
differences of these values at the states visited, which are then distributed as the current policies
have it, average to the gains of Definition 2.2. It needs policies that explore: actions that an agent
never takes keep their initial value.

Differences from the source:
    - The greedy sample is max over a of Q*(x', a) less Q(x', a'); printed is Q*(x') with no action.
    - The sample for a target is Q_target(x', a'_target) less Q(x', a'), with a' the current policy's own
      action at x'; printed is Q(x', a'_target), which is not the current policy's payoff. The target's
      action is drawn at x', not at x.
    - Printed signs of h do not agree with eq. 4.2. Here the game is regularised throughout: a policy's
      value is that of r + h(pi), and the best response's the soft maximum, so that all gains are zero at
      the regularised equilibrium. Without ``rationality`` h = 0.
    - a' of the current policy is drawn anew instead of being the next step's action, which has the same
      distribution. One random number serves all policies, so that a target equal to the current policy
      has gain exactly 0.
    - Without ``initial_q``, Q starts from the mean reward of the first steps over 1 - gamma.
    - Agents of one type share the tables of the best response and of common targets, unless ``pooled`` is
      False: see :class:`agents.evaluators.estimate.MonitorConfig`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.evaluators.estimate import EstimatedExploitability, MonitorConfig, summarised
from agents.evaluators.play import PIECES, fitted, new_buffer, rollouts
from agents.evaluators.values import InitialQ, PolicyValues, pilot_value
from agents.policy import TabularPolicy
from karma_envs.game import PopulationGame


def parallel_exploitability(
    game: PopulationGame,
    policy: TabularPolicy,
    *,
    targets: Sequence[TabularPolicy] = (),
    config: MonitorConfig | None = None,
    initial_q: InitialQ | None = None,
    seed: int | Sequence[int] = 0,
) -> EstimatedExploitability:
    """Estimate every agent's exploitability in one run (Algorithm 3).

    Memory: transitions of at most 16 MB at once, and the tables of
    :class:`agents.evaluators.values.PolicyValues`.

    Args:
        game: the game; it is reset.
        policy: what the agents play; it should explore.
        targets: policies to compare with, played by one agent at a time in the thought experiment.
        config: the configuration; the defaults if None.
        initial_q: where Q starts, for instance a learner's ``q`` where that is near the values; early in
            training it is far from them. None: see the module.
        seed: of all random draws.

    Returns:
        the estimates, for all agents.

    Raises:
        PolicyError: when a policy does not fit the game.
    """
    config = config or MonitorConfig()
    policies = [fitted(each, game) for each in (policy, *targets)]
    rng = np.random.default_rng(seed)
    game.reset(rng)
    n_burn_in = config.burn_in_bins * config.bin_length
    n_steps = n_burn_in + config.n_samples * config.gap
    buffer = new_buffer(game, n_steps // PIECES)
    if initial_q is None:
        initial_q = pilot_value(game, policies[0], buffer)
    n_bins = config.burn_in_bins + config.batches
    values = PolicyValues(game, policies, config, initial_q, n_bins, rng)
    for time, piece in rollouts(game, policies[0], n_steps, buffer):
        values.update(piece, config.rate(time / n_burn_in if n_burn_in else 1.0), time)
    return summarised(
        "parallel (Algorithm 3)",
        np.arange(game.n_agents),
        values.samples(),
        values.greedy_actions(),
        config,
        burn_in_bins=config.burn_in_bins,
    )
