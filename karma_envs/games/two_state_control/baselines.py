"""Simple policies of the two-state control game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from karma_envs.finite import PlayedPolicy
from karma_envs.game import Baseline

if TYPE_CHECKING:
    from karma_envs.games.two_state_control import TwoStateControlGame


def stay(game: TwoStateControlGame) -> PlayedPolicy:
    """Never try to switch: the population stays as it begins, for ever."""
    return _aiming_at([0, 1], game)


def leave(game: TwoStateControlGame) -> PlayedPolicy:
    """Go to state 0, where nothing is to be gained or lost."""
    return _aiming_at([0, 0], game)


def enter(game: TwoStateControlGame) -> PlayedPolicy:
    """Go to state 1, as who does not count the others does."""
    return _aiming_at([1, 1], game)


def _aiming_at(actions: ArrayLike, game: TwoStateControlGame) -> PlayedPolicy:
    """The policy of certain actions, one for each state."""
    return game.policy_of(np.eye(2)[np.asarray(actions)][None])


CONTROL_BASELINES: Mapping[str, Baseline] = {baseline.__name__: baseline for baseline in (stay, leave, enter)}
"""Baselines of the game by name, besides those of every game."""
