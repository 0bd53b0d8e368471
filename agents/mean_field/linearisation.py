"""First-order behaviour of a mean-field model around a statistic, a value and a policy.

Solvers by Newton's method ask how Q moves with the value and the statistic, and how the population's
inconsistency moves with the policy and the statistic when the mean field stays stationary. All of it
is linear algebra, but for the model's own functions of the statistic: what it cannot tell the derivatives of
is differenced.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values
from karma_envs.mean_field.moves import rest_moves


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
        self._problem_moves = model.problem_moves(statistic)
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
        self.q_moves[value.size :] = self._problem_moves.reward + model.discounts[:, None, None] * following
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
        # A chain with several closed classes has many mean fields at rest: ours is where the start leads to.
        return rest_moves(
            self._model,
            self._statistic,
            self.problem,
            self._problem_moves,
            policy,
            self._model.initial_mean_field,
            policy_moves,
            first_statistic,
        )
