"""Random groups: everyone is in one, or left over; all divisions and orders are equally likely."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from karma_envs.numerics.groups import draw_groups
from karma_envs.numerics.random import new_streams


@settings(deadline=None)
@given(n_agents=st.integers(1, 60), size=st.integers(1, 70), seed=st.integers(0, 2**32 - 1))
def test_everyone_is_in_one_place(n_agents: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_agents).astype(np.int32)
    assert draw_groups(order, size, new_streams(rng, 1), 0) == n_agents // size
    np.testing.assert_array_equal(np.sort(order), np.arange(n_agents))


@pytest.mark.parametrize(("n_agents", "size"), [(4, 2), (5, 2), (5, 5), (4, 1)])
def test_every_order_is_equally_likely(n_agents: int, size: int) -> None:
    """A chi-squared test over the orders of the grouped, seed 0; from whatever order the one before left."""
    streams = new_streams(np.random.default_rng(0), 1)
    order = np.arange(n_agents, dtype=np.int32)
    grouped = n_agents // size * size
    drawn: Counter[tuple[int, ...]] = Counter()
    for _ in range(12_000):
        draw_groups(order, size, streams, 0)
        drawn[tuple(order[:grouped].tolist())] += 1
    counts = [drawn[orders] for orders in itertools.permutations(range(n_agents), grouped)]
    assert sum(counts) == 12_000
    assert chisquare(counts).pvalue > 1e-3


def test_who_is_left_over_draws_nothing() -> None:
    """Groups of more than there are agents: none are formed, and nothing is drawn."""
    streams = new_streams(np.random.default_rng(0), 1)
    before, order = streams.copy(), np.arange(3, dtype=np.int32)
    assert draw_groups(order, 4, streams, 0) == 0
    np.testing.assert_array_equal(streams, before)
    np.testing.assert_array_equal(order, np.arange(3))
