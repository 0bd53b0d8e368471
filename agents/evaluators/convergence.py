"""Cheap measures of convergence: how far policies and payoffs move.

Source: Thesis, section 4.2: Definition 4.1 (policy distance), equation 4.4 (payoff estimates), Table 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.estimate import standard_error
from agents.evaluators.play import fitted, new_buffer, play_on, rollouts
from agents.evaluators.values import entropy
from agents.policy import TabularPolicy
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame


def policy_distance(
    first: TabularPolicy, second: TabularPolicy, legal_actions: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Distance of two policies, for each agent (Definition 4.1).

    d(pi, pi') = sum over x of d_W1(pi(x), pi'(x)) / b_max(x), with d_W1 the Wasserstein-1 distance over
    the actions' numbers and b_max(x) the greatest legal action; states with b_max = 0 contribute 0.

    Args:
        first: a policy.
        second: a policy for the same agents.
        legal_actions: ``bool[observations, actions]``.

    Returns:
        ``float64[N]``, each in 0 … number of observations.

    Raises:
        ValueError: when the policies are for different numbers of agents or of different shape.
    """
    shapes = [(len(each.row_of_agent), each.n_observations, each.n_actions) for each in (first, second)]
    if shapes[0] != shapes[1] or legal_actions.shape != shapes[0][1:]:
        raise ValueError(
            f"policies of (agents, observations, actions) {shapes[0]} and {shapes[1]} with "
            f"legal_actions{list(legal_actions.shape)} cannot be compared"
        )
    rows, pair_of_agent = np.unique(
        np.stack([first.row_of_agent, second.row_of_agent]), axis=1, return_inverse=True
    )
    largest = legal_actions.shape[1] - 1 - np.argmax(legal_actions[:, ::-1], axis=1)
    weights = np.where(largest > 0, 1.0 / np.maximum(largest, 1), 0.0)
    ones, others = (np.asarray(each.probabilities, np.float64) for each in (first, second))
    distances = np.array(
        [
            np.abs(np.cumsum(ones[one] - others[other], axis=1)[:, :-1]).sum(axis=1) @ weights
            for one, other in rows.T
        ]
    )
    return np.asarray(distances[pair_of_agent.ravel()])


@dataclass(frozen=True)
class PayoffEstimates:
    """Estimated payoffs of agents that follow their policies.

    Attributes:
        values: ``float64[N]``, J of each agent, discounted.
        standard_errors: ``float64[N]``, by batch means; they say nothing of the errors of Q.
        steps: T_p, steps played.
    """

    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    steps: int

    def largest_change(self, later: PayoffEstimates) -> float:
        """Greatest change of an agent's payoff, in magnitude (Table 4.1; printed without magnitude)."""
        return float(np.abs(later.values - self.values).max())


def payoff_estimates(
    game: PopulationGame,
    policy: TabularPolicy,
    q: NDArray[np.floating],
    *,
    n_steps: int = 1000,
    burn_in: int = 1000,
    batches: int = 10,
    rationality: float | None = None,
    seed: int | Sequence[int] = 0,
) -> PayoffEstimates:
    """Payoffs by a small experiment: the mean of Q(x, a) + h(pi(x)) along the way (equation 4.4).

    Args:
        game: the game; it is reset.
        policy: what the agents play.
        q: ``float[rows, observations, >= actions]``, estimates of Q of each of the policy's rows, for
            instance a learner's ``q``.
        n_steps: T_p, at least ``batches``.
        burn_in: steps before.
        batches: stretches for standard errors.
        rationality: beta of h(pi) = entropy(pi) / beta; None: h = 0.
        seed: of all random draws.

    Raises:
        ValueError: when ``q`` has not a row for each of the policy's.
    """
    batches = whole("batches", batches, 2)
    n_steps, burn_in = whole("n_steps", n_steps, batches), whole("burn_in", burn_in, 1)
    policy = fitted(policy, game)
    if q.ndim != 3 or q.shape[:2] != (policy.n_rows, policy.n_observations) or q.shape[2] < game.n_actions:
        expected = [policy.n_rows, policy.n_observations, game.n_actions]
        raise ValueError(f"q must be float{expected}; this is {list(q.shape)}")
    bonus = np.zeros(q.shape[:2])
    if rationality is not None:
        bonus = entropy(policy.probabilities) / real("rationality", rationality, 0, open_low=True)
    game.reset(np.random.default_rng(seed))
    buffer = new_buffer(game, max(burn_in, n_steps))
    play_on(game, policy, burn_in, buffer)
    rows = policy.row_of_agent
    means = np.empty((game.n_agents, batches))
    for batch, part in enumerate(np.diff(np.linspace(0, n_steps, batches + 1).round().astype(int))):
        total = np.zeros(game.n_agents)
        for _, piece in rollouts(game, policy, int(part), buffer):
            states = piece.observations[:-1]
            total += (q[rows, states, piece.actions] + bonus[rows, states]).sum(axis=0, dtype=np.float64)
        means[:, batch] = total / part
    return PayoffEstimates(means.mean(axis=1), standard_error(means), n_steps)
