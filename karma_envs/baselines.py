"""Simple policies of a game by name, to compare with and to fill a population with.

Which there are is said by the game's ``baselines``; every game has ``random``. Those of karma games, which
bid, are in :mod:`karma_envs.karma.baselines`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import choice
from karma_envs.finite import FiniteGame
from karma_envs.finite import PlayedPolicy as PlayedPolicy
from karma_envs.game import PopulationGame
from karma_envs.moved import old_names
from karma_envs.numerics.sampling import uniform_over


def random(game: FiniteGame) -> NDArray[np.float64]:
    """Every legal action with the same probability: a table ``float64[1, observations, actions]``."""
    return uniform_over(game.legal_actions)[None]


def baseline_policy(name: str, game: PopulationGame) -> Any:
    """A baseline, played by every agent of a game.

    Args:
        name: one of the game's ``baselines``.
        game: the game.

    Raises:
        ConfigError: when the game has no such baseline.
    """
    return game.baselines[choice("baseline", name, game.baselines)](game)


__getattr__ = old_names(__name__)
