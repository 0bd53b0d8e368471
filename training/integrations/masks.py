"""Which games have masks of legal actions, for trainers that look for them within observations."""

from __future__ import annotations

from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.registry import game_class


def observation_with_mask(game: str | type[PopulationGame]) -> str:
    """What the views' argument ``observation`` is: ``dict`` for a game with tables, else ``flat``.

    Args:
        game: a game's name in the registry, or a game's class.

    Raises:
        ConfigError: when there is no game of that name.
    """
    game = game_class(game, "game") if isinstance(game, str) else game
    return "dict" if issubclass(game, FiniteGame) else "flat"
