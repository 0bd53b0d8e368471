"""A beach bar: everyone walks on a promenade for T steps and wants to be near the bar, but not in the crowd.

The game of Perrin et al. 2020 (section 5.2) and Perolat et al. 2022, with a reward in which the crowd counts
linearly, so that it is a potential game on any number of places. In place x, with the share z(x) of all:

    reward = -|x - bar| / X - aversion z(x) - effort |move|,    x' = x + move + slip, kept on the promenade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, real, whole
from karma_envs.finite import Axis, FiniteGame
from karma_envs.game import IllegalActionError
from karma_envs.mean_field import DecisionProblem, FiniteHorizonModel, FiniteMeanFieldModel
from karma_envs.numerics.random import fill_uniform, new_streams
from karma_envs.outcome import Outcome
from karma_envs.states import LARGEST_COUNT, check_arrays, check_values

MOVES = np.array([0, -1, 1])


@dataclass(frozen=True)
class BeachBarConfig(Config):
    """Who walks on the promenade.

    Attributes:
        n_agents: N, how many there are.
        n_places: X, of which the middle one has the bar; all begin in place 0.
        duration: T.
        aversion: cost of a place in which all are.
        effort: cost of a move.
        slip: probability to slip a place further, half of it to each side.
        discount: gamma.
    """

    n_agents: int = 100
    n_places: int = 5
    duration: int = 4
    aversion: float = 2.0
    effort: float = 0.1
    slip: float = 0.2
    discount: float = 1.0

    def __post_init__(self) -> None:
        self._set(
            n_agents=whole("n_agents", self.n_agents, 1),
            n_places=whole("n_places", self.n_places, 2),
            duration=whole("duration", self.duration, 1),
            aversion=real("aversion", self.aversion, 0),
            effort=real("effort", self.effort, 0),
            slip=real("slip", self.slip, 0, 1),
            discount=real("discount", self.discount, 0, 1),
        )

    @property
    def own_reward(self) -> NDArray[np.float64]:
        """What there is without others, ``float64[X, moves]``."""
        places = np.arange(self.n_places)
        return -np.abs(places - self.n_places // 2)[:, None] / self.n_places - self.effort * np.abs(MOVES)

    @property
    def kernel(self) -> NDArray[np.float64]:
        """Probability of the next place, ``float64[X, moves, X]``."""
        kernel = np.zeros((self.n_places, len(MOVES), self.n_places))
        for place in range(self.n_places):
            for action, move in enumerate(MOVES):
                for slip, chance in ((-1, self.slip / 2), (0, 1 - self.slip), (1, self.slip / 2)):
                    following = np.clip(place + move + slip, 0, self.n_places - 1)
                    kernel[place, action, following] += chance
        return kernel


class BeachBarStep(FiniteMeanFieldModel):
    """A step of it for infinitely many; the statistic is where they are."""

    def __init__(self, config: BeachBarConfig, n_types: int = 1) -> None:
        self.config = config
        self.masses, self.discounts = np.full(n_types, 1 / n_types), np.full(n_types, config.discount)
        self.legal_actions = np.ones((config.n_places, len(MOVES)), bool)
        self.initial_mean_field = np.eye(config.n_places)[[0] * n_types]
        self._reward, self._kernel = config.own_reward, np.repeat(config.kernel[None], n_types, axis=0)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (Axis("place", tuple(range(self.n_states))),)

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.masses @ mean_field

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        reward = self._reward - self.config.aversion * statistic[:, None]
        return DecisionProblem(np.repeat(reward[None], self.n_types, axis=0), self._kernel)


class BeachBarGame(FiniteGame):
    """The walk with N agents, who observe where they are but not the step."""

    name, config_class = "beach_bar", BeachBarConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"evening": {"duration": 10, "n_places": 7}}

    def __init__(self, config: BeachBarConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or BeachBarConfig()).replace(**fields)
        self.n_agents, self.n_observations, self.n_actions = config.n_agents, config.n_places, len(MOVES)
        self.legal_actions = np.ones((self.n_observations, self.n_actions), bool)
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([config.discount])
        self.observation_space = Box(0, 1, (1,), np.float32)
        self.reward_bounds = -1.0 - config.aversion - config.effort, 0.0
        self.length = config.duration
        self.state: dict[str, NDArray[Any]] = {}

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (Axis("place", tuple(range(self.n_observations))),)

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        return {"move": MOVES}

    def mean_field(self, *, by_agent: bool = False) -> FiniteHorizonModel:
        return FiniteHorizonModel([BeachBarStep(self.config, self.n_agents if by_agent else 1)] * self.length)

    def reset(self, rng: np.random.Generator) -> None:
        self.state = {
            "streams": new_streams(rng, 2),
            "place": np.zeros(self.n_agents, np.int64),
            "rewards": np.zeros(self.n_agents),
            "steps": np.zeros(1, np.int64),
            "elapsed": np.zeros(1, np.int64),
        }

    def begin_anew(self) -> None:
        self.state["place"][:], self.state["elapsed"][:] = 0, 0

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
            raise IllegalActionError("there are three ways to move")
        place, config = self.state["place"], self.config
        shares = np.bincount(place, minlength=config.n_places) / self.n_agents
        rewards = (config.own_reward[place, actions] - config.aversion * shares[place]).astype(np.float32)
        draws = np.empty(self.n_agents)
        fill_uniform(self.state["streams"], 0, draws)
        slips = (draws < config.slip / 2).astype(np.int64) - (draws > 1 - config.slip / 2)
        self.state["place"] = np.clip(place + MOVES[actions] + slips, 0, config.n_places - 1)
        self.state["rewards"] += rewards
        self.state["steps"] += 1
        self.state["elapsed"] += 1
        return rewards

    def observation_index(self) -> NDArray[np.int64]:
        return self.state["place"].copy()

    def observations(self) -> NDArray[np.float32]:
        return (self.state["place"] / (self.n_observations - 1)).astype(np.float32)[:, None]

    def outcome(self) -> Outcome:
        steps = int(self.state["steps"][0])
        return Outcome(steps, self.state["rewards"].copy(), np.full(self.n_agents, steps))

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
            "place": (0, self.n_observations - 1),
            "rewards": (1.01 * self.reward_bounds[0] * steps, 0),
        }
        check_values("game", state, allowed)
        self.state = {name: array.copy() for name, array in state.items()}
