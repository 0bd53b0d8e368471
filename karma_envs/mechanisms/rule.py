"""What a mechanism rule is, and how a name in a configuration becomes one."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.compile import as_kernel, is_compiled
from karma_envs.config import ConfigError, choice, importable_name, real, refuse
from karma_envs.plugins import import_named

FAMILIES = ("allocation", "payment", "redistribution")

_CALL = re.compile(r"^\s*(?P<name>[\w.:-]+)\s*(?:\((?P<arguments>.*)\))?\s*$")


@dataclass(frozen=True)
class Parameter:
    """A number that a rule takes: its default and range, ends included."""

    default: float
    low: float
    high: float
    meaning: str


@dataclass(frozen=True)
class Rule:
    """A rule of one family (allocation, payment, redistribution): a jitted function and its metadata.

    Attributes:
        name: as it stands in a configuration.
        function: the jitted function; its shape is that of the family, and its last argument is the
            rule's parameters, ``float64[P]``, in the order of ``parameters``.
        aliases: other names, such as the Thesis' abbreviation.
        parameters: by name.
        uses_bids: for an allocation, whether bids matter; where they do not, agents bid nothing.
        by_resource: for a redistribution, whether what was paid for a resource is first given back to those
            who competed for it.
        values: values for parameters that differ from their defaults.
    """

    name: str
    function: Callable[..., Any]
    aliases: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    uses_bids: bool = True
    by_resource: bool = False
    values: Mapping[str, float] = field(default_factory=dict)

    def with_values(self, **values: float) -> Rule:
        """The rule with some parameters set.

        Raises:
            ConfigError: for an unknown parameter or one out of range.
        """
        for name, value in values.items():
            if name not in self.parameters:
                allowed = ", ".join(self.parameters) or "none, it has no parameters"
                raise refuse(f"{self.name}({name})", value, f"parameters {allowed}")
            limits = self.parameters[name]
            real(f"{self.name}({name})", value, limits.low, limits.high)
        return replace(self, values={**self.values, **{key: float(value) for key, value in values.items()}})

    def parameter_array(self) -> NDArray[np.float64]:
        """The parameters as kernels take them, ``float64[P]``."""
        return np.array([self.values.get(name, p.default) for name, p in self.parameters.items()], np.float64)

    def to_plain(self) -> str:
        """The rule as a configuration file names it.

        Raises:
            ConfigError: when neither a built-in rule nor a function to import goes by its name.
        """
        built_in = any(
            rule is not None and rule.function is self.function
            for rule in (rules(family).get(self.name) for family in FAMILIES)
        )
        if not built_in and ":" not in self.name:
            raise ConfigError(
                f"rule {self.name} cannot be written to a file: define it in a module that can be "
                "imported and give it as 'module:name'"
            )
        return str(self)

    def __str__(self) -> str:
        """As it stands in a configuration: ``name`` or ``name(parameter=value)``."""
        if not self.values:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.values.items())})"


@cache
def rules(family: str) -> dict[str, Rule]:
    """The built-in rules of a family by name: each file of the family's folder holds one ``RULE``."""
    package = importlib.import_module(f"karma_envs.mechanisms.{family}")
    found: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(package.__path__):
        rule = importlib.import_module(f"{package.__name__}.{module.name}").RULE
        found[rule.name] = rule
    return found


def resolve(family: str, given: str | Rule | Callable[..., Any]) -> Rule:
    """The rule that a configuration's field names.

    Args:
        family: ``allocation``, ``payment`` or ``redistribution``.
        given: a built-in name or alias, with parameters if wanted (``"tax(rate=0.05)"``); a
            ``"module:function"`` of the user's; a :class:`Rule`; or a function of the family's
            shape, jitted or not.

    Raises:
        ConfigError: when there is no such rule, or its parameters are not allowed.
    """
    if isinstance(given, Rule):
        return given
    if callable(given):
        return Rule(importable_name(given), as_kernel(given))
    if not isinstance(given, str) or not (match := _CALL.match(given)):
        raise refuse(family, given, "a rule's name, 'name(parameter=value)', 'module:function' or a function")
    name, arguments = match["name"], match["arguments"]
    rule = _user_rule(family, name) if ":" in name else _built_in(family, name)
    return rule.with_values(**_values(family, given, arguments)) if arguments else rule


def _built_in(family: str, name: str) -> Rule:
    by_name = {alias: rule for rule in rules(family).values() for alias in (rule.name, *rule.aliases)}
    return by_name[choice(family, name, by_name)]


def _user_rule(family: str, name: str) -> Rule:
    found = import_named(family, name, "module:function that can be imported")
    if not isinstance(found, Rule) and not hasattr(found, "__code__") and not is_compiled(found):
        raise refuse(family, name, f"module:function; {name.partition(':')[2]} is no Python function")
    return found if isinstance(found, Rule) else Rule(name, as_kernel(found))


def _values(family: str, given: str, arguments: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for part in arguments.split(","):
        name, equals, number = (text.strip() for text in part.partition("="))
        if name in values:
            raise ConfigError(f"{family} = {given!r}: {name} is given twice")
        try:
            values[name] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"{family} = {given!r}: {part.strip()!r} is not parameter=number")
    return values
