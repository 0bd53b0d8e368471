"""What a training run is made of, and how it is read from YAML files and command-line flags."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from karma_envs.config import Config, ConfigError, choice, refuse, suggestion
from karma_envs.mean_field import MeanFieldModel
from karma_envs.registry import game_class
from training.common.machine import check_model_memory
from training.common.plain_yaml import dump_yaml, parse_yaml


@dataclass(frozen=True)
class GameRunConfig(Config):
    """Base of what is done with a game: the game's name and configuration, and parts of its own.

    Attributes:
        game: name of the game, or module:Class of one's own.
        game_config: the game's configuration, or its fields that differ from the defaults.
    """

    PARTS: ClassVar[Mapping[str, type[Config]]] = {}
    """Fields that are configurations themselves, besides the game's."""

    game: str = "matching"
    game_config: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        config_class = game_class(self.game, "game").config_class
        for name, part in {"game_config": config_class, **self.PARTS}.items():
            given = getattr(self, name)
            if isinstance(given, part):
                continue
            if not isinstance(given, Mapping):
                raise refuse(name, given, f"a mapping of field names to values, or a {part.__name__}")
            self._set(**{name: part.from_dict(given)})

    def model(self) -> MeanFieldModel:
        """The game's mean-field model.

        Raises:
            ConfigError: when the game has none with this configuration, or no memory for it.
        """
        game = game_class(self.game)(self.game_config)
        check_model_memory(game)
        model = game.mean_field()
        if model is None:
            raise refuse(
                "game", self.game, "a game that has a mean-field model, in a configuration with bids"
            )
        return model

    @classmethod
    def from_flat(cls, game: str, preset: str | None, *layers: Mapping[str, Any]) -> Self:
        """A configuration of field names without regard to which part they belong to.

        What is not given is as the game's source trains it, then as the preset says, then the default.

        Args:
            game: name of the game.
            preset: name of one of the game's presets, or None.
            layers: each flat, or nested like :meth:`to_dict`; later ones win.

        Raises:
            ConfigError: for an unknown field or preset, or a value that is not allowed.
        """
        found = game_class(game, "game")
        if preset is not None:
            choice("preset", preset, found.presets)
        classes = {"game_config": found.config_class, **cls.PARTS}
        values: dict[str, dict[str, Any]] = {name: {} for name in ("", *classes)}
        values["game_config"] |= found.presets[preset] if preset else {}
        owners = dict.fromkeys(cls.field_names(), "")
        for part in reversed(classes):
            owners |= dict.fromkeys(classes[part].field_names(), part)
        as_in_source = {
            name: value
            for given in ("", preset or "")
            for name, value in found.trained_with.get(given, {}).items()
            if name in owners
        }
        for layer in (as_in_source, *layers):
            for name, value in layer.items():
                if name in classes:
                    if not isinstance(value, Mapping):
                        raise refuse(name, value, "a mapping of field names to values")
                    for twice in (each for each in value if owners.get(each) == name and each in layer):
                        raise ConfigError(f"{twice} is given twice, by itself and in {name}; leave out one")
                    values[name].update(value)
                elif name in owners:
                    values[owners[name]][name] = value
                else:
                    raise ConfigError(
                        f"there is no field {name!r}{suggestion(name, owners)}; "
                        f"fields: {', '.join(sorted(owners))}"
                    )
        own = values.pop("")
        named = own.pop("game", game)
        if named != game:
            raise refuse("game", named, f"{game}, the game that is named")
        return cls.from_dict({"game": game, **values, **own})


def load_layer(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields that a YAML file sets.

    Raises:
        ConfigError: when the file is not there, is not YAML or not a mapping; the message names it.
    """
    try:
        values = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{os.fspath(path)}: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{os.fspath(path)}: a configuration is a mapping of field names to values")
    return dict(values)


def to_yaml(config: Config) -> str:
    """A configuration as YAML, from which :func:`load_layer` and ``from_dict`` restore it.

    Raises:
        ConfigError: when a rule of the user's is not importable by name, so that a file cannot say it.
    """
    return dump_yaml(config.to_dict())


def descriptions(config_class: type[Config]) -> dict[str, str]:
    """What each field means, from the ``Attributes`` section of the class's docstring."""
    text = (config_class.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"^ {8}(\w+): (.*)$", line):
            name = match[1]
            found[name] = match[2]
        elif name:
            found[name] += " " + line.strip()
    return {item.name: found.get(item.name, "") for item in fields(config_class)}
