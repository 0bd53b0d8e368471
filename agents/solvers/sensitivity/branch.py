"""How far a derivative holds: where actions come and go, and where the branch of equilibria turns.

A Nash equilibrium moves smoothly with a parameter as long as the same actions are played. To first order the
probabilities of these, and what the others cost, Q - V, move in a straight line, which tells where the first
of them becomes 0. There the branch has a kink: it goes on with another derivative, or it turns back, so that
on the far side there is no equilibrium nearby. Which of the two is told by how the equations react: an
action that becomes a best reply is taken up where more of it makes it less of one.

Smoothly a branch turns where the derivative of the equations is singular (a fold). Its smallest singular
value sigma falls there as the square root of the distance (Lyapunov and Schmidt's reduction to one unknown),
so that it is at half the distance at which sigma, followed in a straight line, would be 0. Near a fold the
equilibrium moves in the direction in which the equations respond least; where it does not, none is foreseen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.solvers.sensitivity.equations import Equations, NashEquations, Setting
from agents.solvers.sensitivity.population import Population
from karma_envs.mean_field import FiniteMeanFieldModel

RARE = 1e-6
"""A state with at most this share of its type moves nothing that is worth mentioning."""

_ROUNDING = 1e-11
_ANY_MORE = 1e-6  # of an action that comes
_SINGULAR = 1e-9  # a singular value that is 0 but for differences, over the greatest
_INCONSISTENT = 1e-6
_ALIGNED = 0.9  # cosine between a move towards a fold and the weakest direction
_WIDTH = 1e-4  # of differences of the equations along their weakest direction


Action = tuple[int, int, int]
"""A type, a state and an action, by number."""


@dataclass(frozen=True)
class End:
    """Where a branch has a kink.

    Attributes:
        value: of the parameter, to first order; infinite where none is foreseen.
        event: which action comes or goes, in words; empty where none does.
        turns: whether the branch turns back there.
    """

    value: float
    event: str = ""
    turns: bool = False


@dataclass(frozen=True)
class Branch:
    """How far the branch of an equilibrium goes on as it is, along one parameter.

    Attributes:
        low: the next kink below.
        high: the next kink above.
        fold: where the branch turns smoothly, to first order, at the nearest; infinite where nowhere. It
            says something only of a fold between ``low`` and ``high``.
    """

    low: End
    high: End
    fold: float

    def contains(self, value: float) -> bool:
        """Whether the branch goes on as it is until a value of the parameter."""
        return self.low.value <= value <= self.high.value

    @property
    def turns_inside(self) -> bool:
        """Whether a fold comes before the next kink."""
        return bool(np.isfinite(self.fold)) and self.contains(self.fold)


class System:
    """The linear system dF/du of an equilibrium, solved by its singular values.

    Args:
        jacobian: ``float64[n, n]``.

    Attributes:
        condition: the greatest over the least singular value that is not 0 but for rounding, rows and columns
            brought to one scale.
        free: ``float64[k, n]``, directions of u in which F does not move: where there are any, the
            equilibrium is one of a continuum.
    """

    def __init__(self, jacobian: NDArray[np.float64]) -> None:
        rows = np.abs(jacobian).max(axis=1)
        self._rows = np.where(rows > 0, rows, 1.0)
        columns = np.abs(jacobian / self._rows[:, None]).max(axis=0)
        self._columns = np.where(columns > 0, columns, 1.0)
        left, self._sigma, right = np.linalg.svd(jacobian / self._rows[:, None] / self._columns)
        self._left, self._right = left, right.T
        self._rank = int((self._sigma > _SINGULAR * self._sigma[0]).sum())
        self.condition = float(self._sigma[0] / self._sigma[self._rank - 1])
        self.free = np.asarray((self._right[:, self._rank :] / self._columns[:, None]).T)

    def solve(self, right_side: NDArray[np.float64]) -> NDArray[np.float64]:
        """u with J u = ``right_side[n]``, if any; of a continuum of them the one that is nearest to 0."""
        parts = self._left[:, : self._rank].T @ (right_side / self._rows) / self._sigma[: self._rank]
        return np.asarray(self._right[:, : self._rank] @ parts / self._columns)

    def has_solution(self, right_side: NDArray[np.float64]) -> bool:
        """Whether there is a u with J u = ``right_side[n]``, which at a fold there is not."""
        parts = np.abs(self._left.T @ (right_side / self._rows))
        return bool(parts[self._rank :].max(initial=0.0) <= _INCONSISTENT * parts.max())

    @property
    def weakest(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The direction of u that moves F least, and what F is measured by: they respond by sigma."""
        return self._right[:, -1] / self._columns, self._left[:, -1] / self._rows

    def scaled(self, unknowns: NDArray[np.float64]) -> NDArray[np.float64]:
        """u in units in which its entries weigh alike."""
        return unknowns * self._columns


def costs_of(population: Population) -> NDArray[np.float64]:
    """V - Q of legal actions, what taking one costs; 0 of others, ``float64[types, X, A]``."""
    return np.where(population.model.legal_actions, population.value[..., None] - population.q, 0.0)


class Kinks:
    """Where the support of a Nash equilibrium changes next.

    Args:
        equations: of the equilibrium.
        system: their derivative.
    """

    def __init__(self, equations: NashEquations, system: System) -> None:
        self._equations, self._system = equations, system
        population, free = equations.equilibrium, equations.free
        matters = (population.mean_field > RARE)[..., None]
        self._watched = matters & (free | (~equations.support & population.model.legal_actions))
        slack = np.where(free, population.policy, costs_of(population))
        # A slack of rounding counts as none: the equilibrium is at a kink, its derivative that of one side.
        unit = np.where(free, 1.0, np.abs(population.value[..., None]).max())
        self._slack = np.where(slack < _ROUNDING * unit, 0.0, slack)
        self._turns: dict[Action, bool] = {}

    def around(
        self, value: float, policy: NDArray[np.float64], costs: NDArray[np.float64]
    ) -> tuple[End, End]:
        """The next kinks below and above a parameter's value.

        Args:
            value: of the parameter.
            policy: d pi/dp, ``float64[types, X, A]``.
            costs: d (V - Q)/dp, ``float64[types, X, A]``.
        """
        speed = np.where(self._equations.free, policy, costs)
        return self._next(value, speed, -1.0), self._next(value, speed, 1.0)

    def _next(self, value: float, speed: NDArray[np.float64], side: float) -> End:
        closing = self._watched & (side * speed < 0)
        if not closing.any():
            return End(side * np.inf)
        distance = np.where(closing, self._slack / np.where(closing, -side * speed, 1.0), np.inf)
        kind, state, number = (int(each) for each in np.unravel_index(distance.argmin(), distance.shape))
        action = kind, state, number
        if action not in self._turns:
            self._turns[action] = self._turns_at(action)
        goes = bool(self._equations.free[action])
        event = _event(self._equations.equilibrium.model, action, comes=not goes)
        return End(value + side * float(distance[action]), event, self._turns[action])

    def _turns_at(self, action: Action) -> bool:
        """Whether the branch turns back where an action comes or goes."""
        equations, system = self._equations, self._system
        if equations.free[action]:
            # Beyond, it is not played and costs c > 0: its equation is Q - V = -c. On a branch that goes on
            # this cost brings the probability, which the parameter takes below 0, back to 0.
            lack = np.zeros(len(equations.unknowns))
            lack[equations.row_of(action)] = -1.0
            number = int(equations.free.ravel()[: np.ravel_multi_index(action, equations.free.shape)].sum())
            return bool(system.solve(lack)[equations.first_probability + number] <= 0)
        # It comes: on a branch that goes on, more of it at the expense of the favourite makes it cost more.
        kind, state, _ = action
        besides = np.zeros(equations.free.shape)
        besides[action] = 1.0
        besides[kind, state, equations.equilibrium.policy[kind, state].argmax()] -= 1.0
        besides *= _ANY_MORE
        setting, unknowns = equations.setting, equations.unknowns
        lack = equations.residual(setting, equations.population(setting, unknowns, besides))
        end = equations.population(setting, unknowns - system.solve(lack), besides)
        return bool(costs_of(end)[action] <= costs_of(equations.equilibrium)[action])


class Folds:
    """Where a branch turns smoothly.

    Args:
        equations: of the equilibrium.
        jacobian: dF/du, ``float64[n, n]``.
    """

    def __init__(self, equations: Equations, jacobian: NDArray[np.float64]) -> None:
        self._equations = equations
        rows, columns = equations.value_rows, equations.value_columns
        other_rows = np.setdiff1d(np.arange(len(jacobian)), rows)
        other_columns = np.setdiff1d(np.arange(len(jacobian)), columns)
        # Given what agents face and do, V is a linear matter that has nothing to do with folds, and nearly
        # singular for discounts near 1. So it is eliminated: what is left is the Schur complement.
        block = jacobian[np.ix_(rows, columns)]
        values = np.linalg.solve(block, jacobian[np.ix_(rows, other_columns)])
        measures = np.linalg.solve(block.T, jacobian[np.ix_(other_rows, columns)].T)
        system = System(
            jacobian[np.ix_(other_rows, other_columns)] - jacobian[np.ix_(other_rows, columns)] @ values
        )
        weakest, measure = system.weakest
        self._direction, self._measure = np.zeros((2, len(jacobian)))
        self._direction[other_columns], self._direction[columns] = weakest, -values @ weakest
        self._measure[other_rows], self._measure[rows] = measure, -measures @ measure
        self._direction *= _WIDTH / max(float(np.abs(weakest).max()), 1e-300)
        self._weakest, self._columns, self._system = system.scaled(weakest), other_columns, system
        population = equations.population(equations.setting, equations.unknowns)
        here = equations.residual(equations.setting, population)
        below, self._forward = (
            self._response(equations.setting, equations.unknowns, here, side) for side in (-1.0, 1.0)
        )
        self._sigma = self._forward - below  # of central differences

    def along(
        self,
        value: float,
        move: NDArray[np.float64],
        setting: Setting,
        step: float,
        ahead: Population,
    ) -> float:
        """Where the branch turns, to first order; infinite where it does not.

        Args:
            value: of the parameter.
            move: du/dp, ``float64[n]``.
            setting: with the parameter moved by ``step``.
            step: may be negative.
            ahead: the population where u has moved with the parameter by ``step``.
        """
        along = self._system.scaled(move[self._columns])
        if len(self._system.free) or abs(along @ self._weakest) < _ALIGNED * np.linalg.norm(along):
            return np.inf
        # The bend of F along the direction is the same here and a step ahead: it leaves the speed as it is.
        unknowns, lack = self._equations.unknowns + step * move, self._equations.residual(setting, ahead)
        moved = self._response(setting, unknowns, lack, 1.0)
        speed = 2 * (moved - self._forward) / step
        return value - self._sigma / speed / 2 if speed else np.inf

    def _response(
        self,
        setting: Setting,
        unknowns: NDArray[np.float64],
        residual: NDArray[np.float64],
        side: float,
    ) -> float:
        """How much F moves in the direction that moves it least, to one side: sigma, but for a factor."""
        there = self._equations.population(setting, unknowns + side * self._direction)
        return float(self._measure @ (self._equations.residual(setting, there) - residual))


def _event(model: FiniteMeanFieldModel, action: Action, *, comes: bool) -> str:
    """What happens to an action, in words."""
    kind, state, number = action
    where = [f"type {kind}"] if model.n_types > 1 else []
    places = np.unravel_index(state, [len(axis.values) for axis in model.axes])
    where += [f"{axis.name} {_said(axis.values[place])}" for axis, place in zip(model.axes, places)]
    features = [f"{name} {_said(worth[number])}" for name, worth in model.action_features.items()]
    what = ", ".join(features) or f"action {number}"
    return f"{', '.join(where)}: {what} {'becomes a best reply' if comes else 'is played no more'}"


def _said(value: object) -> str:
    """A value in words: 5 for 5.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)
