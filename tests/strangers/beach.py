"""Towels on a beach: everyone has a favourite spot, and wants to lie near the middle of all towels.

A game of one step with numbers: an agent observes its favourite spot t, uniform on [0, 1], chooses a spot x
and gets ``-(x - t)^2 - c (x - m)^2`` where m is the mean of all x. Against a given m the best spot is
``(t + c m) / (1 + c)``; in equilibrium m is the mean of t, 1/2, and an agent expects ``-c / (12 (1 + c))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, real, whole
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.numerics.random import fill_uniform, new_streams
from karma_envs.outcome import Outcome
from karma_envs.saved_policy import SavedPolicy
from karma_envs.states import LARGEST_COUNT, check_arrays, check_values


@dataclass(frozen=True)
class BeachConfig(Config):
    """Who lies on the beach.

    Attributes:
        n_agents: N, how many there are.
        company: c, how much the others draw an agent.
    """

    n_agents: int = 12
    company: float = 1.0

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1), company=real("company", self.company, 0))


@dataclass(frozen=True)
class SpotPolicy(SavedPolicy):
    """Lie between the favourite spot and a place: ``x = share t + (1 - share) place``."""

    FORMAT = "beach:SpotPolicy"

    place: float
    share: float

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """Spots ``float32[N, 1]`` for favourite spots ``float32[N, 1]``."""
        return (self.share * observations + (1 - self.share) * self.place).astype(np.float32)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {"place": self.place, "share": self.share}, {}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SpotPolicy:
        return cls(float(values["place"]), float(values["share"]))


class BeachModel(MeanFieldModel):
    """The beach with infinitely many towels; the statistic is ``[m]``."""

    statistic_names = ("mean_spot",)

    def __init__(self, company: float) -> None:
        self.company = company

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        return np.zeros(1)

    def best_response(self, statistic: NDArray[np.float64]) -> SpotPolicy:
        return SpotPolicy(float(statistic[0]), 1 / (1 + self.company))

    def policy_value(self, policy: SpotPolicy, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        spots = (np.arange(1000) + 0.5) / 1000
        x = policy.share * spots + (1 - policy.share) * policy.place
        return np.array([np.mean(-((x - spots) ** 2) - self.company * (x - statistic[0]) ** 2)])

    def statistic_of(self, policy: SpotPolicy) -> NDArray[np.float64]:
        return np.array([policy.share / 2 + (1 - policy.share) * policy.place])


class BeachGame(PopulationGame):
    """The beach with N towels, for a day."""

    name, config_class = "beach", BeachConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    length = 1

    def __init__(self, config: BeachConfig | None = None, **fields: Any) -> None:
        self.config = (config or BeachConfig()).replace(**fields)
        self.n_agents = self.config.n_agents
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.observation_space = self.action_space = Box(0, 1, (1,), np.float32)
        self.reward_bounds = -1.0 - self.config.company, 0.0
        self.state: dict[str, NDArray[Any]] = {}

    def reset(self, rng: np.random.Generator) -> None:
        self.state = {
            "streams": new_streams(rng, 2),
            "favourite": np.zeros(self.n_agents),
            "rewards": np.zeros(self.n_agents),
            "steps": np.zeros(1, np.int64),
            "elapsed": np.zeros(1, np.int64),
        }
        self.begin_anew()

    def begin_anew(self) -> None:
        fill_uniform(self.state["streams"], 0, self.state["favourite"])
        self.state["elapsed"][:] = 0

    @property
    def elapsed(self) -> int:
        return int(self.state["elapsed"][0])

    @property
    def policy_streams(self) -> NDArray[np.uint64]:
        return self.state["streams"][1:]

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        self.check_not_over()
        actions = self.actions_of(actions)
        if self.admissible(actions)[1] is not None:
            raise IllegalActionError("the beach goes from 0 to 1")
        x = actions[:, 0].astype(np.float64)
        rewards = -((x - self.state["favourite"]) ** 2) - self.config.company * (x - x.mean()) ** 2
        self.state["rewards"] += rewards.astype(np.float32)
        self.state["steps"] += 1
        self.state["elapsed"] += 1
        return rewards.astype(np.float32)

    def observations(self) -> NDArray[np.float32]:
        return self.state["favourite"].astype(np.float32)[:, None]

    def outcome(self) -> Outcome:
        steps = int(self.state["steps"][0])
        return Outcome(steps, self.state["rewards"].copy(), np.full(self.n_agents, steps))

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        return {"equilibrium": (self, self.mean_field().best_response(np.array([0.5])))}

    def mean_field(self, *, by_agent: bool = False) -> BeachModel:
        return BeachModel(self.config.company)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {name: array.copy() for name, array in self.state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        if not self.state:
            self.reset(np.random.default_rng(0))
        check_arrays("game", state, self.state)
        steps = state["steps"][0]
        allowed: dict[str, Any] = {
            "steps": (0, LARGEST_COUNT),
            "elapsed": (0, min(int(steps), 1)),
            "favourite": (0, 1),
            "rewards": (1.01 * self.reward_bounds[0] * steps, 0),
        }
        check_values("game", state, allowed)
        self.state = {name: array.copy() for name, array in state.items()}
