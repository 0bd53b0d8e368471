"""Configurations: frozen dataclasses that check themselves and travel as JSON and YAML.

A configuration is complete and valid once it exists: every field is checked when it is made, and an
error names the field, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
import re
import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeGuard, TypeVar, cast

import numpy as np

from karma_envs.parameters import numbers_in, split, with_number

C = TypeVar("C", bound="Config")

NONE = ("none", "None", "null", "~")
"""Words for None, where a field may be that."""

_LONGEST_SHOWN = 200  # characters of a value in an error


class ConfigError(ValueError):
    """A configuration that cannot be: the message names the field, the value and what is allowed."""


def refusal(field: str, value: object, allowed: str) -> ConfigError:
    """The error for ``field`` having ``value``, to be raised."""
    shown = importable_name(value) if callable(value) else _shown(value)
    return ConfigError(f"{field} = {shown} is not allowed; allowed: {allowed}")


refuse = refusal
"""What :func:`refusal` was called; configurations of games of one's own may import it by this name."""


class _Repr(reprlib.Repr):
    """``repr`` that stops early: of what is long, deep, or holds itself many times over."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self._parts_left = 20, 200
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 100
        self.maxarray = self.maxdeque = 100
        self.maxstring = self.maxlong = self.maxother = _LONGEST_SHOWN

    def repr1(self, x: Any, level: int) -> str:
        self._parts_left -= 1
        return super().repr1(x, level) if self._parts_left > 0 else "…"


def _shown(value: object) -> str:
    """``repr`` of a value in a line of bounded length and time; it never fails."""
    try:
        shown = " ".join(_Repr().repr(value).split())
    except Exception:  # whatever a repr may raise, such as that of a number of 5000 digits
        shown = f"<{type(value).__name__}>"
    return shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + " …"


def whole(field: str, value: object, low: int, high: int = 2**63 - 1) -> int:
    """``value`` as an int in ``low … high``; whole floats are taken, booleans are not."""
    if _is_number(value):
        number = int(float(value) // 1) if not isinstance(value, numbers.Integral) else int(value)
        if number == value and low <= number <= high:
            return number
    up_to = f" to {high}" if high < 2**63 - 1 else " up, below 2**63"
    raise refusal(field, value, f"a whole number from {low}{up_to}")


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
    if _is_number(value):
        number = float(value)
        above = low < number if open_low else low <= number
        if above and (number < high if open_high else number <= high):
            return number
    allowed = f"a number in {'(' if open_low else '['}{low:.10g}, {high:.10g}{')' if open_high else ']'}"
    raise refusal(field, value, allowed)


def _is_number(value: object) -> TypeGuard[numbers.Real]:
    """Whether a value is a number that a float can hold, and no boolean."""
    if type(value) is float:  # as nearly all are; to ask for a Real takes long
        return math.isfinite(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def yes_or_no(field: str, value: object) -> bool:
    """``value`` if it is True or False.

    Raises:
        ConfigError: otherwise.
    """
    if not isinstance(value, bool):
        raise refusal(field, value, "True or False")
    return value


def choice(field: str, value: object, allowed: Iterable[str]) -> str:
    """``value`` if it is one of the strings ``allowed``."""
    options = tuple(allowed)
    if not isinstance(value, str) or value not in options:  # an array would be compared item by item
        raise refusal(field, value, ", ".join(options) + suggestion(value, options))
    return str(value)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list of items: any sequence or array, but no text, and no array of one number."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def suggestion(value: object, options: Iterable[str]) -> str:
    """`` (did you mean …?)`` where ``value`` is text close to one of the ``options``; else nothing."""
    close = difflib.get_close_matches(value[:100], list(options), n=1) if isinstance(value, str) else ()
    return f" (did you mean {close[0]}?)" if close else ""


@cache
def _field_names(configuration: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(configuration))


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
        return _field_names(cast("Any", cls))  # mypy takes its classes for not hashable

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any], name: str = "") -> C:
        """The configuration of plain data, as :meth:`to_dict` gives it or a YAML file holds it.

        Where a field may be None, the words of :data:`NONE` stand for it.

        Args:
            values: by field.
            name: where they stand in another configuration, such as ``types[1]``, for errors to say.

        Raises:
            ConfigError: for an unknown field or a value that is not allowed.
        """
        if not isinstance(values, Mapping):
            raise refusal(name or cls.__name__, values, "a mapping of field names to values")
        names = cls.field_names()
        for field in values:
            if field not in names:
                raise ConfigError(
                    f"{name or cls.__name__} has no field {field!r}{suggestion(field, names)}; "
                    f"its fields: {', '.join(names)}"
                )
        named_none = [field for field, value in values.items() if isinstance(value, str) and value in NONE]
        of_names = [item for item in dataclasses.fields(cls) if item.name in named_none]
        nones = [item.name for item in of_names if "None" in field_kinds(item)]
        try:
            return cls(**{**values, **dict.fromkeys(nones)})
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

    def provenance(self) -> dict[str, str]:
        """What the configuration names outside itself, such as files and functions, and a digest of each.

        A run keeps it and compares, so that it is not gone on with, or measured, with other contents of the
        same names. Digests of files begin with ``sha256:``, those of functions with ``code:``.

        Raises:
            ConfigError: when something that is named is not there.
        """
        return {}

    def parameters(self) -> dict[str, float]:
        """The continuous parameters by name, see :mod:`karma_envs.parameters`, and what they are."""
        return {
            name: number
            for field in self.field_names()
            for name, number in numbers_in(getattr(self, field), field)
        }

    def with_parameter(self: C, name: str, value: float) -> C:
        """A copy in which one continuous parameter is another number, checked anew.

        Args:
            name: as in :meth:`parameters`.
            value: what it is to be.

        Raises:
            ConfigError: for an unknown name, or a value that is not allowed.
        """
        path = split(name)
        if path is None or name not in self.parameters():
            raise unknown_parameter(name, self.parameters())
        return cast("C", with_number(self, path, value))

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
        if not changes:
            return self
        unchanged = {name: getattr(self, name) for name in self.field_names()}
        return type(self).from_dict({**unchanged, **changes})


def unknown_parameter(name: object, known: Iterable[str]) -> ConfigError:
    """The error for a name that is none of a configuration's continuous parameters, to be raised."""
    options = tuple(known)
    return refusal(
        "parameter", name, f"{', '.join(options) or 'none here has any'}{suggestion(name, options)}"
    )


def field_kinds(item: dataclasses.Field[Any]) -> set[str]:
    """What a field may be, by its type: of ``tuple[int, ...] | None`` tuple and None."""
    kinds = str(item.type)
    for _ in range(kinds.count("[")):
        kinds = re.sub(r"\[[^\[\]]*\]", "", kinds)
    return {kind.strip() for kind in kinds.split("|")} | ({"None"} if item.default is None else set())


def importable_name(function: Any) -> str:
    """``module:function`` of a function, jitted or not; of another callable ``module:<its class>``."""
    function = getattr(function, "py_func", function)
    if not isinstance(getattr(function, "__qualname__", None), str):
        return f"{type(function).__module__}:<{type(function).__qualname__}>"
    return f"{function.__module__}:{function.__qualname__}"


def is_importable(function: Any) -> bool:
    """Whether another process can import a function or class by its :func:`importable_name`."""
    name = importable_name(function)
    module, _, path = name.partition(":")
    if "<" in name or module == "__main__":
        return False
    named: Any = sys.modules.get(module)
    for part in path.split("."):
        named = getattr(named, part, None)
    return getattr(named, "py_func", named) is getattr(function, "py_func", function)


def _plain(value: Any) -> Any:
    if callable(value):
        name = importable_name(value)
        if not is_importable(value):
            raise ConfigError(
                f"{name} cannot be written to a file: define the rule in a module that can be imported, "
                "under a name of its own"
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
