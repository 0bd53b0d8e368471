"""A game's configuration at a point of a space: which names a planner's parameters may have."""

from __future__ import annotations

from typing import TypeVar

from agents.planners.space import Point, Value
from karma_envs.config import Config, ConfigError
from karma_envs.mechanisms import FAMILIES, rules

C = TypeVar("C", bound=Config)

_ANY = ("karma_mean",)
"""Fields that, as continuous parameters, may have values between those that a field may have."""


def with_point(config: C, point: Point) -> C:
    """A configuration with the parameters of a point.

    Names, of a game's configuration:

    - a field, such as ``karma_max``, ``discount`` or ``payment``;
    - a continuous parameter of ``config.parameters()``, such as ``redistribution.rate`` or
      ``types[0].discount``; ``karma_mean`` may be any number, for the limit of many agents;
    - a rule's parameter by the rule's name, such as ``tax.rate``: it puts the rule in its place, unless the
      point chooses the rule of that family, too; then it counts only where that rule is chosen.

    Args:
        config: to begin with.
        point: values by name.

    Raises:
        ConfigError: for an unknown name, or values that are not allowed together.
    """
    fields = config.field_names()
    chosen = {name: value for name, value in point.items() if name in fields and name not in _ANY}
    config = config.replace(**chosen)
    for (family, rule), values in _of_rules(config, point).items():
        if family not in point:
            config = config.replace(**{family: rule})
        if str(getattr(config, family)).partition("(")[0] == rule:
            for name, value in values.items():
                config = config.with_parameter(f"{family}.{name}", float(value))
    rest = {
        name: value for name, value in point.items() if name not in chosen and _rule_of(config, name) is None
    }
    for name, value in rest.items():
        config = config.with_parameter(name, _number(name, value))
    return config


def name_in(config: Config, name: str) -> str:
    """What ``config.parameters()`` calls a point's parameter: ``redistribution.rate`` for ``tax.rate``."""
    place = _rule_of(config, name)
    return name if place is None else f"{place[0]}.{name.partition('.')[2]}"


def _of_rules(config: Config, point: Point) -> dict[tuple[str, str], dict[str, Value]]:
    """Parameters that go by a rule's name, by the family and the rule."""
    values: dict[tuple[str, str], dict[str, Value]] = {}
    for name, value in point.items():
        place = _rule_of(config, name)
        if place is not None:
            values.setdefault(place, {})[name.partition(".")[2]] = value
    return values


def _rule_of(config: Config, name: str) -> tuple[str, str] | None:
    """The family and name of the rule that a parameter is one of by name, as of ``tax.rate``; else None."""
    first, dot, parameter = name.partition(".")
    for family in FAMILIES if dot and first not in FAMILIES else ():
        if family in config.field_names():
            for rule in rules(family).values():
                if first in (rule.name, *rule.aliases) and parameter in rule.parameters:
                    return family, rule.name
    return None


def _number(name: str, value: Value) -> float:
    if isinstance(value, str):
        raise ConfigError(f"{name} = {value!r} is not allowed; allowed: a number")
    return float(value)
