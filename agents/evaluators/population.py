"""Between the mean field and games of N agents: policies of either, taken to the other.

Ours. An equilibrium of the mean field is an approximate one of the game of N agents: nobody gains more
than delta by deviating, with delta falling in N. A population that has learned policies of its own is
taken to the mean field by the average policy of each type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.evaluators.estimate import EstimatedExploitability, MonitorConfig
from agents.evaluators.one_at_a_time import one_at_a_time_exploitability
from agents.evaluators.play import fitted, new_buffer, play_on, rollouts
from agents.policy import TabularPolicy
from karma_envs.config import whole
from karma_envs.game import PopulationGame
from karma_envs.metrics import Summary, summarise


@dataclass(frozen=True)
class PopulationPlay:
    """How a population of N agents did that played given policies.

    Attributes:
        n_agents: N.
        summary: efficiency, fairness and the like, with standard errors.
        state_distribution: ``float64[types, observations]``, how often agents of a type were where; to
            compare with a mean field.
        exploitability: Algorithm 4 for one agent of each type, who stands for all of them; the largest
            entry of ``greedy`` estimates delta. None where it was not asked for.
    """

    n_agents: int
    summary: Summary
    state_distribution: NDArray[np.float64]
    exploitability: EstimatedExploitability | None


def play_in_population(
    game: PopulationGame,
    policy: TabularPolicy,
    *,
    n_steps: int = 10_000,
    burn_in: int = 1000,
    batches: int = 20,
    monitor: MonitorConfig | None = None,
    seed: int = 0,
) -> PopulationPlay:
    """Play a policy of the mean field with N agents.

    Args:
        game: the game; it is reset.
        policy: for instance an equilibrium's ``policy``, with a row per type.
        n_steps: steps to measure, at least ``batches``.
        burn_in: steps before.
        batches: stretches for standard errors.
        monitor: how to estimate exploitability; None: it is not estimated.
        seed: of all random draws.
    """
    batches, burn_in = whole("batches", batches, 2), whole("burn_in", burn_in, 0)
    n_steps = whole("n_steps", n_steps, batches)
    policy = fitted(policy, game)
    game.reset(np.random.default_rng(seed))
    buffer = new_buffer(game, max(burn_in, n_steps))
    play_on(game, policy, burn_in, buffer)
    n_types, n_states = len(game.discounts), game.n_observations
    place = game.type_of_agent.astype(np.int64) * n_states
    counts = np.zeros(n_types * n_states, np.int64)
    stretches, before = [], game.outcome()
    for part in np.diff(np.linspace(0, n_steps, batches + 1).round().astype(int)):
        for _, piece in rollouts(game, policy, int(part), buffer):
            counts += np.bincount((place + piece.observations[:-1]).ravel(), minlength=len(counts))
        after = game.outcome()
        stretches.append(after.since(before))
        before = after
    by_type = counts.reshape(n_types, n_states)
    exploitability = None
    if monitor is not None:
        representatives = np.unique(game.type_of_agent, return_index=True)[1]
        exploitability = one_at_a_time_exploitability(
            game, policy, representatives, config=monitor, seed=[seed, 1]
        )
    return PopulationPlay(
        game.n_agents,
        summarise(stretches),
        by_type / by_type.sum(axis=1, keepdims=True),
        exploitability,
    )


def average_policy(policy: TabularPolicy, type_of_agent: ArrayLike) -> TabularPolicy:
    """The mean over each type's agents of what they play in each observation: a row per type.

    In the mean field, ``agents.exploitability(model, average_policy(...))`` says how exploitable a
    population would be that plays it.

    Args:
        policy: a policy for N agents.
        type_of_agent: ``int[N]``, 0 … types - 1, each of which has an agent.
    """
    kinds = np.asarray(type_of_agent, np.int64)
    if kinds.shape != policy.row_of_agent.shape:
        raise ValueError(f"the policy is for {len(policy.row_of_agent)} agents; {len(kinds)} types are given")
    n_types = int(kinds.max()) + 1
    weights = np.zeros((n_types, policy.n_rows))
    np.add.at(weights, (kinds, policy.row_of_agent), 1.0)
    weights /= weights.sum(axis=1, keepdims=True)
    mean = np.tensordot(weights, policy.probabilities.astype(np.float64), axes=1)
    return TabularPolicy(mean / mean.sum(axis=2, keepdims=True), kinds)
