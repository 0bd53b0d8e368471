"""Games by name. The list of games is the folder :mod:`karma_envs.games`.

Every module or package there is a game, unless its name begins with an underscore: it defines
``GAME``, a :class:`karma_envs.game.PopulationGame`, and carries its name. Nothing is imported until
a game is asked for, so that ``import karma_envs`` stays fast.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

from karma_envs import games
from karma_envs.config import choice, refuse
from karma_envs.plugins import import_named

if TYPE_CHECKING:
    from karma_envs.game import PopulationGame


def names() -> tuple[str, ...]:
    """The names of all games, sorted."""
    found = (module.name for module in pkgutil.iter_modules(games.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def title_of(name: str) -> str:
    """The CamelCase title of a game's name: ``grid_city`` is ``GridCity``. Imports nothing."""
    return "".join(part.capitalize() for part in name.split("_"))


def game_class(name: str, field: str = "name") -> type[PopulationGame]:
    """The class of a game.

    Args:
        name: one of :func:`names`, or ``module:Class`` for a game of one's own, which may be in the working
            folder.
        field: where the name stands, for the error.

    Raises:
        ConfigError: when there is no game of that name.
    """
    if not isinstance(name, str) or ":" not in name:
        module = importlib.import_module(f"{games.__name__}.{choice(field, name, names())}")
        game: type[PopulationGame] = module.GAME
        return game
    from karma_envs.game import PopulationGame

    allowed = f"{', '.join(names())}, or module:Class of a game that can be imported"
    own = import_named(field, name, allowed)
    if not (isinstance(own, type) and issubclass(own, PopulationGame)) or inspect.isabstract(own):
        raise refuse(
            field, name, f"{allowed}; this is no game, a class with all that PopulationGame asks for"
        )
    return own


def make(name: str, preset: str | None = None, **config: Any) -> PopulationGame:
    """A game, not yet reset.

    Args:
        name: one of :func:`names`, or ``module:Class``.
        preset: one of the game's named configurations; None for its defaults.
        **config: fields of the game's configuration; they override the preset's.

    Returns:
        the game; ``reset(rng)`` begins it.

    Raises:
        ConfigError: for an unknown name, preset or field, or a value that is not allowed.
    """
    return configured(game_class(name), preset, config)


def configured(
    game: type[PopulationGame] | PopulationGame, preset: str | None, config: dict[str, Any]
) -> PopulationGame:
    """A game of a class that need not be registered, or another one like a game; else as :func:`make`."""
    if not isinstance(game, type):
        if preset is not None or config:
            raise refuse("game", game.name, "a name or a class where there is a preset or a field as well")
        return game.fresh()
    fields = game.presets[choice("preset", preset, game.presets)] if preset is not None else {}
    return game(**{**fields, **config})
