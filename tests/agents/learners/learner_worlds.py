"""As much of games as learners look at, and what happens in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.learners import TabularConfig, TabularLearner
from karma_envs.finite import FiniteGame
from karma_envs.transitions import Transitions

ALGORITHMS = ("sarsa", "q_learning", "expected_sarsa")


class World(FiniteGame):
    """As much of a game as a learner looks at; it is not played."""

    name = "world"

    def __init__(
        self,
        legal_actions: NDArray[np.bool_],
        type_of_agent: NDArray[np.uint8],
        discounts: NDArray[np.float64] | None = None,
        reward_bounds: tuple[float, float] = (-10.0, 10.0),
    ) -> None:
        self.legal_actions, self.type_of_agent = legal_actions, type_of_agent
        self.n_observations, self.n_actions = legal_actions.shape
        self.discounts = np.array([0.9, 0.7]) if discounts is None else discounts
        self.reward_bounds = reward_bounds

    def not_played(self, *_: Any) -> Any:
        raise NotImplementedError

    reset = step = observations = observation_index = outcome = state_dict = load_state_dict = not_played


def bids(highest: list[int]) -> NDArray[np.bool_]:
    """Legal actions as in a karma game: 0 … highest."""
    return np.arange(max(highest) + 1) <= np.array(highest)[:, None]


TWO_TYPES = World(bids([0, 1, 3, 5, 2]), np.array([0, 0, 0, 1, 1, 1], np.uint8))


def learner_of(world: Any, seed: int = 0, **config: Any) -> TabularLearner:
    return TabularLearner(world, TabularConfig(**config), np.random.default_rng(seed))


def random_transitions(world: World, n_steps: int, rng: np.random.Generator) -> Transitions:
    """Any observations, random legal actions, normal rewards."""
    n_agents = len(world.type_of_agent)
    observations = rng.integers(0, world.n_observations, (n_steps + 1, n_agents)).astype(np.uint16)
    legal = world.legal_actions[observations[:-1]]
    actions = np.argmax((1 + rng.random(legal.shape)) * legal, axis=2).astype(np.uint16)
    rewards = rng.normal(size=(n_steps, n_agents)).astype(np.float32)
    return Transitions(observations, actions, rewards)


def stretch(transitions: Transitions, start: int, stop: int) -> Transitions:
    return Transitions(
        transitions.observations[start : stop + 1],
        transitions.actions[start:stop],
        transitions.rewards[start:stop],
    )


def assert_same_state(one: TabularLearner, other: TabularLearner) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


# agents 0 1 2 are of type 0, agents 3 4 5 of type 1
GROUPS: dict[str, tuple[list[int], list[int], list[float]]] = {
    "independent": ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [0.9, 0.9, 0.9, 0.7, 0.7, 0.7]),
    "per_type": ([0, 0, 0, 1, 1, 1], [0, 3], [0.9, 0.7]),
    "pooled": ([0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5], [0.9, 0.7]),
}
