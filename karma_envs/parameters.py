"""Continuous parameters of configurations, by name: to ask what happens if one were a little different.

A name is the path to a number: ``discount``, ``urgencies[1]``, ``types[0].discount``. Every number of a
configuration that is a ``float`` is one; whole numbers, such as a cap, are not. A configuration may have
parameters that are no plain fields, or move others along with them: it then overrides
:meth:`karma_envs.config.Config.parameters` and :meth:`karma_envs.config.Config.with_parameter`, as karma
games' do (:class:`karma_envs.karma.config.KarmaConfig`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from karma_envs.config import Config

_PART = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]")


def numbers_in(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The names and values of the parameters in a field's value: numbers, tuples of them, configurations."""
    if isinstance(value, float):
        yield name, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from numbers_in(item, f"{name}[{index}]")
    elif hasattr(value, "parameters") and hasattr(value, "with_parameter"):
        yield from ((f"{name}.{inner}", number) for inner, number in value.parameters().items())


def split(name: str) -> list[str | int] | None:
    """A name as the steps of its path, such as ``["types", 0, "discount"]``; None where it is no path."""
    parts = _PART.findall(name)
    whole = "".join(f"[{index}]" if index else f".{field}" for field, index in parts)
    if not parts or whole.removeprefix(".") != name:
        return None
    return [int(index) if index else field for field, index in parts]


def joined(path: list[str | int]) -> str:
    """The name of a path."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def with_number(config: Config, path: list[str | int], value: float) -> Config:
    """A copy of a configuration with the number at the end of a path replaced, checked anew."""
    field = str(path[0])
    return config.replace(**{field: _with_number(getattr(config, field), path[1:], value)})


def _with_number(old: Any, path: list[str | int], value: float) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        return (*old[:first], _with_number(old[first], rest, value), *old[first + 1 :])
    return old.with_parameter(joined(path), value)
