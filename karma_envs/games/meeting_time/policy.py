"""What agents of the meeting-time game do who expect it to start at some time: what suits them best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import real
from karma_envs.games.meeting_time.closed_forms import best_arrival
from karma_envs.games.meeting_time.config import MeetingTimeConfig
from karma_envs.saved_policy import SavedPolicy


class ArrivalPolicy(SavedPolicy):
    """The best response to a meeting that is expected to start at T: sigma -> tau(sigma).

    Args:
        start_time: T, the time at which the meeting is expected to start.
        config: of the game, whose costs and scheduled time agents mind; the defaults if None.

    Raises:
        ConfigError: when the time is no finite number.

    Example:
        >>> float(ArrivalPolicy(2.0).arrivals(1.0).round(4))
        0.7729
    """

    FORMAT = "karma_envs.games.meeting_time:ArrivalPolicy"

    def __init__(self, start_time: float, config: MeetingTimeConfig | None = None) -> None:
        self.start_time = real("start_time", start_time)
        self.config = config or MeetingTimeConfig()

    @property
    def parameters(self) -> NDArray[np.float64]:
        """``[T]``."""
        return np.array([self.start_time])

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """No meeting starts before it is scheduled, and none has to start."""
        return np.array([self.config.scheduled_time]), np.array([np.inf])

    def with_parameters(self, parameters: NDArray[np.float64]) -> ArrivalPolicy:
        """What suits those who expect another start time, ``[T]``."""
        return ArrivalPolicy(float(parameters[0]), self.config)

    def arrivals(self, uncertainty: ArrayLike) -> NDArray[np.float64]:
        """tau, the arrivals to intend, of the shape of the uncertainties sigma > 0."""
        return best_arrival(self.config, self.start_time, uncertainty)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        """``float32[N, 1]``: what agents intend who observe their uncertainty, ``float32[N, 1]``.

        Nothing is drawn from ``streams``.
        """
        return self.arrivals(observations).astype(np.float32)

    def table(self) -> dict[str, NDArray[np.float64]]:
        """What agents intend, by uncertainty, in columns: ``uncertainty`` and ``intended_arrival``."""
        uncertainties = self.config.uncertainties[0]
        return {"uncertainty": uncertainties, "intended_arrival": self.arrivals(uncertainties)}

    def __repr__(self) -> str:
        return f"ArrivalPolicy(of agents who expect the meeting to start at {self.start_time:.6g})"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The start time that is expected, and the configuration."""
        return {"start_time": self.start_time, "config": self.config.to_dict()}, {}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ArrivalPolicy:
        """The policy of :meth:`to_parts`."""
        return cls(values["start_time"], MeetingTimeConfig.from_dict(values["config"]))
