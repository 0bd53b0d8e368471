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

from agents.mean_field.dynamic_programming import policy_value, q_values, transition_matrix
from agents.mean_field.stationary import stationary_distribution, stationary_mean_field
from karma_envs.game import Environment, MeanFieldModel

_WIDTH = 1e-7  # of finite differences
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
        self, point: LogitPoint, rationality: float, tolerance: float = 1e-9, most_steps: int = 25
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
        best = point.logits.argmax(axis=2)[..., None]

        def relative(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(legal, array - np.take_along_axis(array, best, axis=2), 0.0)

        environment = model.environment(point.statistic)
        q = np.where(legal, q_values(model, environment, point.value), 0.0)
        logits = relative(np.where(legal, point.logits, 0.0))
        policy, softmax = self.policy(np.where(legal, logits, -np.inf))

        logit_gap = rationality * relative(q) - logits
        value_gap = (policy * q).sum(axis=2) - point.value
        statistic_gap = self._statistic_gap(point.statistic, environment, policy)
        error = max(
            float(np.abs(value_gap).max() / (1 + np.abs(point.value).max())),
            float(np.abs(statistic_gap).max()),
            float(np.abs(logit_gap * softmax).max()),
        )

        # Directions: one per entry of V, then one per entry of z. Each moves Q, and with it the logits.
        size = point.value.size
        q_moves = np.zeros((size + len(point.statistic), *legal.shape))
        for index in range(size):
            kind, state = divmod(index, model.n_states)
            q_moves[index, kind] = model.discounts[kind] * environment.kernel[kind, :, :, state]
        environments = []
        for index in range(len(point.statistic)):
            moved = point.statistic.copy()
            moved[index] += _WIDTH
            there = model.environment(moved)
            environments.append(there)
            q_there = np.where(legal, q_values(model, there, point.value), 0.0)
            q_moves[size + index] = (q_there - q) / _WIDTH
        q_moves *= legal
        logit_moves = rationality * np.stack([relative(move) for move in q_moves])

        def policy_move(logit_move: NDArray[np.float64]) -> NDArray[np.float64]:
            mean = (softmax * logit_move).sum(axis=2, keepdims=True)
            return np.asarray((1 - self._exploration) * softmax * (logit_move - mean))

        def statistic_move(
            move: NDArray[np.float64], at: NDArray[np.float64], there: Environment, width: float
        ) -> NDArray[np.float64]:
            gap = self._statistic_gap(at, there, policy + width * move)
            return np.asarray((gap - statistic_gap) / width)

        jacobian = np.empty((len(q_moves), len(q_moves)))
        for index, (q_move, logit_move) in enumerate(zip(q_moves, logit_moves)):
            move = policy_move(logit_move)
            column = (move * q).sum(axis=2) + (policy * q_move).sum(axis=2)
            jacobian[:size, index] = column.ravel()
            # The policy moves by _WIDTH at most, the statistic by as much as its environment was built for.
            width = _WIDTH / max(1.0, float(np.abs(move).max()))
            if index < size:
                jacobian[size:, index] = statistic_move(move, point.statistic, environment, width)
            else:
                there = environments[index - size]
                share = width / _WIDTH
                between = Environment(
                    environment.reward + share * (there.reward - environment.reward),
                    environment.kernel + share * (there.kernel - environment.kernel),
                )
                at = point.statistic.copy()
                at[index - size] += width
                jacobian[size:, index] = statistic_move(move, at, between, width)
        jacobian[np.arange(size), np.arange(size)] -= 1.0

        move = policy_move(logit_gap)
        width = _WIDTH / max(1.0, float(np.abs(move).max()))
        right = np.concatenate(
            [
                (value_gap + (move * q).sum(axis=2)).ravel(),
                statistic_gap + statistic_move(move, point.statistic, environment, width),
            ]
        )
        rows = np.maximum(np.abs(jacobian).max(axis=1, keepdims=True), 1e-300)
        columns = np.maximum(np.abs(jacobian / rows).max(axis=0), 1e-300)
        scaled = np.linalg.lstsq(jacobian / rows / columns, -right / rows[:, 0], rcond=1e-15)[0]
        move_all = scaled / columns
        logit_move = logit_gap + np.tensordot(move_all, logit_moves, axes=1)
        if not np.isfinite(logit_move).all():
            return error, None
        matters = legal & (np.maximum(logits, logits + logit_move) > _MATTERS)
        length = min(1.0, _MOST_LOGIT_MOVE / max(float(np.abs(logit_move[matters]).max()), 1e-300))
        return error, LogitPoint(
            point.statistic + length * move_all[size:],
            point.value + length * move_all[:size].reshape(point.value.shape),
            np.where(legal, logits + length * logit_move, -np.inf),
        )

    def _statistic_gap(
        self, statistic: NDArray[np.float64], environment: Environment, policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        mean_field = stationary_distribution(transition_matrix(environment, policy))
        return self.model.inconsistency(statistic, mean_field, policy)
