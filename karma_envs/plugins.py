"""Modules by name: those that a user names, and ours, which a stranger may be taken for."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from karma_envs.config import refuse


def import_named(field: str, name: str, allowed: str) -> Any:
    """What ``module:name`` stands for; a name may have dots, as in ``module:Class.method``.

    Modules of the working folder are found too, after installed ones, as Python finds those beside a
    script. A module of another place that goes by the name of one in the working folder is refused, as
    one of the two would silently be taken for the other.

    Args:
        field: the field that has the name, for the error.
        name: ``module:name``.
        allowed: what the field may be, for the error.

    Raises:
        ConfigError: when the module is not there, cannot be imported or has no such name.
    """
    module_name, _, path = name.partition(":")
    try:
        found: Any = _import(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise refuse(field, name, f"{allowed}; {_reason(error)}") from error
    return found


def _import(name: str) -> ModuleType:
    folder = os.getcwd()
    if not any(os.path.realpath(entry) == os.path.realpath(folder) for entry in sys.path):
        sys.path.append(folder)  # and stays, as the module may import its neighbours later
    importlib.invalidate_caches()  # the file may have been written a moment ago
    module = importlib.import_module(name)
    top = name.partition(".")[0]
    here = importlib.machinery.PathFinder.find_spec(top, [folder])
    taken = getattr(sys.modules[top], "__file__", None)
    if here is not None and here.origin and taken and not os.path.samefile(here.origin, taken):
        raise ImportError(f"{here.origin} is not {taken}, which goes by that name: rename yours")
    return module


def _reason(error: BaseException) -> str:
    """An error of importing in a line, with the place where it happened unless it is an import."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, (ImportError, AttributeError, SyntaxError)):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if frame.filename == __file__ else f"{Path(frame.filename).name}, line {frame.lineno}: "
    return f"{where}{type(error).__name__}: {text}"


def require_own(package: str) -> None:
    """See that a package of this distribution is what Python finds under its name.

    ``agents`` and ``training`` are names that others use, too.

    Args:
        package: ``agents`` or ``training``, beside this package.

    Raises:
        ImportError: in a line that names the stranger, and says what to do.
    """
    own = Path(__file__).parents[1] / package / "__init__.py"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{own.parent}, a part of karma-envs, is missing: install karma-envs anew")
    if os.path.realpath(spec.origin) != os.path.realpath(own):
        raise ImportError(
            f"{spec.origin} goes by the name of {own.parent}, a part of karma-envs: rename it, or work where "
            "Python does not find it (another folder, another PYTHONPATH, an environment of its own)"
        )
    if own.is_file() and "karma" not in own.read_text(encoding="utf-8"):
        raise ImportError(
            f"{own} has been overwritten by another distribution with a package {package}: "
            "install that one and karma-envs in two environments"
        )
