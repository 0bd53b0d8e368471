"""Logit dynamics: everyone drifts towards the softmax of its current Q; damped best response at beta = inf.

    pi <- pi + eta (softmax(beta Q^pi) - pi),    mu <- one or more steps of the population.

Source: Elokda et al. 2023, *A self-contained karma economy for the dynamic allocation of common
resources* (evolutionary dynamics with perturbed best response). Fixed points are logit equilibria, or
Nash equilibria at beta = inf. At high beta the dynamics may cycle at any fixed eta; then the result
says that it has not converged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import unit_of
from agents.solvers.equilibrium import Equilibrium, Observer, in_units
from agents.solvers.first_order.iteration import iterate, logit_policy
from karma_envs.config import real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import greedy, policy_value, q_values


@in_units
def logit_dynamics(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-3,
    rationality: float = np.inf,
    step_size: float = 0.02,
    iterations: int = 5000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by logit dynamics.

    Args:
        model: the mean-field model.
        tolerance: with infinite rationality, normalised exploitability to stop at; else, distance
            of the policy from softmax(beta Q), in L1 and weighted by mu, to stop at.
        rationality: beta > 0, per unit of payoff; infinite for best responses.
        step_size: eta in (0, 1].
        iterations: the most steps.
        population_steps: steps of the population per step of the policy.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at every step recorded.

    Returns:
        the least exploitable policy that was assessed; with finite rationality the last, and
        ``converged`` tells whether it is a logit equilibrium.

    Raises:
        ConfigError: for an option out of range.
    """
    step_size = real("step_size", step_size, 0, 1, open_low=True)
    bounded = rationality != np.inf
    if bounded:
        rationality = real("rationality", rationality, 0, open_low=True)
    beta = rationality * unit_of(model)

    def update(
        iteration: int, problem: DecisionProblem, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        q = q_values(model, problem, policy_value(model, problem, policy))
        target = logit_policy(model, beta * q) if bounded else greedy(q)
        return policy + step_size * (target - policy)

    return iterate(
        "logit_dynamics",
        model,
        update,
        tolerance=tolerance,
        iterations=whole("iterations", iterations, 1),
        observer=observer,
        start=start,
        population_steps=whole("population_steps", population_steps, 1),
        rest=tolerance * step_size if bounded else None,
    )


SOLVER = logit_dynamics
