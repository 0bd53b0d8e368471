"""Finite games whose state is a named tuple of arrays: steps, rollouts, and states that are checked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.finite import FiniteGame, SamplingPolicy
from karma_envs.game import IllegalActionError
from karma_envs.states import LARGEST_COUNT, check_arrays, check_values
from karma_envs.transitions import Transitions

REWARD_ROUNDING = 1.01
"""Room for what sums of rewards gain by rounding, over what the bounds of rewards allow."""


class LastStep(NamedTuple):
    """What a picture needs of the last step that the state does not hold."""

    observations: NDArray[np.integer[Any]]  # [N] before the step
    actions: NDArray[np.integer[Any]]  # [N]
    rewards: NDArray[np.float32]  # [N]


State = TypeVar("State", bound=tuple[Any, ...])
"""A named tuple of arrays, which has ``steps`` (one number)."""


class ArrayGame(FiniteGame, Generic[State]):
    """Base of finite games on arrays. A game's class makes its tables, and fills in what a step is."""

    _state: State | None = None
    _last_step: LastStep | None = None

    @abstractmethod
    def _fresh_state(self, rng: np.random.Generator) -> State:
        """The state that a game begins in."""

    @abstractmethod
    def _complaint(self, actions: NDArray[np.int64]) -> str | None:
        """What is wrong with the first action that is illegal now; None if all are legal."""

    @abstractmethod
    def _settle(self, actions: NDArray[np.int64], rewards: NDArray[np.float32]) -> None:
        """One step of legal actions: change the state, and write the rewards."""

    @abstractmethod
    def _check_state(self, state: State) -> None:
        """Refuse a state that no game with this configuration has.

        Args:
            state: its shapes, dtypes and ``steps`` have been checked.

        Raises:
            ValueError: naming what is wrong.
        """

    @property
    def arrays(self) -> State:
        """The arrays of the current state; not to be written."""
        if self._state is None:
            raise RuntimeError("the game has not begun: call reset(rng) first")
        return self._state

    def reset(self, rng: np.random.Generator) -> None:
        self._state = self._fresh_state(rng)
        self._last_step = None

    def step(self, actions: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        observations = self.observation_index()
        taken = self.actions_of(actions)
        if complaint := self._complaint(taken):
            raise IllegalActionError(complaint)
        rewards = np.empty(self.n_agents, np.float32)
        self._settle(taken, rewards)
        self._last_step = LastStep(observations, taken, rewards.copy())
        return rewards

    def rollout(self, policy: SamplingPolicy, n_steps: int, out: Transitions | None = None) -> Transitions:
        _ = self.arrays  # has the game begun?
        played = super().rollout(policy, n_steps, out)
        self._last_step = LastStep(
            played.observations[-2].copy(), played.actions[-1].copy(), played.rewards[-1].copy()
        )
        return played

    def state_dict(self) -> dict[str, NDArray[Any]]:
        arrays: Any = self.arrays
        return {name: array.copy() for name, array in arrays._asdict().items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        current: Any = self._state or self._fresh_state(np.random.default_rng(0))
        state = {name: array.copy() for name, array in state.items()}
        check_arrays("game", state, current._asdict())
        check_values("game", state, {"steps": (0, LARGEST_COUNT)})
        loaded = current._replace(**state)
        self._check_state(loaded)
        self._state = loaded
        self._last_step = None

    def _is_everyone(self, order: NDArray[np.int32]) -> bool:
        """Whether an array is a permutation of the agents."""
        return np.array_equal(np.sort(order), np.arange(self.n_agents))
