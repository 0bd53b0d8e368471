"""Annealed logit: logit dynamics whose rationality rises until its equilibria are those of the game.

    pi <- pi + eta (softmax(beta_n Q^pi) - pi),    beta_n = beta_0 * growth^n.

The logit equilibria lead to a Nash equilibrium as beta grows (McKelvey and Palfrey 1995). What follows
them here are damped iterations, which lose the path where these cycle; the homotopy follows it with
Newton steps instead, and further.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.dynamic_programming import policy_value, q_values
from agents.solvers.equilibrium import Equilibrium
from agents.solvers.iteration import Observer, iterate, softmax
from karma_envs.config import real, whole
from karma_envs.game import Environment, MeanFieldModel


def annealed_logit(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-3,
    first_rationality: float = 1.0,
    growth: float = 1.01,
    last_rationality: float = 1e6,
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
        first_rationality: beta_0 > 0.
        growth: factor of beta per iteration, >= 1.
        last_rationality: beta does not rise above this.
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
    first_rationality = real("first_rationality", first_rationality, 0, open_low=True)
    last_rationality = real("last_rationality", last_rationality, first_rationality)
    growth = real("growth", growth, 1)
    step_size = real("step_size", step_size, 0, 1, open_low=True)
    grown = np.log(last_rationality / first_rationality)

    def update(
        iteration: int, environment: Environment, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        rationality = first_rationality * np.exp(min(iteration * np.log(growth), grown))
        q = q_values(model, environment, policy_value(model, environment, policy))
        return policy + step_size * (softmax(model, rationality * q) - policy)

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
