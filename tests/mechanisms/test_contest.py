"""Contests: the highest priorities win; among equals every way to fill the last places is as likely."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from karma_envs.mechanisms.contest import first_wins, select_winners


def winners(priorities: Any, n_winners: int, streams: Any) -> tuple[Any, Any]:
    priorities = np.asarray(priorities, np.float64)
    order = np.full(len(priorities), -7, np.int64)
    won = np.zeros(len(priorities), np.bool_)
    select_winners(priorities, n_winners, streams, 1, order, won)
    return won, order


@given(st.lists(st.integers(-3, 3), max_size=12), st.integers(0, 14), st.integers(0, 2**64 - 1))
@settings(max_examples=200, deadline=None)
def test_the_highest_win(priorities: list[int], n_winners: int, seed: int) -> None:
    streams = np.array([5, seed], np.uint64)
    won, order = winners(priorities, n_winners, streams)
    assert sorted(order) == list(range(len(priorities)))
    ranked = [priorities[contestant] for contestant in order]
    assert ranked == sorted(priorities, reverse=True)
    assert won.sum() == min(n_winners, len(priorities))
    np.testing.assert_array_equal(np.flatnonzero(won), np.sort(order[:n_winners]))
    assert streams[0] == 5


@pytest.mark.parametrize("n_winners", [0, 5, 6])
def test_none_or_all(n_winners: int) -> None:
    won, _ = winners([3, 1, 2, 2, 0], n_winners, np.array([0, 1], np.uint64))
    assert won.all() if n_winners else not won.any()


def test_nobody_contends() -> None:
    won, order = winners([], 2, np.array([0, 1], np.uint64))
    assert len(won) == len(order) == 0


@pytest.mark.parametrize(
    ("priorities", "n_winners", "certain", "tied"),
    [
        ([1, 1, 1, 1, 1], 2, [], [0, 1, 2, 3, 4]),  # 10 ways
        ([0, 2, 1, 1, 3, 1], 3, [1, 4], [2, 3, 5]),  # 3 ways
        ([0, 2, 1, 1, 3, 1, 1], 4, [1, 4], [2, 3, 5, 6]),  # 6 ways
        ([-0.5, -0.5], 1, [], [0, 1]),
    ],
)
def test_ties_are_fair(priorities: Any, n_winners: int, certain: list[int], tied: list[int]) -> None:
    n = 20_000
    streams = np.array([0, 31], np.uint64)
    counts = {frozenset({*certain, *chosen}): 0 for chosen in combinations(tied, n_winners - len(certain))}
    for _ in range(n):
        counts[frozenset(np.flatnonzero(winners(priorities, n_winners, streams)[0]).tolist())] += 1
    expected = n / len(counts)
    statistic = sum((count - expected) ** 2 for count in counts.values()) / expected
    assert statistic < chi2.isf(1e-5, len(counts) - 1)  # beyond 4 sigma; the seed is fixed


@pytest.mark.parametrize("coin", [False, True])
def test_of_two_the_higher_wins_and_the_coin_decides_a_tie(coin: bool) -> None:
    assert first_wins(2, 1, coin)
    assert not first_wins(1, 2, coin)
    assert first_wins(2, 2, coin) == coin
    assert first_wins(-1, -2, coin)
    assert first_wins(np.float32(0.5), np.float32(0.5), coin) == coin
