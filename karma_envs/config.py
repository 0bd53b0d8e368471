"""Configurations: frozen dataclasses that check themselves and travel as JSON and YAML.

A configuration is complete and valid once it exists: every field is checked when it is made, and an
error names the field, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

import numpy as np

C = TypeVar("C", bound="Config")


class ConfigError(ValueError):
    """A configuration that cannot be: the message names the field, the value and what is allowed."""


def refuse(field: str, value: object, allowed: str) -> ConfigError:
    """The error for ``field`` having ``value``, to be raised."""
    shown = importable_name(value) if callable(value) else repr(value)
    shown = shown if len(shown) <= 200 else shown[:200] + " …"
    return ConfigError(f"{field} = {shown} is not allowed; allowed: {allowed}")


def whole(field: str, value: object, low: int, high: int = 2**63 - 1) -> int:
    """``value`` as an int in ``low … high``; whole floats are taken, booleans are not."""
    allowed = f"a whole number from {low}" + (f" to {high}" if high < 2**63 - 1 else " up, below 2**63")
    if not _is_number(value):
        raise refuse(field, value, allowed)
    number = int(float(value) // 1) if not isinstance(value, numbers.Integral) else int(value)
    if number != value or not low <= number <= high:
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
    if not _is_number(value):
        raise refuse(field, value, allowed)
    number = float(value)
    if number < low or number > high or (open_low and number == low) or (open_high and number == high):
        raise refuse(field, value, allowed)
    return number


def _is_number(value: object) -> TypeGuard[numbers.Real]:
    """Whether a value is a number that a float can hold, and no boolean."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def choice(field: str, value: object, allowed: Iterable[str]) -> str:
    """``value`` if it is one of the strings ``allowed``."""
    options = tuple(allowed)
    if not isinstance(value, str) or value not in options:  # an array would be compared item by item
        raise refuse(field, value, ", ".join(options) + _suggestion(value, options))
    return str(value)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list of items: any sequence or array, but no text, and no array of one number."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _suggestion(value: object, options: Iterable[str]) -> str:
    close = difflib.get_close_matches(value[:100], list(options), n=1) if isinstance(value, str) else ()
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
    def from_dict(cls: type[C], values: Mapping[str, Any], name: str = "") -> C:
        """The configuration of plain data, as :meth:`to_dict` gives it or a YAML file holds it.

        Args:
            values: by field.
            name: where they stand in another configuration, such as ``types[1]``, for errors to say.

        Raises:
            ConfigError: for an unknown field or a value that is not allowed.
        """
        if not isinstance(values, Mapping):
            raise refuse(name or cls.__name__, values, "a mapping of field names to values")
        names = cls.field_names()
        for field in values:
            if field not in names:
                raise ConfigError(
                    f"{name or cls.__name__} has no field {field!r}{_suggestion(field, names)}; "
                    f"its fields: {', '.join(names)}"
                )
        try:
            return cls(**values)
        except ConfigError as error:
            if not name:
                raise
            raise ConfigError(f"{name}.{error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain data (numbers, strings, lists, dicts, None) from which :meth:`from_dict` restores it.

        Raises:
            ConfigError: when a function of the user's cannot be imported by name.
        """
        return {name: _plain(getattr(self, name)) for name in self.field_names()}

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
