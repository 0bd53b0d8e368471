"""Incentives as functions of what an agent is and does: truncated power series, or any function.

A power series in d features v, each brought to [-1, 1] over its range, is

    Theta(v; w) = sum over exponents p with |p| <= n of w_p v_1^p_1 ... v_d^p_d,

with (n + d choose d) weights: its Taylor polynomial of order n.

Source: *Controlling the crowd: inducing efficient equilibria in multi-agent systems*, 2018, Theorem 2.

Differences from the source:
    The source does not say what it expands around, nor in which units: here it is the middle of the ranges,
    and half of their lengths. Beyond its range a feature counts as at its end, so that |Theta| never exceeds
    the sum of |w_p|.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal, whole
from karma_envs.plugins import import_named

Incentive = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A function of features, ``float64[n, d]``, a row for each agent, that gives ``float64[n]``.

What the features are a game says, see :func:`karma_envs.incentives.incentivised`. A jitted function is one,
too.
"""

_MOST_TERMS = 10_000
_NAMED = "a function of float64[n, d] that gives float64[n], its name as module:function, or a PowerSeries"


@dataclass(frozen=True)
class PowerSeries(Config):
    """A polynomial in the features of an agent; see the module's docstring.

    Attributes:
        names: of the d features, at least one; for the names of the terms.
        low: of each feature the lowest value, which is brought to -1.
        high: of each feature the highest value, above the lowest, which is brought to 1.
        degree: n >= 0, the highest sum of exponents.
        weights: w, one for each of the :attr:`terms`; empty for 0s.

    Raises:
        ConfigError: naming the field, the value and what is allowed.

    Example:
        >>> PowerSeries(names=("x", "y"), low=(-1, -1), high=(1, 1), degree=2).terms
        ('1', 'x', 'y', 'x^2', 'x y', 'y^2')
    """

    names: tuple[str, ...] = ("x",)
    low: tuple[float, ...] = (-1.0,)
    high: tuple[float, ...] = (1.0,)
    degree: int = 2
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        named = is_list(self.names) and len(self.names) > 0
        if not named or not all(isinstance(name, str) and name for name in self.names):
            raise refusal("names", self.names, "a list of names, at least one")
        self._set(names=tuple(self.names), degree=whole("degree", self.degree, 0, 100))
        n_terms = math.comb(len(self.names) + self.degree, self.degree)
        if n_terms > _MOST_TERMS:
            raise refusal(
                "degree", self.degree, f"such that there are at most {_MOST_TERMS} terms, not {n_terms}"
            )
        self._set(low=self._numbers("low", len(self.names)), high=self._numbers("high", len(self.names)))
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise refusal("high", self.high, f"of each feature a number above its lowest, {self.low}")
        if is_list(self.weights) and not len(self.weights):
            self._set(weights=(0.0,) * n_terms)
        self._set(weights=self._numbers("weights", n_terms))

    def _numbers(self, field: str, count: int) -> tuple[float, ...]:
        values = getattr(self, field)
        if not is_list(values) or len(values) != count:
            raise refusal(field, values, f"a list of {count} numbers")
        return tuple(real(field, value) for value in values)

    @cached_property
    def exponents(self) -> NDArray[np.int64]:
        """p of each term, ``int64[terms, d]``: by their sums, and of equal sums the first features first."""
        d = len(self.names)
        chosen = (
            np.bincount(np.array(features, np.int64), minlength=d)
            for total in range(self.degree + 1)
            for features in combinations_with_replacement(range(d), total)
        )
        return np.array([*chosen], np.int64)

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """What the weights are of, such as ``x^2`` or ``x y``; the first is ``1``."""
        return tuple(
            " ".join(
                name if power == 1 else f"{name}^{power}"
                for name, power in zip(self.names, powers, strict=True)
                if power
            )
            or "1"
            for powers in self.exponents.tolist()
        )

    @property
    def bounds(self) -> tuple[float, float]:
        """No incentive is below the first or above the second: w_0, less and plus the other |w|."""
        spread = sum(map(abs, self.weights[1:]))
        return self.weights[0] - spread, self.weights[0] + spread

    def monomials(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The derivatives of the incentive by the weights.

        Args:
            features: ``float64[n, d]``.

        Returns:
            ``float64[n, terms]``, each in [-1, 1].
        """
        middle, half = np.add(self.high, self.low) / 2, np.subtract(self.high, self.low) / 2
        scaled = np.clip((features - middle) / half, -1, 1)
        values = np.ones((len(scaled), len(self.exponents)))
        for feature, powers in enumerate(self.exponents.T):
            # Powers by repeated products, a column for each: quicker than pow, and exact for whole numbers.
            table = np.cumprod(np.tile(scaled[:, feature, None], self.degree), axis=1)
            values *= np.concatenate([np.ones((len(scaled), 1)), table], axis=1)[:, powers]
        return values

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Theta of each row of features, ``float64[n]``."""
        return np.asarray(self.monomials(features) @ np.array(self.weights))

    def weighted(self, weights: Mapping[str, float]) -> PowerSeries:
        """The same with other weights.

        Args:
            weights: by term; those of terms that are left out stay.

        Raises:
            ConfigError: for a term that is none.
        """
        for term in weights:
            if term not in self.terms:
                raise refusal("term", term, ", ".join(self.terms))
        return self.replace(
            weights=tuple(weights.get(term, old) for term, old in zip(self.terms, self.weights, strict=True))
        )


def as_incentive(incentive: Any) -> Incentive:
    """An incentive, of a function, or of its name.

    Raises:
        ConfigError: for anything else.
    """
    named = import_named("incentive", incentive, _NAMED) if isinstance(incentive, str) else incentive
    if not callable(named):
        raise refusal("incentive", incentive, _NAMED)
    function: Incentive = named
    return function


def incentives_of(incentive: Incentive, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """What an incentive comes to, checked.

    Args:
        incentive: a function.
        features: ``float64[n, d]``.

    Returns:
        ``float64[n]``, all finite.

    Raises:
        ConfigError: when the function gives anything else.
    """
    values = np.asarray(incentive(features))
    if values.shape != (len(features),) or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        shown = f"one that gives {values.dtype}{list(values.shape)}"
        raise refusal("incentive", shown, f"one that gives {len(features)} finite numbers for as many rows")
    return values.astype(np.float64)


def bounds_of(incentive: Incentive) -> tuple[float, float]:
    """No incentive is below the first or above the second; infinite where nothing is known."""
    low, high = getattr(incentive, "bounds", (-math.inf, math.inf))
    return float(low), float(high)
