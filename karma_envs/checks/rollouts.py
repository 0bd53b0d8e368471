"""Is what a game plays by itself what its steps are?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.checks.episodes import STEPS, begun, expect_same_outcome, shown
from karma_envs.checks.errors import expect
from karma_envs.game import PopulationGame
from karma_envs.transitions import chunks

_MORE = 7
_UNTOUCHED = 123
"""What stands in arrays where nothing may be written."""


def check_rollout(game: PopulationGame) -> None:
    """A rollout is what steps with its actions are, up to the end of the game, and writes nothing beyond.

    It draws its actions from a random stream that the rules do not draw from.
    """
    rolled, stepped = begun(game), begun(game)
    policy = rolled.uniform_policy()
    for done, chunk in chunks(rolled, policy, STEPS):
        if done == 0:
            first_actions = chunk.actions.copy()
        if stepped.is_over:
            stepped.begin_anew()
        for step, actions in enumerate(chunk.actions, done):
            same = np.array_equal(chunk.observations[step - done], _in_transitions(stepped))
            expect(same, f"rollout: observations differ in step {step}")
            legal = stepped.admissible(stepped.actions_of(actions))[1] is None
            expect(legal, f"rollout: an illegal action in step {step}")
            same = np.array_equal(chunk.rewards[step - done], stepped.step(actions))
            expect(same, f"rollout: rewards differ in step {step}")
        same = np.array_equal(chunk.observations[-1], _in_transitions(stepped))
        expect(same, f"rollout: the observations after step {done + len(chunk)} differ")
        ended = "it is over" if stepped.is_over else "it goes on"
        expect(chunk.ended is stepped.is_over, f"rollout: ended is {chunk.ended} where {ended}")
    expect_same_outcome(rolled.outcome(), stepped.outcome(), "rollout")

    n_steps = STEPS + _MORE
    n_played = n_steps if game.length is None else min(n_steps, game.length)
    out = rolled.transitions(n_steps + 2)
    columns = (out.observations, out.actions, out.rewards)
    for array in columns:
        array[:] = _UNTOUCHED
    again = begun(game).rollout(policy, n_steps, out=out)
    expect(len(again) == n_played, "rollout: n_steps is not respected where out has room for more")
    beyond = (out.observations[n_played + 1 :], out.actions[n_played:], out.rewards[n_played:])
    untouched = all((array == _UNTOUCHED).all() for array in beyond)
    expect(untouched, "rollout: it wrote into steps of out beyond n_steps")
    same = np.array_equal(again.actions[: len(first_actions)], first_actions[:n_played])
    expect(same, "rollout: the same seed gives other actions")


def _in_transitions(game: PopulationGame) -> NDArray[Any]:
    """What agents observe as transitions hold it: by number where observations are numbered."""
    now = shown(game)
    return now.get("observation_index", now["observations"])
