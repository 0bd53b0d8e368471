"""Configurations in folders of results: read as they were written, and without running a stranger's code.

A configuration may name functions of the user's, ``module:function``, which are imported when it is made
into one. So a folder that comes from somebody else could have anything run by ``karma-envs plot``; it is
read only where the names are those of this package, or the user says that the folder is to be trusted.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from karma_envs.config import Config, ConfigError
from karma_envs.registry import game_class, names
from training.common.config import load_layer
from training.common.errors import ResultsError
from training.common.tables import read_recorded

_OWN = re.compile(r"karma_envs(\.\w+)+:\w+(\(.*\))?")  # no way from our modules to others, as in a:os.abort


def read_config(path: Path, *, trust: bool = False, known: Collection[str] = ()) -> dict[str, Any]:
    """The fields that a configuration in a folder of results sets.

    Args:
        path: of the file.
        trust: whether it may name functions to be imported that are not this package's.
        known: names of functions that it may name all the same.

    Raises:
        ResultsError: when it is not there, damaged, or names functions and is not trusted.
    """
    read_recorded(path)
    values = load_layer(path)
    strange = [name for name in functions_named(values) if name not in known]
    if strange and not trust:
        raise ResultsError(
            f"{path} names code to be run: {strange[0]!r}; if you trust whoever made it, say so with --trust "
            "(in Python trust=True)"
        )
    return values


def add_trust(command: argparse.ArgumentParser) -> None:
    """The flag ``--trust`` of commands that read a folder."""
    command.add_argument(
        "--trust",
        action="store_true",
        default=False,
        help="import functions (module:function) that the folder's configuration names, and so run code of "
        "whoever made it (default no)",
    )


def resuming(command: str, folder: Path, values: Mapping[str, Any]) -> str:
    """How to go on with what was interrupted: the command, which trusts the functions that its user named.

    Args:
        command: of karma-envs, up to the flags.
        folder: of the results.
        values: the configuration as plain data.
    """
    trust = " --trust" if functions_named(values) else ""
    return f"go on with: karma-envs {command} --resume {folder}{trust}"


def functions_named(values: Mapping[str, Any]) -> list[str]:
    """The functions ``module:function`` that a configuration of a run, a sweep or a solution names.

    Those of this package are left out.

    Args:
        values: plain data, of which nothing is known yet.
    """
    base = values.get("base")
    game = (base if isinstance(base, Mapping) else values).get("game", "matching")
    config_class = game_class(game).config_class if game in names() else Config
    named = [name for part in _parts(values) for name in config_class.functions_named(part)]
    return [name for name in named if not _OWN.fullmatch(name)]


def _parts(values: Mapping[str, Any]) -> list[Any]:
    """Pieces in which the fields of a game stand side by side, as its class knows them."""
    parts: list[Any] = []
    for name, value in values.items():
        if name in ("base", "game_config") and isinstance(value, Mapping):
            parts += _parts(value)
        elif name == "over" and isinstance(value, Mapping):
            swept = {field: each if isinstance(each, list) else [each] for field, each in value.items()}
            parts += [{field: each} for field, several in swept.items() for each in several]
        else:
            parts.append({name: value})
    return parts


def made(config_class: type[Any], path: Path, values: Mapping[str, Any]) -> Any:
    """The configuration of a file's fields.

    Raises:
        ResultsError: naming the file, when they are not allowed.
    """
    try:
        return config_class.from_dict(values)
    except ConfigError as error:
        raise ResultsError(f"{path}: {error}") from error
