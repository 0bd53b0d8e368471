"""Episodes that checks play, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.checks.errors import CheckError, expect
from karma_envs.finite import FiniteGame
from karma_envs.game import IllegalActionError
from karma_envs.metrics import Outcome

STEPS = 100
"""Length of the episodes that are played."""


class Moment(NamedTuple):
    """One step of a recorded episode; observations and mask are those after it."""

    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    observations: NDArray[np.float32]
    tabular: NDArray[np.int64]
    mask: NDArray[np.int8]

    def copy(self) -> Moment:
        """The same in arrays of its own."""
        return Moment(
            self.actions.copy(),
            self.rewards.copy(),
            self.observations.copy(),
            self.tabular.copy(),
            self.mask.copy(),
        )


def begun(game: FiniteGame, seed: int = 0) -> FiniteGame:
    """A fresh copy of a game, after reset."""
    copy = game.fresh()
    copy.reset(np.random.default_rng(seed))
    return copy


def _index(game: FiniteGame) -> NDArray[np.int64]:
    """Everybody's tabular observation, before anything is looked up by it."""
    index = game.observation_index()
    inside = (index >= 0) & (index < game.n_observations)
    expect(inside.all(), "observation_index leaves 0 … n_observations - 1")
    return index


def some_legal(game: FiniteGame, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random legal action for every agent."""
    legal = game.legal_actions[_index(game)]
    return np.asarray(np.argmax(np.where(legal, rng.random(legal.shape), -1.0), axis=1), np.int64)


def moments(game: FiniteGame, n_steps: int = STEPS, actions_seed: int = 1) -> Iterator[Moment]:
    """Play random legal actions; the arrays are the game's own."""
    rng = np.random.default_rng(actions_seed)
    for _ in range(n_steps):
        actions = some_legal(game, rng)
        given = actions.copy()
        try:
            rewards = game.step(actions)
        except IllegalActionError as error:
            raise CheckError(f"actions that are legal by legal_actions were refused: {error}") from error
        expect(np.array_equal(actions, given), "step changed the actions that it was given")
        tabular = _index(game)
        yield Moment(actions, rewards, game.observations(), tabular, game.action_mask())


def record(game: FiniteGame, n_steps: int = STEPS) -> list[Moment]:
    """The same, in arrays that nothing changes."""
    return [moment.copy() for moment in moments(game, n_steps)]


def expect_same(first: list[Moment], second: list[Moment], what: str) -> None:
    """Raise CheckError at the first step in which two recordings differ."""
    for step, (one, other) in enumerate(zip(first, second)):
        for name in Moment._fields:
            same = np.array_equal(getattr(one, name), getattr(other, name))
            expect(same, f"{what}: {name} differ in step {step}")


def differ(first: list[Moment], second: list[Moment]) -> bool:
    """Whether anybody saw or earned anything else."""
    return any(
        not np.array_equal(one.observations, other.observations)
        or not np.array_equal(one.rewards, other.rewards)
        for one, other in zip(first, second)
    )


def same_state(first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]) -> bool:
    """Whether two states are the same to the bit."""
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def expect_same_outcome(first: Outcome, second: Outcome, what: str) -> None:
    """Raise CheckError where totals differ by more than rounding."""
    for name, value in vars(first).items():
        expect(np.allclose(value, getattr(second, name)), f"{what}: outcome().{name} differ")
