"""Attempts at further equilibria of a model, along paths of logit equilibria.

Where a model has several equilibria, so do most of its neighbours, and their logit equilibria lie on
paths. A path that comes from high beta and returns to high beta joins two equilibria. And the path
of logit equilibria of one beta along a shift of the payoffs, theta times a random direction, meets
theta = 0 as often as it turns back: each time in a logit equilibrium of the model itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agents.solvers.continuation.exact import exact_near
from agents.solvers.continuation.quantal_response import LogitPoint, LogitSystem
from agents.solvers.equilibrium import Assessment, assess
from agents.solvers.first_order.fictitious_play import fictitious_play
from agents.solvers.first_order.iteration import logit_policy
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values

_SPREADS = (1.0, 3.0, 10.0)  # of random logits: from nearly uniform to nearly pure policies
_ITERATIONS = (50, 200, 600)  # of fictitious play: from nearly as random to nearly an equilibrium
# Rationalities are per greatest payoff, max|r| / (1 - gamma).
_FIRST_RATIONALITY = 5.0
_ONE_PATH = 2.5e4  # a path that falls to this beta is taken for the one from 0
_FIRST_ATTEMPT, _NEXT_ATTEMPT = 2.5e5, 4.0  # at an exact equilibrium: beta, and the factor to the next
_LAST_RATIONALITY = 2.5e10
_KEPT = (1.25e5, 5e6)  # beta of points from which payoffs are shifted: several equilibria, short paths
_FROM_POLICY = (4.9, 5.9)  # log10 of beta of the path that is met from a policy
_FARTHEST_SHIFT = 0.2  # of the range of rewards
_MOST_POINTS = 100  # on a path along shifts
_SAME = 1e-5  # two statistics this near are one logit equilibrium


@dataclass(frozen=True)
class Branch:
    """An equilibrium, and logit equilibria on the path that leads to it."""

    equilibrium: Assessment
    points: tuple[LogitPoint, ...]


class Explorer:
    """Looks for equilibria of one model, an attempt at a time.

    Args:
        model: the mean-field model, with rewards in units of the greatest one.
        tolerance: normalised exploitability that counts as an equilibrium.
    """

    def __init__(self, model: FiniteMeanFieldModel, tolerance: float) -> None:
        self._model, self._tolerance = model, tolerance
        self._system = LogitSystem(model)
        self._per_payoff = 1.0 / model.discounted_length

    def from_uniform(self) -> list[Branch]:
        """The equilibrium that the homotopy leads to."""
        first = self._system.solve(self._system.start(), _FIRST_RATIONALITY * self._per_payoff)
        return [] if first is None else self._ends(first, (1.0,))

    def from_policy(self, rng: np.random.Generator) -> list[Branch]:
        """The ends of the path nearest to what fictitious play makes of a random policy."""
        model = self._model
        rows = model.n_states if rng.random() < 0.5 else 1  # or alike in all states
        logits = rng.normal(size=(model.n_types, rows, model.n_actions)) * rng.choice(_SPREADS)
        near = fictitious_play(
            model,
            tolerance=10 ** rng.uniform(-4, -2),
            power=rng.uniform(0.6, 0.9),
            iterations=int(rng.choice(_ITERATIONS)),
            start=logit_policy(model, logits),
        )
        q = q_values(model, model.decision_problem(near.statistic), near.value)
        highest = self._per_payoff * 10 ** rng.uniform(*_FROM_POLICY)
        for rationality in (highest, highest / 3, highest / 9):
            guess = LogitPoint(
                near.statistic, near.value, rationality * (q - q.max(axis=2, keepdims=True)), rationality
            )
            point = self._system.solve(guess, rationality, most_steps=25)
            if point is not None:
                return self._ends(point)
        return []

    def around(self, branch: Branch, rng: np.random.Generator) -> list[Branch]:
        """The ends of the paths that are met by shifting payoffs, from a branch, and back."""
        if not branch.points:
            return []
        model = self._model
        first = branch.points[rng.integers(len(branch.points))]
        rows = model.n_states if rng.random() < 0.5 else 1  # or alike in all states
        direction = rng.normal(size=(model.n_types, rows, model.n_actions))
        direction /= np.abs(direction).max()
        direction *= _FARTHEST_SHIFT * float(np.ptp(model.decision_problem(first.statistic).reward))
        shifted = LogitSystem(model, direction=np.broadcast_to(direction, self._system.legal.shape))
        met = [first.statistic]
        branches: list[Branch] = []
        for sense in (1.0, -1.0):
            path = shifted.path(first, direction=sense, most_points=_MOST_POINTS)
            for crossing in self._unshifted(path):
                if min(float(np.abs(one - crossing.statistic).max()) for one in met) > _SAME:
                    met.append(crossing.statistic)
                    branches += self._ends(crossing)
        return branches

    def _unshifted(self, path: Iterable[LogitPoint]) -> Iterator[LogitPoint]:
        """Where a path along shifts comes back to none, while the shift is less than 1."""
        for one, other in pairwise(path):
            if one.shift * other.shift < 0:
                nearer = min(one, other, key=lambda point: abs(point.shift))
                point = self._system.solve(nearer, nearer.rationality)
                if point is not None:
                    yield point
            if abs(other.shift) > 1:
                return

    def _ends(self, point: LogitPoint, directions: tuple[float, ...] = (1.0, -1.0)) -> list[Branch]:
        """The equilibria at the ends of a logit equilibrium's path."""
        ends = (self._end(point, direction) for direction in directions)
        return [end for end in ends if end is not None]

    def _end(self, first: LogitPoint, direction: float) -> Branch | None:
        """The equilibrium that a path leads to in one direction; None if it leads back to beta = 0."""
        per_payoff = self._per_payoff

        def is_kept(point: LogitPoint) -> bool:
            return _KEPT[0] * per_payoff <= point.rationality <= _KEPT[1] * per_payoff

        points = [first] if is_kept(first) else []
        next_attempt, before = _FIRST_ATTEMPT * per_payoff, first.rationality
        last = _LAST_RATIONALITY * per_payoff
        for point in self._system.path(first, until=last, direction=direction):
            rises, before = point.rationality > before, point.rationality
            if not rises and point.rationality < _ONE_PATH * per_payoff:
                return None
            if is_kept(point):
                points.append(point)
            if rises and point.rationality >= next_attempt:
                next_attempt = _NEXT_ATTEMPT * point.rationality
                here = assess(self._model, self._played(point))
                exact = exact_near(self._model, point, here, self._tolerance)
                if exact is not None:
                    return Branch(exact, tuple(points))
        return None

    def _played(self, point: LogitPoint) -> NDArray[np.float64]:
        return self._system.policy(point.logits)[0]
