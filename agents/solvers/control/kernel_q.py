"""MFC-K-Q: a planner learns the integrated Q of mean-field control, by kernel regression on a net.

    1. A population is led about, until in every cell of P(S) every local policy of the net H_eps was told
       once; each time mu, r and the next mu are noted.
    2. The fixed point of the approximate Bellman operator on these samples c = (mu, h):

           (B_K q)(c) = r(c) + gamma max over h' in H_eps of (Gamma_K q)(Phi(c), h'),

       where Gamma_K averages q over the samples nearby, with weights of a kernel that sum to 1.

As populations follow Phi without noise (the more so the larger they are), to have been somewhere once is
enough. B_K is the Bellman operator of a Markov decision process whose states are the samples: it is monotone
and contracts by gamma, so that modified policy iteration finds its fixed point.

Source: H. Gu, X. Guo, X. Wei and R. Xu, *Q-learning algorithm for mean-field controls, with convergence and
complexity analysis*, 2020 (arXiv 2002.04131), algorithm MFC-K-Q; R. Xu, *Multi-agent RL from a mean-field
perspective*, RLChina 2020, "Sketch of the Algorithm".

Differences from the source: the population is led to where something is left to be tried, in as few steps as
what it has seen promises, where the source explores at random; cells that it cannot be led to are left out.
Along a walk samples lie anywhere in their cells of P(S), which costs an error of the order of the cells; so
these are by default eps^2 wide, where the source has eps. ``exploration="net"`` puts the population on the
points of the net itself, eps apart in P(S), too, which takes a simulator that can be put there. Either way
the error of the values falls about like eps^2.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.control.kernel_regression import KERNELS, KernelRegression
from agents.solvers.control.population import (
    LimitPopulation,
    LocalPolicy,
    Population,
    PopulationProblem,
    Trajectory,
    follow,
)
from agents.solvers.control.samples import Samples, samples_of_walk, samples_on_net
from agents.solvers.control.simplex import SimplexGrid, policy_net, policy_net_size
from karma_envs.config import choice, real, refusal, whole
from karma_envs.display import Said
from karma_envs.mean_field import MeanFieldModel

EXPLORATIONS = ("walk", "net")

_MOST_SAMPLES = 3_000_000
_MOST_SWEEPS = 1000
_EVALUATIONS = 30  # of a policy between improvements
_PATIENCE = 20  # steps of a walk per sample, at most, unless told otherwise


@dataclass(frozen=True, repr=False)
class KernelQ(Said):
    """What MFC-K-Q learned.

    Attributes:
        epsilon: spacing of the probabilities of local policies.
        net: H_eps, the local policies that may be told, ``float64[H, X, A]``.
        samples: what was seen.
        q: ``float64[G, H]`` of the samples; 0 where there is none.
        residual: the largest change by another application of B_K.
        sweeps: maximisations over all samples that it took.
        seconds: wall time.
        interrupted: whether Ctrl-C ended the walk or the iteration.
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
    population_steps: int | None = None,
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
        net_steps: 1/eps, of the local policies.
        population_steps: 1 over the spacing of the net of P(S); None: net_steps on the points of the net, and
            its square along a walk.
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
    if population_steps is None:
        population_steps = net_steps if exploration == "net" else net_steps**2
    population_steps = whole("population_steps", population_steps, 1)
    size = SimplexGrid.size(n_states, population_steps) * policy_net_size(legal, net_steps)
    if size > _MOST_SAMPLES:
        raise refusal(
            "net_steps",
            net_steps,
            f"such that the net has at most {_MOST_SAMPLES} points; with {n_states} states and "
            f"{legal.shape[1]} actions it has {size:.1e}",
        )
    cells, net = SimplexGrid(n_states, population_steps), policy_net(legal, net_steps)
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
    regression = KernelRegression(cells, samples, kernel_name)
    seen = samples.seen
    rewards, following = samples.rewards[seen], samples.following[seen]
    q, residual, sweeps = np.zeros(seen.shape), np.inf, 0
    interrupted = samples.interrupted
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
