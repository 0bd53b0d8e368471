"""SPSA: simultaneous perturbation stochastic approximation, whose directions are +1 or -1 for each parameter.

Source: J. C. Spall, *Multivariate stochastic approximation using a simultaneous perturbation gradient
approximation*, IEEE Trans. Autom. Control 37, 1992; in games and teams of exchangeable agents: see
:mod:`agents.solvers.gradient.perturbation`, which also has the differences from the source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.equilibrium import Equilibrium, Observer, from_play
from agents.solvers.gradient.perturbation import climb
from karma_envs.game import PopulationGame


def rademacher(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """+1 or -1 with equal probability, ``float64[size]``."""
    return np.where(rng.integers(2, size=size), 1.0, -1.0)


@from_play
def spsa(
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
    """Learn by SPSA from play; defaults are those of the source's experiments.

    Args:
        game: a game of exchangeable agents which names a family of policies, or one with tables and a
            mean-field model, whose family are tables of logits where it names no other.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        objective: ``equilibrium``, a policy that no agent can improve on by a small change, or ``team``, one
            that is best for all if all play it; None for what suits the game.
        iterations: K >= 1.
        perturbation: c > 0, in units of the parameters.
        population_steps: B >= 1, steps of the population that make z.
        n_agents: m >= 1, of the population, and trajectories of an evaluation.
        horizon: H >= 1, steps of an evaluation.
        learning_rate: alpha > 0 of Adam: about how far a parameter moves in an iteration.
        common_random_numbers: whether the two policies of an iteration meet the same chance.
        start: theta_0; None for what the game names.
        seed: of all that is random, >= 0.
        observer: called at the steps recorded.

    Returns:
        the policy of the last iteration, what is exactly known of it where the game has a mean-field
        model, and a ``trace`` of all iterations.

    Raises:
        ConfigError: for an option out of range, or a game that cannot be learned so.
    """
    return climb(
        "spsa",
        rademacher,
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


SOLVER = spsa
