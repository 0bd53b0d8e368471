"""The planner's stationary policy: what a population could reach if everyone played as told.

    maximise the efficiency  J(pi) = sum of mass * mu(x) pi(a | x) r(x, a; z)  over pi,

where mu is the stationary mean field of pi. Unlike a single agent, the planner counts what a policy
does to everyone through z and mu. The problem is not concave: what is found is a stationary point by
ascent, the best of several starts. ``gap`` says how stationary; that it is the global optimum is not
certain, but every policy's efficiency is a lower bound of the optimum.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import in_own_units
from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import Assessment, assess
from agents.solvers.first_order.iteration import logit_policy
from karma_envs.config import real, whole
from karma_envs.display import Said
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import uniform_policy

_WIDTH = 1e-7  # of finite differences
_CONSERVED = 1e-5  # a singular value below this belongs to a conserved quantity
_LEAST_PROBABILITY = 1e-12  # so that no action is lost for ever
_HALVINGS = 40
_FIRST_STEP = 5.0  # per greatest reward


@dataclass(frozen=True, repr=False)
class SocialOptimum(Said):
    """The best policy that a planner found.

    Attributes:
        policy: one row per type.
        mean_field: its stationary mean field, ``float64[types, X]``.
        efficiency: mean reward per step; a lower bound of the optimum's.
        gap: how much the efficiency rises at most, to first order, by a move to another policy; 0 at
            a stationary point.
        stationary: whether ``gap`` reached the tolerance, and the population is at rest. Even then it may
            be a local optimum only.
        stationary_residual: largest change of ``mean_field`` in one more step.
        efficiency_by_start: where each start led.
        exploitability_normalised: of the policy in the game, exact: what keeps it from being played.
        seconds: wall time.
    """

    policy: TabularPolicy
    mean_field: NDArray[np.float64]
    efficiency: float
    gap: float
    stationary: bool
    stationary_residual: float
    efficiency_by_start: tuple[float, ...]
    exploitability_normalised: float
    seconds: float

    def _said(self) -> dict[str, str]:
        return {
            "efficiency": f"{self.efficiency:.6g}",
            "gap": f"{self.gap:.1e}",
            "stationary": "yes" if self.stationary else "no",
            "exploitability": f"{self.exploitability_normalised:.1e} of |J|, mean field, exact",
        }

    def price_of_anarchy(self, efficiency: float) -> float:
        """Efficiency of an equilibrium over that of the optimum; with costs (both < 0) at least 1."""
        return efficiency / self.efficiency


def social_optimum(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 2e-6,
    starts: int = 3,
    seed: int = 0,
    start: NDArray[np.float64] | None = None,
    iterations: int = 300,
) -> SocialOptimum:
    """Maximise the stationary efficiency by natural gradient ascent on softmax logits.

    A step adds eta times the planner's Q (:func:`planner_q`) to the logits, with eta doubled after
    each gain and halved until there is one: the efficiency never falls.

    Args:
        model: the mean-field model.
        tolerance: ``gap`` over the greatest reward to stop at.
        starts: number of starts: uniform, and random policies.
        seed: of the random policies.
        start: a policy to begin with besides, ``float64[types, X, A]``.
        iterations: the most gradients per start.

    Raises:
        ConfigError: for an option out of range.
    """
    began = time.perf_counter()
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    rng = np.random.default_rng(whole("seed", seed, 0))
    own = in_own_units(model)
    first = uniform_policy(model)
    policies = [] if start is None else [0.99 * start + 0.01 * first]
    policies += [first, *(logit_policy(model, 3 * rng.normal(size=first.shape)) for _ in range(1, starts))]
    weights, most = model.masses, whole("iterations", iterations, 1)
    reached = [ascend(own, policy, weights, tolerance, most) for policy in policies]
    best, gap = max(reached, key=lambda one: _efficiency(one[0], weights))
    return SocialOptimum(
        policy=TabularPolicy(best.policy),
        mean_field=best.mean_field,
        efficiency=own.unit * _efficiency(best, weights),
        gap=own.unit * gap,
        stationary=gap <= tolerance and best.exploitability.at_rest,
        stationary_residual=best.exploitability.stationary_residual,
        efficiency_by_start=tuple(own.unit * _efficiency(assessment, weights) for assessment, _ in reached),
        exploitability_normalised=best.exploitability.normalised,
        seconds=time.perf_counter() - began,
    )


@dataclass(frozen=True)
class PlannerValue:
    """How the stationary efficiency moves with what agents do, and with where they come to.

    Attributes:
        q: ``float64[types, X, A]``, along the flow through each state and action; 0 where illegal. Of types
            whose weight is 0 only the mean over their policy is meant.
        value: lambda, ``float64[types, X]``, along the mass in each state after a step, but for a multiple of
            what is conserved.
    """

    q: NDArray[np.float64]
    value: NDArray[np.float64]


def planner_q(
    model: FiniteMeanFieldModel, here: Assessment, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """How the stationary efficiency moves with the flow through each state and action.

    See :func:`planner_value`, whose ``q`` it is.
    """
    return planner_value(model, here, weights).q


def planner_value(
    model: FiniteMeanFieldModel, here: Assessment, weights: NDArray[np.float64] | None = None
) -> PlannerValue:
    """How the stationary efficiency moves with what agents do, all that it does to the others included.

    Let m(x, a) = mu(x) pi(a | x), and let e be the derivative of the efficiency and A that of the next
    mean field with respect to m, those through z included. Then q = e + A lambda, where lambda =
    e_pi + A_pi lambda: a differential value, as in average-reward control, in which an agent is charged
    for what it does to the others. The derivative of the efficiency is sum of mu(x) q(x, a) d pi(a | x).

    Args:
        model: the mean-field model.
        here: a policy and its stationary mean field.
        weights: ``float64[types]``, what a reward of each type counts; None: its share of the population.
    """
    policy, mean_field, z = here.policy, here.mean_field, here.statistic
    weights = model.masses if weights is None else weights
    problem, moves = model.decision_problem(z), model.problem_moves(z)
    flow = mean_field[..., None] * policy
    shape, size = flow.shape, mean_field.size

    # On the next mean field, and on the efficiency.
    effect_of_z = np.column_stack(
        [moves.pushed(flow).reshape(len(z), size), np.einsum("t,txa,ztxa->z", weights, flow, moves.reward)]
    )

    effect, kernel = np.zeros((*shape, size + 1)), problem.dense(anew=True)
    for kind in range(shape[0]):
        own = slice(kind * shape[1], (kind + 1) * shape[1])
        effect[kind, ..., own] = kernel[kind]
        effect[kind, ..., size] = weights[kind] * problem.reward[kind]
    base = model.statistic(mean_field, policy)
    units = np.eye(shape[2])
    for kind, state, action in np.argwhere(np.broadcast_to(model.legal_actions, shape)):
        # Of types that do not count only what they do on average matters.
        counts = weights[kind] > 0
        if action > 0 and not counts:
            continue
        more = flow[kind, state] + _WIDTH * (units[action] if counts else policy[kind, state])
        field, there_policy = mean_field.copy(), policy.copy()
        field[kind, state] = more.sum()
        there_policy[kind, state] = more / more.sum()
        z_move = (model.statistic(field, there_policy) - base) / _WIDTH
        effect[kind, state, action if counts else slice(None)] += z_move @ effect_of_z
    # Moves that keep each type's mass: one more at (x, a), less of everything else.
    effect -= np.einsum("txa,txac->tc", flow, effect)[:, None, None]

    expected = np.einsum("txa,txac->txc", policy, effect).reshape(size, size + 1)
    matrix = np.eye(size) - expected[:, :size]
    _, singular, right = np.linalg.svd(matrix)
    conserved = right[singular < _CONSERVED]  # as karma: no policy can move it
    matrix += conserved.T @ conserved
    differential_value = np.linalg.solve(matrix, expected[:, size])
    q = effect[..., :size] @ differential_value + effect[..., size]
    return PlannerValue(np.where(model.legal_actions, q, 0.0), differential_value.reshape(shape[:2]))


def _efficiency(assessment: Assessment, weights: NDArray[np.float64]) -> float:
    """Mean reward per step of the types that count."""
    return float(weights @ assessment.efficiency_by_type)


def ascend(
    model: FiniteMeanFieldModel,
    policy: NDArray[np.float64],
    weights: NDArray[np.float64],
    tolerance: float,
    iterations: int,
) -> tuple[Assessment, float]:
    """A stationary point uphill from a policy in the types that have a weight, and its gap.

    Args:
        model: with rewards in units of the greatest one.
        policy: to begin with, ``float64[types, X, A]``.
        weights: ``float64[types]``, what a reward of each type counts; types with 0 keep their policy.
        tolerance: of the gap.
        iterations: the most gradients.

    Returns:
        the policy that was reached, and by how much the weighted mean reward rises at most, to first order,
        by a move to another policy.
    """
    here, step = assess(model, policy), _FIRST_STEP
    planned = weights[:, None, None] > 0
    for _ in range(iterations):
        # Per agent of a type: of types that are not planned the others' policy stays, whatever their q.
        q = planner_q(model, here, weights) / np.where(planned, weights[:, None, None], 1.0)
        best = np.where(model.legal_actions, q, -np.inf).max(axis=2)
        gains = (here.mean_field * (best - (here.policy * q).sum(axis=2))).sum(axis=1)
        gap = float(weights @ gains)
        if gap <= tolerance:
            break
        for _ in range(_HALVINGS):
            logits = np.log(np.maximum(here.policy, _LEAST_PROBABILITY)) + step * (q - best[..., None])
            moved = np.where(planned, logit_policy(model, logits), here.policy)
            stepped = assess(model, moved, here.mean_field)
            if _efficiency(stepped, weights) > _efficiency(here, weights):
                break
            step /= 2
        else:
            break
        here, step = stepped, 2 * step
    return here, gap
