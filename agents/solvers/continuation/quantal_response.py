"""Logit equilibria: pi = softmax(beta Q^pi), found by Newton's method and followed along their path.

A logit (quantal response) equilibrium of bounded rationality beta is a root in the statistic z, the
value V and the logits rho of

    rho(x, a) - rho(x, a*) = beta (Q(x, a) - Q(x, a*)),     V = sum over a of pi(a | x) Q(x, a),
    z = z(mu, pi),   mu stationary where z is,

with pi = softmax(rho), mixed with uniform exploration. There is no entropy in the value and rewards
are as they are, as in the Thesis. Keeping the logits as unknowns of their own makes Newton's method
converge from afar at any beta: what is linearised is the exponential of a bounded number. They are
eliminated from the linear system, which has the size of z and V.

Roots form paths in (z, V, rho, log beta), along which beta may fall as well as rise. They are followed
by pseudo-arclength continuation (Keller 1977; Allgower and Georg 1990): a step along the tangent, then
Newton's method in the plane perpendicular to it, which turns with the path where beta does. In place
of beta a shift of the payoffs may move: of Q by the shift times a given direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.linearisation import Linearisation
from karma_envs.config import refusal
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import policy_value
from karma_envs.numerics.linear import solve_scaled
from karma_envs.numerics.sampling import softmax, uniform_over

_MOST_LOGIT_MOVE = 2.5  # per Newton step, for logits that matter
_MOST_LOG_RATIONALITY_MOVE = 1.5  # per Newton step
_ACCURATE, _NEAR_PATH = 1e-10, 1e-6  # errors of equations, at a rationality asked for and on the way
_ROUNDING = 1e-15  # of values, over the greatest of them; logits have it times beta
_MATTERS = -12.0  # a logit this far below the best one belongs to no probability to speak of
_FIRST_STEP, _SHORTEST_STEP = 1.0, 1e-4  # along the path, in logits that matter
LONGEST_STEP = 8.0
"""Along a path, in logits that matter; shorter ones are safer from landing on another path."""
_MOST_BYTES = 2 * 2**30  # of derivatives
_ARRAYS = 11  # as large as those of Q along all unknowns, which are there at a time
_STEP_OF_RATIONALITY = 2.5  # a path along which no logit matters moves log beta by 1 in this


@dataclass(frozen=True)
class LogitPoint:
    """A point near or on a path of logit equilibria.

    Attributes:
        statistic: z.
        value: V, ``[types, X]``.
        logits: ``[types, X, A]``; -inf where illegal.
        rationality: beta.
        shift: of the payoffs, in units of the system's direction.
    """

    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    logits: NDArray[np.float64]
    rationality: float
    shift: float = 0.0


@dataclass(frozen=True)
class _Move:
    """Moves of V, z and the parameter (log beta or the shift), in this order, and of the logits."""

    unknowns: NDArray[np.float64]
    logits: NDArray[np.float64]

    def times(self, factor: float) -> _Move:
        return _Move(factor * self.unknowns, factor * self.logits)


@dataclass(frozen=True)
class _Plane:
    """The points whose move from ``foot`` is perpendicular to ``tangent``, by the measure of ``weight``."""

    foot: LogitPoint
    tangent: _Move
    weight: NDArray[np.float64]


class _Linearised:
    """The equations around a point, with the logits eliminated.

    Attributes:
        point: where.
        error: how far the point is from a root.
        logit_moves: ``[directions + 1, types, X, A]``; along V, z, the parameter, and to where they belong.
        jacobian: ``[directions, directions - 1]``: of the value's and the statistic's equations.
        gaps: what these lack of 0 once the logits are where they belong.
        softmax: ``[types, X, A]``, without exploration.
    """

    def __init__(self, system: LogitSystem, point: LogitPoint) -> None:
        model, legal, direction = system.model, system.legal, system.direction
        here = Linearisation(model, point.statistic, point.value)
        best = np.eye(model.n_actions)[point.logits.argmax(axis=2)]

        # Adding a number to all logits of a state changes no policy, so they count from the best action's.
        def relative(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray((array - (array * best).sum(axis=-1, keepdims=True)) * legal)

        logits = relative(np.where(legal, point.logits, 0.0))
        self.point = replace(point, logits=np.where(legal, logits, -np.inf))
        policy, self.softmax = system.policy(self.point.logits)
        beta, q = point.rationality, here.q if direction is None else here.q + point.shift * direction
        logit_gap = beta * relative(q) - logits
        value_gap = (policy * q).sum(axis=2) - point.value

        # The logits' own equation, rho = beta Q, tells how far they move when V, z or the parameter does, and
        # so they need no row of the linear system; one more move is that of closing their gap.
        # These arrays, of every direction, are the large ones: they are made in place.
        moves = self.logit_moves = np.empty((len(here.q_moves) + 2, *q.shape))
        along_best = np.einsum("dtxa,txa->dtx", here.q_moves, best)[..., None]
        np.subtract(here.q_moves, along_best, out=moves[:-2])
        moves[:-2] *= beta * legal
        moves[-2] = beta * relative(q if direction is None else direction)
        moves[-1] = logit_gap
        # d softmax = softmax (d rho - its mean under softmax); exploration does not move.
        policy_moves = moves - np.einsum("dtxa,txa->dtx", moves, self.softmax)[..., None]
        policy_moves *= (1 - system.exploration) * self.softmax
        size = point.value.size
        _, statistic_gap, statistic_moves = here.inconsistency(policy, policy_moves, size)
        # V = sum of pi Q: it moves with pi, with Q where V or z moves, and minus one with V itself.
        value_moves = np.einsum("dtxa,txa->dtx", policy_moves, q).reshape(-1, size)
        value_moves[:-2] += np.einsum("dtxa,txa->dtx", here.q_moves, policy).reshape(-1, size)
        value_moves[np.arange(size), np.arange(size)] -= 1.0
        if direction is not None:
            value_moves[-2] += (policy * direction).sum(axis=2).ravel()
        # The last column, of the logits' gap, is what closing it adds to the other equations' gaps.
        equations = np.concatenate([value_moves.T, statistic_moves])
        self.jacobian = equations[:, :-1]
        self.gaps = np.concatenate([value_gap.ravel(), statistic_gap]) + equations[:, -1]
        self.error = max(
            float(np.abs(value_gap).max() / max(float(np.abs(point.value).max()), 1.0)),
            float(np.abs(statistic_gap).max()),
            float(np.abs(logit_gap * self.softmax).max()),
        )
        self._system, self._legal = system, legal

    def newton(self, plane: _Plane | None) -> _Move:
        """Newton's move to the path at this parameter, or in a plane."""
        # One equation is missing, as the parameter is an unknown: that it stays, or that the point comes to
        # lie in the plane (the lack is how far it is off, along the tangent).
        row, lack = np.zeros(len(self.gaps) + 1), 0.0
        if plane is None:
            row[-1] = 1.0
        else:
            row = self._functional(plane)
            foot = np.where(self._legal, plane.foot.logits, 0.0)
            best = np.eye(foot.shape[2])[self.point.logits.argmax(axis=2)]
            foot -= (foot * best).sum(axis=2, keepdims=True)  # logits count from the same action
            off = np.where(self._legal, self.point.logits - foot, 0.0) + self.logit_moves[-1]
            lack = float((plane.weight * plane.tangent.logits * off).sum())
            ahead = self._system.parameter(self.point) - self._system.parameter(plane.foot)
            lack += float(plane.tangent.unknowns[-1]) * ahead
        unknowns = solve_scaled(np.vstack([self.jacobian, row]), -np.append(self.gaps, lack))
        if plane is None:
            unknowns[-1] = 0.0  # but for rounding it is
        return _Move(unknowns, self.logit_moves[-1] + np.tensordot(unknowns, self.logit_moves[:-1], axes=1))

    def tangent(self, before: _Plane | None, direction: float) -> _Plane:
        """The path's direction here, on from that of ``before``; the parameter's, at first."""
        # Along it the equations stay solved; its product with the direction before is 1, so it goes on.
        row = np.zeros(len(self.gaps) + 1)
        if before is None:
            row[-1] = direction
        else:
            row = self._functional(before)
        right = np.append(np.zeros_like(self.gaps), 1.0)
        unknowns = solve_scaled(np.vstack([self.jacobian, row]), right)
        move = _Move(unknowns, np.tensordot(unknowns, self.logit_moves[:-1], axes=1))
        # A length of 1 moves the fastest of the logits that matter by 1, or log beta where none matters.
        speed = max(self.largest(move.times(0.0), move), _STEP_OF_RATIONALITY * abs(float(unknowns[-1])))
        return _Plane(self.point, move.times(1 / speed), self.softmax)

    def _functional(self, plane: _Plane) -> NDArray[np.float64]:
        """How much the directions are along a plane's tangent."""
        row = np.tensordot(self.logit_moves[:-1], plane.weight * plane.tangent.logits, axes=3)
        row[-1] += plane.tangent.unknowns[-1]
        return np.asarray(row)

    def largest(self, reach: _Move, move: _Move) -> float:
        """The largest move of a logit that matters, here or after ``reach``."""
        matters = self._legal & (np.maximum(0.0, reach.logits) + self.point.logits > _MATTERS)
        return float(np.abs(move.logits[matters]).max())

    def moved(self, move: _Move) -> LogitPoint:
        """The point that a move leads to from here."""
        size, shape, by = self.point.value.size, self.point.value.shape, float(move.unknowns[-1])
        along_beta = self._system.direction is None
        return LogitPoint(
            self.point.statistic + move.unknowns[size:-1],
            self.point.value + move.unknowns[:size].reshape(shape),
            np.where(self._legal, self.point.logits + move.logits, -np.inf),
            float(self.point.rationality * np.exp(by)) if along_beta else self.point.rationality,
            self.point.shift if along_beta else self.point.shift + by,
        )


def check_derivatives(model: FiniteMeanFieldModel) -> None:
    """Refuse a model for whose paths of logit equilibria there is no memory.

    Raises:
        ConfigError: naming how much they would take.
    """
    shape = (model.n_types, model.n_states, model.n_actions)
    unknowns = model.n_types * model.n_states + model.initial_statistic.size
    size = 8 * _ARRAYS * unknowns * math.prod(shape)
    if size > _MOST_BYTES:
        raise refusal(
            "model",
            "{} types, {} states and {} actions".format(*shape),
            f"one whose derivatives along {unknowns} unknowns take {_MOST_BYTES / 2**30:g} GiB at most; "
            f"these take {size / 2**30:.1f}; prior_descent and fictitious_play are methods without",
        )


class LogitSystem:
    """The equations of logit equilibria, Newton's method on them, and their paths.

    Args:
        model: the mean-field model.
        exploration: epsilon; the population plays (1 - epsilon) softmax + epsilon uniform.
        direction: ``float64[types, X, A]``, in units of payoff: paths lead along shifts of the payoffs
            in this direction, at one beta; None: along beta.

    Attributes:
        model: the mean-field model.
        exploration: epsilon.
        direction: as given, 0 where illegal.
        legal: ``bool[types, X, A]``.
    """

    def __init__(
        self,
        model: FiniteMeanFieldModel,
        exploration: float = 0.0,
        direction: NDArray[np.float64] | None = None,
    ) -> None:
        check_derivatives(model)
        self.model, self.exploration = model, exploration
        shape = (model.n_types, model.n_states, model.n_actions)
        self.legal = np.broadcast_to(model.legal_actions, shape)
        self._uniform = uniform_over(self.legal)
        self.direction = None if direction is None else np.where(self.legal, direction, 0.0)

    def parameter(self, point: LogitPoint) -> float:
        """What moves along a path besides the unknowns: log beta, or the shift."""
        return float(np.log(point.rationality)) if self.direction is None else point.shift

    def start(self) -> LogitPoint:
        """The point of the uniform policy, the solution for beta = 0."""
        logits = np.where(self.legal, 0.0, -np.inf)
        policy, _ = self.policy(logits)
        field = self.model.population_at_rest(policy)
        value = policy_value(self.model, field.problem, policy)
        return LogitPoint(field.statistic, value, logits, 0.0)

    def policy(self, logits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The policy that is played at some logits, and its part without exploration, softmax(logits)."""
        chosen = softmax(logits)
        return (1 - self.exploration) * chosen + self.exploration * self._uniform, chosen

    def solve(
        self, point: LogitPoint, rationality: float, tolerance: float = _ACCURATE, most_steps: int = 14
    ) -> LogitPoint | None:
        """The logit equilibrium at ``rationality`` near a point; None where Newton's method fails."""
        reached, _ = self._newton(replace(point, rationality=rationality), None, tolerance, most_steps)
        return None if reached is None else reached.point

    def path(
        self,
        first: LogitPoint,
        *,
        until: float = np.inf,
        direction: float = 1.0,
        most_points: int = 400,
        longest_step: float = LONGEST_STEP,
    ) -> Iterator[LogitPoint]:
        """Follow the path of logit equilibria from one of them.

        Args:
            first: a logit equilibrium, at beta > 0; not among the points given.
            until: beta to end at, which the last point has unless the path is lost before.
            direction: 1 to begin with a rising beta (or shift), -1 with a falling one.
            most_points: to give at most.
            longest_step: see :data:`LONGEST_STEP`.

        Yields:
            points on the path in order; it ends early where it cannot be followed.
        """
        here = _Linearised(self, first)
        plane = here.tangent(None, direction)
        length = min(_FIRST_STEP, longest_step)
        for _ in range(most_points):
            # Predict along the tangent, correct by Newton's method; on failure try again a third as far.
            following, newton_steps, arrives = None, 0, False
            while following is None:
                if length < _SHORTEST_STEP:
                    return
                ahead = here.moved(plane.tangent.times(length))
                arrives = ahead.rationality >= until and self.direction is None
                goal = replace(ahead, rationality=until) if arrives else ahead
                across = None if arrives else replace(plane, foot=ahead)
                following, newton_steps = self._newton(goal, across, _ACCURATE if arrives else _NEAR_PATH, 12)
                length = length if following is not None else length / 3
            yield following.point
            if arrives:
                return
            plane, here = following.tangent(plane, direction), following
            # Where the path bends little, the correction takes few steps, and the next may be longer.
            if newton_steps <= 2:
                length = min(1.5 * length, longest_step)
            elif newton_steps >= 5:
                length /= 1.5

    def _newton(
        self, point: LogitPoint, plane: _Plane | None, tolerance: float, most_steps: int
    ) -> tuple[_Linearised | None, int]:
        """A root near a point, at its beta or in a plane, and the steps taken; None if they fail."""
        for step in range(most_steps + 1):
            here = _Linearised(self, point)
            rounding = _ROUNDING * point.rationality * float(np.abs(point.value).max())
            if here.error <= max(tolerance, rounding):
                return here, step
            move = here.newton(plane)
            if not (np.isfinite(move.logits).all() and np.isfinite(move.unknowns).all()):
                return None, step
            # Damped, as the exponential is far from its linearisation where logits move by more.
            length = min(1.0, _MOST_LOGIT_MOVE / max(here.largest(move, move), 1e-300))
            length = min(length, _MOST_LOG_RATIONALITY_MOVE / max(abs(float(move.unknowns[-1])), 1e-300))
            point = here.moved(move.times(length))
        return None, most_steps
