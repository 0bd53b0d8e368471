"""The smoothed three-step iteration: everyone plays the softmax of the Q of a best response.

    pi <- softmax(c Q*),    mu <- one or more steps of the population,    z <- that of both,

with Q* the optimal Q of one agent that faces z. Its fixed points are no equilibria: an agent that mixes so
values its actions as if it would play the best ones ever after. (In logit equilibria, which ``homotopy`` and
``logit_dynamics`` find at the same rationality, it values them as it plays: Q^pi for Q*.) Smoothing is what
makes it converge: at infinite rationality it is the naive iteration of exact best responses, which cycles.

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019 (GMF-V, section 4; c is
``rationality``), after M. Huang, R. Malhamé and P. Caines 2006.

Differences from the source: Q* is exact; there is no projection on an epsilon-net; the population moves with
the policy of the round before, while the next one is computed. None of these moves a fixed point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import unit_of
from agents.solvers.equilibrium import Equilibrium, Observer, in_units
from agents.solvers.first_order.iteration import iterate, logit_policy
from karma_envs.config import real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import best_response, greedy, q_values

_RATIONALITY = 5.0  # per greatest reward


@in_units
def smoothed(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-8,
    rationality: float | None = None,
    iterations: int = 5000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by the smoothed three-step iteration.

    Args:
        model: the mean-field model.
        tolerance: to stop at: of the change of the policy (weighted by mu), and of mu, in a round, in L1.
        rationality: c > 0, per unit of payoff; infinite for exact best responses (the lowest of equal
            actions); None: 5 over the greatest reward.
        iterations: the most rounds.
        population_steps: steps of the population per round.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at every step recorded.

    Returns:
        the last policy; ``converged`` tells whether it is a fixed point, which leaves
        ``exploitability`` above 0.

    Raises:
        ConfigError: for an option out of range.
    """
    unit = unit_of(model)
    bounded = rationality != np.inf
    if rationality is None:
        rationality = _RATIONALITY / unit
    elif bounded:
        rationality = real("rationality", rationality, 0, open_low=True)
    response: NDArray[np.float64] | None = None

    def update(
        iteration: int, problem: DecisionProblem, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        nonlocal response
        response, value = best_response(model, problem, response)
        q = q_values(model, problem, value)
        return logit_policy(model, unit * rationality * q) if bounded else greedy(q)

    return iterate(
        "smoothed",
        model,
        update,
        tolerance=tolerance,
        iterations=whole("iterations", iterations, 1),
        observer=observer,
        start=start,
        population_steps=whole("population_steps", population_steps, 1),
        rest=tolerance,
    )


SOLVER = smoothed
