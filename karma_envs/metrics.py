"""How good it is what agents got: efficiency, fairness, inequality.

What games measure with them, and how sure of it we are, is :mod:`karma_envs.outcome`.

Sources: Thesis, Definitions 2.6 (efficiency), 2.7 (ex-post access fairness) and 2.8 (ex-post reward
fairness). Fairness measures are at most 0, and 0 is perfectly fair.

Fairness depends on how many steps it is measured over: chance evens out, so that over more steps the same
agents look fairer. Compare values over equally many steps only.

Differences from the source: time averages are over the T steps observed, not their limit; the
standard deviation over agents is that of the population (divided by N).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from karma_envs.moved import old_names


def efficiency(rewards: ArrayLike, contests: ArrayLike | None = None) -> float:
    """Mean reward per competing agent and step (Definition 2.6); at most 0 in a karma game.

    Args:
        rewards: rewards ``[T, N]``, or their sums ``[N]`` together with ``contests``.
        contests: how often each agent competed, ``[N]`` or ``[T, N]``; None: always.

    Returns:
        the efficiency; NaN if nobody competed.
    """
    total = float(np.sum(rewards, dtype=np.float64))
    count = float(np.size(rewards) if contests is None else np.sum(contests))
    return total / count if count else float("nan")


def access_fairness(accesses: ArrayLike, steps: int | None = None) -> float:
    """Minus the standard deviation over agents of the access frequency (Definition 2.7).

    Args:
        accesses: who got a resource, ``[T, N]`` of 0 and 1; or the counts ``[N]`` with ``steps``.
        steps: T, where counts are given.
    """
    return _minus_std(accesses, steps)


def reward_fairness(rewards: ArrayLike, steps: int | None = None) -> float:
    """Minus the standard deviation over agents of the mean reward (Definition 2.8).

    Args:
        rewards: rewards ``[T, N]``; or their sums ``[N]`` with ``steps``.
        steps: T, where sums are given.
    """
    return _minus_std(rewards, steps)


def _minus_std(values: ArrayLike, steps: int | None) -> float:
    array = np.asarray(values, np.float64)
    means = array / steps if steps is not None else array.mean(axis=0)
    return -float(np.std(means))


def gini(values: ArrayLike) -> float:
    """Gini coefficient of non-negative values over agents: 0 equal, towards 1 all with one agent.

    Raises:
        ValueError: when a value is negative.
    """
    array = np.sort(np.asarray(values, np.float64).ravel())
    if array.size == 0 or array[0] < 0:
        raise ValueError("the Gini coefficient needs values, all of them >= 0")
    total = array.sum()
    if total == 0:
        return 0.0
    n = array.size
    return float((2 * np.arange(1, n + 1) - n - 1) @ array / (n * total))


def nash_welfare(gains: ArrayLike) -> float:
    """Geometric mean over agents of what each gains over getting nothing; 0 if somebody gains nothing.

    Args:
        gains: ``[N]``, gain per step of each agent.
    """
    array = np.asarray(gains, np.float64)
    if (array <= 0).any():
        return 0.0
    return float(np.exp(np.log(array).mean()))


__getattr__ = old_names(__name__)
