"""Which games have masks of legal actions, for trainers that look for them within observations."""

from __future__ import annotations

from karma_envs.finite import FiniteGame
from karma_envs.registry import game_class
from karma_envs.views.population import SomeGame


def observation_with_mask(game: SomeGame) -> str:
    """What the views' argument ``observation`` is: ``dict`` for a game with tables, else ``flat``.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.

    Raises:
        ConfigError: when there is no game of that name.
    """
    if isinstance(game, str):
        game = game_class(game, "game")
    kind = game if isinstance(game, type) else type(game)
    return "dict" if issubclass(kind, FiniteGame) else "flat"
