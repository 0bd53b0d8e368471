"""The step of the two-state control game, compiled; shared by every view, rollouts and the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import GOLDEN, mix
from karma_envs.numerics.sampling import sample_actions

MOVES, ACTIONS = range(2)
"""Random streams, one per purpose."""
N_STREAMS = 2

DRAW_RANGE = 2**32
"""Whether a change succeeds is drawn as a whole number below it."""


class ControlState(NamedTuple):
    """Everything that changes. N agents."""

    position: NDArray[np.uint8]  # [N] the state s, 0 or 1
    occupied: NDArray[np.int64]  # [N] steps begun in state 1 since reset
    attempts: NDArray[np.int64]  # [N] steps with an action other than the state, since reset
    reward_total: NDArray[np.float64]  # [N] rewards since reset
    steps: NDArray[np.int64]  # [1] steps since reset
    streams: NDArray[np.uint64]  # [N_STREAMS]


class ControlTables(NamedTuple):
    """Everything that does not."""

    benefit: float
    crowding: float
    switching_cost: float
    moves_below: int  # of DRAW_RANGE draws as many let a change succeed


@kernel
def reward_of(position, action, share, benefit, crowding, switching_cost):
    """r = s (b - c mu_1) - k |a - s|.

    Args:
        position: s.
        action: a.
        share: mu_1, of all agents, before anybody moves.
        benefit: b.
        crowding: c.
        switching_cost: k.
    """
    return position * (benefit - crowding * share) - switching_cost * (position != action)


@kernel
def settle(state, tables, actions, rewards):
    """One step after the actions: rewards by the share of now, then changes, two draws per 64 bits."""
    n_agents = state.position.shape[0]
    in_one = np.int64(0)
    for agent in range(n_agents):
        in_one += state.position[agent]
    share = in_one / n_agents
    counter = np.uint64(state.streams[MOVES])
    bits = np.uint64(0)
    for agent in range(n_agents):
        if agent & 1 == 0:
            counter += GOLDEN
            bits = mix(counter)
        draw = np.int64(bits & np.uint64(0xFFFFFFFF))
        bits >>= np.uint64(32)
        position, action = np.int64(state.position[agent]), np.int64(actions[agent])
        reward = np.float32(
            reward_of(position, action, share, tables.benefit, tables.crowding, tables.switching_cost)
        )
        rewards[agent] = reward
        state.reward_total[agent] += reward
        state.occupied[agent] += position
        state.attempts[agent] += position != action
        # Without a branch, which nobody could predict: the action where the change succeeds.
        succeeds = np.int64(draw < tables.moves_below)
        state.position[agent] = position + succeeds * (action - position)
    state.streams[MOVES] = counter
    state.steps[0] += 1


@kernel
def observe(state, observations):
    """Tabular observations, the states."""
    for agent in range(observations.shape[0]):
        observations[agent] = state.position[agent]


@kernel
def play(state, tables, thresholds, row_of_agent, observations, actions, rewards):
    """Play a policy for ``len(actions)`` steps, recording observations, actions and rewards."""
    n_steps = actions.shape[0]
    for step in range(n_steps):
        observe(state, observations[step])
        sample_actions(thresholds, row_of_agent, observations[step], state.streams, ACTIONS, actions[step])
        settle(state, tables, actions[step], rewards[step])
    observe(state, observations[n_steps])
