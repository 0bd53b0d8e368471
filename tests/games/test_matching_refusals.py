"""Bids, policies and buffers that do not fit the matching game are refused, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from karma_envs.game import IllegalActionError, PolicyError
from karma_envs.games.matching import MatchingGame
from karma_envs.numerics.sampling import thresholds_of
from karma_envs.transitions import Transitions
from tests.games.matching_reference import FIELDS, new_game, nothing
from tests.games.rules_reference import random_policy, states_equal


@pytest.mark.parametrize(
    ("bids", "says"),
    [
        ([0, 4, 0, 0, 0, 0, 0], r"agent 1 bids 4; allowed: 0 … 3"),
        ([0, 0, -1, 0, 0, 0, 9], r"agent 2 bids -1; allowed: 0 … 3"),
        ([0, 0, 0], "actions must be 7 whole numbers"),
        ([[0] * 7], "actions must be 7 whole numbers"),
        ([0.0] * 7, "float64"),
        ([True] * 7, "bool"),
        (["0"] * 7, "whole numbers"),
    ],
)
def test_illegal_bids_change_nothing(bids: Any, says: str) -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    with pytest.raises(IllegalActionError, match=says):
        game.step(np.array(bids))
    assert states_equal(game, untouched)
    assert len(game.scene()["pairs"]) == 0
    game.step(np.full(7, 3, np.uint8))
    untouched.step(np.full(7, 3))
    assert states_equal(game, untouched)


@pytest.mark.parametrize("allocation", ["dict", "coin", "turn"])
def test_without_bids_only_zero_is_legal(allocation: str) -> None:
    game = new_game(1, allocation=allocation, **FIELDS)
    assert game.action_mask().sum() == 7
    with pytest.raises(IllegalActionError, match="agent 0 bids 1; allowed: 0 … 0"):
        game.step(np.array([1, 0, 0, 0, 0, 0, 0]))


def test_nothing_happens_before_reset() -> None:
    game = MatchingGame(**FIELDS)
    with pytest.raises(RuntimeError, match="reset"):
        game.step(np.zeros(7, int))
    with pytest.raises(RuntimeError, match="reset"):
        game.observations()


class Tables(NamedTuple):
    """A policy as rollouts see it."""

    thresholds: Any
    row_of_agent: Any


def broke_bids_one(game: MatchingGame) -> NDArray[np.float64]:
    probabilities = nothing(game)
    probabilities[7, :2] = 0.5, 0.5  # urgency 1, karma 0
    return probabilities


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (lambda g: Tables(thresholds_of(nothing(g)[None, :-1]), np.zeros(7, int)), "14 observations and 7"),
        (lambda g: Tables(thresholds_of(np.full((1, 14, 33), 1 / 33)), np.zeros(7, int)), "14, 64"),
        (lambda g: Tables(thresholds_of(nothing(g)), np.zeros(7, int)), "thresholds are"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]).astype(int), np.zeros(7, int)), "int64"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]), np.zeros(6, int)), "6 agents; the game has 7"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]), np.arange(7)), "values 0 … 6; allowed: 0 … 0"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]), np.full(7, -1)), "values -1 … -1"),
        (lambda g: Tables(thresholds_of(np.full((1, 14, 7), 1 / 7)), np.zeros(7, int)), "1 in observation 0"),
        (lambda g: Tables(thresholds_of(broke_bids_one(g)[None]), np.zeros(7, int)), "1 in observation 7"),
        (lambda g: Tables(np.zeros((1, 14, 32), np.uint16), np.zeros(7, int)), "must rise to 65535"),
        (lambda g: Tables(falling(g), np.zeros(7, int)), "row 1: thresholds must rise"),
        (lambda g: Tables(too_wide(g), np.zeros(7, int)), "row 0: thresholds must rise"),
        (lambda g: Tables(np.asfortranarray(two_rows(g)), np.zeros(7, int)), "contiguous"),
        (lambda g: Tables(two_rows(g)[::-1], np.zeros(7, int)), "contiguous"),
    ],
)
def test_policies_that_do_not_fit_are_refused(policy: Callable[[MatchingGame], Tables], says: str) -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    with pytest.raises(PolicyError, match=says):
        game.rollout(policy(game), 3)
    assert states_equal(game, untouched)


def two_rows(game: MatchingGame) -> NDArray[np.uint16]:
    return thresholds_of(np.stack([nothing(game)] * 2))


def falling(game: MatchingGame) -> NDArray[np.uint16]:
    table = two_rows(game)
    table[1, 3, :3] = 9, 8, 9
    return table


def too_wide(game: MatchingGame) -> NDArray[np.uint16]:
    """A row whose last possible action is beyond the game's seven."""
    probabilities = np.pad(nothing(game), ((0, 0), (0, 3)))
    probabilities[13] = 0.1
    return thresholds_of(probabilities[None])


def test_a_policy_that_fits_one_game_is_checked_by_another() -> None:
    policy = random_policy(new_game(1, **FIELDS), 1)
    with pytest.raises(PolicyError, match="observation"):
        new_game(1, **FIELDS, allocation="dict").rollout(policy, 3)


def test_buffers_that_do_not_fit_are_refused() -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    policy = random_policy(game, 3)
    for out in (Transitions.empty(5, 8), Transitions.empty(5, 6), Transitions.empty(4, 7)):
        with pytest.raises(ValueError, match=r"do not fit in out|of 7 agents have observations"):
            game.rollout(policy, 5, out)
    with pytest.raises(ValueError, match="n_steps"):
        game.rollout(policy, 0)
    assert states_equal(game, untouched)
