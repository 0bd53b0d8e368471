"""Contests of two: the higher priority wins, and among equals the coin."""

from __future__ import annotations

import numpy as np
import pytest

from karma_envs.mechanisms.contest import first_wins


@pytest.mark.parametrize("coin", [False, True])
def test_of_two_the_higher_wins_and_the_coin_decides_a_tie(coin: bool) -> None:
    assert first_wins(2, 1, coin)
    assert not first_wins(1, 2, coin)
    assert first_wins(2, 2, coin) == coin
    assert first_wins(-1, -2, coin)
    assert first_wins(np.float32(0.5), np.float32(0.5), coin) == coin
