"""From Q to a policy: argmax-e, and what makes the policy a continuous function of Q.

A smoothing takes ``q[types, X, A]``, with -inf for illegal actions, and a rationality c > 0 per unit of
payoff, and gives a policy of the same shape. For c to infinity all of them are argmax-e.

Source: R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, "Naive RL algorithm", "Stable
algorithm" and "More general results"; K. Asadi and M. Littman, *An alternative softmax operator for
reinforcement learning*, ICML 2017, section 4.

Differences from the source: the slides name MellowMax, the number mm_c(x) = log(mean of exp(c x)) / c, as a
smoothing, which by itself is no policy; here it is Asadi and Littman's maximum-entropy mellowmax policy, of
all policies with mean Q equal to mm_c(Q) the most random one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.sampling import softmax, uniform_over

_TIE = 1e-9
"""Actions whose Q are less than so much of the greatest |Q| from the best are equally good."""

_BISECTIONS = 60

Smoothing = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


def argmax_e(q: NDArray[np.float64], rationality: float = np.inf) -> NDArray[np.float64]:
    """Equal probabilities for all the best actions, whatever the rationality."""
    best = q.max(axis=2, keepdims=True)
    # Rounding makes equals differ: by much less than this, and in a table of whole payoffs nothing else does.
    greatest = np.abs(q, where=np.isfinite(q), out=np.zeros_like(q)).max()
    return uniform_over(q >= best - _TIE * greatest)


def boltzmann(q: NDArray[np.float64], rationality: float) -> NDArray[np.float64]:
    """softmax_c: probabilities proportional to exp(c Q)."""
    return softmax(rationality * q) if np.isfinite(rationality) else argmax_e(q)


def mellowmax(q: NDArray[np.float64], rationality: float) -> NDArray[np.float64]:
    """The maximum-entropy mellowmax policy: softmax_b with b such that the mean of Q is mm_c(Q)."""
    if not np.isfinite(rationality):
        return argmax_e(q)
    legal = np.isfinite(q)
    gaps = np.where(legal, q - q.max(axis=2, keepdims=True), 0.0)  # at most 0: no exponential overflows
    mean_exponential = np.where(legal, np.exp(rationality * gaps), 0.0).sum(axis=2) / legal.sum(axis=2)
    target = np.log(mean_exponential) / rationality
    # mm_c is the mean over b in [0, c] of the mean of Q under softmax_b, which rises with b: b is in [0, c].
    low, high = np.zeros_like(target), np.full_like(target, rationality)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        policy = softmax(np.where(legal, middle[..., None] * gaps, -np.inf))
        below = (policy * gaps).sum(axis=2) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return softmax(np.where(legal, ((low + high) / 2)[..., None] * gaps, -np.inf))


SMOOTHINGS: dict[str, Smoothing] = {
    "argmax_e": argmax_e,
    "boltzmann": boltzmann,
    "mellowmax": mellowmax,
}
"""The smoothings by name."""
