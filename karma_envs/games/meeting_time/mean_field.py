"""The meeting-time game for infinitely many agents: best responses to a start time, and the one they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from karma_envs.games.meeting_time.closed_forms import expected_cost, start_time_of, why_no_equilibrium
from karma_envs.games.meeting_time.policy import ArrivalPolicy
from karma_envs.mean_field import MeanFieldModel

_REACH, _TIMES = 3.0, 201  # of curves over time: deviations of the least and most certain, and points

if TYPE_CHECKING:
    from karma_envs.game import Policy
    from karma_envs.games.meeting_time.config import MeetingTimeConfig

_LEAST_DRAWS = 256
"""Arrivals drawn, at least, for each uncertainty, of a policy that is known by what it does only."""


class MeetingTimeMeanField(MeanFieldModel):
    """What an agent faces among infinitely many, and what these make together.

    The statistic is ``[T]``, the time when the meeting starts. Agents may intend any time, not only those
    of the game's action space. Means over the population are quadratures over its uncertainties, so that what
    is said of an :class:`ArrivalPolicy` is exact but for rounding. Of other policies it is drawn what the
    game's N agents intend if all have the same uncertainty, for each of the quadrature's in turn, with
    always the same random numbers; where policies are random, what is said has the noise of that.

    Args:
        config: configuration of the game; n_agents tells only how many agents other policies are for.
    """

    statistic_names = ("start_time",)

    def __init__(self, config: MeetingTimeConfig) -> None:
        self.config = config
        self._uncertainties, self._weights = config.uncertainties

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        """``[t]``: everybody expects the meeting to start as scheduled."""
        return np.array([self.config.scheduled_time])

    @property
    def obstacle(self) -> str:
        """Why the game has no equilibrium; empty where it has one."""
        return why_no_equilibrium(self.config)

    def best_response(self, statistic: NDArray[np.float64]) -> ArrivalPolicy:
        """What is best for everybody when the meeting starts at T."""
        return ArrivalPolicy(float(statistic[0]), self.config)

    def policy_value(self, policy: Policy, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """``float64[1]``: mean reward of agents who play a policy when the meeting starts at T."""
        costs = expected_cost(
            self.config, float(statistic[0]), self._arrivals(policy), self._uncertainties[:, None]
        )
        return -np.array([self._weights @ costs.mean(axis=1)])

    def statistic_of(self, policy: Policy) -> NDArray[np.float64]:
        """``[T]``: when the meeting of a population starts that plays a policy."""
        arrivals = self._arrivals(policy)
        uncertainties, weights = (
            np.broadcast_to(column[:, None], arrivals.shape).ravel()
            for column in (self._uncertainties, self._weights / arrivals.shape[1])
        )
        return np.array([start_time_of(self.config, arrivals.ravel(), uncertainties, weights)])

    def curves(self, policy: Policy) -> dict[str, dict[str, NDArray[np.float64]]]:
        """``policy``: mean intended arrivals by uncertainty; ``arrivals``: who has arrived by when.

        The time at which the share that has arrived reaches the quorum is T, if it is not before t.
        """
        config = self.config
        intended = self._arrivals(policy)
        uncertainties, weights = self._uncertainties[:, None], self._weights[:, None] / intended.shape[1]
        reach = _REACH * uncertainties
        time = np.linspace((intended - reach).min(), (intended + reach).max(), _TIMES)
        arrived = [float((weights * ndtr((moment - intended) / uncertainties)).sum()) for moment in time]
        return {
            "policy": {"uncertainty": self._uncertainties, "intended_arrival": intended.mean(axis=1)},
            "arrivals": {
                "time": time,
                "share_arrived": np.array(arrived),
                "quorum": np.full(_TIMES, config.quorum),
            },
        }

    def _arrivals(self, policy: Policy) -> NDArray[np.float64]:
        """``float64[uncertainties, draws]``: what agents of each uncertainty intend."""
        intended = getattr(policy, "arrivals", None)
        if intended is not None:
            return np.asarray(intended(self._uncertainties[:, None]))
        n_agents, streams = self.config.n_agents, np.zeros(1, np.uint64)
        rounds = -(-_LEAST_DRAWS // n_agents)
        actions = [
            policy.act(np.full((n_agents, 1), uncertainty, np.float32), streams)
            for uncertainty in np.repeat(self._uncertainties, rounds)
        ]
        return np.reshape(actions, (len(self._uncertainties), -1)).astype(np.float64)
