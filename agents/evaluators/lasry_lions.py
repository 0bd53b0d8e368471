"""Lasry-Lions monotonicity of the karma game, and why it fails.

Source: Thesis, section 5.1.2, equations 5.5-5.9 and Lemma 5.1. A game is monotone if for all joint
distributions rho, rho' of state and action

    S = sum over x, a of (rho(x, a) - rho'(x, a)) (r(x, a, rho) - r(x, a, rho')) <= 0.

In the karma game S = (u P)^T D^T Theta D P with D(b, u) = nu(b | u) - nu'(b | u) (eq. 5.9). As Theta +
Theta^T is a matrix of ones and the columns of D sum to 0, A = D^T Theta D is skew-symmetric: for one
urgency S = 0, and for two S = P_1 P_2 A_12 (u_1 - u_2), whose sign is at our disposal.

Differences from the source:
    Lemma 5.1 is proved by contradiction; here the two populations are written down. Its "y_j >= 0" is to
    be > 0 for a violation. Where only strictly higher bids win, Theta + Theta^T lacks the diagonal, and
    for one urgency S = -1/2 sum over b of (nu(b) - nu'(b))^2, strictly monotone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import refuse, whole
from karma_envs.game import MeanFieldModel


def lasry_lions_sum(model: MeanFieldModel, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """S of two populations of any mean-field model (equation 5.5).

    Args:
        model: the model; types count by their masses.
        first: rho, ``float64[types, X, A]``, sum 1 within each type; illegal actions have 0.
        second: rho'.
    """
    rewards = []
    for flow in (first, second):
        mean_field = flow.sum(axis=2)
        uniform = model.legal_actions / model.legal_actions.sum(axis=1, keepdims=True)
        visited = mean_field[..., None] > 0
        policy = np.where(visited, flow / np.where(visited, mean_field[..., None], 1.0), uniform)
        rewards.append(model.environment(model.statistic(mean_field, policy)).reward)
    gap = model.masses[:, None, None] * (first - second) * model.legal_actions
    return float((gap * (rewards[0] - rewards[1])).sum())


def bid_monotonicity_sum(
    first: ArrayLike, second: ArrayLike, urgencies: ArrayLike, probabilities: ArrayLike, *, tie: float = 0.5
) -> float:
    """S of two bid distributions in the karma game (equation 5.9).

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
        mean_karma: of both.
        first_policy: pi, ``float64[X, A]``; bids above karma have probability 0.
        second_policy: pi'.
        first: rho = mu pi, ``float64[X, A]``.
        second: rho' = mu pi'.
        total: S > 0.
    """

    urgencies: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    mean_karma: float
    first_policy: NDArray[np.float64]
    second_policy: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    total: float


def counterexample(
    urgencies: tuple[float, float] = (1.0, 5.0),
    probabilities: tuple[float, float] = (0.5, 0.5),
    karma_mean: int = 10,
    karma_max: int = 20,
) -> Counterexample:
    """Two populations with S = P_1 P_2 (u_2 - u_1) / 2 > 0.

    Everyone has the mean karma. In the first population the less urgent bid 1 and the more urgent 2, in
    the second 0 and 1: who is urgent pays more in both, yet the reward to more urgent bids rises where
    they are frequent.

    Args:
        urgencies: u_1 < u_2.
        probabilities: P(u), both > 0, sum 1.
        karma_mean: everyone's karma, at least 2.
        karma_max: the cap.
    """
    values, chances = np.array(urgencies, np.float64), np.array(probabilities, np.float64)
    if not values[0] < values[1]:
        raise refuse("urgencies", urgencies, "two rising numbers")
    if (chances <= 0).any() or abs(chances.sum() - 1) > 1e-12:
        raise refuse("probabilities", probabilities, "two positive numbers that sum to 1")
    karma = whole("karma_mean", karma_mean, 2, whole("karma_max", karma_max, 2))
    n = karma_max + 1
    mean_field = np.zeros((2, n))
    mean_field[:, karma] = chances

    def bidding(bids: tuple[int, int]) -> NDArray[np.float64]:
        capped = np.minimum(np.array(bids)[:, None], np.arange(n))
        return np.asarray(np.eye(n)[capped].reshape(2 * n, n))

    policies = [bidding((1, 2)), bidding((0, 1))]
    flat = mean_field.ravel()
    flows = [flat[:, None] * policy for policy in policies]
    given_urgency = [flow.reshape(2, n, n).sum(axis=1).T / chances for flow in flows]
    return Counterexample(
        urgencies=values,
        probabilities=chances,
        mean_field=flat,
        mean_karma=float(mean_field.sum(axis=0) @ np.arange(n)),
        first_policy=policies[0],
        second_policy=policies[1],
        first=flows[0],
        second=flows[1],
        total=bid_monotonicity_sum(given_urgency[0], given_urgency[1], values, chances),
    )
