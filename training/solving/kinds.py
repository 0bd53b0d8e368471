"""Equilibria of agents of many kinds, told by the types of the game.

The model of a game may have a row for each kind of agents where the game has a few types: in the city agents
of one type differ in their trips. A type is then the mean over the agents of its kinds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.finite import FiniteGame


def type_of_kind(game: FiniteGame, n_rows: int) -> NDArray[np.int64]:
    """The type of each row of the game's model, ``int64[rows]``."""
    first = np.unique(game.rows_of_agents(n_rows), return_index=True)[1]
    return np.asarray(game.type_of_agent[first], np.int64)


def shares_of_kinds(game: FiniteGame, n_rows: int) -> NDArray[np.float64]:
    """How many of the agents of its type each row stands for, ``float64[types, rows]``."""
    counts = np.bincount(game.rows_of_agents(n_rows), minlength=n_rows).astype(np.float64)
    types = type_of_kind(game, n_rows)
    of_type = (types == np.arange(types.max() + 1)[:, None]) * counts
    return np.asarray(of_type / of_type.sum(axis=1, keepdims=True))


def policy_of_types(
    game: FiniteGame, policy: NDArray[np.float64], mean_field: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the agents of a type do in a state, on average over those who are there.

    Args:
        game: the game.
        policy: ``float64[rows, X, A]``.
        mean_field: mu, ``float64[rows, X]``.

    Returns:
        ``float64[types, X, A]``; where no agent of the type ever is, the first action.
    """
    shares = shares_of_kinds(game, len(policy))
    visits = shares @ mean_field
    acts = np.stack([np.einsum("g,gx,gxa->xa", share, mean_field, policy) for share in shares])
    never = visits <= 0
    acts[never, 0], visits[never] = 1.0, 1.0
    return np.asarray(acts / acts.sum(axis=2, keepdims=True))
