"""Aggregates over seeds and tasks that few seeds can bear, with confidence intervals.

Source: R. Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS
2021: the interquartile mean (section 4.3) and stratified bootstrap intervals (section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An interquartile mean with its confidence interval.

    Attributes:
        value: the interquartile mean.
        low: lower end; None where a task has one seed only, so that its spread cannot be told.
        high: upper end, likewise.
    """

    value: float
    low: float | None
    high: float | None


def interquartile_mean(values: ArrayLike) -> NDArray[np.float64]:
    """Mean over the last axis of what is left without the lowest and the highest quarter, rounded down."""
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    n = ordered.shape[-1]
    cut = n // 4
    return np.asarray(ordered[..., cut : n - cut].mean(axis=-1))


def aggregate(strata: Sequence[ArrayLike], seed: int = 0) -> Interval:
    """The interquartile mean over all values, and its percentile interval of the stratified bootstrap.

    Args:
        strata: for each task the values of its seeds; seeds are drawn anew within each task.
        seed: of the resampling.
    """
    tasks = [np.asarray(values, np.float64) for values in strata]
    value = float(interquartile_mean(np.concatenate(tasks)))
    if min(len(values) for values in tasks) < 2:
        return Interval(value, None, None)
    rng = np.random.default_rng(seed)
    drawn = [values[rng.integers(len(values), size=(RESAMPLES, len(values)))] for values in tasks]
    means = interquartile_mean(np.concatenate(drawn, axis=1))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high))
