"""The best move for the lowest of planes: Newton's step, a ridge, ends of the box, and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.planners.methods.bundle import best_move, lowest

MIDDLE = np.array([0.5, 0.5])


def test_one_plane_gives_newtons_step() -> None:
    inverse = np.array([[0.3, 0.1], [0.1, 0.2]])
    slope = np.array([0.2, 0.1])
    move = best_move(np.zeros(1), slope[None], MIDDLE, inverse)
    # The step but for a hundredth, as gains count slightly less the greater they are.
    np.testing.assert_allclose(move, inverse @ slope, rtol=0.011)


def test_two_planes_give_the_direction_of_their_ridge() -> None:
    slopes = np.array([[0.1, 0.3], [0.1, -0.6]])
    move = best_move(np.zeros(2), slopes, MIDDLE, np.eye(2))
    # The convex combination with the least norm: two thirds and one third.
    np.testing.assert_allclose(move, [0.1, 0.0], rtol=0.011, atol=1e-9)
    # If the second is only met .09 higher, the ridge is .1 away.
    beyond = best_move(np.array([0.0, 0.09]), slopes, MIDDLE, np.eye(2))
    np.testing.assert_allclose(beyond, [0.1, 0.1], rtol=0.011)


def test_slopes_that_oppose_give_nothing() -> None:
    slopes = np.array([[1.0, 0.0], [-0.5, 0.0]])
    np.testing.assert_allclose(best_move(np.zeros(2), slopes, MIDDLE, np.eye(2)), 0.0, atol=1e-9)
    np.testing.assert_array_equal(best_move(np.zeros(1), np.zeros((1, 2)), MIDDLE, np.eye(2)), 0.0)


def test_ends_of_the_box_are_met_exactly() -> None:
    move = best_move(np.zeros(1), np.array([[9.0, 0.1]]), np.array([0.3, 0.5]), np.eye(2))
    assert 0.3 + move[0] == 1.0
    assert move[1] == pytest.approx(0.1, rel=0.011)


Array = NDArray[np.float64]


def _worth(heights: Array, slopes: Array, moves: Array, inverse: Array) -> Array:
    gains = np.min(heights[:, None] + slopes @ moves.T, axis=0)
    bend = 0.01 * gains**2 / (2 * slopes[0] @ inverse @ slopes[0])
    costs = 0.5 * np.einsum("ij,jk,ik->i", moves, np.linalg.inv(inverse), moves)
    return np.asarray(gains - bend - costs)


@given(seed=st.integers(0, 10_000), n_planes=st.integers(1, 4))
def test_no_move_of_a_fine_grid_is_better(seed: int, n_planes: int) -> None:
    rng = np.random.default_rng(seed)
    slopes, at = rng.normal(size=(n_planes, 2)), rng.random(2)
    heights = np.append(0.0, 0.2 * rng.random(n_planes - 1))
    inverse = np.diag(rng.uniform(0.05, 1.0, 2))
    move = best_move(heights, slopes, at, inverse)
    assert ((at + move >= 0) & (at + move <= 1)).all()
    assert lowest(heights, slopes, move) >= -1e-9
    axis = np.linspace(0, 1, 101)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2) - at
    best = _worth(heights, slopes, grid, inverse).max()
    assert _worth(heights, slopes, move[None], inverse)[0] >= best - 1e-8
