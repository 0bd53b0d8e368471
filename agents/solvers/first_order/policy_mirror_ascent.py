"""Policy mirror ascent: a step towards higher Q, held back by a regulariser.

With q the Q-function of the regularised payoff r(x, a) + h(pi(x)) of the current policy:

- ``kl``, h the entropy times tau:  pi <- proportional to pi^(1 - eta tau) exp(eta q);
- ``l2``, h = -tau |pi|^2 / 2:      pi <- the point of the simplex nearest to (pi + eta q) / (1 + eta tau).

Both maximise <q, p> + h(p) - D(p, pi) / eta over distributions p of legal actions, with D the
Kullback-Leibler divergence (and eta / (1 + eta tau) written eta) or half the squared distance.

Source: Yardim et al. 2023, *Policy mirror ascent for efficient and independent learning in mean field
games*, with exact q in place of samples; Thesis, section 5.2. With tau > 0 the fixed point is an
equilibrium of the regularised game, exploitable by an amount of the order of tau.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import default_step, unit_of
from agents.solvers.equilibrium import Equilibrium, Observer, in_units
from agents.solvers.first_order.iteration import iterate, logit_policy
from karma_envs.config import choice, real, refusal, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import policy_value, q_values

_TINY = 1e-300
_STRENGTH = 0.0012  # of the greatest reward
_STEP_SIZE = {"kl": (10.0, 3.0), "l2": (1.0, 0.3)}  # per greatest reward, and payoff


@in_units
def policy_mirror_ascent(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-3,
    regulariser: str = "kl",
    strength: float | None = None,
    step_size: float | None = None,
    iterations: int = 5000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by policy mirror ascent.

    Args:
        model: the mean-field model.
        tolerance: normalised exploitability, without the regulariser, to stop at.
        regulariser: ``kl`` or ``l2``.
        strength: tau >= 0, in units of payoff; None: .0012 times the greatest reward.
        step_size: eta > 0, per unit of payoff; eta tau < 1 with ``kl``. None: 10 over the greatest reward
            with ``kl``, 1 with ``l2``; in a game that ends 3 and .3 over the greatest payoff.
        iterations: the most steps.
        population_steps: steps of the population per step of the policy.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at every step recorded.

    Returns:
        the least exploitable policy that was assessed.

    Raises:
        ConfigError: for an option out of range.
    """
    choice("regulariser", regulariser, ("kl", "l2"))
    tau, unit = _STRENGTH, unit_of(model)
    eta = default_step(model, *_STEP_SIZE[regulariser])
    if strength is not None:
        tau = real("strength", strength, 0) / unit
    if step_size is not None:
        eta = real("step_size", step_size, 0, open_low=True) * unit
    if regulariser == "kl" and eta * tau >= 1:
        raise refusal("step_size", eta / unit, f"less than 1 / strength = {1 / (tau * unit):g} with kl")

    def update(
        iteration: int, problem: DecisionProblem, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        log = np.log(np.maximum(policy, _TINY))
        h = -tau * ((policy * log) if regulariser == "kl" else policy**2 / 2).sum(axis=2)
        regularised = replace(problem, reward=problem.reward + h[..., None])
        q = q_values(model, regularised, policy_value(model, regularised, policy))
        if regulariser == "kl":
            return logit_policy(model, (1 - eta * tau) * log + eta * q)
        return _projection(np.where(model.legal_actions, (policy + eta * q) / (1 + eta * tau), -np.inf))

    return iterate(
        "policy_mirror_ascent",
        model,
        update,
        tolerance=tolerance,
        iterations=whole("iterations", iterations, 1),
        observer=observer,
        start=start,
        population_steps=whole("population_steps", population_steps, 1),
    )


def _projection(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest distributions to ``points[..., A]``; 0 where these are -inf (Held et al. 1974)."""
    # A coordinate more than 1 below the largest is 0 in the projection.
    points = np.maximum(points, points.max(axis=-1, keepdims=True) - 2)
    falling = -np.sort(-points, axis=-1)
    excess = (np.cumsum(falling, axis=-1) - 1) / np.arange(1, points.shape[-1] + 1)
    n_positive = (falling > excess).sum(axis=-1, keepdims=True)
    return np.asarray(np.maximum(points - np.take_along_axis(excess, n_positive - 1, axis=-1), 0.0))


SOLVER = policy_mirror_ascent
