"""Policies of any class from files, which say of what class they are."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from numpy.typing import NDArray

from karma_envs.files import read_npz
from karma_envs.plugins import defined_in, import_named
from karma_envs.saved_policy import SavedPolicy, format_of

_OWN = re.compile(r"(karma_envs|agents)(\.\w+)+:\w+")  # no way from our modules to others, as in a:os.abort


def load(path: str | os.PathLike[str], *, trust: bool = False) -> Any:
    """The policy that a file holds, of whatever class.

    Args:
        path: of a file that :meth:`karma_envs.saved_policy.SavedPolicy.save` wrote.
        trust: whether the file may name a class to be imported that is not this package's; without, a file
            of somebody else's cannot have code run.

    Raises:
        ValueError: when the file is damaged, no policy, or one of a class that it may not name.
        FileNotFoundError: when there is none.
    """
    arrays = read_npz(path)
    try:
        return from_arrays(arrays, trust=trust)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} is not a policy of karma-envs: {error}") from error


def from_arrays(arrays: Mapping[str, NDArray[Any]], *, trust: bool = False) -> Any:
    """The policy of :meth:`karma_envs.saved_policy.SavedPolicy.to_arrays`, of whatever class.

    Args:
        arrays: by name.
        trust: as for :func:`load`.

    Raises:
        ValueError: when the arrays are none of a policy, or of a class that they may not name.
    """
    try:
        name = format_of(arrays)
    except (KeyError, TypeError) as error:
        raise ValueError(f"it holds no policy ({error})") from error
    return _class_of(name, trust).from_arrays(arrays)


@cache
def formats() -> dict[str, type[SavedPolicy]]:
    """The classes of ``agents.policies`` by their formats: each file there that defines a ``POLICY``."""
    return {policy.FORMAT: policy for policy in defined_in("agents.policies", "POLICY").values()}


def _class_of(name: str, trust: bool) -> type[SavedPolicy]:
    """The class of a format.

    Raises:
        ValueError: when there is none, or the file is not trusted to name it.
    """
    if name in formats():
        return formats()[name]
    if ":" not in name:
        raise ValueError(f"format {name!r}; known: {', '.join(formats())}, and module:Class")
    if _OWN.fullmatch(name):
        module, _, attribute = name.partition(":")
        try:
            named = vars(importlib.import_module(module)).get(attribute)
        except ImportError as error:
            raise ValueError(f"format {name!r}: {error}") from error
    elif trust:
        named = import_named("format", name, "module:Class of a policy")
    else:
        raise ValueError(
            f"it names code to be run: {name!r}; if you trust whoever made it, say so (in Python trust=True)"
        )
    if not (isinstance(named, type) and issubclass(named, SavedPolicy) and name == named.FORMAT):
        raise ValueError(f"format {name!r}, which is no class of policies")
    return named
