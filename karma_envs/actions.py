"""What agents do, as arrays: actions of a box or of a list, taken from whatever form they come in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.numerics.random import fill_uniform

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # of int64


class IllegalActionError(ValueError):
    """An action that the game's rules do not allow in the agent's state."""


def action_limits(space: Discrete[Any] | Box) -> tuple[Any, Any]:
    """The smallest and the largest action of a space, of its shape; numbered actions begin with 0."""
    return (space.low, space.high) if isinstance(space, Box) else (0, int(space.n) - 1)


def _shape_of(space: Discrete[Any] | Box) -> tuple[int, ...]:
    return space.shape or ()


def as_action(value: Any, space: Discrete[Any] | Box) -> NDArray[Any] | int:
    """One agent's action, of an int, a NumPy number, or an array or tensor.

    Args:
        value: whole numbers beyond int64 become its bounds, which are as illegal.
        space: the action space of one agent.

    Returns:
        an int where actions are numbered, else ``float32`` of the space's shape.

    Raises:
        IllegalActionError: when it is no action of that shape and kind.
    """
    whole = space.dtype.kind in "iu"
    if whole and type(value) is int:
        return min(max(value, _LOWEST), _HIGHEST)
    array, shape = np.asarray(value), _shape_of(space)
    if array.size != math.prod(shape) or array.dtype.kind not in ("iu" if whole else "iuf"):
        what = "whole number" if whole else f"number of shape {list(shape)}"
        raise IllegalActionError(f"action {value!r} is not a {what}")
    if whole:
        return min(int(array.item()), _HIGHEST)
    action = array.reshape(shape).astype(space.dtype)
    if not np.isfinite(action).all():
        raise IllegalActionError(f"action {value!r} is not finite")
    return action


def as_actions(values: Any, n_agents: int, space: Discrete[Any] | Box) -> NDArray[Any]:
    """The actions of some agents as one new array; see :meth:`karma_envs.game.PopulationGame.actions_of`.

    Args:
        values: an array, or a sequence of values.
        n_agents: how many they must be.
        space: the action space of one agent.

    Raises:
        IllegalActionError: when they are not so many actions of that shape and kind.
    """
    own = _shape_of(space)
    array = _new_array(values)
    if array.dtype != space.dtype or array.shape != (n_agents, *own):  # as they are not where they come often
        array = _of_space(array, values, n_agents, space, own)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        agent = int(np.argmin(finite.reshape(n_agents, -1).all(axis=1)))
        raise IllegalActionError(f"agent {agent} takes action {array[agent]}, which is not finite")
    return array


def _new_array(values: Any) -> NDArray[Any]:
    """Values as one array; an empty one of objects where numbers, arrays and tensors are mixed."""
    try:
        return np.array(values)
    except ValueError:
        return np.empty(0, np.object_)


def _of_space(
    array: NDArray[Any], values: Any, n_agents: int, space: Discrete[Any] | Box, own: tuple[int, ...]
) -> NDArray[Any]:
    """The array of some values as one of the space's dtype, of ``own`` shape for each agent."""
    whole = space.dtype.kind in "iu"
    kinds = "iu" if whole else "iuf"
    if array.dtype.kind not in kinds and isinstance(values, Sequence):
        array = np.array([as_action(value, space) for value in values], space.dtype)
    one_each = math.prod(own) == 1 and array.shape in ((n_agents,), (n_agents, 1))
    if not (array.shape == (n_agents, *own) or one_each) or array.dtype.kind not in kinds:
        what = "whole numbers" if whole else f"numbers, {list(own)} each"
        raise IllegalActionError(
            f"actions must be {n_agents} {what}; these are {array.dtype}{list(array.shape)}"
        )
    if array.dtype == np.uint64 and whole:
        array = np.minimum(array, np.uint64(_HIGHEST))
    return array.reshape((n_agents, *own)).astype(space.dtype, copy=False)


class UniformPolicy:
    """Every action of a space with the same probability, whatever is observed.

    Args:
        space: the action space of one agent.

    Raises:
        ConfigError: for a box without bounds.
    """

    def __init__(self, space: Discrete[Any] | Box) -> None:
        self._space = space
        if isinstance(space, Box) and not space.is_bounded():
            raise refusal("policy", "random", f"in a game whose actions have bounds; these are {space}")

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """See :class:`karma_envs.game.Policy`."""
        shape = (len(observations), *_shape_of(self._space))
        draws = np.empty(int(np.prod(shape)))
        fill_uniform(streams, 0, draws)
        low, high = action_limits(self._space)
        if isinstance(self._space, Box):
            return np.asarray(low + (high - low) * draws.reshape(shape), np.float32)
        return np.asarray(draws.reshape(shape) * (high + 1), np.int64)
