"""The two-state control game for N to infinity, from the same rule that the simulation plays by."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.games.two_state_control.kernels import reward_of
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel

if TYPE_CHECKING:
    from karma_envs.games.two_state_control.config import TwoStateControlConfig


class TwoStateControlMeanField(FiniteMeanFieldModel):
    """What one agent faces, which is paid its own reward. The statistic is mu_1, the share in state 1.

    Args:
        config: configuration of the game; n_agents is not used.
        n_types: how many types of equal mass to make of the one that there is.
    """

    statistic_names: ClassVar[tuple[str, ...]] = ("share",)

    def __init__(self, config: TwoStateControlConfig, n_types: int = 1) -> None:
        self.config = config
        self.masses = np.full(n_types, 1.0 / n_types)
        self.discounts = np.full(n_types, config.discount)
        self.legal_actions = np.ones((2, 2), np.bool_)
        share = config.initial_share
        self.initial_mean_field = np.tile([1 - share, share], (n_types, 1))
        states = np.arange(2)
        to_one = config.control * states[None, :] + (1 - config.control) * states[:, None]
        self._kernel = np.stack([1 - to_one, to_one], axis=2)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.config.axes

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        return {"aim": np.arange(2)}

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        # Over the sum, so that rounding of the mass is not carried on.
        return np.atleast_1d(self.masses @ (mean_field[:, 1] / mean_field.sum(axis=1)))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        config, (share,) = self.config, statistic
        reward = np.array(
            [
                [
                    reward_of(state, action, share, config.benefit, config.crowding, config.switching_cost)
                    for action in range(2)
                ]
                for state in range(2)
            ]
        )
        n_types = self.n_types
        return DecisionProblem(
            np.repeat(reward[None], n_types, axis=0), np.repeat(self._kernel[None], n_types, axis=0)
        )
