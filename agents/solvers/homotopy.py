"""Homotopy: follow the logit equilibria from beta = 0 until an exact equilibrium is in reach.

The path of logit equilibria starts at the uniform policy and ends, for beta to infinity, in a Nash
equilibrium (McKelvey and Palfrey 1995; Turocy 2005). On the way, as soon as it is clear which actions
are played, Newton's method on that support lands on the equilibrium itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Assessment, Equilibrium, Step, as_equilibrium, assess
from agents.solvers.exact import exact_equilibrium
from agents.solvers.quantal_response import LogitSystem
from karma_envs.game import MeanFieldModel

_FIRST_RATIONALITY = 0.02  # at which the uniform policy is a good start
_LAST_RATIONALITY = 1e8
_FIRST_ATTEMPT = 1000.0  # before, supports are a guess
_LIMIT = 1e5  # until then only the path's own support is tried, and only what is near it taken
_NEAR = 0.02  # total variation of what agents do


def _distance(one: Assessment, other: Assessment) -> float:
    """Total variation distance of what agents do in the states they are in."""
    flow = one.mean_field[..., None] * (one.policy - other.policy)
    return float(np.abs(flow).sum(axis=(1, 2)).max() / 2)


def homotopy(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-10,
    exploration: float = 0.0,
    rationality: float = np.inf,
    start: NDArray[np.float64] | None = None,
    observer: Callable[[Step], None] | None = None,
) -> Equilibrium:
    """Solve by homotopy.

    Args:
        model: the mean-field model.
        tolerance: normalised exploitability to reach, where ``rationality`` is infinite.
        exploration: epsilon of the population; the result is then the policy that is played,
            exploration included, and its exploitability is not 0.
        rationality: beta to stop at, for a logit equilibrium; infinite for a Nash equilibrium.
        start: logits ``[types, X, A]`` to begin with at the first beta; uniform if None.
        observer: called at every step.

    Returns:
        the equilibrium; ``converged`` says whether the tolerance was reached, or the logit
        equilibrium found.
    """
    began = time.perf_counter()
    system = LogitSystem(model, exploration)
    point = system.start(start)
    beta, factor = min(_FIRST_RATIONALITY, rationality), 3.0
    reached: float | None = None
    next_attempt = _FIRST_ATTEMPT
    history: list[Step] = []
    best = assess(model, system.policy(point.logits)[0])
    arrived = False

    def record(found_iteration: int) -> None:
        step = Step(found_iteration, best.exploitability.normalised, best.efficiency)
        history.append(step)
        if observer is not None:
            observer(step)

    while len(history) < 200:
        found, newton_steps = system.solve(point, beta, 1e-9 if beta == rationality else 1e-6)
        if found is None:
            if reached is None:
                break
            factor **= 0.5
            if factor < 1.02:
                break
            beta = min(reached * factor, rationality)
            continue
        point, reached = found, beta
        policy = system.policy(point.logits)[0]
        best = assess(model, policy, best.mean_field)
        record(len(history) + 1)
        if beta >= rationality:
            arrived = True
            break
        if not np.isfinite(rationality) and exploration == 0.0:
            if best.exploitability.normalised <= tolerance:
                break
            if beta >= next_attempt:
                next_attempt = 4 * beta
                exact = exact_equilibrium(
                    model,
                    point.statistic,
                    point.value,
                    policy,
                    tolerance=tolerance,
                    most_supports=1 if beta < _LIMIT else 12,
                )
                near = exact is not None and (beta >= _LIMIT or _distance(exact, best) < _NEAR)
                if exact is not None and near and exact.exploitability.normalised <= tolerance:
                    best = exact
                    record(len(history) + 1)
                    break
        if beta >= _LAST_RATIONALITY:
            break
        if newton_steps <= 4:
            factor = min(factor * 1.4, 2.0)
        elif newton_steps > 7:
            factor = max(factor**0.6, 1.3)
        beta = min(beta * factor, rationality, _LAST_RATIONALITY)
    result = as_equilibrium("homotopy", best, tolerance, history, time.perf_counter() - began)
    if np.isfinite(rationality) or exploration > 0:
        result = replace(result, converged=arrived)
    return result


SOLVER = homotopy
