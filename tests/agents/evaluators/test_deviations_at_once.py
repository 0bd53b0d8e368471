"""Agents who deviate all at once, beside the same one at a time."""

from __future__ import annotations

import numpy as np

from agents.evaluators import deviation_gain
from agents.evaluators.exploitability.play import with_deviations
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.games.matching import MatchingGame
from karma_envs.meaning import ESTIMATED_LOWER_BOUND

GAME = MatchingGame(n_agents=200, discount=0.8)


def proportional() -> TabularPolicy:
    played = baseline_policy("proportional", GAME)
    return TabularPolicy.from_thresholds(played.thresholds, GAME.n_actions, played.row_of_agent)


def nothing() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    table = np.zeros((GAME.n_observations, GAME.n_actions))
    table[:, 0] = 1.0
    return table


def test_of_a_single_agent_it_is_the_same() -> None:
    one, other = (
        deviation_gain(GAME, proportional(), 3, nothing(), n_samples=5, burn_in=10, at_once=at_once)
        for at_once in (False, True)
    )
    assert one.gain == other.gain
    assert "1 agents at once" in other.deviation_class


def test_a_few_of_many_hardly_feel_each_other() -> None:
    """Ten of 200, 200 samples (seed 0): means within 4 standard errors of their difference."""
    chosen = np.arange(10)
    alone, together = (
        deviation_gain(
            GAME, proportional(), chosen, nothing(), n_samples=200, gap=5, burn_in=100, at_once=at_once
        )
        for at_once in (False, True)
    )
    error = np.sqrt((alone.gain_errors**2 + together.gain_errors**2).sum()) / 10
    assert error < 0.1
    assert abs(alone.gains.mean() - together.gains.mean()) < 4 * error
    assert together.gains.mean() < -4 * error
    assert together.meaning.n_agents == 200
    assert together.kind == ESTIMATED_LOWER_BOUND


def test_each_plays_its_own() -> None:
    highest = GAME.legal_actions * (np.cumsum(GAME.legal_actions[:, ::-1], axis=1)[:, ::-1] == 1.0)
    policy = with_deviations(proportional(), np.array([7, 2]), np.stack([nothing(), highest]))
    assert policy.row_of_agent[[7, 2]].tolist() == [policy.n_rows - 2, policy.n_rows - 1]
    assert (policy.probabilities[-2] == nothing()).all()
    assert (policy.probabilities[-1] == highest).all()
