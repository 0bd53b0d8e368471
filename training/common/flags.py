"""Command-line flags made from configurations: every field is one, its help from the docstring."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import re
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from karma_envs import names
from karma_envs.config import NONE, Config, ConfigError, field_kinds, suggestion
from karma_envs.registry import game_class
from training.common.config import GameRunConfig, descriptions, load_layer
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
    described = game_class(game, "game")
    module = sys.modules[described.__module__]
    own = described.__doc__ if ":" in game else None  # a module of one's own may have several games
    return (own or module.__doc__ or "").partition("\n")[0]


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


class _GameParser(Parser):
    """The parser of a game's sub-command, whose flags depend on the kinds of parts that it is told.

    So they are added when it is known what is given.

    Args:
        kinds: the flags that choose a kind, by the name of the part.
        add_fields: adds the flags of fields, where parts are of kinds by their names.
    """

    def __init__(
        self,
        *args: Any,
        kinds: Collection[str],
        add_fields: Callable[[Parser, Mapping[str, str]], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._kinds, self._add_fields = kinds, add_fields

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of the base, once the flags are those of the kinds that are chosen."""
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        for name in self._kinds:
            first.add_argument(f"--{name}", default=argparse.SUPPRESS)
        with contextlib.suppress(argparse.ArgumentError):  # said below, by the parser that knows all flags
            self._add_fields(self, vars(first.parse_known_args(list(args or ()))[0]))
        return super().parse_known_args(args, namespace)


class _Games(argparse._SubParsersAction):  # type: ignore[type-arg]
    """Sub-commands, one per game, of which the help shows a line."""

    def _get_subactions(self) -> list[argparse.Action]:
        return [self._ChoicesPseudoAction(game, short_names(game), first_line(game)) for game in names()]


class _ParsersByName(dict[str, Any]):
    """The parsers of games by all the names that these go by, and of files that name one.

    A parser is made when it is looked up, so that a game that is not asked for is not even imported.
    """

    def __init__(self, make: Callable[[str], Parser]) -> None:
        super().__init__({name: game for game in names() for name in (game, *short_names(game))})
        self._make = make

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and (":" in name or _is_file(name)))

    def __getitem__(self, name: str) -> Parser:
        return self._make(self.get(name, name))


def add_games(
    command: Parser,
    action: Action,
    config_class: type[GameRunConfig],
    add_flags: Callable[[Parser], None] = lambda parser: None,
) -> None:
    """A sub-command per game, with a flag for every field of what is done with the game.

    A YAML file with a field ``game`` may stand in a game's place, and for ``--config`` then. Flags that are
    not given are not in the namespace.

    Args:
        command: where the games go.
        action: called with the namespace; it may return an exit status.
        config_class: what is done: the fields of its sections are flags.
        add_flags: adds further flags to a game's parser.
    """
    games = command.add_subparsers(
        title="games, module:Class of one's own, or a YAML file with game: NAME",
        required=True,
        metavar="GAME",
        action=_Games,
    )

    def make(game: str) -> Parser:
        file = game if _is_file(game) else None
        name = game if file is None else _game_in(file)
        parser = _game_parser(name, f"{games._prog_prefix} {game}", config_class, file)
        parser.set_defaults(action=action)
        add_flags(parser)
        return parser

    games.choices = games._name_parser_map = _ParsersByName(make)


def _is_file(name: str) -> bool:
    """Whether what stands in a game's place is a configuration."""
    return name.endswith((".yaml", ".yml"))


def _game_in(file: str) -> str:
    """The game that a configuration names.

    Raises:
        ConfigError: when the file names none, or cannot be read.
    """
    game = load_layer(file).get("game")
    if game is None:
        raise ConfigError(f"{file}: the field game is missing; allowed: {', '.join(names())}")
    return str(game)


class _SecondFile(argparse.Action):
    """``--config`` where a file stands for it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        raise ConfigError(f"{self.default} stands for --config; leave out one of them")


def _game_parser(name: str, prog: str, config_class: type[GameRunConfig], file: str | None) -> Parser:
    """The parser of a game's sub-command, where ``file`` is the configuration that stands for it, if any.

    Raises:
        ConfigError: when there is no such game, or two sections have a field of the same name.
    """
    game = game_class(name, "game")
    config_class.owners(game)  # may be refused

    def add_fields(parser: Parser, kinds: Mapping[str, str]) -> None:
        for heading, part in config_class.sections(game, kinds).values():
            hidden = {"game", *config_class.parts(game)} if part is config_class else set()
            group, in_source = parser.add_argument_group(heading), config_class.as_in_source(game)
            _add_fields(group, part, hidden, in_source, config_class.REPEATED)

    parser = _GameParser(
        prog=prog,
        description=first_line(name),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        kinds=config_class.KINDS,
        add_fields=add_fields,
    )
    parser._negative_number_matcher = _NEGATIVE_NUMBER
    parser.set_defaults(game=name)
    presets = ", ".join(game.presets) or "none"
    parser.add_argument("--preset", metavar="NAME", help=f"start from a named configuration: {presets}")
    how: dict[str, Any] = {} if file is None else {"action": _SecondFile, "default": file}
    parser.add_argument("--config", metavar="FILE", help="YAML file with any of the fields below", **how)
    for part in config_class.KINDS:
        parser.add_argument(
            f"--{part}",
            dest=f"field:{part}",
            metavar="KIND",
            help=f"the kind of {part}, in place of the game's; its own flags are those below",
        )
    return parser


def short_names(game: str) -> list[str]:
    """What else a game may be called on the command line: its last word, where no other ends in it."""
    last_words = [name.rpartition("_")[2] for name in names()]
    short = game.rpartition("_")[2]
    return [short] if last_words.count(short) == 1 and short != game else []


def _add_fields(
    group: Any,
    config_class: type[Config],
    hidden: Collection[str],
    as_in_source: Mapping[str, Any],
    repeated: Collection[str],
) -> None:
    """A flag for every field of a configuration that is not ``hidden``.

    One of yes or no may stand alone; those that are ``repeated`` are lists of texts, one a flag.
    """
    meanings = descriptions(config_class)
    for item in dataclasses.fields(config_class):
        if item.name in hidden:
            continue
        default = as_in_source.get(item.name, item.default)
        shown = "none" if default is None else _as_said(default)
        how: dict[str, Any] = {"nargs": "?", "const": True} if field_kinds(item) == {"bool"} else {}
        if item.name in repeated:
            how, shown = {"action": "append"}, ", ".join(default) if isinstance(default, tuple) else "none"
        group.add_argument(
            "--" + item.name.replace("_", "-"),
            dest=f"field:{item.name}",
            type=str if item.name in repeated else _reader(item),
            metavar="VALUE",
            **how,
            help=f"{meanings[item.name].rstrip('.')} (default {shown})".strip().replace("%", "%%"),
        )


def _as_said(default: Any) -> str:
    """A default as it may be said on the command line: a list as 1,2, a list of lists as [[1,2],[3,4]]."""
    if not isinstance(default, tuple):
        return str(default)
    rows = [f"[{','.join(map(str, item))}]" if isinstance(item, tuple) else str(item) for item in default]
    said = ",".join(rows)
    return said if said and said[0] not in "[-" else f"[{said}]"  # -1,2 would be taken for a flag


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
