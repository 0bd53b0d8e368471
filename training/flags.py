"""Command-line flags made from configurations: every field is one, its help from the docstring."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from karma_envs import names
from karma_envs.config import Config
from karma_envs.registry import game_class
from training.config import descriptions, load_layer, parse_yaml

Action = Callable[[argparse.Namespace], int | None]

_EPILOG = """\
values are written as in YAML: 3.2e7, true, null, 1,9 or [1, 9] for lists, and
--types '[{share: 1, discount: 0.7}, {share: 1, discount: 0.9}]' for agent types.
"""

# What argparse takes for a negative number, not an option: with exponents too.
_NEGATIVE_NUMBER = re.compile(r"^-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


def first_line(game: str) -> str:
    """What a game is, in a line."""
    module = sys.modules[game_class(game).__module__]
    return (module.__doc__ or "").splitlines()[0]


def value(text: str) -> Any:
    """A flag's value, as YAML."""
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _list_value(text: str) -> Any:
    parsed = value(text)
    return value(f"[{text}]") if isinstance(parsed, str) and "," in text else parsed


def add_games(
    command: argparse.ArgumentParser, action: Action, parts: Mapping[str, type[Config]]
) -> list[argparse.ArgumentParser]:
    """A sub-command per game, with a flag for every field of the game's configuration and of ``parts``.

    Flags that are not given are not in the namespace.

    Args:
        command: where the games go.
        action: called with the namespace; it may return an exit status.
        parts: configurations besides the game's, by the heading of their flags.

    Returns:
        the games' parsers, for further flags.
    """
    games = command.add_subparsers(title="games", required=True, metavar="GAME")
    parsers = []
    for game in names():
        parser = games.add_parser(
            game,
            aliases=short_names(game),
            help=first_line(game),
            description=first_line(game),
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
        )
        parser._negative_number_matcher = _NEGATIVE_NUMBER
        parser.set_defaults(action=action, game=game)
        found = game_class(game)
        presets = ", ".join(found.presets)
        parser.add_argument("--preset", metavar="NAME", help=f"start from a named configuration: {presets}")
        parser.add_argument("--config", metavar="FILE", help="YAML file with any of the fields below")
        for title, config_class in {"the game": found.config_class, **parts}.items():
            _add_fields(parser.add_argument_group(title), config_class, found.trained_with.get("", {}))
        parsers.append(parser)
    return parsers


def short_names(game: str) -> list[str]:
    """What else a game may be called on the command line: its last word, where no other ends in it."""
    last_words = [name.rpartition("_")[2] for name in names()]
    short = game.rpartition("_")[2]
    return [short] if last_words.count(short) == 1 and short != game else []


def _add_fields(group: Any, config_class: type[Config], as_in_source: Mapping[str, Any]) -> None:
    meanings = descriptions(config_class)
    for item in dataclasses.fields(config_class):
        if item.name in ("game", "game_config", "learner"):
            continue
        is_list = isinstance(item.default, tuple) or item.name in ("urgency_transition", "initial_karma")
        default = as_in_source.get(item.name, item.default)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        shown = "none" if shown in ("", None) else shown
        group.add_argument(
            "--" + item.name.replace("_", "-"),
            dest=f"field:{item.name}",
            type=_list_value if is_list else value,
            metavar="VALUE",
            help=f"{meanings[item.name].rstrip('.')} (default {shown})".replace("%", "%%"),
        )


def flag_of(destination: str) -> str:
    """The flag that a name in the namespace stands for."""
    return "--" + destination.removeprefix("field:").replace("_", "-")


def layers(options: argparse.Namespace) -> list[Mapping[str, Any]]:
    """What the configuration file sets, if there is one, and what the flags set."""
    given = {
        name.removeprefix("field:"): found
        for name, found in vars(options).items()
        if name.startswith("field:")
    }
    return [*([load_layer(options.config)] if "config" in options else []), given]
