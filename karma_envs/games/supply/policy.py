"""What firms do who know where demand will be, and look no further: be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import refusal
from karma_envs.saved_policy import SavedPolicy


class TrackingPolicy(SavedPolicy):
    """In every step firms move to one place, wherever they are.

    Args:
        path: ``float[T, 2]``, the place of each step, finite.
        move_scale: B of the game, in which a move u leads from x to x + B u.

    Raises:
        ConfigError: for a path that is none.
    """

    FORMAT = "karma_envs.games.supply:TrackingPolicy"

    def __init__(self, path: ArrayLike, move_scale: float = 1.0) -> None:
        self.path, self.move_scale = np.array(path, np.float64), move_scale
        if self.path.ndim != 2 or self.path.shape[1] != 2 or not np.isfinite(self.path).all():
            raise refusal("path", f"float64{list(self.path.shape)}", "finite, of shape [T, 2]")

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        """``float32[N, 2]``: moves to the step's place; nothing is drawn from ``streams``."""
        steps = np.rint(observations[:, 2] * len(self.path)).astype(np.int64)
        targets = self.path[np.clip(steps, 0, len(self.path) - 1)]
        return np.asarray((targets - observations[:, :2]) / self.move_scale, np.float32)

    def table(self) -> dict[str, NDArray[Any]]:
        """Where firms go, in columns: ``step``, ``x``, ``y``."""
        x, y = self.path.T
        return {"step": np.arange(len(self.path)), "x": x, "y": y}

    def __repr__(self) -> str:
        return f"TrackingPolicy({len(self.path)} steps)"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The scale of moves, and the path."""
        return {"move_scale": self.move_scale}, {"path": self.path}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TrackingPolicy:
        """The policy of :meth:`to_parts`."""
        return cls(arrays["path"], values["move_scale"])
