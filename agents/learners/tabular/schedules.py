"""Step sizes over time: from a first value towards a last one."""

from __future__ import annotations

from collections.abc import Callable


def constant(start: float, end: float, progress: float) -> float:
    """A step size of ``start``, whatever the progress."""
    return start


def linear(start: float, end: float, progress: float) -> float:
    """A step size that goes from ``start`` to ``end`` in equal steps."""
    return start + (end - start) * progress


def exponential(start: float, end: float, progress: float) -> float:
    """A step size that goes from ``start`` to ``end`` in equal ratios; both must be > 0."""
    return float(start * (end / start) ** progress)


def inverse(start: float, end: float, progress: float) -> float:
    """A step size that falls as 1/t: ``start / (1 + (start/end - 1) * progress)``; both must be > 0."""
    return start / (1 + (start / end - 1) * progress)


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "constant": constant,
    "linear": linear,
    "exponential": exponential,
    "inverse": inverse,
}
"""Each takes the first value, the last, and the progress of the run in [0, 1]."""
