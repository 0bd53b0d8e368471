"""First-order behaviour of a mean-field model around a statistic, a value and a policy.

Solvers by Newton's method ask how Q moves with the value and the statistic, and how the population's
inconsistency moves with the policy and the statistic when the mean field stays stationary. All of it
is linear algebra, but for the model's own functions of the statistic, which are differenced.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.chains import class_masses, closed_classes, stationary_measures
from karma_envs.mean_field.dynamic_programming import q_values, transition_matrix

_WIDTH = 1e-7  # of finite differences
_SINGULAR = 1e8  # a solution that much greater than the right-hand side is one of singular equations


class Linearisation:
    """The model around a statistic z and a value V.

    A direction is a move of one entry of V (types times X of them), or of one entry of z, in this
    order.

    Args:
        model: the model.
        statistic: z.
        value: ``float64[types, X]``.

    Attributes:
        problem: what an agent faces at z.
        q: ``float64[types, X, A]``, 0 where illegal.
        q_moves: ``float64[directions, types, X, A]``, derivative of ``q`` along each direction.
    """

    def __init__(
        self, model: FiniteMeanFieldModel, statistic: NDArray[np.float64], value: NDArray[np.float64]
    ) -> None:
        self._model, self._statistic = model, statistic
        legal = model.legal_actions
        self.problem = problem = model.decision_problem(statistic)
        self.q = np.where(legal, q_values(model, problem, value), 0.0)
        n_types, n_states, _ = self.q.shape
        self._kernel_moves = np.empty((len(statistic), *problem.kernel.shape))
        reward_moves = np.empty((len(statistic), *self.q.shape))
        for index in range(len(statistic)):
            moved = statistic.copy()
            moved[index] += _WIDTH
            there = model.decision_problem(moved)
            np.subtract(there.kernel, problem.kernel, out=self._kernel_moves[index])
            reward_moves[index] = there.reward - problem.reward
        self._kernel_moves /= _WIDTH
        self.q_moves = np.zeros((value.size + len(statistic), *self.q.shape))
        for kind in range(n_types):
            moves = self.q_moves[kind * n_states : (kind + 1) * n_states, kind]
            moves[...] = model.discounts[kind] * np.moveaxis(problem.kernel[kind], -1, 0)
        flat = self._kernel_moves.reshape(len(statistic), n_types, -1, n_states)
        following = (flat @ value[..., None]).reshape(reward_moves.shape)
        self.q_moves[value.size :] = reward_moves / _WIDTH + model.discounts[:, None, None] * following
        self.q_moves *= legal

    def inconsistency(
        self, policy: NDArray[np.float64], policy_moves: NDArray[np.float64], first_statistic: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The population's inconsistency, and how it moves with the policy and the statistic.

        Args:
            policy: ``float64[types, X, A]``.
            policy_moves: ``float64[n, types, X, A]``, how the policy moves along each of n moves.
            first_statistic: the move along which, besides, the first entry of z moves by one; the next
                moves are the next entries'.

        Returns:
            the stationary mean field, the inconsistency ``[Z]`` and its derivative ``[Z, n]``.
        """
        model, problem = self._model, self.problem
        matrix = transition_matrix(problem, policy)
        classes = [closed_classes(one) for one in matrix]
        still = np.zeros((1, model.n_states))
        mean_field = np.concatenate(
            [
                stationary_measures(one, members, still, class_masses(one, members, start))
                for one, members, start in zip(matrix, classes, model.initial_mean_field)
            ]
        )
        # mu P = mu, so d(mu) (I - P) = mu dP.
        shape = (model.n_types, -1, model.n_states)
        moved = (mean_field[..., None] * policy_moves).reshape(len(policy_moves), model.n_types, 1, -1)
        pushed = (moved @ problem.kernel.reshape(shape))[:, :, 0]
        n_z = len(self._statistic)
        flow = (mean_field[:, :, None] * policy).reshape(model.n_types, 1, -1)
        pushed[first_statistic : first_statistic + n_z] += (flow @ self._kernel_moves.reshape(n_z, *shape))[
            :, :, 0
        ]
        field_moves = np.stack(
            [
                stationary_measures(one, members, pushed[:, kind], np.zeros(len(members)))
                for kind, (one, members) in enumerate(zip(matrix, classes))
            ],
            axis=1,
        )
        gap = model.inconsistency(self._statistic, mean_field, policy)
        derivative = np.empty((n_z, len(policy_moves)))
        for index, (policy_move, field_move) in enumerate(zip(policy_moves, field_moves)):
            speed = max(1.0, float(np.abs(policy_move).max()), float(np.abs(field_move).max()))
            width = _WIDTH / speed
            statistic = self._statistic
            if 0 <= index - first_statistic < n_z:
                statistic = statistic.copy()
                statistic[index - first_statistic] += width
            there = model.inconsistency(
                statistic, mean_field + width * field_move, policy + width * policy_move
            )
            derivative[:, index] = (there - gap) / width
        return mean_field, gap, derivative


def solve_scaled(jacobian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares solution of ``jacobian @ x = right``, rows and columns brought to one scale first."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a step that is refused for what it is
        return _scaled_solution(jacobian, right)


def _scaled_solution(jacobian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.abs(jacobian).max(axis=1, keepdims=True)
    rows[rows == 0.0] = 1.0
    columns = np.abs(jacobian / rows).max(axis=0)
    columns[columns == 0.0] = 1.0  # of an unknown that nothing depends on, which least squares leave be
    scaled, right = jacobian / rows / columns, right / rows[:, 0]
    try:
        solution = np.linalg.solve(scaled, right) if len(rows) == len(columns) else None
    except np.linalg.LinAlgError:
        solution = None
    # Where solutions are not isolated, rounding decides how far along them a direct solve goes.
    largest = _SINGULAR * np.abs(right).max()
    if solution is None or not np.isfinite(solution).all() or np.abs(solution).max() > largest:
        solution = np.linalg.lstsq(scaled, right, rcond=1e-13)[0]
    return np.asarray(solution / columns)
