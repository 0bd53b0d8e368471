"""What a tabular policy does as the columns of a tidy table, a row per observation and action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.game import PopulationGame

if TYPE_CHECKING:
    from agents.policies.tabular import TabularPolicy


_ROWS_AT_ONCE = 1000
"""Of a policy with a row for each of many agents."""


def policy_table(
    policy: TabularPolicy, game: PopulationGame | None = None, *, by_agent: bool = False
) -> dict[str, NDArray[Any]]:
    """Probabilities above 0, with what observations and actions mean where the game is known.

    Args:
        policy: of the agents of the game, or a row for each of its types or for all.
        game: the game that it is for; None for numbers of rows, observations and actions alone.
        by_agent: what every agent of the game does; by default the mean over the agents of each type.

    Returns:
        columns of equal lengths by name: ``row`` without a game, else ``type`` (from 0), with ``agent``
        before it if asked for; ``observation``; in games with karma ``urgency`` (NaN for an agent that has
        none) and ``karma``; ``action``; in games with karma ``bid``; ``probability``. Observations that no
        agent of the type, or not the agent, can be in are left out.

    Raises:
        PolicyError: for a policy that does not fit the game.
    """
    if game is None:
        return _columns(policy.probabilities, {"row": np.arange(policy.n_rows)})
    policy, reachable = policy.fitted_to(game), game.reachable()
    if by_agent:
        agents = np.arange(game.n_agents)
        heads = {"agent": agents, "type": game.type_of_agent[agents].astype(np.int64)}
        tables = np.where(reachable[:, :, None], policy.probabilities[policy.row_of_agent], 0)
        return _explained(_columns(tables, heads), game)
    kinds = range(len(game.discounts))
    means = _means(policy, [policy.row_of_agent[game.type_of_agent == kind] for kind in kinds])
    for kind in kinds:
        means[kind, ~reachable[game.type_of_agent == kind].any(axis=0)] = 0
    return _explained(_columns(means, {"type": np.array(kinds)}), game)


def _means(policy: TabularPolicy, rows_of_groups: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
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


def _explained(columns: dict[str, NDArray[Any]], game: PopulationGame) -> dict[str, NDArray[Any]]:
    """With what observations and actions mean, beside their numbers."""
    explained: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        explained[name] = values
        if name == "observation":
            explained |= {
                title: means[columns["type"], values] for title, means in game.observation_values().items()
            }
        if name == "action" and game.bid_of_action is not None:
            explained["bid"] = game.bid_of_action[values]
    return explained
