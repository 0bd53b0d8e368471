"""A population of which a part has a policy of its own: outsiders and members of a coalition.

Of each type of a game a share m are members. They are types of their own: a model of T types becomes one of
2 T, the outsiders first. Both make the statistic z, through the flow of the whole population

    mu(x) pi(a | x) = (1 - m) mu_o(x) pi_o(a | x) + m mu_c(x) pi_c(a | x),

and both face the same decision problem in it, so that members are told apart by nobody, nor by each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import real
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel, ProblemMoves
from karma_envs.meaning import Meaning

_TINY = 1e-300  # a mass of a state in which nobody is


def both(array: NDArray[np.float64], axis: int) -> list[NDArray[np.float64]]:
    """What an array over 2 T types says of outsiders, and of members."""
    return np.split(array, 2, axis=axis)


@dataclass(frozen=True)
class SharedProblem(DecisionProblem):
    """What outsiders and members face: the same problem.

    Attributes:
        reward: ``float64[2 T, X, A]``.
        kernel: of ``one``, as it stores it.
        one: the problem of the T types.
    """

    one: DecisionProblem

    @classmethod
    def of(cls, one: DecisionProblem) -> SharedProblem:
        """Twice the same problem."""
        return cls(np.concatenate([one.reward, one.reward]), one.kernel, one)

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return np.concatenate([self.one.following(half) for half in both(value, -2)], axis=-3)

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return np.concatenate([self.one.pushed(half) for half in both(flow, -3)], axis=-2)

    def dense(self, *, anew: bool) -> NDArray[np.float64]:
        """See the base."""
        dense = self.one.dense(anew=anew)
        return np.concatenate([dense, dense])

    def chain(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return np.concatenate([self.one.chain(half) for half in both(policy, 0)])

    def at_rest(
        self, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """See the base."""
        starts = [None, None] if start is None else both(start, 0)
        return np.concatenate([self.one.at_rest(*each) for each in zip(both(policy, 0), starts)])

    def entry(self, mean_field: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return np.concatenate([self.one.entry(half) for half in both(mean_field, 0)])

    def in_unit(self, unit: float) -> SharedProblem:
        """See the base."""
        return SharedProblem.of(self.one.in_unit(unit))

    def policy_value(
        self, discounts: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See the base."""
        halves = zip(both(discounts, 0), both(policy, 0))
        return np.concatenate([self.one.policy_value(*each) for each in halves])

    def best_response(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        start: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See the base."""
        starts = [None, None] if start is None else both(start, 0)
        (outsiders, outside), (members, inside) = (
            self.one.best_response(gamma, legal_actions, first)
            for gamma, first in zip(both(discounts, 0), starts)
        )
        return np.concatenate([outsiders, members]), np.concatenate([outside, inside])


@dataclass(frozen=True)
class SharedMoves(ProblemMoves):
    """Derivatives of a :class:`SharedProblem`: twice those of the problem that is shared.

    Attributes:
        reward: ``float64[Z, 2 T, X, A]``.
        one: derivatives of the problem of the T types.
    """

    one: ProblemMoves

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return np.concatenate([self.one.following(half) for half in both(value, 0)], axis=1)

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return np.concatenate([self.one.pushed(half) for half in both(flow, 0)], axis=1)


class CoalitionModel(FiniteMeanFieldModel):
    """A mean-field model of T types in which some agents of each type are members of a coalition.

    Args:
        model: of the game, of T types.
        mass: m, the share of each type that are members, in [0, 1].

    Attributes:
        model: of the game.
        mass: m.

    Raises:
        ConfigError: for a mass out of range.
    """

    def __init__(self, model: FiniteMeanFieldModel, mass: float) -> None:
        self.model, self.mass = model, real("mass", mass, 0, 1)
        self.masses = np.concatenate([(1 - self.mass) * model.masses, self.mass * model.masses])
        self.discounts = np.tile(model.discounts, 2)
        self.legal_actions, self.length = model.legal_actions, model.length
        self.initial_mean_field = np.tile(model.initial_mean_field, (2, 1))

    @property
    def members(self) -> NDArray[np.bool_]:
        """``bool[2 T]``: which types are of members."""
        return np.arange(self.n_types) >= self.n_types // 2

    @property
    def discounted_length(self) -> float:
        """That of the game's model."""
        return self.model.discounted_length

    @property
    def meaning(self) -> Meaning:
        """That of the game's model."""
        return self.model.meaning

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Those of the game's model."""
        return self.model.axes

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """Those of the game's model."""
        return self.model.action_features

    def whole(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean field of outsiders and members together, ``[T, X]``, and what they play on average.

        Args:
            mean_field: ``float64[2 T, X]``.
            policy: ``float64[2 T, X, A]``.
        """
        (outside, inside), (outsiders, members) = both(mean_field, 0), both(policy, 0)
        field = (1 - self.mass) * outside + self.mass * inside
        share = np.where(field > 0, self.mass * inside / np.maximum(field, _TINY), self.mass)[..., None]
        return field, outsiders + share * (members - outsiders)

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """z of the whole population."""
        return self.model.statistic(*self.whole(mean_field, policy))

    def decision_problem(self, statistic: NDArray[np.float64]) -> SharedProblem:
        """What outsiders and members face alike."""
        return SharedProblem.of(self.model.decision_problem(statistic))

    def problem_moves(self, statistic: NDArray[np.float64]) -> SharedMoves:
        """As of the game's model."""
        moves = self.model.problem_moves(statistic)
        return SharedMoves(np.concatenate([moves.reward, moves.reward], axis=1), moves)

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """That of the whole population."""
        return self.model.inconsistency(statistic, *self.whole(mean_field, policy))
