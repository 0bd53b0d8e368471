"""What a training run is made of, and how it is read from YAML files and command-line flags."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from karma_envs.config import Config, ConfigError, choice, refusal, suggestion
from karma_envs.game import PopulationGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.registry import game_class, name_of
from training.common.machine import check_model_memory
from training.common.plain_yaml import dump_yaml, parse_yaml


class Section(NamedTuple):
    """A part of a configuration.

    Attributes:
        heading: what its fields are about, such as ``the learner``.
        config_class: its class.
    """

    heading: str
    config_class: type[Config]

    def __str__(self) -> str:
        return f"{self.heading} ({self.config_class.__name__})"


@dataclass(frozen=True)
class GameRunConfig(Config):
    """Base of what is done with a game: the game's name and configuration, and parts of its own.

    Attributes:
        game: name of the game, or module:Class or the class of one's own.
        game_config: the game's configuration, or its fields that differ from the defaults.
    """

    TITLE: ClassVar[str] = "the run"
    """Heading of the fields that are in no part."""

    KINDS: ClassVar[tuple[str, ...]] = ()
    """The parts that there are kinds of, of which one may be chosen by name."""

    REPEATED: ClassVar[frozenset[str]] = frozenset()
    """The fields of this class that are lists of texts, of which a flag gives one and may be repeated."""

    game: Any = "matching"
    game_config: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        game = game_class(self.game, "game")
        self._set(game=name_of(self.game, "game"))
        for name, (_, part) in self.parts(game).items():
            self._set(**{name: self.part_of(name, getattr(self, name), part)})

    @classmethod
    def part_of(cls, name: str, value: Any, part: type[Config]) -> Config:
        """A part as it is given: itself, or its fields that differ from the defaults.

        Args:
            name: the field that holds it.
            value: what is given.
            part: its class.

        Raises:
            ConfigError: when it is neither, or a field is not allowed.
        """
        if isinstance(value, part):
            return value
        if not isinstance(value, Mapping):
            raise refusal(name, value, f"a mapping of field names to values, or a {part.__name__}")
        return part.from_dict(value)

    @classmethod
    def parts(cls, game: type[PopulationGame], kinds: Mapping[str, str] = {}) -> dict[str, Section]:
        """The fields that are configurations themselves, by name.

        Args:
            game: the class of the game.
            kinds: of which kind they are, by the part's name, where that is not the game's.

        Raises:
            ConfigError: for a kind that there is not.
        """
        return {"game_config": Section("the game", game.config_class)}

    @classmethod
    def sections(cls, game: type[PopulationGame], kinds: Mapping[str, str] = {}) -> dict[str, Section]:
        """The parts, and under "" this class: all whose fields may be set without naming the section."""
        return {**cls.parts(game, kinds), "": Section(cls.TITLE, cls)}

    @classmethod
    def owners(cls, game: type[PopulationGame], kinds: Mapping[str, str] = {}) -> dict[str, str]:
        """The section of each field, by the field's name, where fields are set by name alone.

        Raises:
            ConfigError: when two sections have a field of the same name, naming the field and both.
        """
        sections = cls.sections(game, kinds)
        owners: dict[str, str] = {}
        for name, section in sections.items():
            for field_name in section.config_class.field_names():
                if field_name in owners:
                    raise ConfigError(
                        f"{game.__module__}:{game.__qualname__} cannot be used here: {field_name!r} is a "
                        f"field of {sections[owners[field_name]]} and of {section}; rename it in the game"
                    )
                owners[field_name] = name
        return owners

    @classmethod
    def as_in_source(cls, game: type[PopulationGame], preset: str | None = None) -> dict[str, Any]:
        """What the game's source sets of this configuration, by field; of what trains nothing, nothing."""
        return {}

    def provenance(self) -> dict[str, str]:
        """Of the game's configuration, see :meth:`karma_envs.config.Config.provenance`."""
        named: dict[str, str] = self.game_config.provenance()
        return named

    def make_game(self) -> PopulationGame:
        """The game, not yet reset."""
        return game_class(self.game)(self.game_config)

    def model(self) -> MeanFieldModel:
        """The game's mean-field model.

        Raises:
            ConfigError: when the game has none with this configuration, or no memory for it.
        """
        game = self.make_game()
        check_model_memory(game)
        model = game.mean_field()
        if model is None:
            raise refusal("game", self.game, "a game that has a mean-field model as it is configured")
        return model

    @classmethod
    def kinds_in(cls, *layers: Mapping[str, Any]) -> dict[str, str]:
        """The kinds of parts that layers choose, as ``learner: name`` or ``learner: {kind: name, …}``."""
        chosen = {}
        for layer in layers:
            for name in cls.KINDS:
                value = layer.get(name)
                value = value.get("kind") if isinstance(value, Mapping) else value
                if value is not None:
                    chosen[name] = value
        return chosen

    @classmethod
    def from_flat(
        cls, game: str | type[PopulationGame], preset: str | None, *layers: Mapping[str, Any]
    ) -> Self:
        """A configuration of field names without regard to which part they belong to.

        What is not given is as the game's source has it, then as the preset says, then the default.

        Args:
            game: as the field.
            preset: name of one of the game's presets, or None.
            layers: each flat, or nested like :meth:`to_dict`; later ones win. A part that there are kinds of
                may be a kind's name.

        Raises:
            ConfigError: for an unknown field or preset, or a value that is not allowed.
        """
        known, game = game_class(game, "game"), name_of(game, "game")
        if preset is not None:
            choice("preset", preset, known.presets)
        kinds = cls.kinds_in(*layers)
        owners = cls.owners(known, kinds)
        values: dict[str, dict[str, Any]] = {section: {} for section in cls.sections(known, kinds)}
        values["game_config"] |= known.presets[preset] if preset else {}
        as_in_source = cls.as_in_source(known, preset)
        for layer in ({name: as_in_source[name] for name in as_in_source if name in owners}, *layers):
            for name, value in layer.items():
                if name in kinds and not isinstance(value, Mapping):
                    continue
                if name and name in values:
                    if not isinstance(value, Mapping):
                        raise refusal(name, value, "a mapping of field names to values")
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
        for name, kind in kinds.items():
            values[name]["kind"] = kind
        own = values.pop("")
        if own.get("game", game) != game:
            raise refusal("game", own["game"], f"{game}, the game that is named")
        return cls.from_dict({**values, **own, "game": game})


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
