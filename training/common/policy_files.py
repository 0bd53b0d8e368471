"""Policies in files of runs and solutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agents.policies.tabular import TabularPolicy
from karma_envs.finite import as_finite
from karma_envs.game import PolicyError, PopulationGame
from training.common.errors import ResultsError

if TYPE_CHECKING:
    pass


def read_policy(path: Path, game: PopulationGame, *, by_type: bool = False) -> TabularPolicy:
    """A policy that can be played in a game.

    Args:
        path: of its file.
        game: the game.
        by_type: whether it has a row for each type, and not for each agent.

    Raises:
        ResultsError: when the file is damaged, is no policy, or is one of another game.
    """
    try:
        policy = TabularPolicy.load(path)
    except ValueError as error:
        raise ResultsError(str(error)) from error
    return playable(path, policy, game, by_type=by_type)


def playable(
    path: Path, policy: TabularPolicy, game: PopulationGame, *, by_type: bool = False
) -> TabularPolicy:
    """A policy of a file, if it can be played in a game."""
    try:
        n_actions = as_finite(game).n_actions
        if policy.n_actions != n_actions:  # rows may be as wide all the same
            raise PolicyError(f"it has {policy.n_actions} actions; the game has {n_actions}")
        game.check_policy(policy.for_agents(game.type_of_agent) if by_type else policy)
    except ValueError as error:
        raise ResultsError(f"{path} is the policy of another run: {error}") from error
    return policy
