"""What a failed check raises."""

from __future__ import annotations

from typing import Any

import numpy as np


class CheckError(AssertionError):
    """A contract that is not kept: the message tells which."""


def expect(condition: object, message: str) -> None:
    """Raise CheckError unless the condition holds."""
    if not condition:
        raise CheckError(message)


def expect_array(array: Any, dtype: Any, shape: tuple[int, ...], what: str) -> None:
    """Raise CheckError unless ``array`` is a NumPy array of this dtype and shape."""
    actual = f"{array.dtype}{list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
    expected = f"{np.dtype(dtype)}{list(shape)}"
    expect(actual == expected, f"{what} must be {expected}; found {actual}")
