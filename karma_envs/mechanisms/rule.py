"""What a mechanism rule is, and how a name in a configuration becomes one."""

from __future__ import annotations

import functools
import inspect
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import ConfigError, choice, importable_name, real, refusal
from karma_envs.numerics.compile import as_kernel
from karma_envs.numerics.identity import python_function
from karma_envs.plugins import defined_in, import_named

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "allocation": ("bid", "urgency", "accesses", "parameters"),
    "payment": ("winner_bid", "loser_bid", "loser_karma", "karma_max", "parameters"),
    "redistribution": ("karma", "karma_max", "crowding", "parameters"),
}
"""What rules of a family are functions of."""

FAMILIES = tuple(ARGUMENTS)

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
        return self._with_values(self.name, values)

    def _with_values(self, shown: str, values: Mapping[str, float]) -> Rule:
        for name, value in values.items():
            if not self.parameters:
                own = "; a Rule of karma_envs.mechanisms has them, a function alone has none"
                raise refusal(f"{shown}({name})", value, f"no parameters{own if ':' in self.name else ''}")
            if name not in self.parameters:
                raise refusal(f"{shown}({name})", value, f"parameters {', '.join(self.parameters)}")
            limits = self.parameters[name]
            real(f"{shown}({name})", value, limits.low, limits.high)
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
        if not built_in and (":" not in self.name or "<" in self.name or self.name.startswith("__main__:")):
            raise ConfigError(
                f"rule {self.name} cannot be written to a file: define it in a module that can be "
                "imported and give it as 'module:name'"
            )
        return str(self)

    def settings(self) -> dict[str, Any]:
        """What the rule is besides its function: parameters, and the flags that are not the defaults."""
        differing = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name in ("uses_bids", "by_resource") and getattr(self, item.name) != item.default
        }
        return {**dict(zip(self.parameters, self.parameter_array().tolist())), **differing}

    def __str__(self) -> str:
        """As it stands in a configuration: ``name`` or ``name(parameter=value)``."""
        if not self.values:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.values.items())})"


@cache
def rules(family: str) -> dict[str, Rule]:
    """The built-in rules of a family by name: each file of the family's folder holds one ``RULE``."""
    defined = defined_in(f"karma_envs.mechanisms.{family}", "RULE").values()
    return {rule.name: rule for rule in defined}


def is_built_in(family: str, rule: Rule) -> bool:
    """Whether a rule's function is one of this package's, of the family."""
    return any(rule.function is each.function for each in rules(family).values())


def resolve(family: str, value: str | Rule | Callable[..., Any]) -> Rule:
    """The rule that a configuration's field names.

    A function of the user's is taken as it is now: the rule has a compiled copy of it, which keeps the values
    of the globals, closures and constants of modules that it and what it calls read, see
    :func:`karma_envs.numerics.compile.as_kernel`.

    Args:
        family: ``allocation``, ``payment`` or ``redistribution``.
        value: a built-in name or alias, with parameters if wanted (``"tax(rate=0.05)"``); a
            ``"module:function"`` of the user's, or the name of a :class:`Rule` of the user's, which may
            have parameters (``"mine:HALF(rate=0.1)"``); a Rule; or a function of the family's shape,
            jitted or not.

    Raises:
        ConfigError: when there is no such rule, when its parameters are not allowed, or when it is no
            function of what the family's are.
    """
    if isinstance(value, Rule):
        value._with_values(f"{family} {value.name}", value.values)
        function = _accepted(family, value.name, value.function)
        return value if function is value.function else replace(value, function=function)
    if callable(value):
        return Rule(_name(value), _accepted(family, _name(value), value))
    if not isinstance(value, str) or not (match := _CALL.match(value)):
        raise refusal(
            family, value, "a rule's name, 'name(parameter=value)', 'module:function' or a function"
        )
    name, arguments = match["name"], match["arguments"]
    rule = _user_rule(family, name) if ":" in name else _built_in(family, name)
    if not arguments:
        return rule
    return rule._with_values(f"{family} {rule.name}", _values(family, value, arguments))


def _accepted(family: str, name: str, candidate: Any) -> Callable[..., Any]:
    """A compiled copy of a function, if it can be a rule of a family.

    Raises:
        ConfigError: if it cannot: what it is, and what a rule is.
    """
    function = python_function(candidate)
    if (problem := _problem(family, function)) is not None:
        raise ConfigError(
            f"{family} = {name} is not allowed; allowed: a function of ({', '.join(ARGUMENTS[family])}), "
            f"in Python or compiled by @kernel or numba.njit; this is {problem}"
        )
    return as_kernel(candidate)


def _problem(family: str, function: Any) -> str | None:
    """What something is that cannot be a rule of a family; None if it can."""
    if isinstance(function, type):
        return "a class"
    if isinstance(function, functools.partial):
        return "a functools.partial, for which a lambda can stand"
    if isinstance(function, MethodType):
        return "a method of an object, for which a lambda can stand"
    if isinstance(function, BuiltinFunctionType):
        return "a built-in function, which a function can call"
    if not isinstance(function, FunctionType):
        return f"an object of type {type(function).__qualname__}"
    if inspect.isgeneratorfunction(function):
        return "a generator"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "a coroutine"
    signature = inspect.signature(function)
    try:
        signature.bind(*ARGUMENTS[family])
    except TypeError:
        return f"a function of {signature}"
    return None


def _name(function: Callable[..., Any]) -> str:
    """``module:function``, also of a copy that ``as_kernel`` made; else a short ``repr``."""
    if isinstance(python_function(function), FunctionType):
        return importable_name(function).partition("@")[0]
    return reprlib.repr(function)


def _built_in(family: str, name: str) -> Rule:
    by_name = {alias: rule for rule in rules(family).values() for alias in (rule.name, *rule.aliases)}
    return by_name[choice(family, name, by_name)]


def _user_rule(family: str, name: str) -> Rule:
    """The rule that ``module:name`` stands for, by that name: a Rule, or a function of the family's shape."""
    own = import_named(family, name, "module:function that can be imported, or module:RULE")
    if isinstance(own, Rule):
        return replace(resolve(family, own), name=name)
    return Rule(name, _accepted(family, name, own))


def _values(family: str, call: str, arguments: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for part in arguments.split(","):
        name, equals, number = (text.strip() for text in part.partition("="))
        if name in values:
            raise ConfigError(f"{family} = {call!r}: {name} is given twice")
        try:
            values[name] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"{family} = {call!r}: {part.strip()!r} is not parameter=number")
    return values
