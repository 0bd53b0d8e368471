"""SFSA: smoothed functional stochastic approximation, whose directions are standard normal.

Source: V. Katkovnik, Y. Kulchitsky, *Convergence of a class of random search algorithms*, Automation and
Remote Control 33, 1972; S. Bhatnagar, H. Prasad, L. Prashanth, *Stochastic recursive algorithms for
optimization*, Springer 2013; in games and teams of exchangeable agents: see
:mod:`agents.solvers.gradient.perturbation`, which also has the differences from the source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.equilibrium import Equilibrium, Observer, from_play
from agents.solvers.gradient.perturbation import climb
from karma_envs.game import PopulationGame


def standard_normal(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Standard normal numbers, ``float64[size]``."""
    return rng.standard_normal(size)


@from_play
def sfsa(
    game: PopulationGame,
    *,
    tolerance: float = 1e-2,
    objective: str | None = None,
    iterations: int = 200,
    perturbation: float = 0.01,
    population_steps: int = 200,
    n_agents: int = 1000,
    horizon: int = 200,
    learning_rate: float = 0.01,
    common_random_numbers: bool = False,
    start: ArrayLike | None = None,
    seed: int = 0,
    observer: Observer | None = None,
) -> Equilibrium:
    """Learn by SFSA from play; arguments, result and errors are those of
    :func:`agents.solvers.gradient.spsa.spsa`.
    """
    return climb(
        "sfsa",
        standard_normal,
        game,
        tolerance=tolerance,
        objective=objective,
        iterations=iterations,
        perturbation=perturbation,
        population_steps=population_steps,
        n_agents=n_agents,
        horizon=horizon,
        learning_rate=learning_rate,
        common_random_numbers=common_random_numbers,
        start=start,
        seed=seed,
        observer=observer,
    )


SOLVER = sfsa
