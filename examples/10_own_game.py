"""A game of your own: drivers who choose a road; checked, learned, and given to PettingZoo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box

from agents.learners import TabularConfig, TabularLearner
from karma_envs.checks import check_game, check_parallel_env
from karma_envs.config import Config, whole
from karma_envs.finite import FiniteGame
from karma_envs.game import IllegalActionError
from karma_envs.numerics.random import new_streams
from karma_envs.outcome import Outcome
from karma_envs.states import check_arrays, check_values
from karma_envs.views.parallel import PopulationParallelEnv

DELAY = np.array([0.2, 0.5, 1.0], np.float32)  # at full load; the road of action a is DELAY[a] * share
SWITCHING = np.float32(0.05)


@dataclass(frozen=True)
class RoadsConfig(Config):
    """n_agents: how many drive."""

    n_agents: int = 60

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1))


class RoadsGame(FiniteGame):
    """Each driver sees which road it took last, and pays for its delay and for changing the road."""

    name, config_class, presets = "roads", RoadsConfig, {}

    def __init__(self, config=None, **fields):
        self.config = (config or RoadsConfig()).replace(**fields)
        self.n_agents, self.n_observations, self.n_actions = self.config.n_agents, 3, 3
        self.legal_actions = np.ones((3, 3), bool)
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.observation_space, self.reward_bounds = Box(0, 1, (3,), np.float32), (-1.05, 0.0)

    def reset(self, rng):
        self.state = {
            "road": rng.integers(0, 3, self.n_agents),
            "rewards": np.zeros(self.n_agents),
            "steps": np.zeros(1, np.int64),
            "streams": new_streams(rng, 1),
        }

    def step(self, actions):
        roads, state = self.actions_of(actions), self.state
        if ((roads < 0) | (roads > 2)).any():
            raise IllegalActionError("there are roads 0, 1 and 2")
        share = np.bincount(roads, minlength=3)[roads] / np.float32(self.n_agents)
        rewards = (-DELAY[roads] * share - SWITCHING * (roads != state["road"])).astype(np.float32)
        state["road"], state["rewards"] = roads, state["rewards"] + rewards
        state["steps"] = state["steps"] + 1
        return rewards

    @property
    def policy_streams(self):
        return self.state["streams"]

    def observation_index(self):
        return self.state["road"].copy()

    def observations(self):
        return np.eye(3, dtype=np.float32)[self.state["road"]]

    def outcome(self):
        steps = int(self.state["steps"][0])
        return Outcome(steps, self.state["rewards"].copy(), counted=np.full(self.n_agents, steps))

    def state_dict(self):
        return {name: array.copy() for name, array in self.state.items()}

    def load_state_dict(self, state):
        if not hasattr(self, "state"):
            self.reset(np.random.default_rng(0))
        check_arrays("game", state, self.state)
        steps = state["steps"][0]
        check_values("game", state, {"steps": (0, 2**53), "road": (0, 2), "rewards": (-1.1 * steps, 0)})
        self.state = {name: array.copy() for name, array in state.items()}


check_game(RoadsGame())
check_parallel_env(PopulationParallelEnv(RoadsGame, max_cycles=50))
print("the game keeps all contracts")

game = RoadsGame()
game.reset(np.random.default_rng(0))
learner = TabularLearner(
    game, TabularConfig(algorithm="q_learning", rationality=60.0), np.random.default_rng(0)
)
for _ in range(200):
    played = game.rollout(learner.policy, 100)
    learner.update(played)
shares = np.bincount(played.actions.ravel(), minlength=3) / played.actions.size
print("shares of the roads:", shares.round(2), "delays:", (DELAY * shares).round(2))
