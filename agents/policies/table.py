"""What a tabular policy does as the columns of a tidy table, a row per observation and action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.timed import seen_by

_ROWS_AT_ONCE = 1000
"""Of a policy with a row for each of many agents."""


class Rows(Protocol):
    """What a table is made of: rows of probabilities, and which of them each agent plays."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def n_observations(self) -> int:
        """Number of observations."""

    @property
    def n_actions(self) -> int:
        """Number of actions."""

    @property
    def probabilities(self) -> NDArray[np.floating[Any]]:
        """``float[rows, observations, actions]``."""

    @property
    def row_of_agent(self) -> NDArray[np.int32]:
        """``int32[N]``."""

    def probabilities_of_rows(self, rows: slice) -> NDArray[np.floating[Any]]:
        """``float[rows, observations, actions]`` of some rows."""

    def fitted_to(self, game: PopulationGame) -> Self:
        """The same for a game's agents."""


def policy_table(
    policy: Rows, game: PopulationGame | None = None, *, by_agent: bool = False
) -> dict[str, NDArray[Any]]:
    """Probabilities above 0, with what observations and actions mean where the game is known.

    Args:
        policy: of the agents of the game, or a row for each of its types or for all.
        game: the game that it is for; None for numbers of rows, observations and actions alone.
        by_agent: what every agent of the game does; by default the mean over the agents of each type.

    Returns:
        columns of equal lengths by name: ``row`` without a game, else ``type`` (from 0), with ``agent``
        before it if asked for; ``observation`` and the game's ``observation_values()``, in games with karma
        ``urgency`` (NaN for an agent that has none) and ``karma``; ``action`` and the game's
        ``action_features``, in games with karma ``bid``; ``probability``. Observations that no agent of the
        type, or not the agent, can be in are left out.

    Raises:
        ConfigError: for a game without tables.
        PolicyError: for a policy that does not fit the game.
    """
    if game is None:
        return _columns(policy.probabilities, {"row": np.arange(policy.n_rows)})
    game = as_finite(game)
    policy = policy.fitted_to(game)
    game = seen_by(game, policy.n_observations)
    if by_agent:
        agents = np.arange(game.n_agents)
        heads = {"agent": agents, "type": game.type_of_agent[agents].astype(np.int64)}
        tables = np.where(game.reachable()[:, :, None], policy.probabilities[policy.row_of_agent], 0)
        return _explained(_columns(tables, heads), game)
    kinds = range(len(game.discounts))
    means = _means(policy, [policy.row_of_agent[game.type_of_agent == kind] for kind in kinds])
    means[~game.reachable_by_type()] = 0
    return _explained(_columns(means, {"type": np.array(kinds)}), game)


def _means(policy: Rows, rows_of_groups: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    """Mean probabilities over groups of agents, ``float64[groups, observations, actions]``.

    Args:
        policy: what they play.
        rows_of_groups: the rows that the agents of each group play.
    """
    shares = np.array([np.bincount(rows, minlength=policy.n_rows) / len(rows) for rows in rows_of_groups])
    means = np.zeros((len(shares), policy.n_observations, policy.n_actions))
    for start in range(0, policy.n_rows, _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        means += np.tensordot(shares[:, some], policy.probabilities_of_rows(some), 1)
    return means


def _columns(tables: NDArray[Any], heads: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The numbers above 0 of ``tables[first, observations, actions]`` and where they are."""
    first, observation, action = np.nonzero(tables)
    return {
        **{name: values[first] for name, values in heads.items()},
        "observation": observation,
        "action": action,
        "probability": tables[first, observation, action],
    }


def _explained(columns: dict[str, NDArray[Any]], game: FiniteGame) -> dict[str, NDArray[Any]]:
    """With what observations and actions mean, beside their numbers."""
    explained: dict[str, NDArray[Any]] = {}
    for name, numbers in columns.items():
        explained[name] = numbers
        meanings: dict[str, NDArray[Any]] = {}
        if name == "observation":
            values = game.observation_values()
            meanings = {title: of_type[columns["type"], numbers] for title, of_type in values.items()}
        if name == "action":
            meanings = {title: feature[numbers] for title, feature in game.action_features.items()}
        # A quantity that is called like a column of numbers takes the place of none.
        explained |= {title: meaning for title, meaning in meanings.items() if title not in columns}
    return explained
