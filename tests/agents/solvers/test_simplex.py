"""Grids on distributions: interpolation is exact for linear functions, and nets hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.solvers.control.simplex import SimplexGrid, policy_net, policy_net_size


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 4), steps=st.integers(1, 9), seed=st.integers(0, 999))
def test_a_distribution_is_the_average_of_the_points_around_it(n: int, steps: int, seed: int) -> None:
    """With few things of probability 0 among them too; points are at most a spacing away."""
    rng = np.random.default_rng(seed)
    grid = SimplexGrid(n, steps)
    distributions = rng.dirichlet(np.full(n, 0.3), (5, 3))
    numbers, weights = grid.places(distributions)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-12)
    around = grid.points[numbers]
    np.testing.assert_allclose((weights[..., None] * around).sum(axis=-2), distributions, atol=1e-12)
    far = np.abs(around - distributions[..., None, :]).max(axis=-1)
    assert far[weights > 1e-12].max() <= 1 / steps + 1e-12
    nearest = grid.points[grid.nearest(distributions)]
    assert np.abs(nearest - distributions).max() <= (1 - 1 / n) / steps + 1e-12


@pytest.mark.parametrize(("n", "steps"), [(1, 3), (2, 7), (3, 4), (4, 3)])
def test_points_are_themselves(n: int, steps: int) -> None:
    grid = SimplexGrid(n, steps)
    assert len(grid.points) == SimplexGrid.size(n, steps) == math.comb(steps + n - 1, n - 1)
    assert len(np.unique(grid.points, axis=0)) == len(grid.points)
    np.testing.assert_allclose(grid.points.sum(axis=1), 1)
    np.testing.assert_array_equal(grid.nearest(grid.points), np.arange(len(grid.points)))


def test_a_net_has_all_mixtures_of_legal_actions() -> None:
    legal = np.array([[True, True, False], [True, False, False], [True, True, True]])
    net = policy_net(legal, 2)
    assert len(net) == policy_net_size(legal, 2) == 3 * 1 * 6
    np.testing.assert_allclose(net.sum(axis=2), 1)
    assert not net[:, ~legal].any()
    assert len(np.unique(net.reshape(len(net), -1), axis=0)) == len(net)
    np.testing.assert_array_equal(np.unique(net), [0, 0.5, 1])
