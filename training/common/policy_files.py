"""Policies in files of runs and solutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.policies import TabularPolicy, load
from karma_envs.finite import FiniteGame
from karma_envs.game import PolicyError, PopulationGame
from training.common.errors import ResultsError


def read_policy(path: Path, game: PopulationGame, *, by_type: bool = False, trust: bool = False) -> Any:
    """A policy that can be played in a game.

    Args:
        path: of its file.
        game: the game.
        by_type: whether a table has a row for each type, and not for each agent.
        trust: whether the file may name a class of the user's to be imported.

    Raises:
        ResultsError: when the file is damaged, is no policy, or is one of another game.
    """
    try:
        policy = load(path, trust=trust)
    except ValueError as error:
        raise ResultsError(str(error)) from error
    return playable(path, policy, game, by_type=by_type)


def playable(path: Path, policy: Any, game: PopulationGame, *, by_type: bool = False) -> Any:
    """A policy of a file, if it can be played in a game."""
    try:
        if isinstance(game, FiniteGame):
            _check_table(policy, game, by_type)
        else:
            game.check_policy(policy)
    except ValueError as error:
        raise ResultsError(f"{path} is the policy of another run: {error}") from error
    return policy


def _check_table(policy: Any, game: FiniteGame, by_type: bool) -> None:
    """Refuse what is no table of a game's actions.

    Raises:
        PolicyError: saying what it is.
    """
    if not isinstance(policy, TabularPolicy):
        raise PolicyError(f"it is {policy!r}, and no table")
    if policy.n_actions != game.n_actions:  # rows may be as wide all the same
        raise PolicyError(f"it has {policy.n_actions} actions; the game has {game.n_actions}")
    game.check_policy(policy.for_agents(game.rows_of_agents(policy.n_rows)) if by_type else policy)
