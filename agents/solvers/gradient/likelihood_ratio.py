"""Likelihood ratios: the gradient from the probabilities of what was done, for differentiable policies.

    dJ/dtheta = E [ sum over t of grad log pi_theta(A_t | X_t) * sum over s >= t of gamma^s r_s ],

against the z of the population that plays theta: REINFORCE with what is yet to come (Algorithm 2).

Source: *Learning stationary strategies in large-population multi-agent systems with exchangeable agents*,
section 2.1.1 and Algorithms 1 and 2; R. J. Williams, *Simple statistical gradient-following algorithms for
connectionist reinforcement learning*, Machine Learning 8, 1992.

Differences from the source:
    Its formula has V(X_t) in place of what is yet to come after the action A_t, and without gamma^t; that
    would be 0 in expectation. A baseline, the mean over the other agents of the same type at the same time,
    takes away noise and changes no expectation. Of teams the source says that likelihood ratios do not serve:
    they do not tell what theta does to z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.equilibrium import Equilibrium, Observer, from_play
from agents.solvers.gradient.ascent import Estimate, ascend
from agents.solvers.gradient.simulator import simulator_of
from karma_envs.config import refusal, whole
from karma_envs.game import PopulationGame
from karma_envs.parametric import DifferentiablePolicy


@from_play
def likelihood_ratio(
    game: PopulationGame,
    *,
    tolerance: float = 1e-2,
    iterations: int = 200,
    population_steps: int = 200,
    n_agents: int = 1000,
    horizon: int = 200,
    learning_rate: float = 0.01,
    start: ArrayLike | None = None,
    seed: int = 0,
    observer: Observer | None = None,
) -> Equilibrium:
    """Learn an equilibrium by likelihood ratios from play.

    Args:
        game: one that :func:`agents.solvers.gradient.spsa.spsa` takes, with differentiable policies.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        iterations: K >= 1.
        population_steps: B >= 1, steps of the population that make z.
        n_agents: m >= 2, of the population, and trajectories of an estimate.
        horizon: H >= 1, steps of a trajectory.
        learning_rate: alpha > 0 of Adam: about how far a parameter moves in an iteration.
        start: theta_0; None for what the game names.
        seed: of all that is random, >= 0.
        observer: called at the steps recorded.

    Returns:
        as :func:`agents.solvers.gradient.spsa.spsa` does.

    Raises:
        ConfigError: for an option out of range, and for a game that is cooperative or cannot be learned so,
            as where its policies are not differentiable.
    """
    if game.cooperative:
        raise refusal(
            "game", game.name, "one that is not cooperative; spsa and sfsa learn what is best for all"
        )
    simulator = simulator_of(game)
    family = simulator.family
    if not isinstance(family, DifferentiablePolicy):
        raise refusal(
            "method",
            "likelihood_ratio",
            f"spsa, sfsa, as {type(family).__name__} has no score, the gradient of its log probability",
        )
    population_steps, horizon = (
        whole("population_steps", population_steps, 1),
        whole("horizon", horizon, 1),
    )
    population = simulator.population(whole("n_agents", n_agents, 2))
    population.reset(np.random.default_rng([whole("seed", seed, 0), 1]))

    def estimate(policy: Any, rng: np.random.Generator) -> Estimate:
        statistic = simulator.update(population, policy, population_steps)
        alone = simulator.against(statistic, n_agents)
        alone.reset(rng)
        played = alone.rollout(simulator.played(policy, alone), horizon)
        yet_to_come = discounted_sums(played.rewards, alone.discounts[alone.type_of_agent])
        weights = above_others(yet_to_come, alone.type_of_agent) / n_agents
        return Estimate(
            gradient=simulator.log_gradient(policy, alone, played, weights),
            payoff=float(yet_to_come[0].mean()),
            statistic=statistic,
            samples=n_agents * (simulator.steps_of_update(population_steps) + len(played)),
        )

    return ascend(
        "likelihood_ratio",
        simulator,
        estimate,
        objective="equilibrium",
        tolerance=tolerance,
        iterations=iterations,
        learning_rate=learning_rate,
        start=start,
        seed=seed,
        observer=observer,
    )


def discounted_sums(
    rewards: NDArray[np.floating[Any]], discounts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What is yet to come from each step on, as seen from the first: sum over s >= t of gamma^s r_s.

    Args:
        rewards: ``float[T, m]``.
        discounts: gamma of each agent, ``float64[m]``.

    Returns:
        ``float64[T, m]``.
    """
    present = discounts ** np.arange(len(rewards))[:, None] * rewards
    return np.cumsum(present[::-1], axis=0)[::-1]


def above_others(values: NDArray[np.float64], type_of_agent: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Each agent's values less the mean of those of the other agents of its type.

    Args:
        values: ``float64[T, m]``.
        type_of_agent: ``uint8[m]``; a type of one agent has nobody to compare with.

    Returns:
        ``float64[T, m]``.
    """
    above = np.empty_like(values)
    for kind in np.unique(type_of_agent):
        own = type_of_agent == kind
        n = int(own.sum())
        of_type = values[:, own]
        above[:, own] = (of_type - of_type.mean(axis=1, keepdims=True)) * n / (n - 1) if n > 1 else of_type
    return above


SOLVER = likelihood_ratio
