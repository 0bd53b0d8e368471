"""Passengers of a ferry: to go on board is fun unless everybody does, and who waits loses patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.baselines import random
from karma_envs.config import Config, whole
from karma_envs.finite import Axis, FiniteGame
from karma_envs.game import IllegalActionError
from karma_envs.numerics.random import fill_uniform, new_streams
from karma_envs.outcome import EFFICIENCY, Metric, Outcome, total
from karma_envs.states import LARGEST_COUNT, check_arrays, check_values

from .kernels import board

MOST_PATIENCE = 3
WAIT, GO = range(2)


@dataclass(frozen=True)
class FerryConfig(Config):
    """Who waits for the ferry.

    Attributes:
        n_agents: N, how many there are.
        impatience: what a step of waiting costs without any patience left.
    """

    n_agents: int = 8
    impatience: float = 0.3

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1))


@dataclass(frozen=True)
class FerryOutcome(Outcome):
    """Also how often everyone went.

    Attributes:
        trips: ``int64[N]``.
    """

    trips: NDArray[np.int64] = total()


TRIPS = Metric("trips", "trips", lambda outcome: outcome.trips.mean() / outcome.steps, "trips in a step")


def impatient(game: FerryGame) -> Any:
    """Go when there is no patience left."""
    probabilities = np.zeros((1, game.n_observations, game.n_actions))
    probabilities[0, :, WAIT], probabilities[0, 0] = 1, (0, 1)
    return game.policy_of(probabilities)


class FerryGame(FiniteGame):
    """An agent observes its patience, 0 to 3; who has all of it has just been on board, and must wait."""

    name, config_class = "ferry", FerryConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"calm": {"impatience": 0.1}}
    metrics = (EFFICIENCY, TRIPS)
    baselines: ClassVar[Mapping[str, Any]] = {
        "random": lambda game: game.policy_of(random(game)),
        "impatient": impatient,
    }
    picture = f"{__name__}.picture"

    def __init__(self, config: FerryConfig | None = None, **fields: Any) -> None:
        self.config = (config or FerryConfig()).replace(**fields)
        self.n_agents, self.n_observations, self.n_actions = self.config.n_agents, MOST_PATIENCE + 1, 2
        self.legal_actions = np.ones((self.n_observations, self.n_actions), bool)
        self.legal_actions[MOST_PATIENCE, GO] = False
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.observation_space = Box(0, 1, (1,), np.float32)
        self.reward_bounds = -float(self.config.impatience), 1.0
        self.state: dict[str, NDArray[Any]] = {}

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (Axis("patience", tuple(range(MOST_PATIENCE + 1))),)

    def reset(self, rng: np.random.Generator) -> None:
        self.state = {
            "streams": new_streams(rng, 2),
            "patience": np.zeros(self.n_agents, np.int64),
            "rewards": np.zeros(self.n_agents),
            "trips": np.zeros(self.n_agents, np.int64),
            "steps": np.zeros(1, np.int64),
            "elapsed": np.zeros(1, np.int64),
        }
        self.begin_anew()

    def begin_anew(self) -> None:
        draws = np.empty(self.n_agents)
        fill_uniform(self.state["streams"], 0, draws)
        self.state["patience"][:] = draws * (MOST_PATIENCE + 1)
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
            raise IllegalActionError("who has just been on board must wait")
        rewards = np.empty(self.n_agents, np.float32)
        board(actions, self.state["patience"], MOST_PATIENCE, float(self.config.impatience), rewards)
        self.state["rewards"] += rewards
        self.state["trips"] += actions == GO
        self.state["steps"] += 1
        self.state["elapsed"] += 1
        return rewards

    def observation_index(self) -> NDArray[np.int64]:
        return self.state["patience"].copy()

    def observations(self) -> NDArray[np.float32]:
        return (self.state["patience"] / MOST_PATIENCE).astype(np.float32)[:, None]

    def outcome(self) -> FerryOutcome:
        steps = int(self.state["steps"][0])
        rewards, trips = self.state["rewards"].copy(), self.state["trips"].copy()
        return FerryOutcome(steps, rewards, np.full(self.n_agents, steps), trips)

    def record(self) -> dict[str, float]:
        return {"patience": float(self.state["patience"].mean())}

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {name: array.copy() for name, array in self.state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        if not self.state:
            self.reset(np.random.default_rng(0))
        check_arrays("game", state, self.state)
        steps = state["steps"][0]
        allowed: dict[str, Any] = {
            "steps": (0, LARGEST_COUNT),
            "elapsed": (0, min(int(steps), self.length or LARGEST_COUNT)),
            "patience": (0, MOST_PATIENCE),
            "rewards": (1.01 * self.reward_bounds[0] * steps, 1.01 * steps),
            "trips": (0, steps),
        }
        check_values("game", state, allowed)
        self.state = {name: array.copy() for name, array in state.items()}

    def scene(self) -> dict[str, Any]:
        return {"patience": self.state["patience"], "step": int(self.state["steps"][0])}


class LastFerryGame(FerryGame):
    """The same on a day with five ferries."""

    name = "last_ferry"
    length = 5


GAME = FerryGame
