"""How what an agent faces moves with the statistic of the population, and a population at rest with it.

Newton's method in a statistic z asks for derivatives of a model: of its rewards and transitions along each
number of z, and of the mean field at rest with them. A model that knows its own says so by
:meth:`karma_envs.mean_field.FiniteMeanFieldModel.problem_moves`; others are differenced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.mean_field.chains import class_masses, closed_classes, stationary_measures
from karma_envs.mean_field.dynamic_programming import DecisionProblem

if TYPE_CHECKING:
    from karma_envs.mean_field.model import FiniteMeanFieldModel

WIDTH = 1e-7
"""Of finite differences."""

_STILL = 1e-100  # what moves as slowly leaves all as it is
_MOST_BYTES = 2 * 2**30  # of moved kernels


@dataclass(frozen=True)
class ProblemMoves(ABC):
    """Derivatives of a :class:`DecisionProblem` along each of the Z numbers of a statistic.

    Attributes:
        reward: ``float64[Z, types, X, A]``, of the expected rewards.
    """

    reward: NDArray[np.float64]

    @abstractmethod
    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the sum over x' of P(x' | x, a) V(x'), for V as it is, ``float64[Z, types, X, A]``.

        Args:
            value: V, ``float64[types, X]``.
        """

    @abstractmethod
    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of where a population is after a step, ``float64[Z, types, X]``.

        Args:
            flow: mu(x) pi(a | x) as it is, ``float64[types, X, A]``.
        """


@dataclass(frozen=True)
class DifferencedMoves(ProblemMoves):
    """Forward differences of a problem; see :meth:`of`.

    Attributes:
        problem: at the statistic.
        moved: at the statistic with one number moved by :data:`WIDTH`, for each of them.
    """

    problem: DecisionProblem
    moved: tuple[DecisionProblem, ...]

    @classmethod
    def of(cls, model: FiniteMeanFieldModel, statistic: NDArray[np.float64]) -> DifferencedMoves:
        """The differences of a model's problem at a statistic."""
        problem = model.decision_problem(statistic)
        n_z, size = len(statistic), problem.kernel.nbytes
        if n_z * size > _MOST_BYTES:
            raise refusal(
                "model",
                f"a kernel of {size / 2**20:.0f} MiB and a statistic of {n_z} numbers",
                f"one with problem_moves of its own, or whose moved kernels take {_MOST_BYTES / 2**30:g} GiB",
            )
        moved = tuple(model.decision_problem(row) for row in statistic + WIDTH * np.eye(len(statistic)))
        return cls(_differences([one.reward for one in moved], problem.reward), problem, moved)

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return _differences([one.following(value) for one in self.moved], self.problem.following(value))

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """See the base."""
        return _differences([one.pushed(flow) for one in self.moved], self.problem.pushed(flow))


def _differences(moved: list[NDArray[np.float64]], here: NDArray[np.float64]) -> NDArray[np.float64]:
    return (np.stack(moved) - here) / WIDTH


def rest_moves(
    model: FiniteMeanFieldModel,
    statistic: NDArray[np.float64],
    problem: DecisionProblem,
    moves: ProblemMoves,
    policy: NDArray[np.float64],
    start: NDArray[np.float64],
    policy_moves: NDArray[np.float64] | None = None,
    first_statistic: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The population's inconsistency, and how it moves with policy and statistic while mu stays at rest.

    Args:
        model: the model.
        statistic: z.
        problem: what an agent faces at z.
        moves: its derivatives there.
        policy: ``float64[types, X, A]``.
        start: ``float64[types, X]``, where the population begins: each closed class keeps what leads to it.
        policy_moves: ``float64[n, types, X, A]``, how the policy moves along each of n moves; None: along
            each number of z, and not at all.
        first_statistic: which of the n moves is that of the first number of z. Along this move, and the
            following ones of z's other numbers, z moves by one as well as the policy; along all other moves
            z stays.

    Returns:
        the mean field at rest ``[types, X]``, the inconsistency ``[Z]`` and its derivative ``[Z, n]``.
    """
    n_z = len(statistic)
    # mu P = mu, so d(mu) (I - P) = mu dP; P moves with the policy, and with z through what agents face.
    n_moves = n_z if policy_moves is None else len(policy_moves)
    matrix = problem.chain(policy)
    classes = [closed_classes(one) for one in matrix]
    still = np.zeros((1, model.n_states))
    mean_field = np.concatenate(
        [
            stationary_measures(one, members, still, class_masses(one, members, begins))
            for one, members, begins in zip(matrix, classes, start)
        ]
    )
    if policy_moves is None:
        pushed = np.zeros((n_moves, *mean_field.shape))
    else:
        pushed = problem.pushed(mean_field[..., None] * policy_moves)
    pushed[first_statistic : first_statistic + n_z] += moves.pushed(mean_field[..., None] * policy)
    field_moves = np.stack(
        [
            stationary_measures(one, members, pushed[:, kind], np.zeros(len(members)))
            for kind, (one, members) in enumerate(zip(matrix, classes))
        ],
        axis=1,
    )
    statistic_moves = np.zeros((n_moves, n_z))
    statistic_moves[first_statistic : first_statistic + n_z] = np.eye(n_z)
    gap = model.inconsistency(statistic, mean_field, policy)
    derivative = model.inconsistency_moves(
        statistic, mean_field, policy, statistic_moves, field_moves, policy_moves
    )
    return mean_field, gap, derivative


def differenced_inconsistency(
    model: FiniteMeanFieldModel,
    statistic: NDArray[np.float64],
    mean_field: NDArray[np.float64],
    policy: NDArray[np.float64],
    statistic_moves: NDArray[np.float64],
    field_moves: NDArray[np.float64],
    policy_moves: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Derivatives of a model's inconsistency by forward differences along moves of all that it depends on.

    See :meth:`karma_envs.mean_field.FiniteMeanFieldModel.inconsistency_moves`.
    """
    gap = model.inconsistency(statistic, mean_field, policy)
    derivative = np.empty((len(gap), len(field_moves)))
    for index, (statistic_move, field_move) in enumerate(zip(statistic_moves, field_moves)):
        policy_move = np.zeros(1) if policy_moves is None else policy_moves[index]
        # What moves fastest moves by WIDTH, however slow a move is: along a value of many steps, very slow.
        speed = max(float(np.abs(move).max()) for move in (statistic_move, field_move, policy_move))
        width = WIDTH / speed if speed > _STILL else 1.0
        moved_gap = model.inconsistency(
            statistic + width * statistic_move, mean_field + width * field_move, policy + width * policy_move
        )
        derivative[:, index] = (moved_gap - gap) / width
    return derivative
