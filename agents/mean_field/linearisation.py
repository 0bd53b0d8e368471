"""First-order behaviour of a mean-field model around a statistic, a value and a policy.

Solvers by Newton's method ask how Q moves with the value and the statistic, and how the population's
inconsistency moves with the policy and the statistic when the mean field stays stationary. All of it
is linear algebra, but for the model's own functions of the statistic, which are differenced.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.dynamic_programming import q_values, transition_matrix
from agents.mean_field.stationary import stationary_distribution
from karma_envs.game import MeanFieldModel

_WIDTH = 1e-7  # of finite differences


class Linearisation:
    """The model around a statistic z and a value V.

    A direction is a move of one entry of V (types times X of them), or of one entry of z, in this
    order.

    Args:
        model: the model.
        statistic: z.
        value: ``float64[types, X]``.

    Attributes:
        environment: that of z.
        q: ``float64[types, X, A]``, 0 where illegal.
        q_moves: ``float64[directions, types, X, A]``, derivative of ``q`` along each direction.
    """

    def __init__(
        self, model: MeanFieldModel, statistic: NDArray[np.float64], value: NDArray[np.float64]
    ) -> None:
        self._model, self._statistic = model, statistic
        legal = model.legal_actions
        self.environment = environment = model.environment(statistic)
        self.q = np.where(legal, q_values(model, environment, value), 0.0)
        n_types, n_states = value.shape
        self.q_moves = np.zeros((value.size + len(statistic), *self.q.shape))
        for kind in range(n_types):
            moves = self.q_moves[kind * n_states : (kind + 1) * n_states, kind]
            moves[...] = model.discounts[kind] * np.moveaxis(environment.kernel[kind], -1, 0)
        self._kernel_moves = np.empty((len(statistic), *environment.kernel.shape))
        for index in range(len(statistic)):
            moved = statistic.copy()
            moved[index] += _WIDTH
            there = model.environment(moved)
            q_there = np.where(legal, q_values(model, there, value), 0.0)
            self.q_moves[value.size + index] = (q_there - self.q) / _WIDTH
            self._kernel_moves[index] = (there.kernel - environment.kernel) / _WIDTH
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
        model, environment = self._model, self.environment
        matrix = transition_matrix(environment, policy)
        mean_field = stationary_distribution(matrix)
        # mu P = mu, so d(mu) (I - P) = mu dP.
        pushed = np.einsum("tx,ktxa,txay->kty", mean_field, policy_moves, environment.kernel, optimize=True)
        n_z = len(self._statistic)
        flow = mean_field[:, :, None] * policy
        pushed[first_statistic : first_statistic + n_z] += np.einsum(
            "txa,ztxay->zty", flow, self._kernel_moves, optimize=True
        )
        field_moves = np.stack(
            [_response(matrix[kind], pushed[:, kind]) for kind in range(model.n_types)], axis=1
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


def _response(matrix: NDArray[np.float64], pushed: NDArray[np.float64]) -> NDArray[np.float64]:
    """How a chain's stationary distribution moves, ``[n, X]``, when its rows push mass ``[n, X]``."""
    equations = np.eye(len(matrix)) - matrix.T
    right = pushed.T.copy()
    equations[-1], right[-1] = 1.0, 0.0
    try:
        return np.asarray(np.linalg.solve(equations, right).T)
    except np.linalg.LinAlgError:  # several classes
        return np.asarray(np.linalg.lstsq(equations, right, rcond=None)[0].T)


def solve_scaled(jacobian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares solution of ``jacobian @ x = right``, rows and columns brought to one scale first."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a step that is refused for what it is
        return _scaled_solution(jacobian, right)


def _scaled_solution(jacobian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.maximum(np.abs(jacobian).max(axis=1, keepdims=True), 1e-300)
    columns = np.maximum(np.abs(jacobian / rows).max(axis=0), 1e-300)
    scaled = jacobian / rows / columns
    try:
        solution = np.linalg.solve(scaled, right / rows[:, 0]) if len(rows) == len(columns) else None
    except np.linalg.LinAlgError:
        solution = None
    if solution is None or not np.isfinite(solution).all() or np.abs(solution).max() > 1e10:
        solution = np.linalg.lstsq(scaled, right / rows[:, 0], rcond=1e-13)[0]
    return np.asarray(solution / columns)
