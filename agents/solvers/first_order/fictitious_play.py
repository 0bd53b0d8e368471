"""Fictitious play: best responses, averaged by the time that a population spends on them.

    m <- (1 - s) m + s m*,    s = (n + 2)^-power,

where m(x, a) = mu(x) pi(a | x) is the flow of the population and m* that of a best response to it:
a population of which a share s switches. The average policy weighs each state by mu, not the
policies themselves.

Source: Perrin et al. 2020, *Fictitious play for mean field games*; ``power = 1`` is the classical
average 1/n, which is slow in karma games; lower powers forget the start sooner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Equilibrium, Observer, in_units
from agents.solvers.first_order.iteration import iterate
from karma_envs.config import real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import best_response

_TINY = 1e-300


@in_units
def fictitious_play(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-3,
    power: float = 0.7,
    iterations: int = 3000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by fictitious play.

    Args:
        model: the mean-field model.
        tolerance: normalised exploitability to stop at.
        power: of the step (n + 2)^-power, in (0, 1].
        iterations: the most best responses.
        population_steps: steps of the population per best response.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at every step recorded.

    Returns:
        the least exploitable policy that was assessed.

    Raises:
        ConfigError: for an option out of range.
    """
    power = real("power", power, 0, 1, open_low=True)
    response: NDArray[np.float64] | None = None

    def update(
        iteration: int, problem: DecisionProblem, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        nonlocal response
        response, _ = best_response(model, problem, response)
        step = (iteration + 2.0) ** -power
        staying = (1 - step) * mean_field
        switching = step * problem.at_rest(response)
        weight = (switching / np.maximum(staying + switching, _TINY))[..., None].clip(0.0, 1.0)
        return np.asarray((1 - weight) * policy + weight * response)

    return iterate(
        "fictitious_play",
        model,
        update,
        tolerance=tolerance,
        iterations=whole("iterations", iterations, 1),
        observer=observer,
        start=start,
        population_steps=whole("population_steps", population_steps, 1),
    )


SOLVER = fictitious_play
