"""Inner problems with known answers, for tests of planners."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agents.planners import Continuous, Evaluation, Space
from agents.planners.inner import Arrays
from agents.planners.space import Point
from karma_envs.meaning import Meaning

SQUARE = Space([Continuous("x", -1, 3), Continuous("y", 0, 2)])
"""Where the bowl's best, (.5, 1.5), is inside."""


@dataclass
class Bowl:
    """f = -(x - .5)^2 - 4 (y - 1.5)^2, and the sum x + y; as it is, at (0, 0).

    Attributes:
        noise: standard deviation of what is added to f.
        fails: what is said of points where the evaluation fails.
        kills_at: the trial during which the process is killed.
        begun: points, and the ``f`` of the trials that they began with, in the order of evaluations.
    """

    noise: float = 0.0
    fails: Mapping[str, Any] = field(default_factory=dict)
    kills_at: int = -1
    pause: float = 0.0
    begun: list[tuple[Point, float | None]] = field(default_factory=list)

    meanings: Mapping[str, Meaning] = field(default_factory=dict)

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        x, y = float(point.get("x", 0)), float(point.get("y", 0))
        if len(self.begun) == self.kills_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.begun.append((point, None if warm is None else float(warm["f"][0])))
        if self.pause and threading.current_thread() is not threading.main_thread():
            time.sleep(self.pause * (seed % 3))  # so that trials end in another order
        if x > self.fails.get("above", np.inf):
            raise RuntimeError(f"x = {x:g} is too\nmuch")
        error = self.noise * np.random.default_rng(seed).normal()
        f = -((x - 0.5) ** 2) - 4 * (y - 1.5) ** 2
        return Evaluation(
            values={"f": f + error, "sum": x + y},
            standard_errors={"f": self.noise} if self.noise else {},
            warm={"f": np.array([f])},
            derivatives={"f": {"x": -2 * (x - 0.5), "y": -8 * (y - 1.5)}, "sum": {"x": 1.0, "y": 1.0}},
        )

    def to_plain(self) -> dict[str, Any]:
        return {"problem": "bowl", "noise": self.noise}
