"""States of games and learners, as they come from files: what is not one is refused before it is played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_COUNT = 2**53
"""Counters of a state go no further: up to here a float holds every whole number."""

Allowed = tuple[ArrayLike, ArrayLike] | None
"""Lowest and highest value of an array's items, each one number or like the array; None: any."""


def check_arrays(what: str, arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays that are not like the expected ones.

    Args:
        what: what they are the state of, for the message.
        arrays: arrays by name.
        expected: arrays of the right names, shapes and dtypes.

    Raises:
        ValueError: naming the first that is missing, too many or different.
    """
    for name in sorted({*arrays, *expected}):
        actual, wanted = (
            f"{part[name].dtype}{list(part[name].shape)}" if name in part else "nothing"
            for part in (arrays, expected)
        )
        if actual != wanted:
            raise ValueError(f"{what} state {name!r}: {actual} given, {wanted} expected")


def check_values(what: str, arrays: Mapping[str, NDArray[Any]], allowed: Mapping[str, Allowed]) -> None:
    """Refuse arrays with a value that is too low, too high or not a number, so that no kernel meets one.

    Args:
        what: what they are the state of, for the message.
        arrays: arrays by name, their shapes and dtypes checked.
        allowed: what each may hold, in the order in which they are looked at.

    Raises:
        ValueError: naming the first that is out of range, and where.
    """
    for name, limits in allowed.items():
        if limits is None:
            continue
        array, (low, high) = arrays[name], limits
        outside = ~((array >= low) & (array <= high))  # as NaN is
        if outside.any():
            where = np.unravel_index(int(outside.argmax()), array.shape)
            low, high = (np.broadcast_to(limit, array.shape)[where] for limit in (low, high))
            place = ", ".join(str(index) for index in where)
            raise ValueError(f"{what} state {name}[{place}] = {array[where]!s}; allowed: {low!s} … {high!s}")
