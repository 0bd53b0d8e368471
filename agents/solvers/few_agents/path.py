"""The path of logit equilibria of a game of N agents, followed by its length.

A policy is a logit equilibrium of rationality beta if agents play softmax(beta Q) with Q(x, a) what an action
is worth to one that sees its own state x while all play so (:mod:`agents.solvers.few_agents.own_states`).
With D what Q falls short of the best action of each state, that is a root of

    F(D, beta) = D(softmax(beta D)) - D.

The roots lead to a Nash equilibrium as beta grows, by way of turns where beta falls for a while. So the path
is followed in D and log beta: a point is guessed from the last two, and sought in the plane orthogonal to
them. Plain steps D + F/2 lead away from roots of a great beta, as play cycles; Anderson acceleration
(:mod:`karma_envs.numerics.anderson`) finds them, with one evaluation of the game a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.solvers.few_agents.own_states import OwnStates, Watch
from karma_envs.joint import JointModel
from karma_envs.numerics.anderson import Anderson
from karma_envs.numerics.sampling import softmax

_LOWER, _LOWEST = 0.3, 10.0  # of log beta, in steps and in all, where no path begins at the first one
_AT_RANDOM = -0.2  # log beta of play nearly at random: a path that falls there has led back to it
_FIRST_LENGTH, _SECOND, _LONGEST, _SHORTEST = 0.2, 0.1, 1.0, 1e-4  # of steps along a path
_FEW, _MANY, _TOO_MANY = 20, 35, 60  # evaluations of a point: the next step is longer, shorter, half of it
_LONGER, _SHORTER = 1.4, 0.7
_LEAST_RISE = 1e-6  # of log beta, for the unit of D
_MEMORY, _SINGULAR = 40, 1e-7
_DAMPING = 0.5  # of F in plain steps
_IN_PLANE = 1e-3
_SELDOM = 1e-4  # weight of states that agents are never in
_RARE = 1e-6  # a probability
_NOT_ENOUGH = "the evaluations were not enough"


class _Care(NamedTuple):
    """How carefully a path is followed.

    Attributes:
        lower: of log beta, where it begins below the first rationality; above it if negative.
        longest: steps along it.
        still: change of the policy at a root, summed over actions, on average over agents.
        farthest: a root is from its guess, over the length of the step; one that is farther off is one of
            another part of the path, or of another path.
    """

    lower: float
    longest: float
    still: float
    farthest: float


_CARES = (
    _Care(0.0, _LONGEST, 0.005, np.inf),
    _Care(0.0, _LONGEST, 0.001, 1.0),
    _Care(0.4, _LONGEST, 0.005, np.inf),
    _Care(-0.4, _LONGEST, 0.005, np.inf),
    _Care(-0.7, _LONGEST, 0.005, np.inf),
    _Care(1.2, _LONGEST, 0.001, 1.0),
    _Care(2.4, 0.5, 0.0003, 1.0),
)
"""Of the paths that are followed one after the other, as each is lost or has had its share of evaluations.

Careless ones take less time, and now and then step over a turn that the careful ones are lost at.
"""


class Point(NamedTuple):
    """A logit equilibrium, nearly.

    Attributes:
        shortfall: D of legal actions, over the greatest reward, ``float64[kinds * legal]``.
        log_rationality: log beta, per greatest reward.
        seen: the policy, as agents see it.
    """

    shortfall: NDArray[np.float64]
    log_rationality: float
    seen: OwnStates


class _Plane(NamedTuple):
    """Where a point is sought, in scaled numbers: D times ``scale``, then log beta.

    Attributes:
        through: a point in it, the guess, ``float64[kinds * legal + 1]``.
        normal: of length 1.
        scale: ``float64[kinds * legal]``: by how often agents are in a state, and so that D moves along the
            path about as far as log beta.
    """

    through: NDArray[np.float64]
    normal: NDArray[np.float64]
    scale: NDArray[np.float64]


class LogitPath:
    """Walks along logit equilibria.

    Args:
        model: the game, exactly.
        unit: its greatest reward.
        evaluations: how many policies may be evaluated.

    Attributes:
        reason: why the walk ended.
    """

    def __init__(self, model: JointModel, unit: float, evaluations: int) -> None:
        self._watch, self._legal, self._unit = Watch(model), model.legal_actions, unit
        self._left = evaluations
        self.reason = ""

    def walk(self, policy: NDArray[np.float64], first: float) -> Iterator[OwnStates]:
        """The policy to begin with, ``[kinds, X, A]``, and then the path's from a rationality on.

        A path that is lost, or leads back to play at random, is followed again with another care, and from
        another rationality on.
        """
        start = self._see(policy)
        yield start
        each = self._left / len(_CARES)
        for number, care in enumerate(_CARES, 1):
            last = self._left - each if number < len(_CARES) else 0.0
            yield from self._path(start, float(np.log(first)) - care.lower, care, last)
        if self._left <= 0:
            self.reason = _NOT_ENOUGH

    def _path(
        self, start: OwnStates, log_rationality: float, care: _Care, last: float
    ) -> Iterator[OwnStates]:
        """The points of one path, until so many evaluations are left."""
        lowest = log_rationality - _LOWEST
        before = second = None
        while before is None and log_rationality > lowest and self._left > 0:
            before, _ = self._root(self._level(start, self._shortfall(start), log_rationality), care.still)
            log_rationality -= _LOWER
        if before is not None:
            yield before.seen
            level = self._level(before.seen, before.shortfall, before.log_rationality + _SECOND)
            second, _ = self._root(level, care.still)
        if before is None or second is None:
            self.reason = "no logit equilibrium was come to"
            return
        yield second.seen
        at, length = second, _FIRST_LENGTH
        back = min(_AT_RANDOM, before.log_rationality - _LONGEST)
        while self._left > last:
            following, steps = self._root(self._ahead(before, at, length), care.still, care.farthest * length)
            if following is None:
                length /= 2
                if length < _SHORTEST:
                    rationality = np.exp(at.log_rationality)
                    self.reason = (
                        f"the path of logit equilibria was lost at rationality {rationality:.4g} "
                        "per greatest reward"
                    )
                    return
                continue
            before, at = at, following
            if at.log_rationality < back and np.isfinite(care.farthest):
                self.reason = "the path of logit equilibria led back to play at random"
                return
            if steps < _FEW:
                length = min(_LONGER * length, care.longest)
            elif steps > _MANY:
                length *= _SHORTER
            yield at.seen

    def _see(self, policy: NDArray[np.float64]) -> OwnStates:
        self._left -= 1
        return self._watch.own_states(policy)

    def _shortfall(self, seen: OwnStates) -> NDArray[np.float64]:
        return np.asarray((seen.q - seen.q.max(axis=2, keepdims=True))[:, self._legal].ravel() / self._unit)

    def _play(self, shortfall: NDArray[np.float64], log_rationality: float) -> NDArray[np.float64]:
        """softmax(beta D), without what is hardly ever played: a step of the game takes time by what is."""
        q = np.full((len(shortfall) // int(self._legal.sum()), *self._legal.shape), -np.inf)
        q[:, self._legal] = np.exp(log_rationality) * shortfall.reshape(len(q), -1)
        policy = softmax(q)
        often = np.where(policy < _RARE, 0.0, policy)
        return np.asarray(often / often.sum(axis=2, keepdims=True))

    def _presence(self, seen: OwnStates) -> NDArray[np.float64]:
        """How much a difference in D counts: by the root of how often agents are in its state."""
        weights = np.sqrt(seen.mean_field + _SELDOM)[..., None]
        return np.asarray(np.broadcast_to(weights, seen.q.shape)[:, self._legal].ravel())

    def _level(self, seen: OwnStates, shortfall: NDArray[np.float64], log_rationality: float) -> _Plane:
        """Points of one rationality, about a guess."""
        scale = self._presence(seen)
        normal = np.append(np.zeros_like(scale), 1.0)
        return _Plane(np.append(scale * shortfall, log_rationality), normal, scale)

    def _ahead(self, before: Point, at: Point, length: float) -> _Plane:
        """Points a length ahead of the last one in the direction that led to it, also where beta falls."""
        scale = self._presence(at.seen)
        rise = at.log_rationality - before.log_rationality
        moved = scale * (at.shortfall - before.shortfall)
        unit = float(np.linalg.norm(moved)) / max(abs(rise), _LEAST_RISE)
        scale = scale / (unit or 1.0)
        direction = np.append(scale * (at.shortfall - before.shortfall), rise)
        direction /= np.linalg.norm(direction)
        place = np.append(scale * at.shortfall, at.log_rationality)
        return _Plane(place + length * direction, direction, scale)

    def _root(self, plane: _Plane, still: float, farthest: float = np.inf) -> tuple[Point | None, int]:
        """The point of the path in a plane, None where none is come to, and after how many evaluations.

        Args:
            plane: with the guess.
            still: see :class:`_Care`.
            farthest: from the guess.
        """
        mixing, place = Anderson(_MEMORY, _SINGULAR), plane.through
        lowest, highest = plane.through[-1] - 2 * _LONGEST, plane.through[-1] + 2 * _LONGEST
        for steps in range(_TOO_MANY):
            if self._left <= 0 or not lowest <= place[-1] <= highest:
                return None, steps
            shortfall, log_rationality = place[:-1] / plane.scale, float(place[-1])
            seen = self._see(self._play(shortfall, log_rationality))
            response = self._shortfall(seen)
            beside = float(plane.normal @ (place - plane.through))
            change = np.abs(self._play(response, log_rationality) - seen.policy).sum(axis=2)
            if abs(beside) < _IN_PLANE and self._mean(seen, change) < still:
                off = float(np.linalg.norm(place - plane.through))
                return Point(shortfall, log_rationality, seen) if off <= farthest else None, steps
            residual = np.append(_DAMPING * plane.scale * (response - shortfall), -beside)
            place = mixing.step(place, residual)
        return None, _TOO_MANY

    @staticmethod
    def _mean(seen: OwnStates, of_state: NDArray[np.float64]) -> float:
        return float(seen.masses @ (seen.mean_field * of_state).sum(axis=1))
