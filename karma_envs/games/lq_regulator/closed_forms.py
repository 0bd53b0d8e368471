"""Linear-quadratic control in closed form: Riccati equations, populations at rest, equilibria of the mean.

One agent at x in R^d controls u in R^m. With a target tau_t and a drift h_t that it does not move, it pays

    (x - tau_t)' Q (x - tau_t) + u' R u / 2,    x' = A x + B u + h_t + eps,    E eps = 0,  E eps eps' = W,

and what it pays later is discounted by gamma. The least it can expect to pay from x is
x' P x + 2 p' x + constant, where

    K = S^-1 gamma B' P' A,   S = R / 2 + gamma B' P' B,   P = Q + gamma A' P' (A - B K),
    k = S^-1 gamma B' (P' h + p'),                         p = -Q tau + gamma (A - B K)' (P' h + p'),

with P' and p' those of the next step, and the best control is u = -K x - k. Without an end P' = P and p' = p;
with an end both are 0 after the last step. In the mean-field game tau = alpha + G m and h = D m, with m the
mean of the population: p then is Pi m + s in equilibrium, which makes it a linear equation.

Source: the stationary case as in D. Bertsekas, Dynamic Programming and Optimal Control, vol. 1, section 4.1;
the mean-field game in discrete time after M. Bardi, Networks and Heterogeneous Media 7(2), 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array: TypeAlias = NDArray[np.float64]

_POLISHING = 3
"""Newton steps after SciPy's solver: each squares the error, the first reaches rounding."""

SINGULAR = 1e-10
"""Smallest over largest singular value, below which an equation for the mean counts as singular."""


@dataclass(frozen=True)
class Regulator:
    """What an agent of a linear-quadratic game is up against, without target and drift.

    Attributes:
        dynamics: A, ``float64[d, d]``.
        control: B, ``float64[d, m]``.
        state_cost: Q, ``float64[d, d]``, symmetric, positive semidefinite.
        control_cost: R, ``float64[m, m]``, symmetric, positive definite; half of it counts.
        noise_covariance: W, ``float64[d, d]``.
        discount: gamma, in [0, 1).
    """

    dynamics: Array
    control: Array
    state_cost: Array
    control_cost: Array
    noise_covariance: Array
    discount: float

    def gain(self, next_value: Array) -> Array:
        """K, ``float64[m, d]``, where P of the next step is ``next_value``."""
        return np.asarray(self.pull(next_value) @ next_value @ self.dynamics)

    def pull(self, next_value: Array) -> Array:
        """S^-1 gamma B', ``float64[m, d]``: how the control answers to P' h + p' of the next step."""
        curvature = self.control_cost / 2 + self.discount * self.control.T @ next_value @ self.control
        return np.asarray(np.linalg.solve(curvature, self.discount * self.control.T))

    def closed_loop(self, gain: Array) -> Array:
        """A - B K."""
        return np.asarray(self.dynamics - self.control @ gain)

    def value_before(self, next_value: Array) -> Array:
        """P of a step, where that of the next one is ``next_value``."""
        loop = self.closed_loop(self.gain(next_value))
        value = self.state_cost + self.discount * self.dynamics.T @ next_value @ loop
        return np.asarray(value + value.T) / 2  # symmetric but for rounding


def radius(matrix: Array) -> float:
    """The spectral radius of a square matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def is_stabilisable(dynamics: Array, control: Array) -> bool:
    """Whether some u = -K x makes A - B K stable, by the test of Popov, Belevitch and Hautus."""
    size = len(dynamics)
    for eigenvalue in np.linalg.eigvals(dynamics):
        if abs(eigenvalue) >= 1:
            pencil = np.hstack([eigenvalue * np.eye(size) - dynamics, control])
            if np.linalg.matrix_rank(pencil) < size:
                return False
    return True


def stationary_value(regulator: Regulator) -> Array:
    """P of the game without an end, ``float64[d, d]``.

    Args:
        regulator: such that (sqrt(gamma) A, sqrt(gamma) B) is stabilisable.

    Returns:
        the stabilising solution of the discounted Riccati equation, to rounding.

    Raises:
        numpy.linalg.LinAlgError: when there is none, as where (Q, A) leaves an eigenvalue on the circle.
    """
    # Discounting is the same as no discounting with A and B scaled by sqrt(gamma).
    root = np.sqrt(regulator.discount)
    value = linalg.solve_discrete_are(
        root * regulator.dynamics, root * regulator.control, regulator.state_cost, regulator.control_cost / 2
    )
    for _ in range(_POLISHING):  # Newton's method: what the policy that is greedy to a value is worth
        gain = regulator.gain(value)
        cost = regulator.state_cost + gain.T @ regulator.control_cost @ gain / 2
        value = linalg.solve_discrete_lyapunov(root * regulator.closed_loop(gain).T, cost)
        value = (value + value.T) / 2
    return np.asarray(value)


def values_to_the_end(regulator: Regulator, length: int) -> Array:
    """P of each step of the game that ends, ``float64[length + 1, d, d]``; 0 after the last."""
    values = np.zeros((length + 1, *regulator.state_cost.shape))
    for step in range(length - 1, -1, -1):
        values[step] = regulator.value_before(values[step + 1])
    return values


def stationary_offset(regulator: Regulator, value: Array, target: Array, drift: Array) -> Array:
    """-k, ``float64[m]``: what the best control u = -K x - k adds, for a target and a drift that stay.

    Args:
        regulator: what the agent is up against.
        value: P of :func:`stationary_value`.
        target: tau, ``float64[d]``.
        drift: h, ``float64[d]``.
    """
    loop = regulator.discount * regulator.closed_loop(regulator.gain(value)).T
    pushed = value @ drift
    slope = np.linalg.solve(np.eye(len(loop)) - loop, loop @ pushed - regulator.state_cost @ target)
    return np.asarray(-regulator.pull(value) @ (pushed + slope))


def offsets_to_the_end(regulator: Regulator, values: Array, targets: Array, drifts: Array) -> Array:
    """-k of each step, ``float64[length, m]``.

    Args:
        regulator: what the agent is up against.
        values: P of :func:`values_to_the_end`.
        targets: tau, ``float64[length, d]``.
        drifts: h, ``float64[length, d]``.
    """
    length = len(values) - 1
    offsets, slope = np.empty((length, regulator.control.shape[1])), np.zeros(len(regulator.dynamics))
    for step in range(length - 1, -1, -1):
        later = values[step + 1]
        pushed = later @ drifts[step] + slope
        offsets[step] = -regulator.pull(later) @ pushed
        loop = regulator.discount * regulator.closed_loop(regulator.gain(later)).T
        slope = loop @ pushed - regulator.state_cost @ targets[step]
    return offsets


class Rest(NamedTuple):
    """Where agents are in the long run.

    Attributes:
        mean: ``float64[d]``.
        covariance: ``float64[d, d]``.
    """

    mean: Array
    covariance: Array


def at_rest(
    regulator: Regulator, gain: Array, offset: Array, drift: Array, control_noise: float = 0.0
) -> Rest:
    """The stationary distribution of an agent who plays u = offset - K x + noise.

    Args:
        regulator: what the agent is up against.
        gain: K, ``float64[m, d]``, such that A - B K is stable.
        offset: ``float64[m]``.
        drift: h, ``float64[d]``.
        control_noise: variance of each control's independent noise.
    """
    loop, control = regulator.closed_loop(gain), regulator.control
    mean = np.linalg.solve(np.eye(len(loop)) - loop, control @ offset + drift)
    noise = noise_of_a_step(regulator, control_noise)
    return Rest(np.asarray(mean), np.asarray(linalg.solve_discrete_lyapunov(loop, noise)))


class Coupling(NamedTuple):
    """How the mean of the population matters.

    Attributes:
        target: alpha, ``float64[d]``.
        on_target: G, ``float64[d, d]``: agents are to be at alpha + G m.
        on_dynamics: D, ``float64[d, d]``: agents drift by D m.
    """

    target: Array
    on_target: Array
    on_dynamics: Array

    def targets(self, means: Array) -> Array:
        """tau, of the shape of the means m, ``float64[..., d]``."""
        return np.asarray(self.target + means @ self.on_target.T)

    def drifts(self, means: Array) -> Array:
        """h, of the shape of the means m, ``float64[..., d]``."""
        return np.asarray(means @ self.on_dynamics.T)


def rest_equation(regulator: Regulator, value: Array, coupling: Coupling) -> tuple[Array, Array]:
    """M and b such that the means of stationary equilibria are the solutions of M m = b.

    A best response to m has an offset that is affine in m, so its mean at rest is, too.
    """
    gain, nothing = regulator.gain(value), np.zeros(len(coupling.target))
    constant = stationary_offset(regulator, value, coupling.target, nothing)
    columns = [
        stationary_offset(regulator, value, pulled, pushed)
        for pulled, pushed in zip(coupling.on_target.T, coupling.on_dynamics.T)
    ]
    control = regulator.control
    moved = regulator.closed_loop(gain) + coupling.on_dynamics + control @ np.transpose(columns)
    return np.eye(len(moved)) - moved, np.asarray(control @ constant)


def is_singular(matrix: Array) -> bool:
    """Whether a matrix is singular, but for rounding."""
    sizes = np.linalg.svd(matrix, compute_uv=False)
    return bool(sizes[-1] <= SINGULAR * max(1.0, float(sizes[0])))


def equilibrium_flow(regulator: Regulator, values: Array, coupling: Coupling, start: Array) -> Array | None:
    """The means of the equilibrium of a game that ends, from a mean to start with.

    In equilibrium p_t = Pi_t m_t + s_t; one pass from the end gives Pi and s, one from the start gives m.

    Args:
        regulator: what the agents are up against.
        values: P of :func:`values_to_the_end`.
        coupling: how the mean matters.
        start: mean before the first step, ``float64[d]``.

    Returns:
        m, ``float64[length, d]``, before each step; None where a step's equation for the next mean is
        singular: there is no equilibrium then, or more than one.
    """
    length, size = len(values) - 1, len(start)
    moves, shifts = np.empty((length, size, size)), np.empty((length, size))
    slope, constant = np.zeros((size, size)), np.zeros(size)
    for step in range(length - 1, -1, -1):
        later = values[step + 1]
        loop = regulator.closed_loop(regulator.gain(later))
        answer = regulator.control @ regulator.pull(later)
        pushed = later @ coupling.on_dynamics
        # (1 + B S^-1 gamma B' Pi') m' = (A - B K + D - B S^-1 gamma B' P' D) m - B S^-1 gamma B' s'
        matrix = np.eye(size) + answer @ slope
        if is_singular(matrix):
            return None
        moves[step] = np.linalg.solve(matrix, loop + coupling.on_dynamics - answer @ pushed)
        shifts[step] = np.linalg.solve(matrix, -answer @ constant)
        back, cost = regulator.discount * loop.T, regulator.state_cost
        constant = back @ (slope @ shifts[step] + constant) - cost @ coupling.target
        slope = back @ (pushed + slope @ moves[step]) - cost @ coupling.on_target
    means = np.empty((length, size))
    mean = np.asarray(start, np.float64)
    for step in range(length):
        means[step] = mean
        mean = moves[step] @ mean + shifts[step]
    return means


def means_over_time(loops: Array, pushes: Array, start: Array) -> Array:
    """m of each step, ``float64[length, d]``, where m_{t+1} = L_t m_t + g_t, from a start ``float64[d]``."""
    means = np.empty(pushes.shape)
    mean = start
    for step, (loop, push) in enumerate(zip(loops, pushes)):
        means[step] = mean
        mean = loop @ mean + push
    return means


def covariances_over_time(loops: Array, noise: Array, start: Array) -> Array:
    """Sigma of each step, ``float64[length, d, d]``, where Sigma_{t+1} = L_t Sigma_t L_t' + noise."""
    covariances = np.empty(loops.shape)
    covariance = start
    for step, loop in enumerate(loops):
        covariances[step] = covariance
        covariance = loop @ covariance @ loop.T + noise
    return covariances


def noise_of_a_step(regulator: Regulator, control_noise: float) -> Array:
    """Covariance of what disturbs a step: W, and that of what disturbs controls, of a variance each."""
    return np.asarray(regulator.noise_covariance + control_noise * regulator.control @ regulator.control.T)


def costs_of_steps(
    regulator: Regulator,
    policy: tuple[Array, Array, float],
    targets: Array,
    means: Array,
    covariances: Array,
) -> Array:
    """Expected costs ``float64[length]`` of steps with states of given means and covariances.

    Args:
        regulator: what the agent is up against.
        policy: gains ``float64[length, m, d]``, offsets ``float64[length, m]``, variance of each control.
        targets: tau, ``float64[length, d]``.
        means: ``float64[length, d]``.
        covariances: ``float64[length, d, d]``.
    """
    gains, offsets, control_noise = policy
    q, half_r = regulator.state_cost, regulator.control_cost / 2
    off, controls = means - targets, offsets - np.einsum("tmd,td->tm", gains, means)
    of_gains = np.einsum("tmd,mn,tne->tde", gains, half_r, gains)
    return np.asarray(
        np.einsum("td,de,te->t", off, q, off)
        + np.einsum("tm,mn,tn->t", controls, half_r, controls)
        + np.einsum("tde,ted->t", q + of_gains, covariances)
        + control_noise * np.trace(half_r)
    )


def cost_without_end(
    regulator: Regulator,
    policy: tuple[Array, Array, float],
    target: Array,
    drift: Array,
    start: Rest,
) -> float:
    """Expected discounted cost of playing u = offset - K x + noise for ever; infinite where it diverges.

    Args:
        regulator: what the agent is up against.
        policy: K ``float64[m, d]``, offset ``float64[m]``, variance of each control.
        target: tau, ``float64[d]``.
        drift: h, ``float64[d]``.
        start: mean and covariance of where the agent starts.
    """
    gain, offset, control_noise = policy
    discount, half_r = regulator.discount, regulator.control_cost / 2
    loop, push = regulator.closed_loop(gain), regulator.control @ offset + drift
    root = np.sqrt(discount)
    if radius(root * loop) >= 1:
        return float("inf")
    square = linalg.solve_discrete_lyapunov(root * loop.T, regulator.state_cost + gain.T @ half_r @ gain)
    own = -regulator.state_cost @ target - gain.T @ half_r @ offset
    linear = np.linalg.solve(np.eye(len(loop)) - discount * loop.T, own + discount * loop.T @ square @ push)
    noise = noise_of_a_step(regulator, control_noise)
    of_a_step = target @ regulator.state_cost @ target + offset @ half_r @ offset
    of_a_step += control_noise * np.trace(half_r)
    of_a_step += discount * (push @ square @ push + 2 * linear @ push + np.trace(square @ noise))
    mean, covariance = start
    at_start = np.trace(square @ covariance) + mean @ square @ mean + 2 * linear @ mean
    return float(at_start + of_a_step / (1 - discount))
