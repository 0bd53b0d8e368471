"""Tabular learning from a buffer of transitions, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.sampling import prefetch


class Tables(NamedTuple):
    """Q tables in rows, the policies that follow from them, and whose they are."""

    q: NDArray[np.float32]  # [rows, observations, width]
    thresholds: NDArray[np.uint16]  # [rows, observations, padded] the policy that is played
    stale: NDArray[np.uint8]  # [rows, observations] 1 where Q changed since the policy was computed
    row_of_agent: NDArray[np.int32]  # [N]
    learning_agents: NDArray[np.int32]  # [M] whose transitions are learned from
    discount_of_row: NDArray[np.float32]  # [rows]


class Pending(NamedTuple):
    """The last transition of each agent that learns, which waits for the action that comes next."""

    observation: NDArray[np.int32]  # [M] -1 where nothing is pending
    action: NDArray[np.int32]  # [M]
    reward: NDArray[np.float32]  # [M]


@kernel
def _learn_one(
    q, thresholds, stale, row, observation, action, reward, following, next_action, rate, discount, target
):
    """Q(x, a) += alpha (r + gamma * target(x') - Q(x, a))."""
    goal = reward + discount * target(q, thresholds, row, following, next_action)
    q[row, observation, action] += rate * (goal - q[row, observation, action])
    stale[row, observation] = 1


@kernel
def learn(tables, pending, columns, rate, target, waits, by_agent, ended):
    """Learn from transitions in the order of time.

    A target that needs the next action leaves each agent's last transition pending until the next
    call, whose first action completes it. Where the game is over after the last step nothing follows on it:
    its target is its reward alone, and nothing is left pending.

    Args:
        tables: :class:`Tables`; Q and what is stale are changed in place.
        pending: :class:`Pending`, changed in place.
        columns: :class:`karma_envs.transitions.Columns` of T steps of N agents, their numbers ``uint16``.
        rate: ``float32``, step size alpha.
        target: a target's function.
        waits: whether the target needs the next action.
        by_agent: agents have rows of their own, so that one agent's whole stretch can be worked off
            while its row is in the cache; else all agents step by step, in the order of time.
        ended: whether the game was over after the last step.
    """
    # Fields that are read in loops are unpacked first: read from the tuple each time they take longer.
    q, thresholds, stale, row_of_agent, learning_agents, discount_of_row = tables
    pending_observation, pending_action, pending_reward = pending
    observations, actions, rewards = columns
    n_steps = actions.shape[0]
    last = n_steps - (waits | ended)  # the first step that has no target from what follows, in this call
    for learner in range(learning_agents.shape[0]):
        if pending_observation[learner] >= 0:
            agent = learning_agents[learner]
            row = row_of_agent[agent]
            _learn_one(
                q, thresholds, stale, row, pending_observation[learner], pending_action[learner],
                pending_reward[learner], observations[0, agent], actions[0, agent],
                rate, discount_of_row[row], target,
            )  # fmt: skip
    if by_agent:
        for learner in range(learning_agents.shape[0]):
            agent = learning_agents[learner]
            row = row_of_agent[agent]
            for step in range(n_steps):  # all at once: waiting for one by one is most of the time
                prefetch(q, row, observations[step, agent], actions[step, agent])
            for step in range(last):
                _learn_one(
                    q, thresholds, stale, row, observations[step, agent], actions[step, agent],
                    rewards[step, agent], observations[step + 1, agent],
                    actions[min(step + 1, n_steps - 1), agent], rate, discount_of_row[row], target,
                )  # fmt: skip
    else:
        for step in range(last):
            for learner in range(learning_agents.shape[0]):
                agent = learning_agents[learner]
                row = row_of_agent[agent]
                _learn_one(
                    q, thresholds, stale, row, observations[step, agent], actions[step, agent],
                    rewards[step, agent], observations[step + 1, agent],
                    actions[min(step + 1, n_steps - 1), agent], rate, discount_of_row[row], target,
                )  # fmt: skip
    if ended:
        for learner in range(learning_agents.shape[0]):
            agent = learning_agents[learner]
            row = row_of_agent[agent]
            observation, action = observations[n_steps - 1, agent], actions[n_steps - 1, agent]
            q[row, observation, action] += rate * (rewards[n_steps - 1, agent] - q[row, observation, action])
            stale[row, observation] = 1
            pending_observation[learner], pending_action[learner], pending_reward[learner] = -1, 0, 0
    elif waits:
        for learner in range(learning_agents.shape[0]):
            agent = learning_agents[learner]
            pending_observation[learner] = observations[n_steps - 1, agent]
            pending_action[learner] = actions[n_steps - 1, agent]
            pending_reward[learner] = rewards[n_steps - 1, agent]


@kernel(fastmath={"nnan", "nsz"})  # no NaN occurs; lets `max` be one instruction
def row_maximum(q, row, observation):
    """Greatest Q of a row; illegal entries and padding are lower than any legal one.

    Four running maxima, because one would wait for itself; a row's width is a multiple of four.
    """
    first, second = q[row, observation, 0], q[row, observation, 1]
    third, fourth = q[row, observation, 2], q[row, observation, 3]
    for action in range(4, q.shape[2], 4):
        first = max(first, q[row, observation, action])
        second = max(second, q[row, observation, action + 1])
        third = max(third, q[row, observation, action + 2])
        fourth = max(fourth, q[row, observation, action + 3])
    return max(max(first, second), max(third, fourth))
