"""Games by name. The list of games is the folder :mod:`karma_envs.games`.

Every module or package there is a game, unless its name begins with an underscore: it defines
``GAME``, a :class:`karma_envs.game.PopulationGame`, and carries its name. Nothing is imported until
a game is asked for, so that ``import karma_envs`` stays fast.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from karma_envs import games
from karma_envs.config import choice

if TYPE_CHECKING:
    from karma_envs.game import PopulationGame


def names() -> tuple[str, ...]:
    """The names of all games, sorted."""
    found = (module.name for module in pkgutil.iter_modules(games.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def title_of(name: str) -> str:
    """The CamelCase title of a game's name: ``grid_city`` is ``GridCity``. Imports nothing."""
    return "".join(part.capitalize() for part in name.split("_"))


def game_class(name: str) -> type[PopulationGame]:
    """The class of a game.

    Raises:
        ConfigError: when there is no game of that name.
    """
    module = importlib.import_module(f"{games.__name__}.{choice('name', name, names())}")
    game: type[PopulationGame] = module.GAME
    return game


def make(name: str, preset: str | None = None, **config: Any) -> PopulationGame:
    """A game, not yet reset.

    Args:
        name: one of :func:`names`.
        preset: one of the game's named configurations; None for its defaults.
        **config: fields of the game's configuration; they override the preset's.

    Returns:
        the game; ``reset(rng)`` begins it.

    Raises:
        ConfigError: for an unknown name, preset or field, or a value that is not allowed.
    """
    return configured(game_class(name), preset, config)


def configured(game: type[PopulationGame], preset: str | None, config: dict[str, Any]) -> PopulationGame:
    """A game of a class that need not be registered; otherwise as :func:`make`."""
    fields = game.presets[choice("preset", preset, game.presets)] if preset is not None else {}
    return game(**{**fields, **config})
