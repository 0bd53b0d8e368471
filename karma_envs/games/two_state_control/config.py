"""Configuration of the two-state control game."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from karma_envs.axes import Axis
from karma_envs.config import Config, real, whole

PRESETS: Mapping[str, Mapping[str, Any]] = {"empty": {"initial_share": 0.0}, "full": {"initial_share": 1.0}}
"""Named configurations, as the fields they change."""

_LARGEST = 1e6
"""Of rewards and costs, so that discounted sums of them stay within single precision."""


@dataclass(frozen=True)
class TwoStateControlConfig(Config):
    """Configuration of the two-state control game; the defaults are the instance whose values are known.

    Attributes:
        n_agents: N, number of agents, >= 1.
        benefit: b, what an agent in state 1 gets of a step if nobody else is there; of at most 1e6 in size.
        crowding: c >= 0, what the share mu_1 of agents in state 1 takes from that.
        switching_cost: k >= 0, what trying to change the state costs, whether or not it succeeds.
        control: w in (0, 1], probability that an agent which tries to change its state does; rounded to a
            multiple of 2**-32 where it is played.
        initial_share: share of the agents that begin in state 1, rounded to a whole number of agents.
        discount: discount factor gamma in [0, 1).

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 1000
    benefit: float = 1.0
    crowding: float = 2.0
    switching_cost: float = 0.1
    control: float = 0.9
    initial_share: float = 0.5
    discount: float = 0.8

    def __post_init__(self) -> None:
        self._set(
            n_agents=whole("n_agents", self.n_agents, 1, 10**8),
            benefit=real("benefit", self.benefit, -_LARGEST, _LARGEST),
            crowding=real("crowding", self.crowding, 0, _LARGEST),
            switching_cost=real("switching_cost", self.switching_cost, 0, _LARGEST),
            control=real("control", self.control, 0, 1, open_low=True),
            initial_share=real("initial_share", self.initial_share, 0, 1),
            discount=real("discount", self.discount, 0, 1, open_high=True),
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What an observation is made of: the state."""
        return (Axis("state", (0, 1)),)
