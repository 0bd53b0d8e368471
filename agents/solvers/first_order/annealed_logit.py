"""Annealed logit: logit dynamics whose rationality rises until its equilibria are those of the game.

    pi <- pi + eta (softmax(beta_n Q^pi) - pi),    beta_n = beta_0 * growth^n.

The logit equilibria lead to a Nash equilibrium as beta grows (McKelvey and Palfrey 1995). What follows
them here are damped iterations, which lose the path where these cycle; the homotopy follows it with
Newton steps instead, and further.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import unit_of
from agents.solvers.equilibrium import Equilibrium, Observer, in_units
from agents.solvers.first_order.iteration import iterate, logit_policy
from karma_envs.config import real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import policy_value, q_values

_FIRST_RATIONALITY = 5.0  # per greatest reward


@in_units
def annealed_logit(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-3,
    first_rationality: float | None = None,
    growth: float = 1.01,
    last_rationality: float | None = None,
    step_size: float = 0.05,
    iterations: int = 5000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by annealed logit dynamics.

    Args:
        model: the mean-field model.
        tolerance: normalised exploitability to stop at.
        first_rationality: beta_0 > 0, per unit of payoff; None: 5 over the greatest reward.
        growth: factor of beta per iteration, >= 1.
        last_rationality: beta does not rise above this; None: a million times ``first_rationality``.
        step_size: eta in (0, 1].
        iterations: the most steps.
        population_steps: steps of the population per step of the policy.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at every step recorded.

    Returns:
        the least exploitable policy that was assessed.

    Raises:
        ConfigError: for an option out of range.
    """
    unit = unit_of(model)
    first = _FIRST_RATIONALITY / unit if first_rationality is None else first_rationality
    first = real("first_rationality", first, 0, open_low=True)
    last = real("last_rationality", 1e6 * first if last_rationality is None else last_rationality, first)
    growth = real("growth", growth, 1)
    step_size = real("step_size", step_size, 0, 1, open_low=True)
    grown = np.log(last / first)

    def update(
        iteration: int, problem: DecisionProblem, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        rationality = unit * first * np.exp(min(iteration * np.log(growth), grown))
        q = q_values(model, problem, policy_value(model, problem, policy))
        return policy + step_size * (logit_policy(model, rationality * q) - policy)

    return iterate(
        "annealed_logit",
        model,
        update,
        tolerance=tolerance,
        iterations=whole("iterations", iterations, 1),
        observer=observer,
        start=start,
        population_steps=whole("population_steps", population_steps, 1),
    )


SOLVER = annealed_logit
