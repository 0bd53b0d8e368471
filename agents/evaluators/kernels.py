"""Learning the values of several policies at once from play of one of them, compiled."""

from __future__ import annotations

import math

import numpy as np

from karma_envs.compile import kernel
from karma_envs.random import next_uint64
from karma_envs.sampling import sample_action


@kernel(fastmath={"nnan", "nsz"})  # no NaN occurs; lets `max` be one instruction
def best_value(q, table, observation, rationality):
    """Value of the best response at an observation: the greatest Q, or the soft maximum.

    Args:
        q: ``float32[tables, observations, width]``; illegal entries are far below any return.
        table: which table.
        observation: tabular observation.
        rationality: beta; 0 for the greatest Q, else log(sum(exp(beta Q))) / beta.
    """
    greatest = q[table, observation, 0]
    for action in range(1, q.shape[2]):
        greatest = max(greatest, q[table, observation, action])
    if rationality == 0.0:
        return greatest
    total = 0.0
    for action in range(q.shape[2]):
        total += math.exp(rationality * (q[table, observation, action] - greatest))
    return greatest + math.log(total) / rationality


@kernel
def learn_values(
    q,
    tables,
    thresholds,
    bonus,
    rows,
    discounts,
    streams,
    observations,
    actions,
    rewards,
    rate,
    rationality,
    first_step,
    gap,
    bin_length,
    totals,
):
    """Update Q of every policy and Q of the best response, and sample their values (Algorithms 3, 4).

    All policies draw their next action with the same random number, so that equal policies have equal
    values.

    Args:
        q: ``float32[tables, observations, width]``, changed in place.
        tables: ``int32[policies + 1, M]``, table of each agent for each policy and, last, for the best
            response.
        thresholds: ``uint16[rows, observations, padded]``, all policies' rows.
        bonus: ``float64[rows, observations]``, h of the policy.
        rows: ``int32[policies, M]``, row that each agent has in each policy.
        discounts: ``float64[M]``.
        streams: ``uint64[M]``, a random stream per agent.
        observations: ``uint16[T+1, M]``.
        actions: ``uint16[T, M]``.
        rewards: ``float32[T, M]``.
        rate: step size alpha; 0 to sample only.
        rationality: beta of the regularised game, 0 without.
        first_step: time of the first transition.
        gap: steps between samples.
        bin_length: steps per bin of samples.
        totals: ``float64[policies + 1, M, bins]``, sums of the samples are added; the last is the best
            response's.
    """
    n_policies = rows.shape[0]
    for agent in range(actions.shape[1]):
        discount, best = discounts[agent], tables[n_policies, agent]
        for step in range(actions.shape[0]):
            before, action = observations[step, agent], actions[step, agent]
            after, reward = observations[step + 1, agent], rewards[step, agent]
            draw = np.uint16(next_uint64(streams, agent) & np.uint64(0xFFFF))
            time = first_step + step + 1
            sampled, place = time % gap == 0, (time - 1) // bin_length
            for policy in range(n_policies):
                row, table = rows[policy, agent], tables[policy, agent]
                following = sample_action(thresholds, row, after, draw)
                value = q[table, after, following] + bonus[row, after]
                old = q[table, before, action]
                q[table, before, action] = old + rate * (reward + discount * value - old)
                if sampled:
                    totals[policy, agent, place] += q[table, after, following] + bonus[row, after]
            value = best_value(q, best, after, rationality)
            old = q[best, before, action]
            q[best, before, action] = old + rate * (reward + discount * value - old)
            if sampled:
                totals[n_policies, agent, place] += best_value(q, best, after, rationality)
