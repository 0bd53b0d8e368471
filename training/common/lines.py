"""Observations laid out for tables and figures: lines along one quantity, told apart by all others.

In the matching game there is a line for each urgency, and along it goes karma; in the grid city, too, where
a point of a line stands for many places. A game whose observations are one quantity has one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.finite import FiniteGame


@dataclass(frozen=True)
class Lines:
    """The observations that agents of one type may be in, but for those that lack one of the quantities.

    Attributes:
        along: the quantity that changes along a line.
        values: ``[V]``, what it may be.
        others: what the other quantities are on each line, by name.
        place_of: ``int64[X]``, where each observation is: line * V + number of its value; -1 for nowhere.
    """

    along: str
    values: NDArray[Any]
    others: tuple[Mapping[str, Any], ...]
    place_of: NDArray[np.int64]

    @property
    def labels(self) -> tuple[str, ...]:
        """What tells the lines apart, such as "urgency 5"; an empty text where there is nothing to tell."""
        return tuple(", ".join(f"{name} {text(value)}" for name, value in one.items()) for one in self.others)

    def sums(self, table: NDArray[Any]) -> NDArray[np.float64]:
        """Sums over the observations at each place.

        Args:
            table: ``[X, ...]``.

        Returns:
            ``float64[lines, V, ...]``.
        """
        somewhere = self.place_of >= 0
        totals = np.zeros((len(self.others) * len(self.values), *table.shape[1:]))
        np.add.at(totals, self.place_of[somewhere], table[somewhere])
        return totals.reshape(len(self.others), len(self.values), *table.shape[1:])

    def means(self, table: NDArray[Any], weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Means over the observations at each place.

        Args:
            table: ``[X, ...]``.
            weights: ``[X]``, how much each observation counts; None: all the same.

        Returns:
            ``float64[lines, V, ...]``, NaN where all weights are 0.
        """
        weights = np.ones(len(table)) if weights is None else weights
        weights = weights.reshape(-1, *[1] * (table.ndim - 1))
        with np.errstate(invalid="ignore"):  # 0/0 at places where nothing counts
            return self.sums(np.where(weights > 0, table, 0) * weights) / self.sums(weights)


def lines_of(game: FiniteGame) -> list[Lines]:
    """The observations of each type of agents in lines.

    Lines go along the quantity of ``observation_values()`` that has most values, and of those with equally
    many along the last.
    """
    quantities = game.observation_values()
    n_values = {name: len(distinct(values)) for name, values in quantities.items()}
    along = max(reversed(list(quantities)), key=lambda name: n_values[name])
    return [
        _lines(along, {name: values[kind] for name, values in quantities.items()}, reachable)
        for kind, reachable in enumerate(game.reachable_by_type())
    ]


def action_features(game: FiniteGame) -> dict[str, NDArray[Any]]:
    """What actions mean, by name; their numbers, as "action", in a game that gives them no meaning."""
    return dict(game.action_features) or {"action": np.arange(game.n_actions)}


def tell_apart(columns: Iterable[NDArray[Any]]) -> bool:
    """Whether no two entries are the same in all columns."""
    entries = [*zip(*(column.tolist() for column in columns))]
    return len(set(entries)) == len(entries)


def text(value: Any) -> str:
    """A value for labels: numbers as short as they go."""
    return f"{value:g}" if np.asarray(value).dtype.kind in "iuf" else str(value)


def is_there(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a quantity has a value, and not NaN."""
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The different values, in the order in which they appear, without NaN."""
    values = values[is_there(values)]
    distinct, first = np.unique(values, return_index=True)
    return np.asarray(distinct[np.argsort(first)])


def _lines(along: str, quantities: Mapping[str, NDArray[Any]], reachable: NDArray[np.bool_]) -> Lines:
    """The lines of one type.

    Args:
        along: name of the quantity that goes along them.
        quantities: ``[X]`` by name, NaN where an observation has none.
        reachable: ``bool[X]``.
    """
    shown = reachable & np.all([is_there(values) for values in quantities.values()], axis=0)
    values = distinct(quantities[along][shown])
    number_of_value = {value: number for number, value in enumerate(values.tolist())}
    others: dict[tuple[Any, ...], int] = {}
    names = [name for name in quantities if name != along]
    place_of = np.full(len(shown), -1)
    for observation in np.flatnonzero(shown):
        apart = tuple(quantities[name][observation] for name in names)
        line = others.setdefault(apart, len(others))
        place_of[observation] = line * len(values) + number_of_value[quantities[along][observation].item()]
    return Lines(along, values, tuple(dict(zip(names, apart)) for apart in others), place_of)
