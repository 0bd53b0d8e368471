"""Playing policies for evaluation: in pieces of bounded memory, and with one agent changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.policy import TabularPolicy
from karma_envs.config import refuse
from karma_envs.game import PopulationGame
from karma_envs.sampling import thresholds_of
from karma_envs.transitions import Transitions

BUFFER_BYTES = 16_000_000
"""Bound on the memory of transitions held at once."""

PIECES = 100
"""Least number of pieces to learn in, so that the step size falls smoothly."""


def agent_numbers(agents: ArrayLike, game: PopulationGame) -> NDArray[np.int64]:
    """``int64[M]``: the agents that are asked for, by a number or several.

    Raises:
        ConfigError: for what are no numbers of the game's agents.
    """
    given = np.atleast_1d(np.asarray(agents))
    allowed = f"numbers of agents, 0 … {game.n_agents - 1}"
    if given.ndim != 1 or not len(given) or given.dtype.kind not in "iu":
        raise refuse("agents", agents, allowed)
    if given.min() < 0 or given.max() >= game.n_agents:
        raise refuse("agents", given.tolist(), allowed)
    return given.astype(np.int64)


def new_buffer(game: PopulationGame, n_steps: int) -> Transitions:
    """Room for ``n_steps`` steps, or for as many as :data:`BUFFER_BYTES` hold."""
    return Transitions.empty(max(1, min(n_steps, BUFFER_BYTES // (8 * game.n_agents))), game.n_agents)


def rollouts(
    game: PopulationGame, policy: TabularPolicy, n_steps: int, buffer: Transitions
) -> Iterator[tuple[int, Transitions]]:
    """Play on for ``n_steps`` steps, in pieces no longer than the buffer.

    Yields:
        the time of a piece's first step, from 0, and its transitions, on the buffer.
    """
    time = 0
    while time < n_steps:
        piece = game.rollout(policy, min(n_steps - time, len(buffer)), out=buffer)
        yield time, piece
        time += len(piece)


def play_on(game: PopulationGame, policy: TabularPolicy, n_steps: int, buffer: Transitions) -> None:
    """Play for ``n_steps`` steps and forget what happened, so that states settle."""
    for _ in rollouts(game, policy, n_steps, buffer):
        continue


def columns_of(transitions: Transitions, agents: NDArray[np.int64]) -> Transitions:
    """The transitions of some agents; new arrays."""
    return Transitions(
        transitions.observations[:, agents], transitions.actions[:, agents], transitions.rewards[:, agents]
    )


def own_transitions(
    game: PopulationGame, policy: TabularPolicy, agent: int, n_steps: int, buffer: Transitions
) -> Transitions:
    """Play on for ``n_steps`` steps and keep what one agent goes through; 8 bytes a step."""
    own = Transitions.empty(n_steps, 1)
    for time, piece in rollouts(game, policy, n_steps, buffer):
        part = columns_of(piece, np.array([agent]))
        own.observations[time : time + len(part) + 1] = part.observations
        own.actions[time : time + len(part)] = part.actions
        own.rewards[time : time + len(part)] = part.rewards
    return own


def fitted(policy: TabularPolicy, game: PopulationGame) -> TabularPolicy:
    """The policy for the game's agents: one of one row for all, one of a row per type by type.

    Raises:
        PolicyError: when it does not fit the game.
    """
    if len(policy.row_of_agent) != game.n_agents:
        if policy.n_rows == 1:
            policy = policy.for_agents(np.zeros(game.n_agents, np.int32))
        elif policy.n_rows == len(game.discounts):
            policy = policy.for_agents(game.type_of_agent)
    game.check_policy(policy)
    return policy


def with_deviation(
    policy: TabularPolicy, agent: int, probabilities: NDArray[np.floating[Any]]
) -> TabularPolicy:
    """The policy where one agent plays ``probabilities[observations, actions]`` and the others what they did.

    A new object; the added row is the last.
    """
    row_of_agent = policy.row_of_agent.copy()
    row_of_agent[agent] = policy.n_rows
    thresholds = np.concatenate([policy.thresholds, thresholds_of(probabilities)[None]])
    return TabularPolicy.from_thresholds(thresholds, policy.n_actions, row_of_agent)


def own_probabilities(policy: TabularPolicy, agent: int) -> NDArray[np.float64]:
    """``float64[observations, actions]``: what one agent plays."""
    row = int(policy.row_of_agent[agent])
    one = TabularPolicy.from_thresholds(policy.thresholds[row : row + 1], policy.n_actions)
    return np.asarray(one.probabilities[0], np.float64)
