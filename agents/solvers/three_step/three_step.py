"""The three-step framework on tables: an inner solver, a smoothing, and perhaps an epsilon-net.

    Q_k <- the inner solver in L_k,                          (Gamma_1)
    pi_k <- the smoothing of Q_k,
    L_{k+1} <- the net's nearest point to Gamma_2(pi_k, L_k),

with L the joint distribution of states and actions, ``float64[types, X, A]``. Gamma_2 is a step of time: the
states of L_k move by pi_k in a population that behaves as L_k, and pi_k tells what is done there. At infinite
rationality its fixed points are equilibria, which it seldom comes to; smoothed ones are none, see
:mod:`agents.solvers.three_step.smoothed`.

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019, and *A general framework
for learning mean-field games*, 2020; R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020. The
naive algorithm, GMF-V and GMF-Q are settings of it, each a file here.

Differences from the source: L_{k+1} is the distribution itself, where the source draws samples of it. More
steps of time, or as many as it takes to come to rest, are ours. In a game that conserves something, such as
karma, a net does not: what is reported is the population that its policy makes from the game's own start.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import unit_of
from agents.solvers.equilibrium import (
    Assessment,
    Equilibrium,
    Observer,
    Step,
    as_equilibrium,
    assess,
    in_units,
)
from agents.solvers.three_step import net as nets
from agents.solvers.three_step.inner import INNER_SOLVERS, InnerSolver
from agents.solvers.three_step.rounds import Round, rounds
from agents.solvers.three_step.smoothing import SMOOTHINGS, Smoothing
from karma_envs.config import choice, real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import transition_matrix, uniform_policy
from karma_envs.mean_field.stationary import advance, stationary_mean_field

_RATIONALITY = 5.0  # per greatest reward

Joint = NDArray[np.float64]
"""L, the joint distribution of states and actions within each type, ``float64[types, X, A]``."""


class TabularMap:
    """Gamma_1 and Gamma_2 of a finite model.

    Args:
        model: the model.
        inner: gives Q of what agents face.
        smoothing: makes a policy of Q.
        rationality: of the smoothing, per unit of the model's payoff.
        population_steps: of Gamma_2; None: until the population is at rest.
    """

    def __init__(
        self,
        model: FiniteMeanFieldModel,
        inner: InnerSolver,
        smoothing: Smoothing,
        rationality: float,
        population_steps: int | None = 1,
    ) -> None:
        self.model, self.population_steps = model, population_steps
        self._inner, self._smoothing, self._rationality = inner, smoothing, rationality
        self._faced: tuple[Joint, DecisionProblem] | None = None

    def start(self, policy: NDArray[np.float64] | None = None) -> Joint:
        """L of a population that begins, and plays a policy; None: at random."""
        mean_field = self.model.initial_mean_field
        return mean_field[..., None] * (uniform_policy(self.model) if policy is None else policy)

    def problem(self, population: Joint) -> DecisionProblem:
        """What an agent faces in L."""
        if self._faced is None or self._faced[0] is not population:  # Gamma_1 and Gamma_2 ask for the same
            mean_field = population.sum(axis=2)
            policy = uniform_policy(self.model)  # where nobody is, it does not matter
            np.divide(population, mean_field[..., None], out=policy, where=mean_field[..., None] > 0)
            self._faced = population, self.model.decision_problem(self.model.statistic(mean_field, policy))
        return self._faced[1]

    def q(self, population: Joint) -> NDArray[np.float64]:
        """Q of one agent in L, -inf where illegal."""
        return self._inner(self.model, self.problem(population))

    def respond(self, population: Joint) -> NDArray[np.float64]:
        """Gamma_1: a policy ``float64[types, X, A]``."""
        return self._smoothing(self.q(population), self._rationality)

    def follow(self, policy: NDArray[np.float64], population: Joint) -> Joint:
        """Gamma_2: L of the population after its steps, in which all play a policy."""
        mean_field = population.sum(axis=2)
        if self.population_steps is None:
            mean_field = stationary_mean_field(self.model, policy, mean_field).mean_field
            return np.asarray(mean_field[..., None] * policy)
        moves = transition_matrix(self.problem(population), policy)
        mean_field = np.einsum("tx,txy->ty", mean_field, moves)
        mean_field /= mean_field.sum(axis=1, keepdims=True)  # so that rounding of the mass is not carried on
        for _ in range(self.population_steps - 1):
            mean_field = advance(self.model, mean_field, policy)
        return np.asarray(mean_field[..., None] * policy)

    def projected(self, population: Joint, n_units: int) -> Joint:
        """L on the net of each type's distributions."""
        return nets.project(population.reshape(len(population), -1), n_units).reshape(population.shape)

    def distance(self, one: Joint, other: Joint) -> float:
        """The l_1 distance of two populations, the mean over types by their shares: 0 … 2."""
        return float(self.model.masses @ np.abs(one - other).sum(axis=(1, 2)))


@in_units
def three_step(
    model: FiniteMeanFieldModel,
    *,
    inner: str = "exact",
    inner_options: Mapping[str, Any] | None = None,
    smoothing: str = "boltzmann",
    rationality: float | None = None,
    net: float | None = None,
    step: float = 1.0,
    population_steps: int | None = 1,
    tolerance: float = 1e-8,
    iterations: int = 5000,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by the three-step iteration.

    Args:
        model: the mean-field model.
        inner: exact (policy iteration) or q_learning, see :mod:`agents.solvers.three_step.inner`.
        inner_options: the fields of that inner solver which differ from its defaults.
        smoothing: argmax_e, boltzmann or mellowmax, see :mod:`agents.solvers.three_step.smoothing`.
        rationality: c > 0 of the smoothing, per unit of payoff; infinite for argmax-e; None: 5 over the
            greatest reward.
        net: epsilon of the net, in (0, 1], whose distributions are multiples of it; None for no net.
        step: how far to go towards what follows, in (0, 1]; 1 - step is the *momentum* of the source.
        population_steps: steps of the population per round, >= 1; None: until it is at rest.
        tolerance: to stop at: of the change of L in a round, in l_1 (0 … 2).
        iterations: the most rounds.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at rounds 0, 1, 2, 4, 8 … and the last one.

    Returns:
        the last policy; ``converged`` tells whether L is a fixed point within the tolerance, which leaves
        ``exploitability`` above 0 where policies are smoothed.

    Raises:
        ConfigError: for an option out of range.
    """
    unit = unit_of(model)
    if rationality is None:
        rationality = _RATIONALITY / unit
    elif rationality != np.inf:
        rationality = real("rationality", rationality, 0, open_low=True)
    solver = INNER_SOLVERS[choice("inner", inner, INNER_SOLVERS)].from_dict(
        inner_options or {}, "inner_options"
    )
    smoothed = SMOOTHINGS[choice("smoothing", smoothing, SMOOTHINGS)]
    if population_steps is not None:
        population_steps = whole("population_steps", population_steps, 1)
    world = TabularMap(model, solver.start(), smoothed, unit * rationality, population_steps)
    n_units = None if net is None else nets.units_of(net)
    every_round = rounds(
        world.respond,
        world.follow,
        world.start(start),
        step=real("step", step, 0, 1, open_low=True),
        project=None if n_units is None else lambda population: world.projected(population, n_units),
    )
    iterations = whole("iterations", iterations, 1)
    began = time.perf_counter()
    history: list[Step] = []
    last: Round | None = None
    assessment: Assessment | None = None  # of the last round
    change, rests, interrupted = np.inf, False, False
    try:
        for last in itertools.islice(every_round, iterations):
            assessment, change = None, world.distance(last.after, last.before)
            rests = change <= tolerance
            if rests or last.number & (last.number - 1) == 0 or last.number == iterations - 1:
                assessment = _assessed(model, last, on_net=net is not None)
                history.append(Step(last.number, assessment.exploitability.normalised, assessment.efficiency))
                if observer is not None:
                    observer(history[-1])
            if rests:
                break
    except KeyboardInterrupt:
        if last is None:
            raise
        interrupted = True
    assert last is not None, "iterations is at least 1"
    reason = "" if rests else f"a round still changes the population by {change:.1e}, in l_1"
    return as_equilibrium(
        "three_step",
        assessment or _assessed(model, last, on_net=net is not None),
        tolerance,
        history,
        time.perf_counter() - began,
        interrupted=interrupted,
        rests=rests,
        reason=reason,
    )


def _assessed(model: FiniteMeanFieldModel, last: Round, *, on_net: bool) -> Assessment:
    """The policy of a round, in the population that it makes: from where it is, or from the game's start."""
    return assess(model, last.response, None if on_net else last.made.sum(axis=2))


SOLVER = three_step
