"""Newton-Krylov: follow smoothed equilibria by Newton steps on the statistic, without tables of derivatives.

A statistic z is that of a smoothed equilibrium of rationality beta if it is the one that agents make who
play the smoothed best response to it (:mod:`karma_envs.mean_field.smoothed`) and are at rest:

    F(z, beta) = statistic(mu, pi) - z = 0,    pi = smoothed best response to z,    mu at rest under pi in z.

F is smooth, its root for a small beta is near what a population makes that acts at random, and leads to a
Nash equilibrium as beta grows. It is followed by its length, in z and log beta, also where beta falls for a
while: a point is guessed from the last two, and sought in the plane orthogonal to them.
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
_SMALLER, _SMALLEST = 1.4, 1e-3  # of log beta, and beta: where the path does not begin at the first one
_LENGTH, _LONGEST, _SHORTEST_LENGTH = 0.5, 0.7, 1e-3  # of steps along the path, in log beta
_LEAST_RISE = 1e-6  # of log beta, for the unit of z
_NEWTON_STEPS = 8
_FEW, _MANY = 3, 6  # Newton steps after which the next step is longer, and shorter
_ENOUGH = 1e-3  # of the norm of z: |F| of a point on the way
_SHORTEST = 1 / 8  # of a Newton step


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
        the policy of the last point, assessed exactly; where no point was come to, acting at random. Ctrl-C
        ends the path with the point it has come to, and is raised where there is none.

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
    """A point near the path: a statistic with a rationality, and what agents do about them.

    Attributes:
        statistic: z.
        log_rationality: log beta.
        residual: F(z, beta) over the unit of z, then how far the point is from where it is sought.
        policy: the smoothed response to z.
        value: what that is worth.
        mean_field: where agents are who play it.
    """

    statistic: NDArray[np.float64]
    log_rationality: float
    residual: NDArray[np.float64]
    policy: NDArray[np.float64]
    value: NDArray[np.float64]
    mean_field: NDArray[np.float64]

    @property
    def distance(self) -> float:
        """How far it is from the point of the path that is sought."""
        return float(np.linalg.norm(self.residual))


@dataclass
class _Plane:
    """The plane in which a point of the path is sought: orthogonal to where the path leads, there.

    Attributes:
        through: a point in it, a guess of the path's: z over its unit, then log beta; ``float64[k + 1]``.
        normal: orthogonal to it, of length 1; log beta alone for a point of a given rationality.
        unit: of z, in which a step is as long as one of log beta.
    """

    through: NDArray[np.float64]
    normal: NDArray[np.float64]
    unit: float


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
        self._before: _Point | None = None
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
        at_random = self._model.population_at_rest(uniform_policy(self._model)).statistic
        begin, length = float(np.log(first)), _LENGTH
        for _ in range(iterations):
            if self.point is None or self._before is None:
                plane = self._first_plane(at_random, begin)
            else:
                plane = self._next_plane(self._before, self.point, length)
            point, steps = self._root(plane)
            if steps > _NEWTON_STEPS:  # nothing near the guess
                if self.point is None and begin > np.log(_SMALLEST * first):
                    begin -= _SMALLER
                elif self.point is None or length <= _SHORTEST_LENGTH:
                    return self._lost()
                length /= 2
                continue
            if self.point is None:
                begin += _LENGTH
            elif steps <= _FEW:
                length = min(1.5 * length, _LONGEST)
            elif steps >= _MANY:
                length *= 0.7
            self._before, self.point, self._assessed = self.point, point, None
            if self._arrived():
                return ""
            if point.log_rationality >= np.log(last):
                return f"the last rationality {last:.4g} was reached"
        return f"{iterations} iterations were not enough"

    def _lost(self) -> str:
        if self.point is None:
            return "no smoothed equilibrium was come to"
        rationality = np.exp(self.point.log_rationality)
        return f"the path of smoothed equilibria was lost at rationality {rationality:.4g}"

    def _first_plane(self, statistic: NDArray[np.float64], log_rationality: float) -> _Plane:
        """Points of a rationality, near the last point or near agents who act at random."""
        guess = statistic if self.point is None else self.point.statistic
        normal = np.append(np.zeros_like(guess), 1.0)
        return _Plane(np.append(guess, log_rationality), normal, 1.0)

    @staticmethod
    def _next_plane(before: _Point, at: _Point, length: float) -> _Plane:
        """Points a length ahead of the last one in the direction that led to it, also where beta falls."""
        unit = float(np.linalg.norm(at.statistic - before.statistic)) / max(
            abs(at.log_rationality - before.log_rationality), _LEAST_RISE
        )
        place = np.append(at.statistic / unit, at.log_rationality)
        direction = place - np.append(before.statistic / unit, before.log_rationality)
        direction /= np.linalg.norm(direction)
        return _Plane(place + length * direction, direction, unit)

    def assessment(self) -> Assessment:
        """Everything exact that is to be said of the last point's policy; of acting at random without one."""
        if self._assessed is None:
            policy, start = uniform_policy(self._model), None
            if self.point is not None:
                policy, start = self.point.policy, self.point.mean_field
            self._assessed = assess(self._model, policy, start)
        return self._assessed

    def _arrived(self) -> bool:
        """Note how exploitable the last point is, and tell whether it is within the tolerance, exactly."""
        point, model = self.point, self._model
        assert point is not None
        problem = model.decision_problem(point.statistic)
        distance = exploitability_in(model, point.policy, point.mean_field, problem)
        efficiency = float(model.masses @ ((1 - model.discounts) * distance.payoff_by_type))
        self.history.append(Step(len(self.history), distance.normalised, efficiency))
        if self._observer is not None:
            self._observer(self.history[-1])
        return distance.normalised <= self._tolerance and self.assessment().within(self._tolerance)

    def _respond(
        self, place: NDArray[np.float64], plane: _Plane, value: NDArray[np.float64] | None
    ) -> _Point:
        """What agents do at a place; ``value`` is a guess of what that is worth to them."""
        model, statistic, log_rationality = self._model, plane.unit * place[:-1], float(place[-1])
        problem = model.decision_problem(statistic)
        policy, value = problem.smoothed_response(
            model.discounts, model.legal_actions, float(np.exp(log_rationality)), value
        )
        mean_field = problem.at_rest(policy, model.initial_mean_field)
        difference = model.inconsistency(statistic, mean_field, policy) / plane.unit
        residual = np.append(difference, plane.normal @ (place - plane.through))
        return _Point(statistic, log_rationality, residual, policy, value, mean_field)

    def _root(self, plane: _Plane) -> tuple[_Point, int]:
        """Newton's method in a plane: where it ends, and after how many steps, too many if at no root."""
        place = plane.through
        point = self._respond(place, plane, None if self.point is None else self.point.value)
        enough = _ENOUGH * float(np.linalg.norm(place[:-1]))
        for steps in range(_NEWTON_STEPS + 1):
            if point.distance <= enough:
                return point, steps
            following = self._moved(place, point, plane)
            if following is None:
                break
            place, point = following
        return point, _NEWTON_STEPS + 1

    def _moved(
        self, place: NDArray[np.float64], point: _Point, plane: _Plane
    ) -> tuple[NDArray[np.float64], _Point] | None:
        """Where a Newton step leads, shortened until that is nearer to a root; None where nothing is."""

        def residual(place: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._respond(place, plane, point.value).residual

        move, share = newton_step(residual, place, point.residual), 1.0
        while share >= _SHORTEST:
            there = place + share * move
            following = self._respond(there, plane, point.value)
            if following.distance < (1 - 0.1 * share) * point.distance:
                return there, following
            share /= 2
        return None


SOLVER = newton_krylov
