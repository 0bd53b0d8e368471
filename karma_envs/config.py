"""Configurations: frozen dataclasses that check themselves and travel as JSON and YAML.

A configuration is complete and valid once it exists: every field is checked when it is made, and an
error names the field, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

C = TypeVar("C", bound="Config")


class ConfigError(ValueError):
    """A configuration that cannot be: the message names the field, the value and what is allowed."""


def refuse(field: str, value: object, allowed: str) -> ConfigError:
    """The error for ``field`` having ``value``, to be raised."""
    shown = importable_name(value) if callable(value) else repr(value)
    shown = shown if len(shown) <= 200 else shown[:200] + " …"
    return ConfigError(f"{field} = {shown} is not allowed; allowed: {allowed}")


def whole(field: str, value: object, low: int, high: int | None = None) -> int:
    """``value`` as an int in ``low … high``; whole floats are taken, booleans are not."""
    allowed = f"a whole number from {low}" + (f" to {high}" if high is not None else " up")
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise refuse(field, value, allowed)
    number = int(float(value) // 1) if not isinstance(value, numbers.Integral) else int(value)
    if number != value or number < low or (high is not None and number > high):
        raise refuse(field, value, allowed)
    return number


def real(
    field: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """``value`` as a finite float in ``[low, high]``, the ends left out where they are open."""
    allowed = f"a number in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise refuse(field, value, allowed)
    number = float(value)
    if number < low or number > high or (open_low and number == low) or (open_high and number == high):
        raise refuse(field, value, allowed)
    return number


def choice(field: str, value: object, allowed: Iterable[str]) -> str:
    """``value`` if it is one of the strings ``allowed``."""
    options = tuple(allowed)
    if value not in options:
        raise refuse(field, value, ", ".join(options) + _suggestion(value, options))
    return str(value)


def _suggestion(value: object, options: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(value), list(options), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of all configurations: checks in ``__post_init__``, conversion to and from plain data."""

    def _set(self, **values: Any) -> None:
        """Store normalised values during ``__post_init__`` of a frozen dataclass."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """The configuration of plain data, as :meth:`to_dict` gives it or a YAML file holds it.

        Raises:
            ConfigError: for an unknown field or a value that is not allowed.
        """
        if not isinstance(values, Mapping):
            raise refuse(cls.__name__, values, "a mapping of field names to values")
        names = cls.field_names()
        for name in values:
            if name not in names:
                raise ConfigError(
                    f"{cls.__name__} has no field {name!r}{_suggestion(name, names)}; "
                    f"its fields: {', '.join(names)}"
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain data (numbers, strings, lists, dicts, None) from which :meth:`from_dict` restores it.

        Raises:
            ConfigError: when a function of the user's cannot be imported by name.
        """
        return {name: _plain(getattr(self, name)) for name in self.field_names()}

    def provenance(self) -> dict[str, str]:
        """What the configuration names outside itself, such as files and functions, and a digest of each.

        A run keeps it and compares, so that it is not gone on with, or measured, with other contents of the
        same names. Digests of files begin with ``sha256:``, those of functions with ``code:``.

        Raises:
            ConfigError: when something that is named is not there.
        """
        return {}

    @classmethod
    def functions_named(cls, values: Any) -> list[str]:
        """The names ``module:function`` in plain data, whose modules are imported to make a configuration."""
        if isinstance(values, str):
            return [values] if ":" in values else []
        if isinstance(values, Mapping):
            return [name for item in values.values() for name in cls.functions_named(item)]
        if isinstance(values, (list, tuple)):
            return [name for item in values for name in cls.functions_named(item)]
        return []

    def replace(self: C, **changes: Any) -> C:
        """A copy with some fields changed, checked anew.

        Raises:
            ConfigError: for an unknown field or a value that is not allowed.
        """
        kept = {name: getattr(self, name) for name in self.field_names()}
        return type(self).from_dict({**kept, **changes})


def importable_name(function: Any) -> str:
    """``module:function`` of a function, jitted or not."""
    function = getattr(function, "py_func", function)
    return f"{function.__module__}:{function.__qualname__}"


def _plain(value: Any) -> Any:
    if callable(value):
        name = importable_name(value)
        if "<" in name or name.startswith("__main__:"):
            raise ConfigError(
                f"{name} cannot be written to a file: define the rule in a module that can be imported"
            )
        return name
    if isinstance(value, Config):
        return value.to_dict()
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
