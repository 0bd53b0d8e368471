"""Online mirror descent: Q of the current policy is summed up, and the policy is the softmax of the sum.

    y <- y + eta Q^pi,    pi = softmax(y).

Source: Perolat et al. 2021, *Scaling up mean field games with online mirror descent*. Convergence is
proven for monotone games; karma games are not monotone (Thesis, Lemma 5.1), and it may stall or cycle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import default_step, unit_of
from agents.solvers.equilibrium import Equilibrium, Observer, in_units
from agents.solvers.first_order.iteration import iterate, logit_policy
from karma_envs.config import real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import policy_value, q_values

_STEP_SIZE = 10.0, 3.0  # per greatest reward, and payoff


@in_units
def mirror_descent(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-3,
    step_size: float | None = None,
    iterations: int = 5000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by online mirror descent.

    Args:
        model: the mean-field model.
        tolerance: normalised exploitability to stop at.
        step_size: eta > 0, per unit of payoff; None: 10 over the greatest reward; in a game that ends 3 over
            the greatest payoff.
        iterations: the most steps.
        population_steps: steps of the population per step of the policy.
        start: policy ``[types, X, A]`` to begin with, with positive probabilities for actions that
            are ever to be played; uniform if None.
        observer: called at every step recorded.

    Returns:
        the least exploitable policy that was assessed.

    Raises:
        ConfigError: for an option out of range.
    """
    eta = default_step(model, *_STEP_SIZE)
    if step_size is not None:
        eta = unit_of(model) * real("step_size", step_size, 0, open_low=True)
    scores = np.zeros(1) if start is None else np.log(np.maximum(start, 1e-300))

    def update(
        iteration: int, problem: DecisionProblem, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        nonlocal scores
        q = q_values(model, problem, policy_value(model, problem, policy))
        scores = scores + eta * (q - q.max(axis=2, keepdims=True))
        return logit_policy(model, scores)

    return iterate(
        "mirror_descent",
        model,
        update,
        tolerance=tolerance,
        iterations=whole("iterations", iterations, 1),
        observer=observer,
        start=start,
        population_steps=whole("population_steps", population_steps, 1),
    )


SOLVER = mirror_descent
