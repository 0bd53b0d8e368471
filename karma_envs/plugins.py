"""Modules by name: those that a user names, and ours, which a stranger may be taken for."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from karma_envs.config import ConfigError, refusal


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
        named: Any = _import(module_name)
        for part in path.split("."):
            named = getattr(named, part)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise refusal(field, name, f"{allowed}; {_reason(error)}") from error
    return named


def call_named(field: str, function: Any, allowed: str, *arguments: Any) -> Any:
    """What a function of the user's returns, given itself or as ``module:function``.

    Args:
        field: the field that has it, for the error.
        function: the function or its name.
        allowed: what the field may be, for the error.
        arguments: of the function.

    Raises:
        ConfigError: when it cannot be imported, is no function, or raises an error.
    """
    called = import_named(field, function, allowed) if isinstance(function, str) else function
    if not callable(called):
        raise refusal(field, function, f"{allowed}; it is {type(called).__name__}")
    try:
        return called(*arguments)
    except ConfigError:
        raise
    except Exception as error:  # a user's function may raise anything
        raise refusal(field, function, f"{allowed}; {_reason(error)}") from error


def defined_in(package: str, name: str, *, modules: str = "*", nested: bool = True) -> dict[str, Any]:
    """What the modules of a package, and of the packages in it, define under one name.

    This is how a game's rule, a solver or an experiment is added by adding a file.

    Args:
        package: the package, by its dotted name.
        name: of what each may define; modules without it are left out.
        modules: pattern of the names of modules that are looked into, which imports them.
        nested: whether modules of the packages in it are looked into, too, and not the packages alone.

    Returns:
        what they define by the modules' dotted names, in alphabetical order.
    """
    root = importlib.import_module(package)
    defined: dict[str, Any] = {}
    entries = pkgutil.walk_packages if nested else pkgutil.iter_modules
    for entry in entries(root.__path__, f"{package}."):
        if fnmatch.fnmatchcase(entry.name.rpartition(".")[2], modules):
            module = importlib.import_module(entry.name)
            if name in vars(module):
                defined[entry.name] = vars(module)[name]
    return defined


def _import(name: str) -> ModuleType:
    folder = os.getcwd()
    if not any(os.path.realpath(entry) == os.path.realpath(folder) for entry in sys.path):
        sys.path.append(folder)  # and stays, as the module may import its neighbours later
    importlib.invalidate_caches()  # the file may have been written a moment ago
    module = importlib.import_module(name)
    top = name.partition(".")[0]
    if top == __package__:  # that runs already, whichever copy of it the working folder has
        return module
    here = importlib.machinery.PathFinder.find_spec(top, [folder])
    taken = getattr(sys.modules[top], "__file__", None)
    if here is not None and here.origin and taken and not os.path.samefile(here.origin, taken):
        raise ImportError(f"{here.origin} is not {taken}, which goes by that name: rename yours")
    return module


def _reason(error: BaseException) -> str:
    """An error in a line, with the place in the user's code where it happened, if it got there."""
    text = " ".join(str(error).split()) or type(error).__name__
    machinery = {__file__, importlib.__file__}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in machinery and not frame.filename.startswith("<frozen importlib")
    ]
    if not frames:
        return text
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: {type(error).__name__}: {text}"


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
