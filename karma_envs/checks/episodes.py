"""Episodes that checks play, recorded, of a game of any space and length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.actions import action_limits
from karma_envs.checks.errors import CheckError, expect
from karma_envs.finite import FiniteGame
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.outcome import Outcome

STEPS = 100
"""Steps that are played; a game that ends begins anew as often as it takes."""

Moment: TypeAlias = dict[str, NDArray[Any]]
"""One step of a recorded game: what :func:`shown` gives before it, ``actions`` and ``rewards``, and what it
gives after it under ``next_`` names."""


def begun(game: PopulationGame, seed: int = 0) -> Any:
    """A fresh copy of a game, after reset."""
    copy = game.fresh()
    copy.reset(np.random.default_rng(seed))
    return copy


def shown(game: PopulationGame) -> Moment:
    """What a game shows now, by name: observations, and masks and tabular observations where it has them."""
    arrays: Moment = {"observations": game.observations()}
    if isinstance(game, FiniteGame):
        arrays["observation_index"] = index_now(game)
    masks = game.action_mask()
    if masks is not None:
        arrays["action_mask"] = masks
    return arrays


def index_now(game: FiniteGame) -> NDArray[np.int64]:
    """Everybody's tabular observation, before anything is looked up by it."""
    index = game.observation_index()
    inside = (index >= 0) & (index < game.n_observations)
    expect(inside.all(), "observation_index leaves 0 … n_observations - 1")
    return index


def legal_now(game: PopulationGame) -> NDArray[np.bool_]:
    """``bool[N, A]``, in a game with numbered actions: the legal ones, by the tables if there are any."""
    if isinstance(game, FiniteGame):
        return game.legal_actions[index_now(game)]
    return np.asarray(game.action_mask(), np.bool_)


def some_legal(game: PopulationGame, rng: np.random.Generator) -> NDArray[Any]:
    """A random legal action for every agent."""
    if isinstance(game.action_space, Box):
        low, high = action_limits(game.action_space)
        return np.asarray(rng.uniform(low, high, (game.n_agents, *low.shape)), np.float32)
    legal = legal_now(game)
    # the legal action with the largest of independent draws
    return np.asarray(np.argmax(np.where(legal, rng.random(legal.shape), -1.0), axis=1), np.int64)


def moments(game: PopulationGame, n_steps: int = STEPS, actions_seed: int = 1) -> Iterator[Moment]:
    """Play random legal actions, from one end to the next; the arrays are the game's own."""
    rng = np.random.default_rng(actions_seed)
    for _ in range(n_steps):
        if game.is_over:
            game.begin_anew()
        before = shown(game)
        actions = some_legal(game, rng)
        handed_over = actions.copy()
        try:
            rewards = game.step(actions)
        except IllegalActionError as error:
            raise CheckError(f"legal actions were refused: {error}") from error
        expect(np.array_equal(actions, handed_over), "step changed the actions that it was given")
        after = {f"next_{name}": array for name, array in shown(game).items()}
        yield {**before, "actions": actions, "rewards": rewards, **after}


def copied(moment: Moment) -> Moment:
    """The same in arrays of its own."""
    return {name: array.copy() for name, array in moment.items()}


def record(game: PopulationGame, n_steps: int = STEPS) -> list[Moment]:
    """Play random legal actions, and hold what happened in arrays that nothing changes."""
    return [copied(moment) for moment in moments(game, n_steps)]


def expect_same(first: list[Moment], second: list[Moment], what: str) -> None:
    """Raise CheckError at the first step in which two recordings differ."""
    for step, (one, other) in enumerate(zip(first, second)):
        for name in one:
            expect(np.array_equal(one[name], other[name]), f"{what}: {name} differ in step {step}")


def differ(first: list[Moment], second: list[Moment]) -> bool:
    """Whether anybody saw or earned anything else."""
    return any(
        not np.array_equal(one[name], other[name])
        for one, other in zip(first, second)
        for name in ("observations", "rewards", "next_observations")
    )


def same_state(first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]) -> bool:
    """Whether two states are the same to the bit."""
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def accepts(game: PopulationGame, actions: NDArray[Any]) -> bool:
    """Whether a game takes a step with these actions, rather than calling them illegal."""
    try:
        game.step(actions)
    except IllegalActionError:
        return False
    return True


def reload(game: PopulationGame, state: dict[str, NDArray[Any]]) -> None:
    """Load a state that a game like this one gave."""
    try:
        game.load_state_dict(state)
    except ValueError as error:
        raise CheckError(f"a state that the game gave must be loaded: {error}") from error


def expect_same_outcome(first: Outcome, second: Outcome, what: str) -> None:
    """Raise CheckError where totals differ by more than rounding."""
    for name, value in vars(first).items():
        expect(np.allclose(value, getattr(second, name)), f"{what}: outcome().{name} differ")
