"""MFC-K-Q: a planner learns the integrated Q of mean-field control, by kernel regression on a net.

    1. A population is led about, until in every cell of P(S) every local policy of the net H_eps was told
       once; each time mu, r and the next mu are noted.
    2. The fixed point of the approximate Bellman operator on these samples c = (mu, h):

           (B_K q)(c) = r(c) + gamma max over h' in H_eps of (Gamma_K q)(Phi(c), h'),

       where Gamma_K averages q over the samples nearer than eps, with weights of a kernel that sum to 1.

As populations follow Phi without noise (the more so the larger they are), to have been somewhere once is
enough. B_K is the Bellman operator of a Markov decision process whose states are the samples: it is monotone
and contracts by gamma, so that modified policy iteration finds its fixed point.

Distances on P(S) x H are of the maximum norm. Policies of the net are eps apart, so that samples of another
h weigh nothing where q is asked for an h of the net: what is smoothed is mu.

Source: H. Gu, X. Guo, X. Wei and R. Xu, *Q-learning algorithm for mean-field controls, with convergence and
complexity analysis*, 2020 (arXiv 2002.04131), algorithm MFC-K-Q; R. Xu, *Multi-agent RL from a mean-field
perspective*, RLChina 2020, "Sketch of the Algorithm".

Differences from the source: the population is led to where something is left to be tried, in as few steps as
what it has seen promises, where the source explores at random; cells that it cannot be led to are left out.
``exploration="net"`` puts the population on every point of the net itself, which takes a simulator that can
be; then the error falls like eps^2, and otherwise like eps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.control.population import (
    LimitPopulation,
    LocalPolicy,
    Population,
    PopulationProblem,
    Trajectory,
    follow,
)
from agents.solvers.control.simplex import SimplexGrid, policy_net, policy_net_size
from karma_envs.config import choice, real, refusal, whole
from karma_envs.display import Said
from karma_envs.mean_field import MeanFieldModel
from karma_envs.numerics.compile import kernel

KERNELS = ("triangular", "gaussian")
"""max(eps - d, 0), and exp(-2 (d / eps)^2) for d < eps, of the distance d."""

EXPLORATIONS = ("walk", "net")

_MOST_SAMPLES = 3_000_000
_MOST_SWEEPS = 1000
_EVALUATIONS = 30  # of a policy between improvements
_ROUNDING = 1e-9  # of distances
_PATIENCE = 20  # steps of a walk per sample, at most, unless told otherwise


@dataclass(frozen=True)
class Samples:
    """What a planner has seen, by cell of P(S) and policy of the net.

    Attributes:
        mean_fields: mu when h was told, ``float64[G, H, X]``.
        rewards: r, ``float64[G, H]``.
        following: the next mu, ``float64[G, H, X]``.
        seen: ``bool[G, H]``, whether there is a sample.
        steps: that it took.
    """

    mean_fields: NDArray[np.float64]
    rewards: NDArray[np.float64]
    following: NDArray[np.float64]
    seen: NDArray[np.bool_]
    steps: int

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
    mean_field, steps = population.mean_field, 0
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
        pass
    return Samples(samples.mean_fields, samples.rewards, samples.following, samples.seen, steps)


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


@kernel
def _regress(queries, near, mean_fields, seen, q, epsilon, triangular, best, chosen, only_chosen):  # type: ignore[no-untyped-def]
    """The maximum over h of (Gamma_K q)(mu, h).

    Args:
        queries: mu, ``float64[n, X]``.
        near: ``int64[n, K]``, cells whose samples may be nearer than epsilon; -1 fills up.
        mean_fields: of samples, ``float64[G, H, X]``.
        seen: ``bool[G, H]``.
        q: ``float64[G, H]``.
        epsilon: radius of the kernel.
        triangular: whether the kernel is; else Gaussian.
        best: ``float64[n]``, written; NaN where there is no sample near.
        chosen: ``int64[n]``, the h of it: written, or with ``only_chosen`` read.
        only_chosen: whether to look at ``chosen`` only.
    """
    n_states = queries.shape[1]
    for query in range(queries.shape[0]):
        largest, largest_at = -np.inf, np.int64(-1)
        first, last = np.int64(0), np.int64(q.shape[1])
        if only_chosen:
            first = chosen[query]
            last = np.int64(first + 1)
        for policy in range(first, last):
            total, weighted, nearest, of_nearest = 0.0, 0.0, np.inf, 0.0
            for place in range(near.shape[1]):
                cell = near[query, place]
                if cell < 0 or not seen[cell, policy]:
                    continue
                distance = 0.0
                for state in range(n_states):
                    distance = max(distance, abs(mean_fields[cell, policy, state] - queries[query, state]))
                if distance < nearest:
                    nearest, of_nearest = distance, q[cell, policy]
                if distance < epsilon:
                    ratio = distance / epsilon
                    weight = 1.0 - ratio if triangular else np.exp(-2.0 * ratio * ratio)
                    total += weight
                    weighted += weight * q[cell, policy]
            # Where samples are too far for the kernel, though not for the cells, the nearest stands alone.
            value = weighted / total if total > 0.0 else of_nearest
            if nearest < np.inf and value > largest:
                largest, largest_at = value, np.int64(policy)
        best[query] = largest if largest_at >= 0 else np.nan
        if not only_chosen:
            chosen[query] = largest_at


class KernelRegression:
    """Gamma_K on samples.

    Args:
        cells: of P(S).
        samples: what was seen there.
        epsilon: radius of the kernel.
        kernel_name: one of :data:`KERNELS`.
    """

    def __init__(self, cells: SimplexGrid, samples: Samples, epsilon: float, kernel_name: str) -> None:
        self.cells, self.samples, self.epsilon = cells, samples, epsilon
        self._triangular = kernel_name == "triangular"
        gaps = np.abs(cells.points[:, None] - cells.points[None]).max(axis=2)
        # A sample is in its cell and a query in its own: each has a weight of at least 1/X in its point, and
        # so is at most (1 - 1/X) eps from it.
        furthest = (3 - 2 / cells.n) * epsilon
        close = [np.flatnonzero(row < furthest - _ROUNDING) for row in gaps]
        self._near = np.full((len(close), max(map(len, close))), -1)
        for cell, neighbours in enumerate(close):
            self._near[cell, : len(neighbours)] = neighbours

    def best(
        self, q: NDArray[np.float64], mean_fields: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The maximum over h of Gamma_K q at ``float64[n, X]``, and the number of that h, ``[n]`` each."""
        best, chosen = np.empty(len(mean_fields)), np.empty(len(mean_fields), np.int64)
        self._run(q, mean_fields, best, chosen, only_chosen=False)
        return best, chosen

    def of(
        self, q: NDArray[np.float64], mean_fields: NDArray[np.float64], policies: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Gamma_K q at ``float64[n, X]`` and policies of the net by number, ``float64[n]``."""
        best = np.empty(len(mean_fields))
        self._run(q, mean_fields, best, policies, only_chosen=True)
        return best

    def _run(
        self,
        q: NDArray[np.float64],
        mean_fields: NDArray[np.float64],
        best: NDArray[np.float64],
        chosen: NDArray[np.int64],
        *,
        only_chosen: bool,
    ) -> None:
        near = self._near[self.cells.nearest(mean_fields)]
        seen = self.samples
        _regress(
            mean_fields,
            near,
            seen.mean_fields,
            seen.seen,
            q,
            self.epsilon,
            self._triangular,
            best,
            chosen,
            only_chosen,
        )


@dataclass(frozen=True, repr=False)
class KernelQ(Said):
    """What MFC-K-Q learned.

    Attributes:
        epsilon: of the net, and the radius of the kernel.
        net: H_eps, the local policies that may be told, ``float64[H, X, A]``.
        samples: what was seen.
        q: ``float64[G, H]`` of the samples; 0 where there is none.
        residual: the largest change by another application of B_K.
        sweeps: maximisations over all samples that it took.
        seconds: wall time.
        interrupted: whether Ctrl-C ended the iteration.
        regression: Gamma_K.
    """

    epsilon: float
    net: NDArray[np.float64]
    samples: Samples
    q: NDArray[np.float64]
    residual: float
    sweeps: int
    seconds: float
    interrupted: bool
    regression: KernelRegression

    @property
    def coverage(self) -> float:
        """The share of the net of which there is a sample."""
        return float(self.samples.seen.mean())

    def value(self, mean_field: ArrayLike) -> float:
        """max over h of (Gamma_K q)(mu, h), of ``float64[X]``; NaN far from all samples."""
        return float(self.values(np.asarray(mean_field, np.float64)[None])[0])

    def values(self, mean_fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of several, ``float64[n, X]`` to ``float64[n]``."""
        return self.regression.best(self.q, mean_fields)[0]

    def policy(self, mean_field: ArrayLike) -> LocalPolicy:
        """The policy of the net that is best at mu, ``float64[X, A]``."""
        chosen = self.regression.best(self.q, np.asarray(mean_field, np.float64)[None])[1]
        return np.asarray(self.net[chosen[0]])

    def lead(self, population: Population, n_steps: int) -> Trajectory:
        """Lead a population, which moves, for T steps: infinitely many agents, or those of a game."""
        return follow(population, self.policy, n_steps)

    def _said(self) -> dict[str, str]:
        cells, policies = self.q.shape
        return {
            "net": f"{cells} populations x {policies} policies, eps {self.epsilon:g}",
            "samples": f"{self.coverage:.1%} of the net in {self.samples.steps} steps",
            "residual": f"{self.residual:.1e}",
        }


def kernel_q(
    model: MeanFieldModel,
    *,
    net_steps: int = 8,
    population: Population | None = None,
    exploration: str = "walk",
    kernel_name: str = "triangular",
    max_steps: int | None = None,
    tolerance: float = 1e-9,
    seed: int = 0,
    observer: Callable[[int, float], None] | None = None,
) -> KernelQ:
    """Learn mean-field control by MFC-K-Q.

    Args:
        model: of one type; of it the states, the legal actions and the discount are used, and it is what is
            led about where there is no population.
        net_steps: 1/eps, of P(S) and of the local policies.
        population: that is led about, such as the agents of a game; infinitely many of the model if None.
        exploration: "walk", along what the population does; or "net", which puts infinitely many agents of
            the model on the points of the net.
        kernel_name: one of :data:`KERNELS`.
        max_steps: of a walk; None: 20 for each sample.
        tolerance: residual at which the iteration ends.
        seed: of the walk.
        observer: called after each maximisation with how many there were, and the residual.

    Returns:
        what was learned. Ctrl-C ends the walk, or the iteration, with what there is then.

    Raises:
        ConfigError: for an option out of range, a model of several types or without tables, or one with too
            many states and actions.
    """
    began = time.perf_counter()
    problem = PopulationProblem(model)
    net_steps = whole("net_steps", net_steps, 1)
    exploration, kernel_name = (
        choice("exploration", exploration, EXPLORATIONS),
        choice("kernel_name", kernel_name, KERNELS),
    )
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    n_states, legal = problem.model.n_states, problem.model.legal_actions
    size = SimplexGrid.size(n_states, net_steps) * policy_net_size(legal, net_steps)
    if size > _MOST_SAMPLES:
        raise refusal(
            "net_steps",
            net_steps,
            f"such that the net has at most {_MOST_SAMPLES} points; with {n_states} states and "
            f"{legal.shape[1]} actions it has {size:.1e}",
        )
    cells, net = SimplexGrid(n_states, net_steps), policy_net(legal, net_steps)
    if exploration == "net":
        samples = samples_on_net(problem, cells, net)
    else:
        samples = samples_of_walk(
            LimitPopulation(model) if population is None else population,
            cells,
            net,
            max_steps=_PATIENCE * size if max_steps is None else whole("max_steps", max_steps, 1),
            rng=np.random.default_rng(whole("seed", seed, 0)),
        )
    regression = KernelRegression(cells, samples, 1 / net_steps, kernel_name)
    seen = samples.seen
    rewards, following = samples.rewards[seen], samples.following[seen]
    q, residual, sweeps, interrupted = np.zeros(seen.shape), np.inf, 0, False
    try:
        while residual > tolerance and sweeps < _MOST_SWEEPS:
            best, policies = regression.best(q, following)
            improved = rewards + problem.discount * best
            residual, sweeps = float(np.abs(improved - q[seen]).max()), sweeps + 1
            q[seen] = improved
            if observer is not None:
                observer(sweeps, residual)
            if residual <= tolerance:
                break
            for _ in range(_EVALUATIONS):
                q[seen] = rewards + problem.discount * regression.of(q, following, policies)
    except KeyboardInterrupt:
        interrupted = True
    return KernelQ(
        epsilon=1 / net_steps,
        net=net,
        samples=samples,
        q=q,
        residual=residual,
        sweeps=sweeps,
        seconds=time.perf_counter() - began,
        interrupted=interrupted,
        regression=regression,
    )
