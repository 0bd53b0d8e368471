"""First-order behaviour of a mean-field model around a statistic, a value and a policy.

Solvers by Newton's method ask how Q moves with the value and the statistic, and how the population's
inconsistency moves with the policy and the statistic when the mean field stays stationary. All of it
is linear algebra, but for the model's own functions of the statistic, which are differenced.
"""

from __future__ import annotations

from dataclasses import replace

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
        # How reward and kernel move with each entry of z, by forward differences.
        reward_moves = np.empty((len(statistic), *problem.reward.shape))
        kernel_moves = np.empty((len(statistic), *problem.kernel.shape))
        for index in range(len(statistic)):
            moved = statistic.copy()
            moved[index] += _WIDTH
            change = problem.moves_to(model.decision_problem(moved), _WIDTH)
            reward_moves[index], kernel_moves[index] = change.reward, change.kernel
        self._problem_moves = replace(change, reward=reward_moves, kernel=kernel_moves)
        self.q = np.where(legal, q_values(model, problem, value), 0.0)
        n_types, n_states, _ = self.q.shape
        # Q = r + gamma P V: along an entry of V, which is of one type, only that type's Q moves, by gamma P …
        self.q_moves = np.zeros((value.size + len(statistic), *self.q.shape))
        successors = problem.dense(anew=False)
        for kind in range(n_types):
            moves = self.q_moves[kind * n_states : (kind + 1) * n_states, kind]
            moves[...] = model.discounts[kind] * np.moveaxis(successors[kind], -1, 0)
        # … and along an entry of z with the reward and the kernel, V as it is.
        following = self._problem_moves.following(value)
        self.q_moves[value.size :] = reward_moves + model.discounts[:, None, None] * following
        self.q_moves *= legal

    def inconsistency(
        self, policy: NDArray[np.float64], policy_moves: NDArray[np.float64], first_statistic: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The population's inconsistency, and how it moves with the policy and the statistic.

        Args:
            policy: ``float64[types, X, A]``.
            policy_moves: ``float64[n, types, X, A]``, how the policy moves along each of n moves.
            first_statistic: which of the n moves is that of the first entry of z. Along this move, and the
                following ones of z's other entries, z moves by one as well as the policy; along all other
                moves z stays.

        Returns:
            the stationary mean field, the inconsistency ``[Z]`` and its derivative ``[Z, n]``.
        """
        model, problem = self._model, self.problem
        matrix = transition_matrix(problem, policy)
        classes = [closed_classes(one) for one in matrix]
        still = np.zeros((1, model.n_states))
        # A chain with several closed classes has many mean fields at rest: ours is where the start leads to.
        mean_field = np.concatenate(
            [
                stationary_measures(one, members, still, class_masses(one, members, start))
                for one, members, start in zip(matrix, classes, model.initial_mean_field)
            ]
        )
        # mu P = mu, so d(mu) (I - P) = mu dP; P moves with the policy, and with z through the kernel.
        pushed = problem.pushed(mean_field[..., None] * policy_moves)
        n_z = len(self._statistic)
        flow = mean_field[..., None] * policy
        pushed[first_statistic : first_statistic + n_z] += self._problem_moves.pushed(flow)
        field_moves = np.stack(
            [
                stationary_measures(one, members, pushed[:, kind], np.zeros(len(members)))
                for kind, (one, members) in enumerate(zip(matrix, classes))
            ],
            axis=1,
        )
        # The model's own function of (z, mu, pi) is differenced along the moves of all three at once.
        gap = model.inconsistency(self._statistic, mean_field, policy)
        derivative = np.empty((n_z, len(policy_moves)))
        for index, (policy_move, field_move) in enumerate(zip(policy_moves, field_moves)):
            # The faster they move the smaller the width, so that nothing moves farther than _WIDTH.
            speed = max(1.0, float(np.abs(policy_move).max()), float(np.abs(field_move).max()))
            width = _WIDTH / speed
            statistic = self._statistic
            if 0 <= index - first_statistic < n_z:
                statistic = statistic.copy()
                statistic[index - first_statistic] += width
            moved_gap = model.inconsistency(
                statistic, mean_field + width * field_move, policy + width * policy_move
            )
            derivative[:, index] = (moved_gap - gap) / width
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
