"""Refinement in play: what agents of a small city really meet, answered step by step."""

from __future__ import annotations

import pytest

import karma_envs
from agents.policies.tabular import TabularPolicy
from agents.solvers import solve
from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.meaning import ESTIMATE
from karma_envs.numerics.sampling import uniform_over

GAME = GridCityGame(n_agents=40, rows=2, columns=2, discount=0.9)
UNIFORM = TabularPolicy(uniform_over(GAME.legal_actions)[None])


def test_it_lowers_what_is_left_to_gain_at_play() -> None:
    """From acting at random, of which .45 of |J| is left to gain, by a third at least (seed 0)."""
    steps: list[float] = []
    refined = solve(
        GAME,
        "played_refinement",
        start=UNIFORM,
        iterations=20,
        n_steps=200,
        first_step=0.3,
        assess_every=10,
        assess_steps=1000,
        burn_in=100,
        observer=lambda step: steps.append(step.exploitability_normalised),
    )
    assert len(steps) == 3
    assert refined.exploitability_normalised == min(steps) < 0.67 * steps[0]
    assert refined.meaning.n_agents == 40
    assert refined.meaning.certainty == ESTIMATE
    assert not refined.converged


def test_it_ends_where_little_enough_is_left() -> None:
    refined = solve(GAME, "played_refinement", start=UNIFORM, tolerance=10.0, assess_steps=100, burn_in=10)
    assert refined.converged
    assert len(refined.history) == 1


@pytest.mark.parametrize(("option", "value"), [("memory", 0.0), ("iterations", 0), ("first_step", 1.5)])
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=option):
        solve(GAME, "played_refinement", start=UNIFORM, **{option: value})


def test_it_is_for_cities() -> None:
    with pytest.raises(ConfigError, match="game"):
        solve(karma_envs.make("matching", n_agents=4), "played_refinement")
