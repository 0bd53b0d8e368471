"""Gradients by simultaneous perturbation: two policies, theta + c eta and theta - c eta, played side by side.

    G = eta / (2 c) * (J(theta + c eta) - J(theta - c eta)),

with a random direction eta. It needs no derivative of the policy, and two evaluations for any number of
parameters. In an equilibrium both are played against the same z, that of the population which plays theta
(Algorithm 3); in a team each against the z of the population which plays as it does (Algorithm 5).

Source: *Learning stationary strategies in large-population multi-agent systems with exchangeable agents*,
Algorithms 1 and 3 (equilibrium), 4 and 5 (team).

Differences from the source:
    The perturbation of Algorithm 3 is c eta (printed: eta beta). Algorithm 1 is lost in the copy; after the
    text, it is a population of m agents that plays on from where it was (the distribution z_k) for B steps:
    z <- Phi(z, pi) with m particles that are z, and not m draws from it. A game of m agents is one sample
    of Algorithm 4, for which the source counts m samples per step, too. Where theta is closer to its bounds
    than the perturbation, both policies are moved inside as a pair. Common random numbers are ours: both
    policies then meet the same chance, and their difference has less noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.equilibrium import Equilibrium, Observer
from agents.solvers.gradient.ascent import Estimate, ascend, objective_of
from agents.solvers.gradient.simulator import Simulator, simulator_of
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame

Direction = Callable[[np.random.Generator, int], NDArray[np.float64]]
"""Draws eta, ``float64[p]``, of mean 0 and variance 1."""


class Perturbation:
    """An estimator of the gradient, see the module.

    Args:
        simulator: the game.
        direction: draws eta.
        objective: ``equilibrium`` or ``team``.
        width: c.
        population_steps: B.
        n_agents: m, of populations and of evaluations.
        horizon: H.
        common_random_numbers: whether both policies meet the same chance.
        rng: seeds the population.
    """

    def __init__(
        self,
        simulator: Simulator,
        direction: Direction,
        objective: str,
        *,
        width: float,
        population_steps: int,
        n_agents: int,
        horizon: int,
        common_random_numbers: bool,
        rng: np.random.Generator,
    ) -> None:
        self._simulator, self._direction, self._objective = simulator, direction, objective
        self._width, self._population_steps = width, population_steps
        self._n_agents, self._horizon = n_agents, horizon
        self._common = common_random_numbers
        self._population = simulator.population(n_agents)
        self._population.reset(rng)

    def __call__(self, policy: Any, rng: np.random.Generator) -> Estimate:
        """The gradient at a policy."""
        theta, (low, high) = policy.parameters, policy.bounds
        offset = self._width * self._direction(rng, len(theta))
        reach = np.minimum(np.abs(offset), (high - low) / 2)
        offset, centre = np.copysign(reach, offset), np.clip(theta, low + reach, high - reach)
        pair = [policy.with_parameters(centre + sign * offset) for sign in (1, -1)]
        seeds = rng.integers(2**63, size=(2, 2)).tolist()
        if self._common:
            seeds[1] = seeds[0]
        if self._objective == "team":
            statistics = [
                self._simulator.stationary(self._population, each, self._population_steps, seed)
                for each, (seed, _) in zip(pair, seeds)
            ]
        else:
            made = self._simulator.update(self._population, policy, self._population_steps)
            statistics = [made, made]
        up, down = (
            float(self._simulator.payoffs(each, z, self._n_agents, self._horizon, seed).mean())
            for each, z, (_, seed) in zip(pair, statistics, seeds)
        )
        return Estimate(
            gradient=offset * (up - down) / (2 * self._width**2),
            payoff=(up + down) / 2,
            statistic=np.mean(statistics, axis=0),
            samples=self._samples(),
        )

    def _samples(self) -> int:
        """Agent-steps of an iteration."""
        game: PopulationGame = self._simulator.game
        horizon = self._horizon if game.length is None else min(self._horizon, game.length)
        updates = 2 if self._objective == "team" else 1
        steps = self._simulator.steps_of_update(self._population_steps)
        return self._n_agents * (updates * steps + 2 * horizon)


def climb(
    method: str,
    direction: Direction,
    game: PopulationGame,
    *,
    tolerance: float,
    objective: str | None,
    iterations: int,
    perturbation: float,
    population_steps: int,
    n_agents: int,
    horizon: int,
    learning_rate: float,
    common_random_numbers: bool,
    start: ArrayLike | None,
    seed: int,
    observer: Observer | None,
) -> Equilibrium:
    """Climb by the perturbations of one kind of direction; the options are those of SPSA.

    Raises:
        ConfigError: for an option out of range, or a game that cannot be learned so.
    """
    simulator = simulator_of(game)
    objective = objective_of(simulator, objective)
    estimator = Perturbation(
        simulator,
        direction,
        objective,
        width=real("perturbation", perturbation, 0, open_low=True),
        population_steps=whole("population_steps", population_steps, 1),
        n_agents=whole("n_agents", n_agents, 1),
        horizon=whole("horizon", horizon, 1),
        common_random_numbers=bool(common_random_numbers),
        rng=np.random.default_rng([whole("seed", seed, 0), 1]),
    )
    return ascend(
        method,
        simulator,
        estimator,
        objective=objective,
        tolerance=tolerance,
        iterations=iterations,
        learning_rate=learning_rate,
        start=start,
        seed=seed,
        observer=observer,
    )
