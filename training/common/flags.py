"""Command-line flags made from configurations: every field is one, its help from the docstring."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from karma_envs import names
from karma_envs.config import NONE, Config, ConfigError, field_kinds, suggestion
from karma_envs.registry import game_class
from training.common.config import descriptions, load_layer
from training.common.plain_yaml import parse_yaml

Action = Callable[[argparse.Namespace], int | None]
"""What a command does; it returns its exit status, None for 0."""

_EPILOG = """\
numbers and lists are written as in YAML 1.2, here and in files: 3.2e7, 1_000_000, 1,9 or [1, 9], and
--types '[{share: 1, discount: 0.7}, {share: 1, discount: 0.9}]' for agent types; so 010 is 10, and yes and
1:30 are text. Names and paths are taken as they stand; none means no value, where there may be none. Of a
flag given twice the last counts; a key given twice in a file is refused. Rules, networks and games of your
own are module:name, in a module that is installed or in the working folder.
"""

# What argparse takes for a negative number, not an option: with exponents too.
_NEGATIVE_NUMBER = re.compile(r"^-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


class Parser(argparse.ArgumentParser):
    """A parser of arguments whose errors are one line, and say what may have been meant.

    Flags are written whole: a part of one might come to stand for another when there are more.
    """

    add_own_choice: Callable[[str], None] | None = None
    """Adds a sub-command for a ``module:name``, when one is asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of the base, but in a sub-command, too, nothing may remain that it does not know."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            meant = suggestion(flag, self._option_string_actions) if flag.startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return options, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if self.add_own_choice is not None and isinstance(value, str) and ":" in value:
            self.add_own_choice(value)
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += suggestion(value, action.choices or ())
            raise

    def error(self, message: str) -> NoReturn:
        """End with status 2, and a line on standard error."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}; see {self.prog} --help\n")


def first_line(game: str) -> str:
    """What a game is, in a line; empty where Python strips docstrings (``-OO``)."""
    module = sys.modules[game_class(game).__module__]
    return (module.__doc__ or "").partition("\n")[0]


def value(text: str) -> Any:
    """A flag's value, as YAML."""
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _reader(item: dataclasses.Field[Any]) -> Callable[[str], Any]:
    """How the flag of a field is read, by the field's type: a list, a name that stands as it is, or YAML."""
    kinds = field_kinds(item)
    if "tuple" in kinds:
        return functools.partial(_list_value, wrap=kinds <= {"tuple", "None"})
    is_name = "str" in kinds or isinstance(item.default, str)
    return str if is_name and kinds.isdisjoint({"int", "float"}) else value


def _list_value(text: str, *, wrap: bool) -> Any:
    """``1,9`` or ``[1, 9]``; where nothing but a list will do, ``1`` is a list of one."""
    parsed = value(text)
    if isinstance(parsed, str) and "," in text:
        parsed = value(f"[{text}]")
    return [parsed] if wrap and not isinstance(parsed, list) and parsed not in (None, *NONE) else parsed


def add_games(
    command: Parser, action: Action, parts: Mapping[str, type[Config]]
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
    games = command.add_subparsers(title="games, or module:Class of one's own", required=True, metavar="GAME")
    parsers = [_add_game(games, game, action, parts) for game in names()]
    built_in = parsers[0]
    n_own = len(built_in._actions)

    def add_own(game: str) -> None:
        parser = _add_game(games, game, action, parts)
        for flag in built_in._actions[n_own:]:  # what the command has added to all
            parser._add_action(flag)
        parser.epilog = built_in.epilog

    command.add_own_choice = add_own
    return parsers


def _add_game(
    games: Any, game: str, action: Action, parts: Mapping[str, type[Config]]
) -> argparse.ArgumentParser:
    found = game_class(game, "game")
    parser: argparse.ArgumentParser = games.add_parser(
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
    presets = ", ".join(found.presets)
    parser.add_argument("--preset", metavar="NAME", help=f"start from a named configuration: {presets}")
    parser.add_argument("--config", metavar="FILE", help="YAML file with any of the fields below")
    for title, config_class in {"the game": found.config_class, **parts}.items():
        _add_fields(parser.add_argument_group(title), config_class, found.trained_with.get("", {}))
    return parser


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
        default = as_in_source.get(item.name, item.default)
        shown = ",".join(map(str, default)) or "[]" if isinstance(default, tuple) else default
        shown = "none" if shown is None else shown
        group.add_argument(
            "--" + item.name.replace("_", "-"),
            dest=f"field:{item.name}",
            type=_reader(item),
            metavar="VALUE",
            help=f"{meanings[item.name].rstrip('.')} (default {shown})".strip().replace("%", "%%"),
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


def docs_folder(flag: str, given: str | None, default: str) -> str:
    """What a flag says, or a folder of the docs where one stands in the checkout that this code is of.

    Raises:
        ConfigError: where it is not, and the flag is not given.
    """
    checkout = Path(__file__).parents[2]
    if given is None and not ((checkout / "pyproject.toml").is_file() and Path.cwd() == checkout.resolve()):
        raise ConfigError(f"{flag} is missing; it is {default} only in a checkout of karma-envs")
    return default if given is None else given
