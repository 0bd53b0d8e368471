"""Games by name: those of the folder :mod:`karma_envs.games`, and those that are registered.

Every module or package of the folder is a game, unless its name begins with an underscore: it defines
``GAME``, a :class:`karma_envs.game.PopulationGame`, and carries its name. Nothing is imported until
a game is asked for, so that ``import karma_envs`` stays fast. A game from elsewhere needs no place in the
folder: ``module:Class`` names it everywhere, and :func:`karma_envs.register` gives it a name.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import keyword
import pkgutil
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from karma_envs import games
from karma_envs.config import Config, choice, importable_name, is_importable, refusal
from karma_envs.plugins import import_named

if TYPE_CHECKING:
    from karma_envs.game import PopulationGame

GAME_ARGUMENTS = ("name", "preset", "config")
"""What making a game takes besides the fields of its configuration."""

VIEW_ARGUMENTS = (
    *("game", "preset", "max_cycles", "render_mode", "observation", "strict"),
    *("learner", "population", "num_envs", "max_episode_steps", "autoreset_mode"),
)
"""What making an environment takes besides these."""

_VERSION = re.compile(r"^    VERSION\b[^=\n]*=\s*(\d+)", re.MULTILINE)
_registered: dict[str, type[PopulationGame]] = {}


def names() -> tuple[str, ...]:
    """The names of all games, sorted: of the folder, and registered ones."""
    return tuple(sorted({*_folder(), *_registered}))


def _folder() -> list[str]:
    """The names of the games in the folder."""
    modules = (module.name for module in pkgutil.iter_modules(games.__path__))
    return [name for name in modules if not name.startswith("_")]


def title_of(name: str) -> str:
    """The CamelCase title of a game's name: ``grid_city`` is ``GridCity``. Imports nothing."""
    return "".join(part.capitalize() for part in name.split("_"))


def version_of(name: str) -> int:
    """The version in the ids of a game's environments, its ``VERSION``. Imports no game.

    Args:
        name: one of :func:`names`. The source of a game in the folder is read for the line
            ``VERSION = …`` of its class; without one it is 0.
    """
    if name in _registered:
        return _registered[name].VERSION
    spec = importlib.util.find_spec(f"{games.__name__}.{name}")
    loader: Any = spec.loader if spec is not None else None
    stated = _VERSION.search(loader.get_source(spec.name) or "") if spec is not None else None
    return int(stated[1]) if stated is not None else 0


def game_class(game: str | type[PopulationGame], field: str = "name") -> type[PopulationGame]:
    """The class of a game.

    Args:
        game: one of :func:`names`; ``module:Class`` for a game of one's own, which may be in the working
            folder; or a class.
        field: where it stands, for the error.

    Raises:
        ConfigError: when there is no such game.
    """
    if isinstance(game, str) and game in _registered:
        return _registered[game]
    if not isinstance(game, type) and not (isinstance(game, str) and ":" in game):
        module = importlib.import_module(f"{games.__name__}.{choice(field, game, names())}")
        built_in: type[PopulationGame] = module.GAME
        return built_in
    allowed = f"{', '.join(names())}, or module:Class of a game that can be imported"
    own = import_named(field, game, allowed) if isinstance(game, str) else game
    if (problem := _problem(own)) is not None:
        raise refusal(field, game, f"{allowed}; this {problem}")
    checked: type[PopulationGame] = own
    return checked


def name_of(game: str | type[PopulationGame], field: str = "name") -> str:
    """The name by which another process knows a game: of the folder, or ``module:Class``.

    Args:
        game: as in :func:`game_class`; also a name that was registered in this process.
        field: where it stands, for the error.

    Raises:
        ConfigError: when there is no such game, or its class cannot be imported by name.
    """
    if isinstance(game, str) and (":" in game or game not in _registered):
        return game
    own = game_class(game, field)
    if own.name in _folder() and game_class(own.name) is own:
        return own.name
    if not is_importable(own):
        raise refusal(field, own, "a class in a module that can be imported, so that files can name it")
    return importable_name(own)


def register(game: type[PopulationGame]) -> type[PopulationGame]:
    """Give a game of one's own a name, its ``name``, as the games of this package have one.

    From then on ``karma_envs.make(name)``, ``karma_envs.<name>_v<VERSION>`` and the ids of Gymnasium and
    PettingZoo work in this process. To register a class again does nothing; one that was defined anew under
    the same name in the same module, as in a notebook, takes the place of the old one.

    Args:
        game: the class.

    Returns:
        the same, so that this can be a decorator.

    Raises:
        ConfigError: when it is no game that can be made, when its name is none or is another game's, or when
            a field of its configuration has the name of an argument of environments.

    Example::

        @karma_envs.register
        class RoadsGame(PopulationGame):
            name = "roads"
            ...

        karma_envs.make("roads", n_agents=10)
    """
    from karma_envs.views.registration import register_game

    shown = importable_name(game)
    if (problem := _problem(game)) is not None:
        raise refusal("game", shown, f"a class of a game; this {problem}")
    if taken := [name for name in VIEW_ARGUMENTS if name in game.config_class.field_names()]:
        raise refusal("game", shown, f"one without the field {taken[0]!r}, an argument of environments")
    name = game.name
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise refusal(f"name of {shown}", name, "lower-case letters, digits and underscores, a letter first")
    others = {title_of(each) for each in _folder()}
    others |= {title_of(each) for each, other in _registered.items() if importable_name(other) != shown}
    if title_of(name) in others:
        raise refusal(f"name of {shown}", name, f"a name that no other game has; taken: {', '.join(names())}")
    _registered[name] = game
    register_game(name)
    return game


def _problem(game: Any) -> str | None:
    """Why something is no game that can be made, in words that go on "this"; None if it is one."""
    from karma_envs.game import PopulationGame

    if not (isinstance(game, type) and issubclass(game, PopulationGame)):
        return "is no game, a class with all that PopulationGame asks for"
    if inspect.isabstract(game):
        missing = ", ".join(sorted(game.__abstractmethods__))
        return f"is no game, a class with all that PopulationGame asks for: it lacks {missing}"
    for name in ("name", "config_class", "presets"):
        if not hasattr(game, name):
            return f"lacks {name}"
    if not (isinstance(game.config_class, type) and issubclass(game.config_class, Config)):
        return "has a config_class that is no karma_envs.config.Config"
    fields = game.config_class.field_names()
    if "n_agents" not in fields:
        return "has a configuration without n_agents"
    if taken := [name for name in GAME_ARGUMENTS if name in fields]:
        return f"has a configuration whose field {taken[0]!r} is an argument of make; rename it"
    if not isinstance(game.presets, Mapping):
        return "has presets that are no mapping of names to fields"
    for preset, values in game.presets.items():
        if unknown := [name for name in values if name not in fields]:
            return f"has a preset {preset!r} with {unknown[0]!r}, which is no field of its configuration"
    return None


def make(name: str | type[PopulationGame], preset: str | None = None, **config: Any) -> PopulationGame:
    """A game, not yet reset.

    Args:
        name: one of :func:`names`, ``module:Class`` or a class.
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
            raise refusal("game", game.name, "a name or a class where there is a preset or a field as well")
        return game.fresh()
    fields = game.presets[choice("preset", preset, game.presets)] if preset is not None else {}
    return game(**{**fields, **config})
