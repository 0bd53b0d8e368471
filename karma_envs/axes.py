"""What tabular observations are made of: named axes, along which arrays over observations are unfolded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class Axis(NamedTuple):
    """One of the quantities that a tabular observation is made of.

    Attributes:
        name: what it is.
        values: all that it may be, in order; numbers, or whatever tells them apart.
    """

    name: str
    values: tuple[Any, ...]


def by_axes(table: NDArray[Scalar], axes: Sequence[Axis], at: int = -1) -> NDArray[Scalar]:
    """An array over tabular observations with a dimension for each of their axes.

    In the matching game ``by_axes(policy.mean_actions(), game.axes)`` is ``[rows, urgencies, karma]``.

    Args:
        table: an array of which one dimension counts observations.
        axes: a game's or a mean-field model's; the last one is the fastest.
        at: which dimension counts observations.

    Returns:
        the array with ``len(axes)`` dimensions in place of that one; where possible a view.

    Raises:
        ValueError: when the axes do not make up as many observations.
    """
    at %= table.ndim
    sizes = [len(axis.values) for axis in axes]
    if math.prod(sizes) != table.shape[at]:
        raise ValueError(
            f"the axes {', '.join(axis.name for axis in axes)} of lengths {sizes} do not make up "
            f"{table.shape[at]} observations, as dimension {at} of {list(table.shape)} has"
        )
    return table.reshape(*table.shape[:at], *sizes, *table.shape[at + 1 :])


def axis_values(axes: Sequence[Axis]) -> dict[str, NDArray[Any]]:
    """The value that each tabular observation has on each axis: ``[X]`` by name."""
    grids = np.meshgrid(*(np.array(axis.values) for axis in axes), indexing="ij")
    return {axis.name: grid.ravel() for axis, grid in zip(axes, grids)}
