"""What a planner may choose: named parameters, their ranges, and what must hold among them.

A point is a value for each parameter by name. Methods that search work in coordinates, one number from 0 to 1
for each parameter, in which ranges are alike and a logarithmic range is straight.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import (
    Config,
    ConfigError,
    choice,
    is_list,
    real,
    refusal,
    suggestion,
    whole,
    yes_or_no,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = float | int | str
"""Of a parameter."""

Point = dict[str, Value]
"""A value for each parameter by name."""

Condition = Callable[[Point], float]
"""What must be at most 0 for a point to be allowed."""

MOST_PARAMETERS = 1000
_MOST_DRAWS = 10_000
_BISECTIONS = 40


class Parameter(Config):
    """Base of parameters: a name and the values there are.

    Attributes:
        name: as points have it.
    """

    name: str

    continuous = False
    """Whether there is a derivative by it."""

    @abstractmethod
    def at(self, coordinate: float) -> Value:
        """The value at a coordinate in [0, 1]."""

    @abstractmethod
    def coordinate(self, value: Value) -> float:
        """The coordinate of a value, in [0, 1]."""

    @abstractmethod
    def checked(self, value: object) -> Value:
        """A value if it is allowed.

        Raises:
            ConfigError: otherwise.
        """

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """The same range as Optuna has it."""

    def distance(self, one: Value, other: Value) -> float:
        """How far two values are apart, in coordinates."""
        return abs(self.coordinate(one) - self.coordinate(other))

    def slope(self, value: Value) -> float:
        """The derivative of the value by its coordinate; 0 where there is none."""
        return 0.0

    def around(self, value: Value, radius: float) -> Parameter:
        """The parameter with the part of its range that is within a radius of a value, in coordinates."""
        return self

    def holds(self, value: Value) -> bool:
        """Whether a value is in the range."""
        return True

    def _check_name(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise refusal("name", self.name, "a text that is not empty")


@dataclass(frozen=True)
class Continuous(Parameter):
    """A number in a range.

    Attributes:
        name: as points have it.
        low: the least value.
        high: the greatest value.
        log: whether the range is to be searched by orders of magnitude; then ``low`` is above 0.
    """

    name: str
    low: float
    high: float
    log: bool = False

    continuous = True

    def __post_init__(self) -> None:
        self._check_name()
        yes_or_no("log", self.log)
        low = real("low", self.low, *((0,) if self.log else ()), open_low=self.log)
        self._set(low=low, high=real("high", self.high, low, open_low=True))

    def at(self, coordinate: float) -> float:
        if self.log:
            value = self.low * (self.high / self.low) ** coordinate
        else:
            value = self.low + coordinate * (self.high - self.low)
        return float(min(max(value, self.low), self.high))

    def coordinate(self, value: Value) -> float:
        number = float(value)
        if self.log:
            return float(np.log(number / self.low) / np.log(self.high / self.low))
        return (number - self.low) / (self.high - self.low)

    def checked(self, value: object) -> float:
        return real(self.name, value, self.low, self.high)

    def around(self, value: Value, radius: float) -> Continuous:
        middle = self.coordinate(value)
        return replace(self, low=self.at(middle - radius), high=self.at(middle + radius))

    def holds(self, value: Value) -> bool:
        return self.low <= float(value) <= self.high

    def slope(self, value: Value) -> float:
        return float(value) * float(np.log(self.high / self.low)) if self.log else self.high - self.low

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Whole(Parameter):
    """A whole number in a range.

    Attributes:
        name: as points have it.
        low: the least value.
        high: the greatest value.
    """

    name: str
    low: int
    high: int

    def __post_init__(self) -> None:
        self._check_name()
        low = whole("low", self.low, -(2**53), 2**53)
        self._set(low=low, high=whole("high", self.high, low + 1, 2**53))

    def at(self, coordinate: float) -> int:
        return min(self.low + int(coordinate * (self.high - self.low + 1)), self.high)

    def around(self, value: Value, radius: float) -> Whole:
        middle = self.coordinate(value)
        low = min(self.at(max(middle - radius, 0.0)), self.high - 1)
        return replace(self, low=low, high=max(self.at(min(middle + radius, 1.0)), low + 1))

    def holds(self, value: Value) -> bool:
        return self.low <= int(value) <= self.high

    def coordinate(self, value: Value) -> float:
        return (int(value) - self.low + 0.5) / (self.high - self.low + 1)

    def checked(self, value: object) -> int:
        return whole(self.name, value, self.low, self.high)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of several values, in no order.

    Attributes:
        name: as points have it.
        values: at least two, numbers or texts.
    """

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        self._check_name()
        allowed = "a list of two or more different numbers or texts"
        if not is_list(self.values) or len(self.values) < 2 or len(set(self.values)) < len(self.values):
            raise refusal("values", self.values, allowed)
        for value in self.values:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise refusal("values", self.values, allowed)
        self._set(values=tuple(self.values))

    def at(self, coordinate: float) -> Value:
        return self.values[min(int(coordinate * len(self.values)), len(self.values) - 1)]

    def coordinate(self, value: Value) -> float:
        return (self.values.index(value) + 0.5) / len(self.values)

    def checked(self, value: object) -> Value:
        if value not in self.values:
            options = [str(each) for each in self.values]
            raise refusal(self.name, value, ", ".join(options) + suggestion(value, options))
        return next(each for each in self.values if each == value)

    def distance(self, one: Value, other: Value) -> float:
        return float(one != other)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


_KINDS: Mapping[str, type[Parameter]] = {"continuous": Continuous, "whole": Whole, "choice": Choice}


@dataclass(frozen=True)
class Space:
    """Parameters with their ranges, and conditions that a point must meet to be tried at all.

        Space([Continuous("karma_mean", 2, 18), Choice("payment", ["pbp", "pbs"])])

    Attributes:
        parameters: at least one.
        constraints: by name, functions of a point (a dict) that must be at most 0; of parameters alone, known
            before a point is tried. What is known only afterwards is a
            :class:`agents.planners.objectives.Limit`.
    """

    parameters: tuple[Parameter, ...]
    constraints: Mapping[str, Condition] = field(default_factory=dict)

    def __init__(
        self, parameters: Sequence[Parameter], constraints: Mapping[str, Condition] | None = None
    ) -> None:
        allowed = f"a list of 1 to {MOST_PARAMETERS} parameters with names of their own"
        names = [parameter.name for parameter in parameters]
        if not 1 <= len(names) <= MOST_PARAMETERS or len(set(names)) < len(names):
            raise refusal("parameters", names, allowed)
        for name, condition in (constraints or {}).items():
            if not callable(condition):
                raise refusal(f"constraints[{name!r}]", condition, "a function of a point")
        object.__setattr__(self, "parameters", tuple(parameters))
        object.__setattr__(self, "constraints", dict(constraints or {}))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        """The parameter of a name."""
        choice("parameter", name, self.names)
        return self.parameters[self.names.index(name)]

    def checked(self, point: Mapping[str, object]) -> Point:
        """A point with its values in the parameters' order.

        Raises:
            ConfigError: when a value is missing, unknown or not allowed, or a constraint is broken.
        """
        for name in point:
            choice("parameter", name, self.names)
        if missing := [name for name in self.names if name not in point]:
            raise ConfigError(f"point {dict(point)} has no {', '.join(missing)}")
        values = {each.name: each.checked(point[each.name]) for each in self.parameters}
        for name, condition in self.constraints.items():
            if not condition(dict(values)) <= 0:
                raise refusal("point", values, f"one with {name} <= 0; it is {condition(dict(values)):g}")
        return values

    def allows(self, point: Point) -> bool:
        """Whether a point of values in their ranges meets the constraints."""
        return all(condition(dict(point)) <= 0 for condition in self.constraints.values())

    def at(self, coordinates: NDArray[np.float64]) -> Point:
        """The point at coordinates ``float64[P]``, which are brought into [0, 1]."""
        inside = np.clip(coordinates, 0.0, 1.0).tolist()
        return {each.name: each.at(number) for each, number in zip(self.parameters, inside)}

    def coordinates(self, point: Point) -> NDArray[np.float64]:
        """The coordinates of a point, ``float64[P]``."""
        return np.array([each.coordinate(point[each.name]) for each in self.parameters])

    def distance(self, one: Point, other: Point) -> float:
        """How far two points are apart in coordinates; values of a choice that differ are 1 apart."""
        parts = [each.distance(one[each.name], other[each.name]) for each in self.parameters]
        return float(np.linalg.norm(parts))

    def around(self, point: Point, radius: float) -> Space:
        """The part in which no number is farther from a point's than a radius, in coordinates."""
        parameters = [each.around(point[each.name], radius) for each in self.parameters]
        return Space(parameters, self.constraints)

    def holds(self, point: Point) -> bool:
        """Whether the values of a point of a larger space are in the ranges here."""
        return all(each.holds(point[each.name]) for each in self.parameters)

    def draw(self, rng: np.random.Generator) -> Point:
        """A random point, uniform in coordinates, that meets the constraints.

        Raises:
            ConfigError: when many draws meet none.
        """
        for _ in range(_MOST_DRAWS):
            point = self.at(rng.random(len(self.parameters)))
            if self.allows(point):
                return point
        names = ", ".join(self.constraints)
        raise ConfigError(f"constraints {names}: none of {_MOST_DRAWS} random points meets them")

    def towards(self, start: Point, end: Point) -> Point:
        """The farthest point that meets the constraints, by bisection, on the way from one that does."""
        if self.allows(end):
            return end
        first, last = self.coordinates(start), self.coordinates(end)
        near, far, reached = 0.0, 1.0, start
        for _ in range(_BISECTIONS):
            middle = (near + far) / 2
            point = self.at(first + middle * (last - first))
            if self.allows(point):
                near, reached = middle, point
            else:
                far = middle
        return reached

    def to_plain(self) -> dict[str, Any]:
        """Plain data; constraints, which are functions, by their names."""
        kinds = {each: name for name, each in _KINDS.items()}
        parameters = [{"kind": kinds[type(each)], **each.to_dict()} for each in self.parameters]
        return {"parameters": parameters, "constraints": list(self.constraints)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Space:
        """The space of plain data, without the constraints, which data cannot hold."""
        parameters = []
        for each in plain["parameters"]:
            kind = choice("kind", each.get("kind"), _KINDS)
            parameters.append(_KINDS[kind].from_dict({k: v for k, v in each.items() if k != "kind"}))
        return cls(parameters)
