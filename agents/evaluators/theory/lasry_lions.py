"""Lasry-Lions monotonicity of a mean-field game, and why the matching game has it not.

Source: Thesis, section 5.1.2, equations 5.5-5.9 and Lemma 5.1. A game is monotone if for all joint
distributions rho, rho' of state and action

    S = sum over x, a of (rho(x, a) - rho'(x, a)) (r(x, a, rho) - r(x, a, rho')) <= 0.

In the matching game S = (u P)^T D^T Theta D P with D(b, u) = nu(b | u) - nu'(b | u) (eq. 5.9). As Theta +
Theta^T is a matrix of ones and the columns of D sum to 0, A = D^T Theta D is skew-symmetric: for one
urgency S = 0, and for two S = P_1 P_2 A_12 (u_1 - u_2), whose sign is at our disposal.

Differences from the source:
    Lemma 5.1 is proved by contradiction; here the two populations are written down. Its "y_j >= 0" is to
    be > 0 for a violation. Like the Lemma's, they share mean karma but need not be stationary.
    Where only strictly higher bids win, Theta + Theta^T lacks the diagonal, and for one urgency
    S = -u/2 sum over b of (nu(b) - nu'(b))^2, strictly monotone in bids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.evaluators.theory.matching import as_matching, only_type
from karma_envs.config import real, refusal, whole
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel
from karma_envs.numerics.sampling import uniform_over


def lasry_lions_sum(
    model: FiniteMeanFieldModel, first: NDArray[np.float64], second: NDArray[np.float64]
) -> float:
    """S of two populations of any mean-field model (equation 5.5).

    Args:
        model: the model; types count by their masses.
        first: rho, ``float64[types, X, A]``, sum 1 within each type; illegal actions have 0.
        second: rho'.

    Raises:
        ConfigError: for arrays that are not such distributions.
    """
    for name, flow in (("first", first), ("second", second)):
        shape = (model.n_types, *model.legal_actions.shape)
        if flow.shape != shape:
            raise refusal(name, flow.shape, f"an array of shape {shape}")
        if (flow < 0).any() or flow[:, ~model.legal_actions].any():
            raise refusal(name, flow.min(), "probabilities, 0 for illegal actions")
        if np.abs(flow.sum(axis=(1, 2)) - 1).max() > 1e-9:
            raise refusal(name, flow.sum(axis=(1, 2)).tolist(), "sum 1 within each type")
    rewards = []
    for flow in (first, second):
        mean_field = flow.sum(axis=2)
        uniform = uniform_over(model.legal_actions)
        visited = mean_field[..., None] > 0
        policy = np.where(visited, flow / np.where(visited, mean_field[..., None], 1.0), uniform)
        rewards.append(model.decision_problem(model.statistic(mean_field, policy)).reward)
    gap = model.masses[:, None, None] * (first - second)
    return float((gap * (rewards[0] - rewards[1])).sum())


def bid_monotonicity_sum(
    first: ArrayLike, second: ArrayLike, urgencies: ArrayLike, probabilities: ArrayLike, *, tie: float = 0.5
) -> float:
    """S of two bid distributions in the matching game (equation 5.9).

    Args:
        first: nu(b | u), ``float[bids, urgencies]``, columns sum to 1.
        second: nu'(b | u).
        urgencies: ``float[urgencies]``, u.
        probabilities: ``float[urgencies]``, P(u).
        tie: chance to win a tie: 1/2, or 0 where only strictly higher bids win.
    """
    gap = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    wins = np.tri(len(gap), k=-1) + tie * np.eye(len(gap))
    weights = np.asarray(probabilities, np.float64)
    return float((np.asarray(urgencies, np.float64) * weights) @ gap.T @ wins @ gap @ weights)


@dataclass(frozen=True)
class Counterexample:
    """Two populations with the same karma that violate Lasry-Lions monotonicity (Lemma 5.1).

    Attributes:
        urgencies: U, ``float64[urgencies]``.
        probabilities: P(u).
        mean_field: mu, ``float64[X]`` with X = urgencies times (k_max + 1), the same in both.
        first_policy: pi, ``float64[X, A]``; bids above karma have probability 0.
        second_policy: pi'.
        first: rho = mu pi, ``float64[X, A]``.
        second: rho' = mu pi'.
        first_bids: nu(b | u), ``float64[A, urgencies]``.
        second_bids: nu'(b | u).
        total: S > 0.
    """

    urgencies: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    first_policy: NDArray[np.float64]
    second_policy: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    first_bids: NDArray[np.float64]
    second_bids: NDArray[np.float64]
    total: float


def counterexample_of(model: MeanFieldModel) -> Counterexample:
    """The counterexample in a matching game, by its mean-field model, see :func:`counterexample`.

    Raises:
        ConfigError: for another game's model, one of several types of agents, or where there is none.
    """
    matching = as_matching(model)
    config, one = matching.config, only_type(matching)
    return counterexample(one.urgencies, one.stationary_urgency.tolist(), config.karma_mean, config.karma_max)


def counterexample(
    urgencies: Sequence[float] = (1.0, 5.0),
    probabilities: Sequence[float] = (0.5, 0.5),
    karma_mean: float = 10.0,
    karma_max: int = 20,
) -> Counterexample:
    """Two populations of a matching game with S = s^2 P_low P_high (u_high - u_low) / 2 > 0.

    Everyone has the mean karma, or the whole numbers next to it. In the first population the least urgent
    bid 1 and the most urgent 2, in the second 0 and 1; all others bid 0. What the most urgent bid in the
    first population loses against its bids, 1/4 for two equally likely urgencies, is less than what the
    bid of 1 loses that they made in the second, 1/2: their reward favours the bid the more, the more
    of them make it. For the least urgent it is the other way round, and weighs less.

    Args:
        urgencies: U, each >= 0; two that occur must differ.
        probabilities: P(u), sum 1.
        karma_mean: in (0, k_max]. Below 2, only a share s = karma_mean / 2 has karma, 2 each; else s = 1.
        karma_max: k_max >= 2.

    Raises:
        ConfigError: for a value outside these ranges.
    """
    values = np.array([real(f"urgencies[{index}]", u, 0) for index, u in enumerate(urgencies)])
    chances = np.array([real(f"probabilities[{index}]", p, 0, 1) for index, p in enumerate(probabilities)])
    if chances.shape != values.shape or abs(chances.sum() - 1) > 1e-9:
        raise refusal("probabilities", probabilities, f"{len(values)} numbers that sum to 1")
    occur = np.flatnonzero(chances)
    low, high = (int(occur[index]) for index in (values[occur].argmin(), values[occur].argmax()))
    if values[low] == values[high]:
        raise refusal("urgencies", urgencies, "at least two different numbers that occur")
    karma = _karma_with_mean(karma_mean, whole("karma_max", karma_max, 2))
    n = len(karma)
    mean_field = np.outer(chances, karma).ravel()

    def bidding(lows: int, highs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A policy ``[X, A]``, and the bids that it leads to, given urgency."""
        wanted = np.zeros((len(values), 1), np.int64)
        wanted[[low, high], 0] = lows, highs
        policy = np.eye(n)[np.minimum(wanted, np.arange(n))]
        return policy.reshape(-1, n), np.einsum("k,ukb->bu", karma, policy)

    (first_policy, first_bids), (second_policy, second_bids) = bidding(1, 2), bidding(0, 1)
    return Counterexample(
        urgencies=values,
        probabilities=chances,
        mean_field=mean_field,
        first_policy=first_policy,
        second_policy=second_policy,
        first=mean_field[:, None] * first_policy,
        second=mean_field[:, None] * second_policy,
        first_bids=first_bids,
        second_bids=second_bids,
        total=bid_monotonicity_sum(first_bids, second_bids, values, chances),
    )


def _karma_with_mean(mean: float, karma_max: int) -> NDArray[np.float64]:
    """A distribution of karma with a mean, ``float64[k_max + 1]``, in which as many as can hold 2 or more."""
    mean = real("karma_mean", mean, 0, karma_max, open_low=True)
    poor, rich = (int(np.floor(mean)), int(np.ceil(mean))) if mean >= 2 else (0, 2)
    share = (mean - poor) / (rich - poor) if rich > poor else 0.0
    karma = np.zeros(karma_max + 1)
    karma[poor] += 1 - share
    karma[rich] += share
    return karma
