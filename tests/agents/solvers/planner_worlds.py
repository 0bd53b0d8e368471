"""Mean-field models whose planner's value is known otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel


class Alone(FiniteMeanFieldModel):
    """Agents that do not meet: V(mu) is the mean over mu of what each one's best policy is worth.

    Args:
        n_states: X.
        n_actions: A, the last of them illegal in state 0.
        seed: of rewards and transitions.
    """

    def __init__(self, n_states: int, n_actions: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.masses, self.discounts = np.ones(1), np.array([0.8])
        self.legal_actions = np.ones((n_states, n_actions), np.bool_)
        self.legal_actions[0, -1] = n_actions == 1
        self.initial_mean_field = np.full((1, n_states), 1 / n_states)
        kernel = rng.dirichlet(np.ones(n_states), (1, n_states, n_actions))
        self._faced = DecisionProblem(
            rng.normal(size=(1, n_states, n_actions)), kernel * self.legal_actions[..., None]
        )

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros(1)

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        return self._faced
