"""Aggregates over seeds and tasks that few seeds can bear, with confidence intervals.

Source: R. Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS
2021: the interquartile mean (section 4.3) and stratified bootstrap intervals (section 4.1). Of runs that
may not reach their target the expected running time: A. Auger and N. Hansen, Performance evaluation of an
advanced local search evolutionary algorithm, CEC 2005, as in COCO (N. Hansen et al., COCO: a platform for
comparing continuous optimizers in a black-box setting, Optimization Methods and Software 36, 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From the numbers of runs, ``float64[..., n, k]``, k of each run, what is told of them, ``float64[...]``."""

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A statistic with its confidence interval.

    Attributes:
        value: the statistic, such as the interquartile mean.
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


def interquartile_mean_of_first(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The interquartile mean of the first number of each run, ``float64[..., n, k]`` to ``float64[...]``."""
    return interquartile_mean(runs[..., 0])


def mean_of_first(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the first number of each run, ``float64[..., n, k]`` to ``float64[...]``."""
    return np.asarray(runs[..., 0].mean(axis=-1))


def expected_running_time(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluations of all runs over the number of those that reached the target: COCO's ERT.

    Args:
        runs: ``float64[..., n, 2]``: the evaluations of each run, until it reached the target or until its
            end, and whether it reached it, 1 or 0.

    Returns:
        ``float64[...]``, infinite where no run reached it.
    """
    evaluations, reached = runs[..., 0].sum(axis=-1), runs[..., 1].sum(axis=-1)
    return np.where(reached > 0, evaluations / np.maximum(reached, 1), np.inf)


def aggregate(
    strata: Sequence[ArrayLike], seed: int = 0, statistic: Statistic = interquartile_mean_of_first
) -> Interval:
    """A statistic over all runs, and its percentile interval of the stratified bootstrap.

    Args:
        strata: for each task the numbers of its seeds, ``[n]`` or ``[n, k]``; seeds are drawn anew within
            each task.
        seed: of the resampling.
        statistic: what is told of the runs.
    """
    tasks = [_as_table(values) for values in strata]
    value = float(statistic(np.concatenate(tasks)))
    if min(len(runs) for runs in tasks) < 2:
        return Interval(value, None, None)
    rng = np.random.default_rng(seed)
    drawn = [runs[rng.integers(len(runs), size=(RESAMPLES, len(runs)))] for runs in tasks]
    resampled = statistic(np.concatenate(drawn, axis=1))
    # Between a number and infinity there is nothing to interpolate.
    method: Literal["linear", "inverted_cdf"] = "linear" if np.isfinite(resampled).all() else "inverted_cdf"
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method=method)
    return Interval(value, float(low), float(high))


def _as_table(values: ArrayLike) -> NDArray[np.float64]:
    """``[n]`` or ``[n, k]`` as ``float64[n, k]``."""
    numbers = np.asarray(values, np.float64)
    return numbers if numbers.ndim == 2 else numbers[:, None]
