"""What MFC-K-Q sees of a population: where it was, what it was told, what it got, and where it was then.

A population is put on every point of a net, or led about until each cell of P(S) has seen every policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.solvers.control.population import Population, PopulationProblem
from agents.solvers.control.simplex import SimplexGrid


@dataclass(frozen=True)
class Samples:
    """What a planner has seen, by cell of P(S) and policy of the net.

    Attributes:
        mean_fields: mu when h was told, ``float64[G, H, X]``.
        rewards: r, ``float64[G, H]``.
        following: the next mu, ``float64[G, H, X]``.
        seen: ``bool[G, H]``, whether there is a sample.
        steps: that it took.
        interrupted: whether Ctrl-C ended the walk before all was seen.
    """

    mean_fields: NDArray[np.float64]
    rewards: NDArray[np.float64]
    following: NDArray[np.float64]
    seen: NDArray[np.bool_]
    steps: int
    interrupted: bool = False

    @classmethod
    def room(cls, n_cells: int, n_policies: int, n_states: int) -> Samples:
        """None yet."""
        shape = n_cells, n_policies
        return cls(
            np.zeros((*shape, n_states)),
            np.zeros(shape),
            np.zeros((*shape, n_states)),
            np.zeros(shape, np.bool_),
            0,
        )


def samples_on_net(problem: PopulationProblem, cells: SimplexGrid, net: NDArray[np.float64]) -> Samples:
    """Of a population that is put on each point of the net, ``cells.points`` times H_eps."""
    rewards, following = problem.at(cells.points).outcomes(net[None])
    mean_fields = np.repeat(cells.points[:, None], len(net), axis=1)
    return Samples(mean_fields, rewards, following, np.ones(rewards.shape, np.bool_), rewards.size)


def samples_of_walk(
    population: Population,
    cells: SimplexGrid,
    net: NDArray[np.float64],
    *,
    max_steps: int,
    rng: np.random.Generator,
) -> Samples:
    """Of a population that is led about, the first of each cell and policy.

    Where a policy has not been told yet it is told; where all have, the one that led nearest to a cell with
    something left, in steps between cells as they were seen; any if none did.

    Args:
        population: it moves.
        cells: of P(S).
        net: H_eps, ``float64[H, X, A]``.
        max_steps: after which the walk ends in any case.
        rng: for what is left to chance.

    Returns:
        the samples; Ctrl-C ends the walk.
    """
    n_cells, n_policies = len(cells.points), len(net)
    samples = Samples.room(n_cells, n_policies, cells.n)
    leads_to = np.full((n_cells, n_policies), -1)
    follows = np.zeros((n_cells, n_cells), np.bool_)
    n_left = np.full(n_cells, n_policies)
    mean_field, steps, interrupted = population.mean_field, 0, False
    cell = int(cells.nearest(mean_field))
    try:
        while steps < max_steps and n_left.any():
            is_new = n_left[cell] > 0
            if is_new:
                candidates = np.flatnonzero(~samples.seen[cell])
            else:
                distance = _steps_to(n_left > 0, follows)[leads_to[cell]]
                candidates = np.flatnonzero(distance == distance.min())
            policy = int(candidates[rng.integers(len(candidates))])
            reward = population.play(net[policy])
            before, mean_field = mean_field, population.mean_field
            reached = int(cells.nearest(mean_field))
            if is_new:
                samples.mean_fields[cell, policy], samples.following[cell, policy] = before, mean_field
                samples.rewards[cell, policy], samples.seen[cell, policy] = reward, True
                leads_to[cell, policy], follows[cell, reached] = reached, True
                n_left[cell] -= 1
            cell, steps = reached, steps + 1
    except KeyboardInterrupt:
        interrupted = True
    return replace(samples, steps=steps, interrupted=interrupted)


def _steps_to(goals: NDArray[np.bool_], follows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Steps from each cell to the nearest goal, as cells follow each other; as many as cells if never."""
    distance = np.where(goals, 0, len(goals))
    reached = goals
    for step in range(1, len(goals)):
        newly = follows[:, reached].any(axis=1) & ~reached
        if not newly.any():
            break
        distance[newly] = step
        reached = reached | newly
    return distance
