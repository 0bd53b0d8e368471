"""Prior descent: equilibria of agents who pay for leaving what they did before, one after the other.

In round k agents are charged the distance of what they play to a *prior* policy rho_k, over a rationality
beta: they play the smoothed best response (:mod:`karma_envs.mean_field.smoothed`)

    pi(a | x) proportional to rho_k(a | x) exp(beta Q(x, a)),
    rho_k(a | x) proportional to pi_(k-1)(a | x)^m,

to the statistic z that they make themselves. So each round is an equilibrium, and the next one begins where
it ends. With a memory m below 1 the rounds of one beta come to rest where the prior is the policy: at the
equilibrium of beta / (1 - m) with the uniform policy for a prior. Beta grows as fast as rounds are solved,
and the charge vanishes. A prior that remembers makes a small beta do, and keeps agents from all changing
their bids at once: iterations without derivatives drive bids up and let them collapse, for ever, and the
path of equilibria of rising beta, with the uniform prior throughout, folds more often than it can be
followed.

The equilibrium of a round is a root of F(z) = statistic(mu, pi) - z, mu at rest under pi in z. Newton steps
are solved by GMRES, which asks only for differences of F along directions: a response of the agents each.
So models with many types and a structure of their own are solved, such as the city's (1201 numbers in z, 7
million in a policy), for which tables of derivatives are out of the question.

Sources: Cui and Koeppl 2021, *Approximately solving mean field games via entropy-regularized deep
reinforcement learning* (prior descent); Perolat et al. 2021, *From Poincaré recurrence to convergence in
imperfect information games* (a prior that is moved to the equilibrium of each round); Knoll and Keyes 2004,
*Jacobian-free Newton-Krylov methods*.

Differences from the sources:
    The equilibrium of a round is found by Newton's method and not by iterating best responses. The memory m;
    in the sources it is 1.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import greatest_reward
from agents.solvers.continuation.krylov import newton_step
from agents.solvers.equilibrium import Assessment, Equilibrium, Observer, Step, as_equilibrium, assess
from karma_envs.config import real, whole
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.exploitability import exploitability_in, type_policies

_TOLERANCES = 5e-4, 2e-3  # of a small model, and of a large one
_LARGE = 1_000_000  # numbers in a policy

# Rationalities are per greatest reward.
_FIRST_RATIONALITY = 2.0
_FIRST_FROM_START = 50.0  # of a policy that is nearly an equilibrium
_LAST_RATIONALITY = 1e6
_SMALLEST = 1e-3
_NEWTON_STEPS = 8
_FEW, _MANY = 3, 6  # Newton steps after which beta rises, and falls
_FALL = 0.7
_AFTER_FAILURE = 0.4
_ENOUGH, _CLOSELY = 5e-3, 2e-4  # of the norm of z: |F| of a round's equilibrium, at first and at the end
_END = 2.0  # tolerances from which on rounds are solved closely
_SHORTEST = 1 / 8  # of a Newton step
_LEAST_PRIOR = 1e-12  # a probability; what was hardly played may come back


def prior_descent(
    model: MeanFieldModel,
    *,
    tolerance: float | None = None,
    start: Any = None,
    memory: float = 0.6,
    first_rationality: float | None = None,
    last_rationality: float | None = None,
    growth: float = 1.6,
    iterations: int = 300,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by prior descent.

    Args:
        model: the mean-field model, a finite one.
        tolerance: normalised exploitability to stop at; None: 5e-4, and 2e-3 where a policy has more than a
            million numbers, which takes minutes.
        start: a policy to begin with, such as the equilibrium of a model nearby: the prior of the first
            round. It must play what is to be played, if only now and then.
        memory: m in [0, 1], of the prior; 0 for a uniform one.
        first_rationality: beta to begin with, per unit of payoff; None: 2 over the greatest reward, with a
            ``start`` 50 over it.
        last_rationality: a round of a greater beta is the last; None: 1e6 over the greatest reward.
        growth: factor of beta after a round that few steps have solved, > 1.
        iterations: the most rounds, also of those that fail.
        observer: called after every round, with the exploitability in its population, which nearly rests.

    Returns:
        the least exploitable policy of all rounds that were solved, assessed exactly; where none was, acting
        at random. Ctrl-C ends it with that until there, and is raised where there is none.

    Raises:
        ConfigError: for an option out of range, and for a model without tables.
    """
    began = time.perf_counter()
    finite = as_finite_model(model)
    unit = greatest_reward(finite)
    if tolerance is None:
        tolerance = _TOLERANCES[finite.n_types * finite.legal_actions.size > _LARGE]
    policy = None if start is None else type_policies(finite, start)
    usual = _FIRST_RATIONALITY if start is None else _FIRST_FROM_START
    first = usual / unit if first_rationality is None else first_rationality
    first = real("first_rationality", first, 0, open_low=True)
    last = _LAST_RATIONALITY / unit if last_rationality is None else last_rationality
    descent = _Descent(
        finite,
        real("tolerance", tolerance, 0, open_low=True),
        real("memory", memory, 0, 1),
        real("growth", growth, 1, open_low=True),
        observer,
    )
    interrupted, reason = False, ""
    try:
        last = real("last_rationality", last, first)
        reason = descent.run(policy, first, last, whole("iterations", iterations, 1))
    except KeyboardInterrupt:
        interrupted = True
        if descent.round is None:
            raise
    best = descent.assessment()
    return as_equilibrium(
        "prior_descent",
        best,
        tolerance,
        descent.history,
        time.perf_counter() - began,
        interrupted=interrupted,
        reason="" if best.within(tolerance) else reason,
    )


@dataclass(frozen=True)
class _Response:
    """What agents do who meet a statistic.

    Attributes:
        statistic: z.
        gap: F(z), of the z that they make and the one that they meet.
        policy: the smoothed response to z.
        value: what that is worth, less what is charged.
        mean_field: where agents are who play it.
    """

    statistic: NDArray[np.float64]
    gap: NDArray[np.float64]
    policy: NDArray[np.float64]
    value: NDArray[np.float64]
    mean_field: NDArray[np.float64]

    @property
    def distance(self) -> float:
        """How far it is from an equilibrium of the round."""
        return float(np.linalg.norm(self.gap))


class _Descent:
    """The rounds.

    Args:
        model: the model.
        tolerance: normalised exploitability to stop at.
        memory: m.
        growth: of beta.
        observer: called after every round.

    Attributes:
        round: the last one that was solved; None before the first.
        best: the least exploitable one, with that.
        history: the exploitability after each.
    """

    def __init__(
        self,
        model: FiniteMeanFieldModel,
        tolerance: float,
        memory: float,
        growth: float,
        observer: Observer | None,
    ) -> None:
        self._model, self._tolerance, self._observer = model, tolerance, observer
        self._memory, self._growth = memory, growth
        self.round: _Response | None = None
        self.best: tuple[float, _Response] | None = None
        self.history: list[Step] = []
        self._rationality, self._enough = 0.0, _ENOUGH
        self._scores: NDArray[np.float64] | None = None  # log of the prior; None: uniform
        self._assessed: Assessment | None = None

    def run(self, start: NDArray[np.float64] | None, first: float, last: float, iterations: int) -> str:
        """Play rounds until the policy is within the tolerance.

        Args:
            start: the first prior; None for the uniform one.
            first: the rationality to begin with.
            last: the highest.
            iterations: the most rounds.

        Returns:
            why it ended before, or empty.
        """
        self._rationality = first
        if start is not None:
            self._remember(start)
        policy = uniform_policy(self._model) if start is None else start
        begin = self._model.population_at_rest(policy).statistic
        for _ in range(iterations):
            response, steps = self._equilibrium(begin)
            if steps > _NEWTON_STEPS:
                self._rationality *= _AFTER_FAILURE
                if self._rationality < _SMALLEST * first:
                    return f"no round was solved from rationality {self._rationality:.4g} on"
                continue
            self.round, begin = response, response.statistic
            if self._arrived(response):
                return ""
            if self._rationality > last:
                return f"the last rationality {last:.4g} was reached"
            if steps <= _FEW:
                self._rationality *= self._growth
            elif steps >= _MANY:
                self._rationality *= _FALL
            self._remember(response.policy)
        return f"{iterations} iterations were not enough"

    def assessment(self) -> Assessment:
        """Everything exact that is to be said of the best round's policy; of acting at random without one."""
        if self._assessed is None:
            policy, start = uniform_policy(self._model), None
            if self.best is not None:
                policy, start = self.best[1].policy, self.best[1].mean_field
            self._assessed = assess(self._model, policy, start)
        return self._assessed

    def _remember(self, policy: NDArray[np.float64]) -> None:
        """Make a policy the prior of the next round; policies are large, so in one place."""
        self._scores = np.maximum(policy, _LEAST_PRIOR, out=self._scores)
        np.log(self._scores, out=self._scores)
        self._scores *= self._memory

    def _arrived(self, response: _Response) -> bool:
        """Note how exploitable a round's policy is, and tell whether it is within the tolerance, exactly."""
        model = self._model
        problem = model.decision_problem(response.statistic)
        distance = exploitability_in(model, response.policy, response.mean_field, problem)
        efficiency = float(model.masses @ ((1 - model.discounts) * distance.payoff_by_type))
        self.history.append(Step(len(self.history), distance.normalised, efficiency))
        if self._observer is not None:
            self._observer(self.history[-1])
        if distance.normalised <= _END * self._tolerance:
            self._enough = _CLOSELY
        if self.best is None or distance.normalised < self.best[0]:
            self.best, self._assessed = (distance.normalised, response), None
        return distance.normalised <= self._tolerance and self.assessment().within(self._tolerance)

    def _respond(self, statistic: NDArray[np.float64], value: NDArray[np.float64] | None) -> _Response:
        """What agents do who meet a statistic; ``value`` is a guess of what that is worth to them."""
        model = self._model
        problem = model.decision_problem(statistic)
        policy, value = problem.smoothed_response(
            model.discounts, model.legal_actions, self._rationality, value, self._scores
        )
        mean_field = problem.at_rest(policy, model.initial_mean_field)
        gap = model.inconsistency(statistic, mean_field, policy)
        return _Response(statistic, gap, policy, value, mean_field)

    def _equilibrium(self, begin: NDArray[np.float64]) -> tuple[_Response, int]:
        """Newton's method on z: where it ends, and after how many steps, too many if at no equilibrium."""
        response = self._respond(begin, None if self.round is None else self.round.value)
        enough = self._enough * float(np.linalg.norm(begin))
        for steps in range(_NEWTON_STEPS + 1):
            if response.distance <= enough:
                return response, steps
            following = self._moved(response)
            if following is None:
                break
            response = following
        return response, _NEWTON_STEPS + 1

    def _moved(self, response: _Response) -> _Response | None:
        """What a Newton step leads to, shortened until that is nearer; None where nothing is."""

        def gap(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._respond(statistic, response.value).gap

        move, share = newton_step(gap, response.statistic, response.gap), 1.0
        while share >= _SHORTEST:
            following = self._respond(response.statistic + share * move, response.value)
            if following.distance < (1 - 0.1 * share) * response.distance:
                return following
            share /= 2
        return None


SOLVER = prior_descent
