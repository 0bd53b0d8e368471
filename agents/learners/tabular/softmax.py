"""From Q to policies, compiled: softmax(beta Q), mixed with uniform, as thresholds.

The policies of :data:`BATCH` observations are recomputed side by side, one in each *lane*:
``weight[action, lane]``. Loops along lanes become vector instructions, whatever the number of
actions and whichever of them are legal, and the batch's rows are fetched from memory together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.learners.tabular.targets import ILLEGAL
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.sampling import NEVER, prefetch

BATCH = 64
"""Policies that are recomputed side by side."""

_LINE = 16  # float32 on a cache line
_LEGAL = np.float32(0.1) * ILLEGAL  # the Q of legal actions is higher
_NEVER = np.float32(NEVER)
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)

# exp(x) = 2^k exp(x - k ln 2). The constants are those of Cephes' expf: ln 2 in two parts, the first
# exact in few bits, and a polynomial for |x| <= ln(2) / 2.
_LOWEST = np.float32(-87.0)
_LOG2_E = np.float32(1.44269504088896341)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_P0, _P1, _P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P3, _P4, _P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_ROUNDER = np.float32(1.5 * 2**23)  # float32 of this size are whole numbers, k in their lowest bits


@kernel(fastmath={"contract"})
def exponential(x):
    """exp(x) of a ``float32`` x <= 0, to 1e-7 of its value; without branches, so that loops vectorise.

    Below -87 it is exp(-87) = 1.6e-38, as good as 0.
    Source: S. Moshier, Cephes mathematical library, ``expf``.
    """
    x = x if x > _LOWEST else _LOWEST
    rounded = x * _LOG2_E + _ROUNDER
    k = rounded - _ROUNDER
    x = x - k * _LN2_HIGH
    x = x - k * _LN2_LOW
    power = ((((_P0 * x + _P1) * x + _P2) * x + _P3) * x + _P4) * x + _P5
    power = power * (x * x) + x + _ONE
    exponent = np.float32(rounded).view(np.int32) << 23
    return np.int32(np.float32(power).view(np.int32) + exponent).view(np.float32)


class Scratch(NamedTuple):
    """Arrays in which the policies of a batch of observations are computed, a lane for each.

    Attributes:
        row: ``int32[BATCH]``, which Q table, and
        observation: ``int32[BATCH]``, which observation a lane is about.
        weight: ``float32[actions, BATCH]``: Q, then cumulative exp(beta (Q - max Q)).
        legal: ``float32[actions, BATCH]``: how many actions are legal up to each.
        threshold: ``int32[actions, BATCH]``: the new policy.
        best: ``float32[BATCH]``: max Q.
        total: ``float32[BATCH]``: sum of weights.
        choices: ``float32[BATCH]``: number of legal actions.
        chosen: ``float32[BATCH]``: what a weight of 1 adds to the thresholds.
        explored: ``float32[BATCH]``: what exploration adds for each legal action.
    """

    row: NDArray[np.int32]
    observation: NDArray[np.int32]
    weight: NDArray[np.float32]
    legal: NDArray[np.float32]
    threshold: NDArray[np.int32]
    best: NDArray[np.float32]
    total: NDArray[np.float32]
    choices: NDArray[np.float32]
    chosen: NDArray[np.float32]
    explored: NDArray[np.float32]

    @classmethod
    def of(cls, n_actions: int) -> Scratch:
        """Fresh arrays for policies over ``n_actions`` actions."""
        table, lane = (n_actions, BATCH), BATCH
        return cls(
            row=np.zeros(lane, np.int32),
            observation=np.zeros(lane, np.int32),
            weight=np.zeros(table, np.float32),
            legal=np.zeros(table, np.float32),
            threshold=np.zeros(table, np.int32),
            best=np.zeros(lane, np.float32),
            total=np.zeros(lane, np.float32),
            choices=np.zeros(lane, np.float32),
            chosen=np.zeros(lane, np.float32),
            explored=np.zeros(lane, np.float32),
        )


@kernel(fastmath={"nnan", "nsz", "contract"})
def _update_batch(q, thresholds, stale, n_rows, rationality, exploration, scratch, change):
    """Recompute the first ``n_rows`` of the batch; what the other lanes hold is not used.

    An illegal action leaves both cumulative sums as they are to the bit, and so the threshold.
    """
    row, observation, weight, legal, threshold, best, total, choices, chosen, explored = scratch
    n_actions = threshold.shape[0]
    # Ask for all rows before reading one: the memory's latency is then waited for once.
    for lane in range(n_rows):
        for action in range(0, n_actions, _LINE):
            prefetch(q, row[lane], observation[lane], action)
        prefetch(thresholds, row[lane], observation[lane], 0)
    # Transpose, so that the loops below run along lanes, contiguous in memory, and vectorise.
    for lane in range(n_rows):
        where, what = row[lane], observation[lane]
        for action in range(n_actions):
            weight[action, lane] = q[where, what, action]
    # The greatest Q counts as 0, so that no exponential overflows and at least one is 1.
    for lane in range(BATCH):
        best[lane] = weight[0, lane]
        total[lane] = choices[lane] = 0.0
    for action in range(1, n_actions):
        for lane in range(BATCH):
            best[lane] = max(best[lane], weight[action, lane])
    # Running sums over actions; an illegal action adds to neither by selecting 0, not by a branch.
    for action in range(n_actions):
        for lane in range(BATCH):
            value = weight[action, lane]
            added = exponential(rationality * (value - best[lane]))
            total[lane] += added if value > _LEGAL else _ZERO
            choices[lane] += _ONE if value > _LEGAL else _ZERO
            weight[action, lane] = total[lane]
            legal[action, lane] = choices[lane]
    # P(A <= a) = (1 - epsilon) weight[a] / total + epsilon legal[a] / choices, in units of a threshold.
    for lane in range(BATCH):
        chosen[lane] = (_ONE - exploration) * _NEVER / total[lane]
        explored[lane] = exploration * _NEVER / choices[lane]
    for action in range(n_actions):
        for lane in range(BATCH):
            cumulative = chosen[lane] * weight[action, lane] + explored[lane] * legal[action, lane]
            threshold[action, lane] = np.int32(cumulative + _HALF)  # truncation rounds
    # Write back. Between two cumulative distributions the sum of gaps is their Wasserstein-1 distance.
    for lane in range(n_rows):
        where, what = row[lane], observation[lane]
        stale[where, what] = 0
        moved = np.int32(0)
        for action in range(n_actions):
            moved += abs(np.int32(threshold[action, lane] - np.int32(thresholds[where, what, action])))
            thresholds[where, what, action] = threshold[action, lane]
        change[where] += moved / (NEVER * max(np.float64(choices[lane]) - 1.0, 1.0))


@kernel
def update_policy(q, thresholds, stale, updates, rationality, exploration, scratch, change):
    """Recompute the policy where Q changed: softmax(beta Q), mixed with uniform.

    Exact although it leaves the other observations alone: their Q is what it was. Illegal actions
    are those whose Q is ``ILLEGAL``.

    Args:
        q: ``float32[rows, observations, width]``.
        thresholds: ``uint16[rows, observations, padded]``, changed in place.
        stale: ``uint8[rows, observations]``, 1 where Q changed; reset where the policy was recomputed.
        updates: ``uint8[rows]``, 0 for a row that keeps its policy this time.
        rationality: ``float32``, beta > 0.
        exploration: ``float32``, epsilon in [0, 1].
        scratch: :class:`Scratch`.
        change: ``float64[rows]``, written: sum over observations of the Wasserstein-1 distance of old
            and new policy, over the number of legal actions less one (Thesis, Definition 4.1).
    """
    n_rows = 0
    for row in range(q.shape[0]):
        change[row] = 0.0
        if updates[row] == 0:
            continue
        for observation in range(q.shape[1]):
            # Every observation is written into the next free lane, which is kept if it is stale.
            scratch.row[n_rows] = row
            scratch.observation[n_rows] = observation
            n_rows += stale[row, observation]  # without a branch, which could not be predicted
            if n_rows == BATCH:
                _update_batch(q, thresholds, stale, n_rows, rationality, exploration, scratch, change)
                n_rows = 0
    _update_batch(q, thresholds, stale, n_rows, rationality, exploration, scratch, change)
