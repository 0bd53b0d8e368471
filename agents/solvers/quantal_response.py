"""Logit equilibria: pi = softmax(beta Q^pi), followed in beta with Newton steps.

A logit (quantal response) equilibrium of bounded rationality beta is a root in the statistic z, the
value V and the logits rho of

    rho(x, a) - rho(x, a*) = beta (Q(x, a) - Q(x, a*)),     V = sum over a of pi(a | x) Q(x, a),
    z = z(mu, pi),   mu stationary in the environment of z,

with pi = softmax(rho), mixed with uniform exploration. There is no entropy in the value and rewards
are as they are, as in the Thesis. Keeping the logits as unknowns of their own makes Newton's method
converge from afar at any beta: what is linearised is the exponential of a bounded number. They are
eliminated from the linear system, which has the size of z and V.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.dynamic_programming import policy_value
from agents.mean_field.linearisation import Linearisation, solve_scaled
from agents.mean_field.stationary import stationary_mean_field
from karma_envs.game import MeanFieldModel

_MOST_LOGIT_MOVE = 2.5  # per Newton step, for logits that matter
_MATTERS = -12.0  # a logit this far below the best one belongs to no probability to speak of


@dataclass(frozen=True)
class LogitPoint:
    """A point on the path: z, V ``[types, X]``, logits ``[types, X, A]`` (illegal ones are -inf)."""

    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    logits: NDArray[np.float64]


class LogitSystem:
    """The equations of a logit equilibrium, and Newton's method on them.

    Args:
        model: the mean-field model.
        exploration: epsilon; the population plays (1 - epsilon) softmax + epsilon uniform.
    """

    def __init__(self, model: MeanFieldModel, exploration: float = 0.0) -> None:
        self.model, self._exploration = model, exploration
        shape = (model.n_types, model.n_states, model.n_actions)
        self._legal = np.broadcast_to(model.legal_actions, shape)
        self._uniform = self._legal / self._legal.sum(axis=2, keepdims=True)

    def start(self, logits: NDArray[np.float64] | None = None) -> LogitPoint:
        """The point of the policy with these logits, uniform if None; a solution for beta = 0 then."""
        logits = np.where(self._legal, 0.0 if logits is None else logits, -np.inf)
        policy, _ = self.policy(logits)
        field = stationary_mean_field(self.model, policy)
        return LogitPoint(field.statistic, policy_value(self.model, field.environment, policy), logits)

    def policy(self, logits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is played, and its softmax part."""
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        softmax = weights / weights.sum(axis=2, keepdims=True)
        return (1 - self._exploration) * softmax + self._exploration * self._uniform, softmax

    def solve(
        self, point: LogitPoint, rationality: float, tolerance: float = 1e-6, most_steps: int = 14
    ) -> tuple[LogitPoint | None, int]:
        """The logit equilibrium at ``rationality`` near a point, and the Newton steps taken.

        None where Newton's method does not converge.
        """
        for step in range(most_steps):
            error, following = self._newton_step(point, rationality)
            if error <= tolerance:
                return point, step
            if following is None:
                return None, step
            point = following
        return None, most_steps

    def _newton_step(self, point: LogitPoint, rationality: float) -> tuple[float, LogitPoint | None]:
        """How far the point is from a solution, and the point that Newton's method gives."""
        model, legal = self.model, self._legal
        best = np.eye(model.n_actions)[point.logits.argmax(axis=2)]

        def relative(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray((array - (array * best).sum(axis=-1, keepdims=True)) * legal)

        here = Linearisation(model, point.statistic, point.value)
        logits = relative(np.where(legal, point.logits, 0.0))
        policy, softmax = self.policy(np.where(legal, logits, -np.inf))
        logit_gap = rationality * relative(here.q) - logits
        value_gap = (policy * here.q).sum(axis=2) - point.value

        # Moving V or z moves Q, and with it the logits; one more move is that of closing their gap.
        logit_moves = np.concatenate([rationality * relative(here.q_moves), logit_gap[None]])
        mean_moves = (softmax * logit_moves).sum(axis=3, keepdims=True)
        policy_moves = (1 - self._exploration) * softmax * (logit_moves - mean_moves)
        size = point.value.size
        _, statistic_gap, statistic_moves = here.inconsistency(policy, policy_moves, size)
        value_moves = (policy_moves * here.q).sum(axis=3).reshape(len(policy_moves), size)
        value_moves[:-1] += (policy * here.q_moves).sum(axis=3).reshape(-1, size)
        value_moves[np.arange(size), np.arange(size)] -= 1.0
        error = max(
            float(np.abs(value_gap).max() / (1 + np.abs(point.value).max())),
            float(np.abs(statistic_gap).max()),
            float(np.abs(logit_gap * softmax).max()),
        )
        jacobian = np.concatenate([value_moves.T, statistic_moves])
        gaps = np.concatenate([value_gap.ravel(), statistic_gap])
        move = solve_scaled(jacobian[:, :-1], -gaps - jacobian[:, -1])
        logit_move = logit_gap + np.tensordot(move, logit_moves[:-1], axes=1)
        if not np.isfinite(logit_move).all():
            return error, None
        matters = legal & (np.maximum(logits, logits + logit_move) > _MATTERS)
        length = min(1.0, _MOST_LOGIT_MOVE / max(float(np.abs(logit_move[matters]).max()), 1e-300))
        return error, LogitPoint(
            point.statistic + length * move[size:],
            point.value + length * move[:size].reshape(point.value.shape),
            np.where(legal, logits + length * logit_move, -np.inf),
        )
