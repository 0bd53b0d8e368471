"""What results were made of: versions, the commit of the source, files and functions by content."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from karma_envs.config import ConfigError
from karma_envs.files import file_digest
from karma_envs.registry import game_class
from training.common.config import GameRunConfig
from training.common.errors import ResultsError

PACKAGES = ("karma-envs", "numpy", "numba", "scipy", "gymnasium", "pettingzoo")
_COMPILERS = ("python", "numpy", "numba")
_ROOT = Path(__file__).resolve().parents[2]


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that results depend on; None for one that is not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def version_changes(recorded: Any) -> str:
    """How recorded versions differ from those here, as a list in a line; empty where none does."""
    if not isinstance(recorded, Mapping):
        return ""
    here = versions()
    changed = [name for name in here if name in recorded and recorded[name] != here[name]]
    return ", ".join(f"{name} {recorded[name]} (now {here[name]})" for name in changed)


@cache
def source_commit() -> str | None:
    """The commit of the package's own checkout; None where it was installed.

    A repository of the user's, in which the package happens to be installed, is none of its own.
    """
    try:
        top, commit = _git("rev-parse", "--show-toplevel", "HEAD").splitlines()
        _git("ls-files", "--error-unmatch", "--", __file__)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return commit if Path(top).resolve() == _ROOT else None


def _git(*arguments: str) -> str:
    """What git prints about the folder of this file, whatever repository the caller is at work in."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=_ROOT / "training",
        env=environment,
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
    )
    return done.stdout


def provenance_of(config: GameRunConfig, what: str | os.PathLike[str]) -> dict[str, str]:
    """What a configuration names outside itself, now.

    Args:
        config: of the run.
        what: whose it is, for errors.

    Raises:
        ResultsError: when something that it names is not there.
    """
    try:
        named = config.provenance()
    except ConfigError as error:
        raise ResultsError(f"{os.fspath(what)}: {error}") from error
    return named | (source_of(f"game {config.game}", game_class(config.game)) if ":" in config.game else {})


def source_of(name: str, given: Any) -> dict[str, str]:
    """The digest of the file in which a class or function of the user's is written, by its name.

    Empty where there is no such file. What it imports from other files is not in it.
    """
    try:
        source = inspect.getsourcefile(given)
        return {} if source is None else {name: file_digest(source)}
    except (OSError, TypeError):
        return {}


def check_provenance(
    what: str | os.PathLike[str], recorded: Any, recorded_versions: Any, now: Mapping[str, str]
) -> None:
    """Refuse results whose files or functions have another content now.

    Args:
        what: the folder or file of the results, for errors.
        recorded: what :meth:`karma_envs.config.Config.provenance` was; None where nothing is known.
        recorded_versions: see :func:`versions`. Under others of Python, NumPy or numba the same function
            has other code, so functions are not compared.
        now: what it is.

    Raises:
        ResultsError: naming the file or function and what to do.
    """
    if not isinstance(recorded, Mapping):
        return
    before, here = recorded_versions if isinstance(recorded_versions, Mapping) else {}, versions()
    comparable = all(before.get(name) == here[name] for name in _COMPILERS)
    for name in sorted({*recorded, *now}):
        then, today = recorded.get(name), now.get(name)
        if then == today or (not comparable and str(then or today).startswith("code:")):
            continue
        change = "is gone" if today is None else "was not there then" if then is None else "has changed since"
        raise ResultsError(
            f"{os.fspath(what)} was made with other contents: {name} {change}; restore what it was, or make "
            "the run anew"
        )
