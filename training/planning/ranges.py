"""What a planner may choose, as it is written on the command line and in files.

Of a parameter there is a range, ``2:18``, ``2:18:whole`` or ``.001:1:log``, or a list of values, ``pbp,pbs``;
as plain data ``{"low": 2, "high": 18}``, with ``"whole": True`` or ``"log": True``, or a list.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.planners import Choice, Continuous, Space, Whole
from agents.planners.inner.parameters import with_point
from agents.planners.space import Parameter, Point, Value
from karma_envs.config import Config, ConfigError, field_kinds, is_list, refusal, suggestion
from karma_envs.mechanisms import FAMILIES, rules
from training.common.plain_yaml import parse_yaml

_NAME = re.compile(r"\s*([A-Za-z_][\w.\-]*(?:\[\d+\][\w.\-]*)*)\s*=(?!=)(.*)", re.DOTALL)
_RANGE = re.compile(r"\s*([^:\s]+)\s*:\s*([^:\s]+)\s*(?::\s*(log|whole)\s*)?")
_ALLOWED = "a range such as 0:0.5, 2:18:whole or .001:1:log, or two or more values such as pbp,pbs"
_SCALES = ({"log"}, {"whole"}, set[str]())


def read_over(given: Any) -> dict[str, Any]:
    """What may be chosen, by parameter, as plain data.

    Args:
        given: texts such as ``payment=pbp,pbs`` or ``payment=pbp,pbs,tax.rate=0:0.5``, or ranges by name.

    Raises:
        ConfigError: for what is no range, or a parameter that is given twice.
    """
    over: dict[str, Any] = {}
    pairs = list(given.items()) if isinstance(given, Mapping) else [*_pairs(given)]
    for name, spec in pairs:
        name = name.replace("-", "_")
        if name in over:
            raise ConfigError(f"over {name} is given twice; write all its values in one")
        over[name] = _read_spec(name, spec)
    if not over:
        raise refusal("over", given, "one parameter or more, such as karma_mean=2:18 or payment=pbp,pbs")
    return over


def space_of(over: Mapping[str, Any], config: Config) -> Space:
    """The space of plain data, for a game of a configuration.

    Raises:
        ConfigError: naming a parameter that the game does not have, or values that it refuses, whatever the
            others are.
    """
    space = Space([_parameter(name, spec, config) for name, spec in over.items()])
    for _ in configurations(space, config):  # each is allowed
        pass
    return space


def configurations(space: Space, config: Config) -> Iterator[Config]:
    """The game with each value of a choice and each end of a range, and with others as need be.

    Raises:
        ConfigError: naming a parameter, and a value with which the game can be configured in no way tried.
    """
    lowest, highest = ({each.name: _ends(each)[end] for each in space.parameters} for end in (0, -1))
    for parameter in space.parameters:
        for value in _ends(parameter):
            alone = {parameter.name: value}
            yield _first_allowed(config, alone, [alone, {**lowest, **alone}, {**highest, **alone}])


def as_it_is(space: Space, config: Config) -> dict[str, Value]:
    """The values that a configuration has itself, of those parameters that it has.

    Of a choice it is the value that changes nothing, whatever it is called.
    """
    numbers, fields = config.parameters(), config.to_dict()
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        name = parameter.name
        if isinstance(parameter, Choice):
            same = [each for each in parameter.values if _changes_nothing(config, {name: each})]
            if same:
                values[name] = same[0]
        elif isinstance(number := numbers.get(name, fields.get(name)), (int, float)):
            values[name] = number
    return values


def _changes_nothing(config: Config, point: Point) -> bool:
    try:
        return with_point(config, point).to_dict() == config.to_dict()
    except ConfigError:
        return False


def _first_allowed(config: Config, alone: Point, points: Sequence[Point]) -> Config:
    """The game at the first of some points where it can be configured; refuses a value with which none is."""
    errors = []
    for point in points:
        try:
            return with_point(config, point)
        except ConfigError as error:
            errors.append(error)
    ((name, value),) = alone.items()
    known = [*config.field_names(), *config.parameters(), *(of_rules := _parameters_of_rules(config))]
    more = "" if name in known else f"; of rules: {', '.join(of_rules)}{suggestion(name, known)}"
    raise ConfigError(f"over {name}: {value} cannot be: {errors[0]}{more}") from errors[0]


def _parameters_of_rules(config: Config) -> list[str]:
    """Parameters by the names of the rules that put themselves in their place, such as ``tax.rate``."""
    families = [family for family in FAMILIES if family in config.field_names()]
    return [
        f"{rule.name}.{parameter}"
        for family in families
        for rule in rules(family).values()
        for parameter in rule.parameters
    ]


def _ends(parameter: Parameter) -> tuple[Value, ...]:
    """All values of a choice, the ends of a range."""
    return parameter.values if isinstance(parameter, Choice) else (parameter.at(0.0), parameter.at(1.0))


def _parameter(name: str, spec: Any, config: Config) -> Parameter:
    """A choice of a list; of a range whole numbers where the field is one, or it says so."""
    if isinstance(spec, list):
        return Choice(name, tuple(spec))
    whole_fields = {item.name for item in dataclasses.fields(config) if "int" in field_kinds(item)}
    low, high, log = spec["low"], spec["high"], spec.get("log", False)
    is_whole = spec.get("whole", False) or name in whole_fields
    if is_whole and log:
        raise refusal(f"over {name}", f"{low}:{high}:log", f"{low}:{high}, as it is a whole number")
    try:
        return Whole(name, low, high) if is_whole else Continuous(name, low, high, log)
    except ConfigError as error:
        raise ConfigError(f"over {name}: {error}") from error


def _pairs(given: Any) -> list[tuple[str, str]]:
    """Names and texts of values; a comma before ``name=`` ends the values of the parameter before."""
    pairs: list[tuple[str, str]] = []
    for text in [given] if isinstance(given, str) else given if is_list(given) else []:
        named = False
        for piece in split(str(text)):
            if match := _NAME.fullmatch(piece):
                pairs.append((match[1], match[2]))
                named = True
            elif named:
                name, values = pairs.pop()
                pairs.append((name, f"{values},{piece}"))
            else:
                raise refusal("over", text, "NAME=VALUES, such as karma_mean=2:18 or payment=pbp,pbs")
    return pairs


def _read_spec(name: str, spec: Any) -> Any:
    """One parameter's range or values as plain data."""
    if isinstance(spec, str) and (match := _RANGE.fullmatch(spec)):
        ends = [_value(match[1]), _value(match[2])]
        if all(isinstance(end, (int, float)) for end in ends):
            spec = {"low": ends[0], "high": ends[1], **({match[3]: True} if match[3] else {})}
    if isinstance(spec, str):
        spec = [_value(piece) for piece in split(spec.strip().removeprefix("[").removesuffix("]"))]
    if isinstance(spec, Mapping) and any(set(spec) == {"low", "high"} | scale for scale in _SCALES):
        return dict(spec)
    if is_list(spec) and len(spec) > 1:
        return list(spec)
    raise refusal(f"over {name}", spec, _ALLOWED)


def _value(text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError:
        return text.strip()


def split(text: str, separator: str = ",") -> list[str]:
    """The pieces of a text between separators that are in no brackets or quotes."""
    pieces, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "([{") - (letter in ")]}") if not quote else 0
        if letter == separator and not quote and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces
