"""The three-step framework on tables: an inner solver, a smoothing, and perhaps an epsilon-net.

    Q_k <- the inner solver in L_k,                          (Gamma_1)
    pi_k <- the smoothing of Q_k,
    L_{k+1} <- the net's nearest point to Gamma_2(pi_k, L_k),

with L the joint distribution of states and actions, ``float64[types, X, A]``. Gamma_2 is a step of time: the
states of L_k move by pi_k in a population that behaves as L_k, and pi_k tells what is done where they come
to. At infinite rationality its fixed points are equilibria, which it seldom comes to; smoothed ones are none,
see :mod:`agents.solvers.three_step.smoothed`.

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019, and *A general framework
for learning mean-field games*, 2020; R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020. The
naive algorithm, GMF-V and GMF-Q are settings of it, each a file here.

Differences from the source: L_{k+1} is the distribution itself, where the source draws samples of it. The
other choices of Gamma_2 are ours. In games that conserve something, such as karma, neither a net nor the
source's Gamma_2 does, where pi_k plays among others who do what pi_{k-1} did: L may come to rest where the
game's own start never leads to. The solver looks at the population that the policy makes from that start, and
has not converged if it is another one.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
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
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.stationary import advance

_RATIONALITY = 5.0  # per greatest reward
_ANOTHER = 0.01  # in l_1: populations that differ by more are two, tolerance and net apart
_ROUNDS_TO_GO = 10.0  # changes of a round that may still be between L and where it comes to rest

Joint = NDArray[np.float64]
"""L, the joint distribution of states and actions within each type, ``float64[types, X, A]``."""


Following = Callable[
    [FiniteMeanFieldModel, NDArray[np.float64], NDArray[np.float64], DecisionProblem], NDArray[np.float64]
]
"""From mu, a policy and what an agent faces in L_k to the next mu."""


def _step(
    model: FiniteMeanFieldModel,
    mean_field: NDArray[np.float64],
    policy: NDArray[np.float64],
    faced: DecisionProblem,
) -> NDArray[np.float64]:
    """A step, or where the game ends a game, among others who behave as L_k."""
    if model.length is not None:
        return faced.at_rest(policy)
    following = faced.pushed(mean_field[..., None] * policy)
    return np.asarray(following / following.sum(axis=1, keepdims=True))  # rounding of the mass ends here


def _own_step(
    model: FiniteMeanFieldModel,
    mean_field: NDArray[np.float64],
    policy: NDArray[np.float64],
    faced: DecisionProblem,
) -> NDArray[np.float64]:
    """A step among others who play the policy, too."""
    return advance(model, mean_field, policy)


def _rest(
    model: FiniteMeanFieldModel,
    mean_field: NDArray[np.float64],
    policy: NDArray[np.float64],
    faced: DecisionProblem,
) -> NDArray[np.float64]:
    """As many steps of the population as it takes to come to rest."""
    return model.population_at_rest(policy, mean_field).mean_field


FOLLOWING: dict[str, Following] = {"step": _step, "own_step": _own_step, "rest": _rest}
"""Choices of Gamma_2 by name: a step of time among others as they were, or as they are now; or at rest."""


class TabularMap:
    """Gamma_1 and Gamma_2 of a finite model.

    Args:
        model: the model.
        inner: gives Q of what agents face.
        smoothing: makes a policy of Q.
        rationality: of the smoothing, per unit of the model's payoff.
        following: Gamma_2, of :data:`FOLLOWING`.
        population_steps: how many of them Gamma_2 is.
    """

    def __init__(
        self,
        model: FiniteMeanFieldModel,
        inner: InnerSolver,
        smoothing: Smoothing,
        rationality: float,
        following: Following,
        population_steps: int = 1,
    ) -> None:
        self.model = model
        self._following, self._population_steps = following, population_steps
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
        """Gamma_2: L of the population that follows, in which all play a policy."""
        mean_field = population.sum(axis=2)
        for _ in range(self._population_steps):
            mean_field = self._following(self.model, mean_field, policy, self.problem(population))
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
    population: str = "step",
    population_steps: int = 1,
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
        population: Gamma_2: step (of time, among others who behave as L_k, the source's), own_step (among
            others who play pi_k, which conserves what the game conserves), or rest (until at rest).
        population_steps: how many such steps a round has.
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
    world = TabularMap(
        model,
        solver.start(),
        smoothed,
        unit * rationality,
        FOLLOWING[choice("population", population, FOLLOWING)],
        whole("population_steps", population_steps, 1),
    )
    n_units = None if net is None else nets.units_of(net)
    every_round = rounds(
        world.respond,
        world.follow,
        world.start(start),
        step=real("step", step, 0, 1, open_low=True),
        project=None if n_units is None else lambda joint: world.projected(joint, n_units),
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
                assessment = assess(model, last.response)
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
    assessment = assessment or assess(model, last.response)
    reason = "" if rests else f"a round still changes the population by {change:.1e}, in l_1"
    distance = world.distance(assessment.mean_field[..., None] * assessment.policy, last.after)
    # On a net each probability is off by at most a unit.
    unlike = _ANOTHER + _ROUNDS_TO_GO * tolerance + (model.legal_actions.sum() / n_units if n_units else 0.0)
    if rests and distance > unlike:
        reason = (
            f"it rests at a population that differs by {distance:.1e}, in l_1, from the one that the game's "
            "own start leads to: a game that conserves something asks for population = own_step"
        )
    result = as_equilibrium(
        "three_step",
        assessment,
        tolerance,
        history,
        time.perf_counter() - began,
        interrupted=interrupted,
        rests=not reason,
        reason=reason,
    )
    return result if rationality == np.inf else replace(result, sought="fixed point of smoothed play")


SOLVER = three_step
