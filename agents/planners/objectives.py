"""What a planner is to achieve: objectives, functions of the measures of an evaluation, and limits.

The measures are what the inner problem says a mechanism comes to, such as ``efficiency`` or
``reward_fairness``. Objectives are maximised unless they say otherwise; several of them make a Pareto front.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from karma_envs.config import Config, choice, is_list, real, refusal, yes_or_no

Measures = Mapping[str, float]
"""Numbers by the names of measures."""

Derivatives = Mapping[str, Mapping[str, float]]
"""Of measures by parameters: ``derivatives["efficiency"]["karma_mean"]``."""


class Objective(Config):
    """Base of objectives: a number that is made of measures, linear in them or nearly so.

    Attributes:
        name: what tables call it.
        maximise: whether more is better.
    """

    maximise: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @abstractmethod
    def value(self, measures: Measures) -> float:
        """The number itself, in its own direction; NaN where a measure is."""

    @abstractmethod
    def weights_at(self, measures: Measures) -> dict[str, float]:
        """The derivative of the value by each of the measures that it is made of."""

    def gain(self, measures: Measures) -> float:
        """The value, negative where less is better: what is maximised."""
        return self.value(measures) if self.maximise else -self.value(measures)

    def standard_error(self, measures: Measures, errors: Measures) -> float:
        """Of the value, measures taken for independent; NaN where no error is known."""
        weights = self.weights_at(measures)
        parts = [weight * errors.get(name, math.nan) for name, weight in weights.items() if weight]
        return float(np.linalg.norm(parts))

    def gradient(self, measures: Measures, derivatives: Derivatives) -> dict[str, float]:
        """The derivative of :meth:`gain` by each parameter."""
        sign = 1.0 if self.maximise else -1.0
        slopes: dict[str, float] = {}
        for measure, weight in self.weights_at(measures).items():
            for parameter, slope in derivatives[measure].items() if weight else ():
                slopes[parameter] = slopes.get(parameter, 0.0) + sign * weight * slope
        return slopes

    def _check_direction(self) -> None:
        yes_or_no("maximise", self.maximise)


@dataclass(frozen=True)
class Measure(Objective):
    """One measure.

    Attributes:
        measure: its name.
        maximise: whether more is better.
    """

    measure: str
    maximise: bool = True

    def __post_init__(self) -> None:
        _check_name("measure", self.measure)
        self._check_direction()

    @property
    def name(self) -> str:
        return self.measure

    def value(self, measures: Measures) -> float:
        return _measured(measures, self.measure)

    def weights_at(self, measures: Measures) -> dict[str, float]:
        return {self.measure: 1.0}


@dataclass(frozen=True)
class TradeOff(Objective):
    """A weighted sum of measures: one point of the front between them.

    Attributes:
        weights: by the measures' names; negative for those of which less is better.
        maximise: whether more is better.
    """

    weights: Mapping[str, float]
    maximise: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise refusal("weights", self.weights, "numbers by the names of measures")
        self._set(weights={name: real(f"weights[{name!r}]", w) for name, w in self.weights.items()})
        self._check_direction()

    @property
    def name(self) -> str:
        parts = [f"{weight:+g} {name}" for name, weight in self.weights.items()]
        return " ".join(parts).removeprefix("+").replace("+1 ", "+ ").replace("-1 ", "- ").removeprefix("1 ")

    def value(self, measures: Measures) -> float:
        return math.fsum(weight * _measured(measures, name) for name, weight in self.weights.items())

    def weights_at(self, measures: Measures) -> dict[str, float]:
        return dict(self.weights)


@dataclass(frozen=True)
class MaxMin(Objective):
    """The worst of several measures, such as the payoffs of the types: to be as good as can be.

    Attributes:
        measures: their names, two or more.
        maximise: True: the least of them is maximised. False: the greatest is minimised.
    """

    measures: tuple[str, ...]
    maximise: bool = True

    def __post_init__(self) -> None:
        if not is_list(self.measures) or len(self.measures) < 2:
            raise refusal("measures", self.measures, "a list of two or more names")
        for name in self.measures:
            _check_name("measures", name)
        self._set(measures=tuple(self.measures))
        self._check_direction()

    @property
    def name(self) -> str:
        return f"{'least' if self.maximise else 'greatest'} of {', '.join(self.measures)}"

    def value(self, measures: Measures) -> float:
        return _measured(measures, self._worst(measures))

    def weights_at(self, measures: Measures) -> dict[str, float]:
        return {self._worst(measures): 1.0}

    def _worst(self, measures: Measures) -> str:
        worst = min if self.maximise else max
        values = {name: _measured(measures, name) for name in self.measures}
        unknown = [name for name, value in values.items() if math.isnan(value)]
        return unknown[0] if unknown else worst(values, key=lambda name: values[name])


@dataclass(frozen=True)
class Limit(Config):
    """What a measure must come to for a mechanism to be acceptable, known once it has been tried.

    Attributes:
        measure: its name, such as ``budget``.
        most: the greatest value that is acceptable.
        least: the least; infinite bounds do not bind.
    """

    measure: str
    most: float = math.inf
    least: float = -math.inf

    def __post_init__(self) -> None:
        _check_name("measure", self.measure)
        if not -math.inf <= float(self.least) <= float(self.most) <= math.inf:
            raise refusal("most", self.most, f"a number from least = {self.least:g} up")
        if math.isinf(self.most) and math.isinf(self.least):
            raise refusal("most", self.most, "a finite number, of most or of least")

    @property
    def name(self) -> str:
        """What tables call it."""
        parts = (f"{self.least:g} <= ", f" <= {self.most:g}")
        return f"{parts[0] * math.isfinite(self.least)}{self.measure}{parts[1] * math.isfinite(self.most)}"

    def excess(self, measures: Measures) -> float:
        """By how much the measure is beyond; at most 0 where it is acceptable."""
        value = _measured(measures, self.measure)
        return max(value - self.most, self.least - value) if not math.isnan(value) else math.nan


_KINDS: Mapping[str, type[Objective]] = {"measure": Measure, "trade_off": TradeOff, "max_min": MaxMin}


def as_objective(objective: str | Objective) -> Objective:
    """An objective, or the one of a measure's name: ``"efficiency"``, or ``"-kl"`` to minimise."""
    if isinstance(objective, str):
        return Measure(objective.removeprefix("-"), maximise=not objective.startswith("-"))
    if not isinstance(objective, Objective):
        raise refusal("objective", objective, "the name of a measure, '-name' to minimise, or an Objective")
    return objective


def objective_to_plain(objective: Objective) -> dict[str, Any]:
    """An objective as plain data."""
    kinds = {each: name for name, each in _KINDS.items()}
    return {"kind": kinds[type(objective)], **objective.to_dict()}


def objective_from_plain(plain: Mapping[str, Any]) -> Objective:
    """The objective of plain data."""
    kind = choice("kind", plain.get("kind"), _KINDS)
    return _KINDS[kind].from_dict({name: value for name, value in plain.items() if name != "kind"})


def _measured(measures: Measures, name: str) -> float:
    choice("measure", name, measures)
    return float(measures[name])


def _check_name(field: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise refusal(field, name, "a text that is not empty")
