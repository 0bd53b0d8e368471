"""Newton-Krylov: follow smoothed equilibria, with Newton's method on the statistic and no table of derivatives.

A statistic z is that of a smoothed equilibrium of rationality beta if it is the one that agents make who
play the smoothed best response to it (:mod:`karma_envs.mean_field.smoothed`) and are at rest:

    F(z, beta) = statistic(mu, pi) - z = 0,    pi = smoothed best response to z,    mu at rest under pi in z.

F is smooth, its root for a small beta is near what a population makes that acts at random, and leads to a
Nash equilibrium as beta grows. It is followed with steps of log beta, each predicted from the last two roots.
Newton steps are solved by GMRES, which asks only for differences of F along directions: a response of the
agents each. So models with many types and a structure of their own are solved, such as the city's (1201
numbers in z, 7 million in a policy), for which tables of derivatives are out of the question. Smoothing
matters: iterations without derivatives drive bids up and let them collapse, for ever.

Sources: Knoll and Keyes 2004, *Jacobian-free Newton-Krylov methods*; McKelvey and Palfrey 1995 (the path, of
logit equilibria); Cui and Koeppl 2021 (equilibria with relative entropy).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import greatest_reward
from agents.solvers.continuation.krylov import newton_step
from agents.solvers.equilibrium import Assessment, Equilibrium, Observer, Step, as_equilibrium, assess
from karma_envs.config import real, whole
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.exploitability import exploitability_in

# Rationalities are per greatest reward.
_FIRST_RATIONALITY = 2.0
_LAST_RATIONALITY = 1e6
_FACTOR, _GREATEST_FACTOR, _LEAST_FACTOR = 1.5, 2.0, 1.003  # of beta, from a point to the next
_SMALLER, _SMALLEST = 0.25, 1e-3  # first rationalities, where the path does not begin at the first one
_FEW, _MANY = 3, 6  # Newton steps after which the factor is raised, and lowered
_ENOUGH = 1e-4  # of the norm of z: |F| of a point on the way
_NEWTON_STEPS = 10
_SHORTEST = 1 / 16  # of a Newton step


def newton_krylov(
    model: MeanFieldModel,
    *,
    tolerance: float = 5e-4,
    first_rationality: float | None = None,
    last_rationality: float | None = None,
    iterations: int = 300,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by Newton-Krylov steps along smoothed equilibria.

    Args:
        model: the mean-field model, a finite one.
        tolerance: normalised exploitability to stop at.
        first_rationality: beta to begin with, per unit of payoff; None: 2 over the greatest reward.
        last_rationality: beta does not rise above this; None: 1e6 over the greatest reward.
        iterations: the most points of the path that are sought.
        observer: called at every point, with the exploitability in its population, which nearly rests.

    Returns:
        the policy of the last point, assessed exactly. Ctrl-C ends the path with the point it has come to,
        and is raised where there is none.

    Raises:
        ConfigError: for an option out of range, and for a model without tables.
    """
    began = time.perf_counter()
    finite = as_finite_model(model)
    unit = greatest_reward(finite)
    first = _FIRST_RATIONALITY / unit if first_rationality is None else first_rationality
    first = real("first_rationality", first, 0, open_low=True)
    last = _LAST_RATIONALITY / unit if last_rationality is None else last_rationality
    last = real("last_rationality", last, first)
    path = _Path(finite, real("tolerance", tolerance, 0, open_low=True), observer)
    interrupted, reason = False, ""
    try:
        reason = path.walk(first, last, whole("iterations", iterations, 1))
    except KeyboardInterrupt:
        interrupted = True
        if path.point is None:
            raise
    best = path.assessment()
    return as_equilibrium(
        "newton_krylov",
        best,
        tolerance,
        path.history,
        time.perf_counter() - began,
        interrupted=interrupted,
        reason="" if best.within(tolerance) else reason,
    )


@dataclass
class _Point:
    """A statistic, the agents' smoothed response to it, and what their statistic differs in."""

    statistic: NDArray[np.float64]
    difference: NDArray[np.float64]
    policy: NDArray[np.float64]
    value: NDArray[np.float64]
    mean_field: NDArray[np.float64]

    @property
    def distance(self) -> float:
        """|F|."""
        return float(np.linalg.norm(self.difference))


class _Path:
    """The path of smoothed equilibria, and where on it a walk is.

    Args:
        model: the model.
        tolerance: normalised exploitability to stop at.
        observer: called at every point.

    Attributes:
        point: the last point that was come to; None before the first.
        history: the exploitability on the way.
    """

    def __init__(self, model: FiniteMeanFieldModel, tolerance: float, observer: Observer | None) -> None:
        self._model, self._tolerance, self._observer = model, tolerance, observer
        self.point: _Point | None = None
        self.history: list[Step] = []
        self._assessed: Assessment | None = None

    def walk(self, first: float, last: float, iterations: int) -> str:
        """Walk until the policy is within the tolerance.

        Args:
            first: the rationality to begin with.
            last: the highest.
            iterations: the most points that are sought.

        Returns:
            why it ended before, or empty.
        """
        rationality, factor = first, _FACTOR
        at_random = self._model.population_at_rest(uniform_policy(self._model))
        guess, moving = at_random.statistic, np.zeros_like(at_random.statistic)
        reached = 0.0  # rationality of the last point
        for _ in range(iterations):
            point, steps = self._root(guess, rationality)
            if steps > _NEWTON_STEPS:  # no root near the guess
                factor = np.sqrt(factor)
                if self.point is None and rationality > _SMALLEST * first:
                    rationality *= _SMALLER
                elif self.point is None or factor < _LEAST_FACTOR:
                    return f"the path of smoothed equilibria was lost beyond rationality {reached:.4g}"
                else:
                    rationality = min(reached * factor, last)
                    guess = self.point.statistic + np.log(rationality / reached) * moving
                continue
            if self.point is not None:
                moving = (point.statistic - self.point.statistic) / np.log(rationality / reached)
            self.point, self._assessed, reached = point, None, rationality
            if self._arrived():
                return ""
            if rationality == last:
                return f"the last rationality {last:.4g} was reached"
            if steps <= _FEW:
                factor = min(factor**1.3, _GREATEST_FACTOR)
            elif steps >= _MANY:
                factor = factor**0.7
            rationality = min(reached * factor, last)
            guess = point.statistic + np.log(rationality / reached) * moving
        return f"{iterations} iterations were not enough"

    def assessment(self) -> Assessment:
        """Everything exact that is to be said of the last point's policy."""
        assert self.point is not None, "the path has begun"
        if self._assessed is None:
            self._assessed = assess(self._model, self.point.policy, self.point.mean_field)
        return self._assessed

    def _arrived(self) -> bool:
        """Note how exploitable the last point is, and tell whether it is within the tolerance, exactly."""
        point, model = self.point, self._model
        assert point is not None
        problem = model.decision_problem(point.statistic)
        distance = exploitability_in(model, point.policy, point.mean_field, problem)
        efficiency = (1 - model.discounts) * distance.payoff_by_type
        self.history.append(
            Step(len(self.history), distance.normalised, float(model.masses @ efficiency))
        )
        if self._observer is not None:
            self._observer(self.history[-1])
        return distance.normalised <= self._tolerance and self.assessment().within(self._tolerance)

    def _respond(
        self, statistic: NDArray[np.float64], rationality: float, value: NDArray[np.float64] | None
    ) -> _Point:
        """What agents do about a statistic; ``value`` is a guess of what that is worth to them."""
        model = self._model
        problem = model.decision_problem(statistic)
        policy, value = problem.smoothed_response(model.discounts, model.legal_actions, rationality, value)
        mean_field = problem.at_rest(policy, model.initial_mean_field)
        difference = model.inconsistency(statistic, mean_field, policy)
        return _Point(statistic, difference, policy, value, mean_field)

    def _root(self, guess: NDArray[np.float64], rationality: float) -> tuple[_Point, int]:
        """Newton's method from a guess: where it ends, and after how many steps, too many if at no root."""
        point = self._respond(guess, rationality, None if self.point is None else self.point.value)
        enough = _ENOUGH * float(np.linalg.norm(guess))
        for steps in range(_NEWTON_STEPS + 1):
            if point.distance <= enough:
                return point, steps
            following = self._moved(point, rationality)
            if following is None:
                break
            point = following
        return point, _NEWTON_STEPS + 1

    def _moved(self, point: _Point, rationality: float) -> _Point | None:
        """The point after a Newton step, shortened until it is nearer to a root; None where none is."""

        def difference(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._respond(statistic, rationality, point.value).difference

        move, share = newton_step(difference, point.statistic, point.difference), 1.0
        while share >= _SHORTEST:
            following = self._respond(point.statistic + share * move, rationality, point.value)
            if following.distance < (1 - 0.1 * share) * point.distance:
                return following
            share /= 2
        return None


SOLVER = newton_krylov
