"""What single agents gain in the game of N: by play, and how it falls with N."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
import karma_envs
from agents.evaluators.few_agents.law import finite_size_law
from agents.evaluators.few_agents.simulated_bound import NO_DEVIATION, simulated_bound
from agents.policies.tabular import TabularPolicy
from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame
from karma_envs.meaning import ESTIMATED_LOWER_BOUND

QUICK = {"count_steps": 40_000, "n_select": 50, "n_samples": 200, "payoff_steps": 20_000}


def small_game(n_agents: int) -> FiniteGame:
    game = karma_envs.make(
        "matching", n_agents=n_agents, karma_max=4, karma_mean=2.0, discount=0.9, urgencies=(1.0, 5.0)
    )
    assert isinstance(game, FiniteGame)
    return game


def test_play_bounds_what_is_gained_from_below_and_comes_near_it() -> None:
    """Two agents: seed 5; the exact gain is that of the joint model, whose bounds meet."""
    game = small_game(2)
    policy = agents.solve(game).policy
    exact = agents.evaluators.finite_exploitability(game, policy)
    bound = simulated_bound(game, policy, seed=5, **QUICK)
    assert exact.upper == pytest.approx(exact.lower, abs=1e-6)
    assert exact.lower > 0.3
    assert bound.gain.value < exact.lower + 3 * bound.gain.standard_error
    assert bound.gain.value > 0.8 * exact.lower - 3 * bound.gain.standard_error
    assert abs(bound.payoff.value - exact.payoff) < 4 * bound.payoff.standard_error
    assert abs(bound.efficiency.value - exact.efficiency) < 4 * bound.efficiency.standard_error
    assert (bound.meaning.n_agents, bound.meaning.certainty) == (2, ESTIMATED_LOWER_BOUND)
    assert bound.chosen[0].startswith("counted response")
    again = simulated_bound(game, policy, seed=5, **QUICK)
    assert again.gain == bound.gain


def test_nobody_leaves_a_policy_where_there_is_nothing_to_gain() -> None:
    game = karma_envs.make("matching", n_agents=4, karma_max=4, karma_mean=2.0, urgencies=(0.0, 0.0))
    assert isinstance(game, FiniteGame)
    table = np.zeros((game.n_observations, game.n_actions))
    table[:, 0] = 1.0
    bound = simulated_bound(game, TabularPolicy(table), **{**QUICK, "count_steps": 2000})
    assert bound.chosen == (NO_DEVIATION,)
    assert bound.gain.value == bound.gain_normalised.value == 0.0


def test_a_deviation_that_is_handed_over_is_considered() -> None:
    game = small_game(4)
    never, all_in = np.zeros((2, 1, game.n_observations, game.n_actions))
    never[..., 0] = 1.0
    all_in[0, np.arange(game.n_observations), game.legal_actions.sum(axis=1) - 1] = 1.0
    bound = simulated_bound(
        game, TabularPolicy(never[0]), deviations={"all in": all_in}, **{**QUICK, "count_steps": 0}
    )
    assert bound.considered["all in"][0] > 0  # who bids against none that do always wins
    assert bound.gain.value > 0
    with pytest.raises(ConfigError, match="deviations"):
        simulated_bound(game, TabularPolicy(never[0]), deviations={"one": all_in[0]}, **QUICK)


@given(
    limit=st.floats(-1, 1),
    coefficients=st.lists(st.floats(-5, 5), min_size=1, max_size=3),
    limit_is_known=st.booleans(),
)
def test_a_law_finds_the_numbers_that_gains_were_made_with(
    limit: float, coefficients: list[float], limit_is_known: bool
) -> None:
    sizes = np.arange(2, 9)
    gains = limit + sum(a / sizes.astype(float) ** power for power, a in enumerate(coefficients, start=1))
    law = finite_size_law(sizes, gains, limit=limit if limit_is_known else None, terms=len(coefficients))
    np.testing.assert_allclose(law.coefficients, coefficients, atol=1e-8)
    np.testing.assert_allclose(law.residuals, 0.0, atol=1e-8)
    assert law.limit == pytest.approx(limit, abs=1e-8)
    expected = limit + sum(a / 100.0**power for power, a in enumerate(coefficients, start=1))
    assert float(law.at(100)) == pytest.approx(expected, abs=1e-8)


def test_a_law_of_two_gains_is_a_line_in_one_over_n_and_no_bound() -> None:
    law = finite_size_law([2, 4], [0.3, 0.2])  # by hand: a (1/2 - 1/4) = .1, so a = .4 and the limit is .1
    assert law.coefficients.tolist() == pytest.approx([0.4])
    assert law.limit == pytest.approx(0.1)
    assert "no bound" in repr(law)
    for sizes, gains in (([2, 2], [0.1, 0.2]), ([2], [0.1]), ([0, 1], [0.1, 0.2]), ([2.5, 3], [0.1, 0.2])):
        with pytest.raises(ConfigError, match="n_agents"):
            finite_size_law(sizes, gains)
