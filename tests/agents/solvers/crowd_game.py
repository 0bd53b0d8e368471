"""A game whose gradients are known: agents name a number and are drawn to one that depends on the crowd's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import Config, real, whole
from karma_envs.exchangeable import ExchangeableGame, States
from karma_envs.numerics.random import fill_normal

REACH = 100.0


@dataclass(frozen=True)
class CrowdConfig(Config):
    """How many agents play, and what they suffer from besides.

    Attributes:
        n_agents: N.
        noise: of rewards.
        steps: how many steps there are.
        cooperative: whether they are a team.
    """

    n_agents: int = 10
    noise: float = 0.0
    steps: int = 1
    cooperative: bool = False

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1), noise=real("noise", self.noise, 0))


class PointPolicy:
    """Name the numbers theta, disturbed by normal noise of some width."""

    bounds = np.full(2, -10.0), np.full(2, 10.0)

    def __init__(self, theta: ArrayLike, width: float = 0.0) -> None:
        self.parameters, self.width = np.array(theta, np.float64), width

    def with_parameters(self, parameters: NDArray[np.float64]) -> Self:
        return type(self)(parameters, self.width)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        noise = np.empty(2 * len(observations))
        fill_normal(streams, 0, noise)
        return (self.parameters + self.width * noise.reshape(-1, 2)).astype(np.float32)


class GaussianPoint(PointPolicy):
    """The same with a derivative: score (a - theta) / width^2."""

    def score(self, observations: NDArray[np.float32], actions: NDArray[np.float32]) -> NDArray[np.float64]:
        return (actions.astype(np.float64) - self.parameters) / self.width**2


class CrowdGame(ExchangeableGame):
    """r = -|a - b|^2 + a . z / 2 + noise, with b = (1, -1) and z the mean of all actions a.

    If all name theta then z = theta, and the gradient for one agent is 2 (b - theta) + theta / 2, which is 0
    at theta = 4 b / 3; for a team it is 2 (b - theta) + theta, which is 0 at theta = 2 b.
    """

    name = "crowd"
    config_class = CrowdConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    target = np.array([1.0, -1.0])
    config: CrowdConfig

    def __init__(self, config: CrowdConfig | None = None, **fields: Any) -> None:
        self.config = (config or CrowdConfig()).replace(**fields)
        self.n_agents, self.length = self.config.n_agents, self.config.steps
        self.cooperative = self.config.cooperative  # type: ignore[misc]
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.5])
        self.observation_space = Box(0, 1, (1,), np.float32)
        self.action_space = Box(-REACH, REACH, (2,), np.float32)
        self.reward_bounds = -np.inf, np.inf
        self.family: Any = PointPolicy([0.0, 0.0])

    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        return {"unused": np.zeros(n)}

    def observe(self, states: States) -> NDArray[np.float32]:
        return states["unused"].astype(np.float32)[:, None]

    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(actions.mean(axis=0, dtype=np.float64))

    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.float64]]:
        luck = np.empty(len(actions))
        fill_normal(streams, 0, luck)
        distance = ((actions - self.target) ** 2).sum(axis=1)
        return states, -distance + actions @ statistic / 2 + self.config.noise * luck

    def policy_family(self) -> Any:
        return self.family

    def gradient(self, theta: NDArray[np.float64], coupling: float) -> NDArray[np.float64]:
        """Of an agent with coupling 1/2, of a team with 1."""
        return 2 * (self.target - theta) + coupling * theta


class HalvingGame(CrowdGame):
    """Endless: x' = x / 2 + a from x = 0, and z is the mean of x; rewards are 1."""

    name = "halving"

    def __init__(self, config: CrowdConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.length = None

    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        return np.array([states["unused"].mean()])

    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.float64]]:
        return {"unused": states["unused"] / 2 + actions[:, 0]}, np.ones(len(actions))
