"""Mean-field control, solved: value iteration over populations, which a planner leads by local policies.

A planner sees the distribution mu of states, and tells all agents the local policy h. Its value satisfies

    V(mu) = max over h of Q(mu, h),    Q(mu, h) = r(mu, h) + gamma V(Phi(mu, h)),

the Bellman equation of the integrated Q, where (mu, h) lives in P(S) x H. Here V stands on a grid of P(S),
and is interpolated linearly in between. The maximum over h is found on a net of H, and then exactly but for
rounding: agents are moved from one action to another in ever smaller shares, wherever that gains something.
On the grid this is a Markov decision process with finitely many states, and policy iteration solves it.

Source: H. Gu, X. Guo, X. Wei and R. Xu, *Dynamic programming principles for learning MFCs*, 2019 (arXiv
1911.07314), Theorem "Bellman equation for the integrated Q"; R. Xu, *Multi-agent RL from a mean-field
perspective*, RLChina 2020.

Differences from the source: it proves the equation, and solves it by learning (:mod:`kernel_q`); the grid and
the refinement are ours.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import spsolve

from agents.solvers.control.population import (
    LimitPopulation,
    LocalPolicy,
    PopulationProblem,
    Populations,
    Trajectory,
    follow,
)
from agents.solvers.control.simplex import SimplexGrid, policy_net, policy_net_size
from karma_envs.config import refusal, whole
from karma_envs.display import Said
from karma_envs.mean_field import MeanFieldModel

_MOST_POINTS = 20_000  # of the grid
_POINTS = 2001  # of the grid by default, at most
_MOST_PAIRS = 40_000_000  # of a point and a policy
_AT_ONCE = 500_000  # pairs, to bound the memory
_FINEST = 1e-7  # share of the agents that is moved from one action to another
_ROUNDING = 1e-13  # of values, over the greatest of them: a gain below it is none
_MOST_SWEEPS = 200
_TEST_POINTS = 50
_AT_REST = 1e-7  # largest change of mu of a population that is at rest
_MOST_STEPS = 1000  # to come to rest


class PlannersQ:
    """Q(mu, h) of values on a grid, and its maximum over h.

    Attributes:
        problem: what is solved.
        grid: of populations.
        values: V at its points, ``float64[G]``.
        net: local policies that are tried first, ``float64[H, X, A]``.
        refined: whether h may be any local policy; else it is one of the net.
    """

    def __init__(
        self, problem: PopulationProblem, grid: SimplexGrid, net: NDArray[np.float64], refined: bool
    ) -> None:
        self.problem, self.grid, self.net, self.refined = problem, grid, net, refined
        self.values = np.zeros(len(grid.points))
        self._moves = _moves(problem.model.legal_actions)

    def value(self, mean_fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """V(mu), ``[..., X]`` to ``[...]``, interpolated."""
        numbers, weights = self.grid.places(mean_fields)
        return np.asarray((weights * self.values[numbers]).sum(axis=-1))

    def q(self, populations: Populations, policies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Q(mu, h), ``float64[n, C]`` of policies ``float64[n or 1, C, X, A]``."""
        rewards, following = populations.outcomes(policies)
        return rewards + self.problem.discount * self.value(following)

    def widths(self) -> tuple[float, ...]:
        """Shares of the agents to be moved, from half the spacing of the net down to rounding."""
        if not self.refined:
            return ()
        first = 0.5 / round(1 / float(self.net[self.net > 0].min()))
        return tuple(first / 2**halvings for halvings in range(int(np.log2(first / _FINEST)) + 1))

    def best_of_net(self, populations: Populations) -> NDArray[np.float64]:
        """The best policy of the net for each population, ``float64[n, X, A]``."""
        at_once = max(1, _AT_ONCE // len(self.net))
        best = np.empty(len(populations.mean_fields), np.int64)
        for first in range(0, len(best), at_once):
            chunk = slice(first, first + at_once)
            best[chunk] = self.q(populations[chunk], self.net[None]).argmax(axis=1)
        return self.net[best]

    def better_nearby(
        self, populations: Populations, policies: NDArray[np.float64], width: float
    ) -> NDArray[np.float64]:
        """The best of the policies that move a share of the agents from one action to another in each state.

        Args:
            populations: n of them.
            policies: h, ``float64[n, X, A]``.
            width: share of all agents that moves in a state; all of an action's where it has fewer.

        Returns:
            ``float64[n, X, A]``.
        """
        share = np.maximum(populations.mean_fields, 1e-300)
        movable = np.minimum(policies, (width / share)[..., None])  # probability that leaves an action
        by_state = []
        for state, moves in enumerate(self._moves):
            rows = np.repeat(policies[:, state][:, None], len(moves), axis=1)
            for number, (origin, target) in enumerate(moves):
                rows[:, number, origin] -= movable[:, state, origin]
                rows[:, number, target] += movable[:, state, origin]
            by_state.append(rows)
        numbers = itertools.product(*(range(len(moves)) for moves in self._moves))
        candidates = np.stack(
            [np.stack([rows[:, number] for rows, number in zip(by_state, each)], axis=1) for each in numbers],
            axis=1,
        )
        best = self.q(populations, candidates).argmax(axis=1)
        return np.asarray(candidates[np.arange(len(best)), best])

    def best(self, mean_fields: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The best policies at populations ``float64[n, X]``, and their Q, ``float64[n]``."""
        populations = self.problem.at(mean_fields)
        policies = self.best_of_net(populations)
        value = self.q(populations, policies[:, None])[:, 0]
        for width in self.widths():
            for _ in range(_MOST_SWEEPS):
                candidates = self.better_nearby(populations, policies, width)
                following = self.q(populations, candidates[:, None])[:, 0]
                gains = following > value + self.rounding
                if not gains.any():
                    break
                policies[gains], value[gains] = candidates[gains], following[gains]
        return policies, value

    @property
    def rounding(self) -> float:
        """A gain that is none."""
        return _ROUNDING * float(np.abs(self.values).max())


def _moves(legal_actions: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """By state: none (an action to itself), and from each legal action to each other one."""
    by_state = []
    for legal in legal_actions:
        actions = np.flatnonzero(legal).tolist()
        by_state.append([(actions[0], actions[0]), *itertools.permutations(actions, 2)])
    return by_state


@dataclass(frozen=True, repr=False)
class PlannersSolution(Said):
    """The value of mean-field control on a grid of populations, and what the planner does.

    Attributes:
        mean_fields: the grid of populations, ``float64[G, X]``.
        values: V there, ``float64[G]``.
        policies: the best h there, ``float64[G, X, A]``.
        error: how far V may be from the true value: the largest Bellman residual at 50 random populations,
            which are between those of the grid, over 1 - gamma. As these are some of all it is an estimate.
        sweeps: improvements of the policy that it took.
        seconds: wall time.
        interrupted: whether Ctrl-C ended the improvement.
        planner: what computes V, Q and h elsewhere.
    """

    mean_fields: NDArray[np.float64]
    values: NDArray[np.float64]
    policies: NDArray[np.float64]
    error: float
    sweeps: int
    seconds: float
    interrupted: bool
    planner: PlannersQ

    def value(self, mean_field: ArrayLike) -> float:
        """V(mu), of ``float64[X]``; interpolated between the grid's populations."""
        return float(self.planner.value(np.asarray(mean_field, np.float64)))

    def policy(self, mean_field: ArrayLike) -> LocalPolicy:
        """The best local policy at mu, ``float64[X, A]``."""
        return np.asarray(self.planner.best(np.asarray(mean_field, np.float64)[None])[0][0])

    def q(self, mean_field: ArrayLike, policy: ArrayLike) -> float:
        """Q(mu, h) = r(mu, h) + gamma V(Phi(mu, h))."""
        populations = self.planner.problem.at(np.asarray(mean_field, np.float64)[None])
        return float(self.planner.q(populations, np.asarray(policy, np.float64)[None, None])[0, 0])

    def trajectory(self, n_steps: int, mean_field: ArrayLike | None = None) -> Trajectory:
        """Where the planner leads infinitely many agents.

        Args:
            n_steps: T.
            mean_field: where they begin, ``float64[X]``; as the model begins if None.
        """
        start = None if mean_field is None else np.asarray(mean_field, np.float64)
        return follow(LimitPopulation(self.planner.problem.model, start), self.policy, n_steps)

    def resting_point(self, mean_field: ArrayLike | None = None) -> NDArray[np.float64]:
        """The mu that the planner leads infinitely many agents to, and leaves as it is, ``float64[X]``.

        Args:
            mean_field: where they begin, as above.

        Returns:
            mu; where there is no rest after 1000 steps, where they then are.
        """
        here = self.trajectory(1, mean_field).mean_fields
        for _ in range(_MOST_STEPS):
            if np.abs(here[1] - here[0]).max() <= _AT_REST:
                break
            here = self.trajectory(1, here[1]).mean_fields
        return np.asarray(here[1])

    def _said(self) -> dict[str, str]:
        return {
            "populations": f"{len(self.values)}, {self.mean_fields.shape[1]} states",
            "value": f"{self.values.min():.6g} to {self.values.max():.6g}",
            "error": f"about {self.error:.1e}",
        }


def integrated_q(
    model: MeanFieldModel,
    *,
    grid_steps: int | None = None,
    policy_steps: int = 8,
    refine: bool = True,
) -> PlannersSolution:
    """Solve mean-field control by iteration over populations.

    Args:
        model: a mean-field model of one type, of few states and actions.
        grid_steps: 1 over the spacing of the grid of populations; None: the most with at most 2001 points.
        policy_steps: 1 over the spacing of the net of local policies.
        refine: whether h may be any local policy, looked for around the best of the net; else it is one of
            the net.

    Returns:
        the solution. Ctrl-C ends the improvement with what there is then.

    Raises:
        ConfigError: for an option out of range, a model of several types or without tables, or one with too
            many states and actions.
    """
    began = time.perf_counter()
    problem = PopulationProblem(model)
    grid, net = _checked_nets(problem, grid_steps, policy_steps)
    planner = PlannersQ(problem, grid, net, refine)
    populations = problem.at(grid.points)
    policies = planner.best_of_net(populations)
    planner.values = _values_of(planner, populations, policies)
    sweeps, interrupted = 0, False
    try:
        for width in (None, *planner.widths()):
            for _ in range(_MOST_SWEEPS):
                sweeps += 1
                candidates = (
                    planner.best_of_net(populations)
                    if width is None
                    else planner.better_nearby(populations, policies, width)
                )
                gains = planner.q(populations, candidates[:, None])[:, 0] > planner.values + planner.rounding
                if not gains.any():
                    break
                policies[gains] = candidates[gains]
                planner.values = _values_of(planner, populations, policies)
    except KeyboardInterrupt:
        interrupted = True
    between = np.random.default_rng(0).dirichlet(np.ones(grid.n), _TEST_POINTS)
    residual = float(np.abs(planner.best(between)[1] - planner.value(between)).max())
    return PlannersSolution(
        mean_fields=grid.points,
        values=planner.values,
        policies=policies,
        error=residual / (1 - problem.discount),
        sweeps=sweeps,
        seconds=time.perf_counter() - began,
        interrupted=interrupted,
        planner=planner,
    )


def _values_of(
    planner: PlannersQ, populations: Populations, policies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """V of a policy on the grid: the solution of V = r + gamma W V, with W what interpolation weighs."""
    rewards, following = populations.outcomes(policies[:, None])
    numbers, weights = planner.grid.places(following[:, 0])
    n_points, n_states = numbers.shape
    rows = np.repeat(np.arange(n_points), n_states)
    matrix = csr_array((weights.ravel(), (rows, numbers.ravel())), shape=(n_points, n_points))
    equations = eye_array(n_points, format="csc") - planner.problem.discount * matrix.tocsc()
    return np.asarray(spsolve(equations, rewards[:, 0]))


def _checked_nets(
    problem: PopulationProblem, grid_steps: int | None, policy_steps: int
) -> tuple[SimplexGrid, NDArray[np.float64]]:
    """The grid of populations and the net of local policies, if there are not too many of both."""
    n_states, legal = problem.model.n_states, problem.model.legal_actions
    grid_steps = _default_steps(n_states) if grid_steps is None else whole("grid_steps", grid_steps, 1)
    policy_steps = whole("policy_steps", policy_steps, 1)
    n_points = SimplexGrid.size(n_states, grid_steps)
    # What is tried at a time: the net, or what moves lead to.
    n_tried = max(policy_net_size(legal, policy_steps), math.prod(len(moves) for moves in _moves(legal)))
    if n_points > _MOST_POINTS:
        raise refusal(
            "grid_steps",
            grid_steps,
            f"such that there are at most {_MOST_POINTS} populations, not {n_points}",
        )
    if n_points * n_tried > _MOST_PAIRS:
        raise refusal(
            "policy_steps",
            policy_steps,
            f"such that there are at most {_MOST_PAIRS:.0e} pairs of a population and a local policy; "
            f"with {n_states} states and {legal.shape[1]} actions there are {n_points * n_tried:.1e}",
        )
    return SimplexGrid(n_states, grid_steps), policy_net(legal, policy_steps)


def _default_steps(n_states: int) -> int:
    """The finest grid of populations with at most as many points as there are by default."""
    steps = 1
    while steps < _POINTS - 1 and SimplexGrid.size(n_states, steps + 1) <= _POINTS:
        steps += 1
    return steps
