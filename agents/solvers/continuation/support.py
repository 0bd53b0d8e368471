"""The equations of a Nash equilibrium of which it is known which actions are played, and their derivative.

Given for each state the actions that are played (the support), an equilibrium is a root in the statistic z,
the value V and the probabilities p of

    z = z(mu, p),   Q(x, a) = V(x) for a in the support,   sum over a of p(a | x) = 1,

where mu is stationary. Newton's method solves them (:mod:`agents.solvers.continuation.exact`), and
derivatives of an equilibrium are theirs (:mod:`agents.solvers.sensitivity.equations`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.linearisation import Linearisation
from karma_envs.mean_field import FiniteMeanFieldModel


class Support:
    """The equations on a support.

    Unknowns, in order: z, V by type and state, and the probabilities of ``free``. Equations: consistency of
    z, indifference among the actions of the support, sums of 1 in the states of ``mixed``.

    Args:
        actions: those that are played, ``bool[types, X, A]``, at least one in each state.

    Attributes:
        actions: as given.
        mixed: states with several of them, ``bool[types, X]``.
        free: actions whose probabilities are unknowns, ``bool[types, X, A]``: those of mixed states.
        pure: probabilities of all others, ``float64[types, X, A]``, 0 and 1.
    """

    def __init__(self, actions: NDArray[np.bool_]) -> None:
        self.actions = actions
        self.mixed: NDArray[np.bool_] = actions.sum(axis=2) > 1
        self.free = actions & self.mixed[..., None]
        self.pure = (actions & ~self.mixed[..., None]).astype(np.float64)

    def residual(
        self,
        gap: NDArray[np.float64],
        q: NDArray[np.float64],
        value: NDArray[np.float64],
        policy: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """What the equations lack of 0, ``float64[n]``, of the model's inconsistency, Q, V and the policy."""
        indifference = (q - value[..., None])[self.actions]
        leak = policy.sum(axis=2)[self.mixed] - 1
        return np.concatenate([gap, indifference, leak])

    def around(
        self,
        model: FiniteMeanFieldModel,
        statistic: NDArray[np.float64],
        value: NDArray[np.float64],
        policy: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The equations around some unknowns.

        Returns:
            the mean field at rest ``[types, X]``, the residual ``[n]`` and its derivative ``[n, n]``.
        """
        size, n_z = value.size, len(statistic)
        here = Linearisation(model, statistic, value)
        at = np.argwhere(self.free)
        policy_moves = np.zeros((n_z + len(at), *policy.shape))
        policy_moves[(n_z + np.arange(len(at)), *at.T)] = 1.0
        mean_field, gap, gap_moves = here.inconsistency(policy, policy_moves, 0)
        residual = self.residual(gap, here.q, value, policy)

        supported = np.argwhere(self.actions)
        jacobian = np.zeros((len(residual), n_z + size + len(at)))
        jacobian[:n_z, :n_z] = gap_moves[:, :n_z]
        jacobian[:n_z, n_z + size :] = gap_moves[:, n_z:]
        # Q moves along V (the first of the directions) and z …
        rows = slice(n_z, n_z + len(supported))
        jacobian[rows, :n_z] = here.q_moves[size:, self.actions].T
        jacobian[rows, n_z : n_z + size] = here.q_moves[:size, self.actions].T
        # … and Q(x, a) = V(x) has -1 in the column of its V.
        states = np.ravel_multi_index((supported[:, 0], supported[:, 1]), value.shape)
        jacobian[n_z + np.arange(len(states)), n_z + states] -= 1.0
        for row, (kind, state) in enumerate(np.argwhere(self.mixed), rows.stop):
            jacobian[row, n_z + size :] = (at[:, 0] == kind) & (at[:, 1] == state)
        return mean_field, residual, jacobian
