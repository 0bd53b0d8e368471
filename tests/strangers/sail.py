"""Boats on a lake that sail for three steps: everyone wants to be far out, and near the fleet.

An agent observes where it is, in [0, 3], and how much of the day is over, and sails by up to 1 either way. A
step gives its place, less the square of its distance to the mean place of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, whole
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.numerics.random import fill_uniform, new_streams
from karma_envs.outcome import Outcome
from karma_envs.states import LARGEST_COUNT, check_arrays, check_values


@dataclass(frozen=True)
class SailConfig(Config):
    """The fleet.

    Attributes:
        n_agents: N, how many boats there are.
    """

    n_agents: int = 10

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1))


class Steady:
    """Always sail as far.

    Args:
        move: how far.
    """

    def __init__(self, move: float) -> None:
        self.move = move

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """The same for everyone, ``float32[N, 1]``."""
        return np.full((len(observations), 1), self.move, np.float32)


class SailGame(PopulationGame):
    """Boats that start within [0, 1]."""

    name, config_class = "sail", SailConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    length = 3
    baselines: ClassVar[Mapping[str, Any]] = {
        **PopulationGame.baselines,
        "full_sail": lambda game: Steady(1),
    }

    def __init__(self, config: SailConfig | None = None, **fields: Any) -> None:
        self.config = (config or SailConfig()).replace(**fields)
        self.n_agents = self.config.n_agents
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.observation_space = Box(np.zeros(2, np.float32), np.array([3, 1], np.float32))
        self.action_space = Box(-1, 1, (1,), np.float32)
        self.reward_bounds = -9.0, 3.0
        self.state: dict[str, NDArray[Any]] = {}

    def reset(self, rng: np.random.Generator) -> None:
        self.state = {
            "streams": new_streams(rng, 2),
            "place": np.zeros(self.n_agents),
            "rewards": np.zeros(self.n_agents),
            "steps": np.zeros(1, np.int64),
            "elapsed": np.zeros(1, np.int64),
        }
        self.begin_anew()

    def begin_anew(self) -> None:
        fill_uniform(self.state["streams"], 0, self.state["place"])
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
            raise IllegalActionError("no boat sails further than 1")
        place = np.clip(self.state["place"] + actions[:, 0], 0, 3)
        rewards = (place - (place - place.mean()) ** 2).astype(np.float32)
        self.state["place"] = place
        self.state["rewards"] += rewards
        self.state["steps"] += 1
        self.state["elapsed"] += 1
        return rewards

    def observations(self) -> NDArray[np.float32]:
        time = np.full(self.n_agents, self.elapsed / self.length)
        return np.stack([self.state["place"], time], axis=1).astype(np.float32)

    def outcome(self) -> Outcome:
        steps = int(self.state["steps"][0])
        return Outcome(steps, self.state["rewards"].copy(), np.full(self.n_agents, steps))

    def record(self) -> dict[str, float]:
        return {"mean_place": float(self.state["place"].mean())}

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {name: array.copy() for name, array in self.state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        if not self.state:
            self.reset(np.random.default_rng(0))
        check_arrays("game", state, self.state)
        steps = state["steps"][0]
        allowed: dict[str, Any] = {
            "steps": (0, LARGEST_COUNT),
            "elapsed": (0, min(int(steps), self.length)),
            "place": (0, 3),
            "rewards": (-9.1 * steps, 3.1 * steps),
        }
        check_values("game", state, allowed)
        self.state = {name: array.copy() for name, array in state.items()}
