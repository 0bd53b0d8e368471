"""Small games as users write them: with boxes and an end, with tables and without karma."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, whole
from karma_envs.finite import Axis, FiniteGame
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.numerics.random import fill_uniform, new_streams
from karma_envs.outcome import Outcome
from karma_envs.states import LARGEST_COUNT, Allowed, check_arrays, check_values

STARTS, ACTIONS = range(2)
"""Random streams, one per purpose."""


@dataclass(frozen=True)
class OwnConfig(Config):
    """How many agents play.

    Attributes:
        n_agents: N.
    """

    n_agents: int = 6

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1))


class OwnGame(PopulationGame):
    """What these games share: a state of arrays by name, totals, random streams, and perhaps an end."""

    config_class = OwnConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    own_fields: ClassVar[Mapping[str, Allowed]]
    """What the arrays of one game besides the common ones may hold."""

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        self.config = (config or OwnConfig()).replace(**fields)
        self.n_agents = self.config.n_agents
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.state: dict[str, NDArray[Any]] = {}

    @abstractmethod
    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """The game's own arrays as it begins, from ``float64[N]`` uniform draws."""

    @abstractmethod
    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """A step of legal actions: change the game's own arrays, and give rewards."""

    def reset(self, rng: np.random.Generator) -> None:
        self.state = {
            "streams": new_streams(rng, 2),
            "rewards": np.zeros(self.n_agents),
            "steps": np.zeros(1, np.int64),
            "elapsed": np.zeros(1, np.int64),
        }
        self.begin_anew()

    def begin_anew(self) -> None:
        draws = np.empty(self.n_agents)
        fill_uniform(self.state["streams"], STARTS, draws)
        self.state.update(self.start(draws), elapsed=np.zeros(1, np.int64))

    @property
    def elapsed(self) -> int:
        return int(self.state["elapsed"][0])

    @property
    def policy_streams(self) -> NDArray[np.uint64]:
        return self.state["streams"][ACTIONS:]

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        self.check_not_over()
        taken = self.actions_of(actions)
        if self.admissible(taken)[1] is not None:
            raise IllegalActionError("an action is illegal")
        rewards = self.move(taken)
        for name, gained in (("rewards", rewards), ("steps", 1), ("elapsed", 1)):
            self.state[name] = self.state[name] + gained
        return rewards

    def outcome(self) -> Outcome:
        steps = int(self.state["steps"][0])
        return Outcome(steps, self.state["rewards"].copy(), counted=np.full(self.n_agents, steps))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {name: array.copy() for name, array in self.state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        if not self.state:
            self.reset(np.random.default_rng(0))
        check_arrays("game", state, self.state)
        steps, longest = state["steps"][0], LARGEST_COUNT if self.length is None else self.length
        worst, best = self.reward_bounds
        common = {
            "steps": (0, LARGEST_COUNT),
            "elapsed": (0, min(int(steps), longest)),
            "rewards": (1.01 * worst * steps - 1e-9, 1.01 * best * steps + 1e-9),
        }
        check_values("game", state, {**common, **self.own_fields})
        self.state = {name: array.copy() for name, array in state.items()}


class DriftGame(OwnGame):
    """Three steps on a line: who moves pays for it, and wants to be where the others are on average.

    An agent sees its place in [-3, 3] and the step, moves by up to 1 to either side, and earns minus the
    square of its distance to the mean place, minus a tenth of the square of its move.
    """

    name = "drift"
    length = 3
    own_fields: ClassVar[Mapping[str, Allowed]] = {"place": (-3, 3)}

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.observation_space = Box(np.array([-3, 0], np.float32), np.array([3, 1], np.float32))
        self.action_space = Box(-1, 1, (1,), np.float32)
        self.reward_bounds = -36.1, 0.0

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {"place": (2 * draws - 1).astype(np.float32)}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        place = np.clip(self.state["place"] + actions[:, 0], -3, 3).astype(np.float32)
        self.state["place"] = place
        distance = place - place.mean(dtype=np.float64)
        return np.asarray(-(distance**2) - 0.1 * actions[:, 0] ** 2, np.float32)

    def observations(self) -> NDArray[np.float32]:
        time = np.full(self.n_agents, self.elapsed / self.length, np.float32)
        return np.stack([self.state["place"], time], axis=1)


class OneShotGame(OwnGame):
    """One step: everyone names a point of the unit square, near its own and far from the crowd's.

    An agent sees a number t of its own in [0, 1], names (x, y), and earns ``-|x - t| + |y - mean of y|``.
    """

    name = "one_shot"
    length = 1
    own_fields: ClassVar[Mapping[str, Allowed]] = {"own": (0, 1)}

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.observation_space = Box(0, 1, (1,), np.float32)
        self.action_space = Box(0, 1, (2,), np.float32)
        self.reward_bounds = -1.0, 1.0

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {"own": draws.astype(np.float32)}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        x, y = actions.T.astype(np.float64)
        return np.asarray(np.abs(y - y.mean()) - np.abs(x - self.state["own"]), np.float32)

    def observations(self) -> NDArray[np.float32]:
        return self.state["own"][:, None].copy()


class RoadsGame(OwnGame, FiniteGame):
    """Drivers choose one of three roads, without an end: a road costs more the more there are on it."""

    name = "roads"
    own_fields: ClassVar[Mapping[str, Allowed]] = {"road": (0, 2)}
    delay = np.array([0.2, 0.5, 1.0])

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.n_observations, self.n_actions = 3, 3
        self.legal_actions = np.ones((3, 3), bool)
        self.observation_space = Box(0, 1, (3,), np.float32)
        self.reward_bounds = -1.05, 0.0

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (Axis("last road", ("north", "middle", "south")),)

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {"road": (3 * draws).astype(np.int64)}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        share = np.bincount(actions, minlength=3)[actions] / self.n_agents
        changed = actions != self.state["road"]
        self.state["road"] = actions
        return np.asarray(-self.delay[actions] * share - 0.05 * changed, np.float32)

    def observation_index(self) -> NDArray[np.int64]:
        return self.state["road"].copy()

    def observations(self) -> NDArray[np.float32]:
        return np.eye(3, dtype=np.float32)[self.state["road"]]


class SprintGame(OwnGame, FiniteGame):
    """Four steps with tables: who has energy left may run (action 1) and earns 1; who rests gains a unit.

    An agent observes its energy, 0 to 3, and the steps that are left, 0 to 4.
    """

    name = "sprint"
    length = 4
    own_fields: ClassVar[Mapping[str, Allowed]] = {"energy": (0, 3)}

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.n_observations, self.n_actions = 20, 2
        self.legal_actions = np.ones((20, 2), bool)
        self.legal_actions[:5, 1] = False
        self.observation_space = Box(0, 1, (2,), np.float32)
        self.reward_bounds = 0.0, 1.0

    @property
    def axes(self) -> tuple[Axis, ...]:
        return Axis("energy", tuple(range(4))), Axis("steps left", tuple(range(5)))

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {"energy": (3 * draws).astype(np.int64)}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        self.state["energy"] = np.minimum(self.state["energy"] + 1 - 2 * actions, 3)
        return actions.astype(np.float32)

    def observation_index(self) -> NDArray[np.int64]:
        return self.state["energy"] * 5 + self.length - self.elapsed

    def observations(self) -> NDArray[np.float32]:
        left = np.full(self.n_agents, 1 - self.elapsed / self.length)
        return np.stack([self.state["energy"] / 3, left], axis=1).astype(np.float32)


OWN_GAMES = (DriftGame, OneShotGame, RoadsGame, SprintGame)
