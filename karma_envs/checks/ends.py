"""Does a game with an end end when it says, for all at once, and begin anew by itself?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.checks.episodes import begun, differ, moments, record, same_state, shown, some_legal
from karma_envs.checks.errors import CheckError, expect
from karma_envs.game import PopulationGame
from karma_envs.transitions import Transitions

_EPISODES = 10


def check_end(game: PopulationGame) -> None:
    """It is over after ``length`` steps and not before; then a step is refused, and nothing changes.

    A rollout stops there and says so; the one after it begins anew.
    """
    length = _length(game)
    played = begun(game)
    rng = np.random.default_rng(1)
    for episode in range(3):
        for step in range(length):
            expect(not played.is_over, f"it is over after {step} steps of {length}")
            expect(played.elapsed == step, f"elapsed is {played.elapsed} after {step} steps")
            actions = some_legal(played, rng)
            played.step(actions)
        expect(played.is_over, f"it is not over after {length} steps")
        expect(played.elapsed == length, f"elapsed is {played.elapsed} at the end, after {length} steps")
        _expect_step_refused(played, actions)
        steps = played.outcome().steps
        expect(steps == length * (episode + 1), f"outcome().steps is {steps} after {episode + 1} episodes")
        played.begin_anew()
    for n_steps in {1, length, length + 1}:
        rolled = begun(game)
        for _ in range(2):
            _expect_rolled(rolled, rolled.rollout(rolled.uniform_policy(), n_steps), n_steps)
            if not rolled.is_over:
                rolled.reset(np.random.default_rng(1))


def _expect_rolled(game: PopulationGame, transitions: Transitions, n_steps: int) -> None:
    """A rollout that began with the game is as long as asked for or as the game, and says if it is over."""
    length = _length(game)
    expected = min(n_steps, length)
    played = f"a rollout of {n_steps} steps of a game of {length}"
    expect(len(transitions) == expected, f"{played} gave {len(transitions)}")
    expect(game.elapsed == expected, f"{played} left the game after {game.elapsed}")
    ended = n_steps >= length
    expect(transitions.ended is ended, f"{played} must have ended = {ended}")


def check_beginnings(game: PopulationGame) -> None:
    """It begins anew by draws of its own: no two episodes need be alike, and the same seed repeats them all.

    Totals go on until reset.
    """
    length = _length(game)
    first, second = (
        [record(played, length) for _ in range(_EPISODES)] for played in (begun(game), begun(game))
    )
    for episode, (one, other) in enumerate(zip(first, second)):
        same = not differ(one, other)
        expect(same, f"begin_anew does not draw from the state: episode {episode} of the same seed differs")
    expect(
        any(differ(first[0], other) for other in first[1:]),
        f"begin_anew draws the same start: {_EPISODES} episodes of the same actions are the same",
    )
    played = begun(game)
    rewards = sum(moment["rewards"].astype(np.float64) for moment in moments(played, 2 * length))
    played.begin_anew()
    same = np.allclose(played.outcome().rewards, rewards, rtol=1e-6, atol=1e-9)
    expect(same, "outcome().rewards must go on when the game begins anew")
    expect(played.elapsed == 0 and not played.is_over, "begin_anew must set elapsed to 0")


def _length(game: PopulationGame) -> int:
    assert game.length is not None  # or these checks do not apply
    return game.length


def _expect_step_refused(game: PopulationGame, actions: NDArray[Any]) -> None:
    before, seen = game.state_dict(), shown(game)
    try:
        game.step(actions)
    except RuntimeError:
        expect(same_state(before, game.state_dict()), "a step after the end changed the state")
        same = all(np.array_equal(array, seen[name]) for name, array in shown(game).items())
        expect(same, "a step after the end changed what agents observe")
        return
    raise CheckError("a step after the end must be refused with RuntimeError")
