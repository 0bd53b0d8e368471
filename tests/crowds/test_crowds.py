"""Crowds in the plane: water-filling of any field and best moves on a grid, against second formulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from karma_envs.crowds.grid_programme import best_targets
from karma_envs.crowds.water_filling import water_filling
from karma_envs.games.spatial_congestion import SpatialCongestionGame
from karma_envs.numerics.density import PlaneGrid


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0, 9), min_size=1, max_size=30).filter(lambda field: max(field) > 1e-3),
    st.floats(0.1, 6),
    st.floats(1e-3, 5),
)
def test_water_filling_is_wardrops(field: list[float], crowd_aversion: float, area: float) -> None:
    """Of any field: mass 1, everybody gets lambda, and nobody could get more elsewhere."""
    density, value = water_filling(field, area, crowd_aversion)
    worth = np.array(field) / (1 + density) ** crowd_aversion
    assert density.sum() * area == pytest.approx(1, abs=1e-9)
    assert worth[density > 0] == pytest.approx(value, rel=1e-8)
    assert worth.max() <= value * (1 + 1e-8)


def test_water_filling_maximises_the_potential() -> None:
    """Sum of g log(1 + m) over masses, alpha = 1, by scipy's SLSQP."""
    field, area = np.array([1.0, 2.0, 3.0, 0.1]), 0.5
    density, _ = water_filling(field, area, 1.0)
    found = minimize(
        lambda m: -field @ np.log1p(m),
        np.full(4, 0.5),
        jac=lambda m: -field / (1 + m),
        bounds=[(0, None)] * 4,
        constraints={"type": "eq", "fun": lambda m: m.sum() * area - 1, "jac": lambda m: np.full(4, area)},
        options={"ftol": 1e-14},
    )
    assert density == pytest.approx(found.x, abs=1e-5)


@pytest.mark.parametrize("field", [[0.0, 0.0], [1.0, -1.0], [math.nan, 1.0]])
def test_fields_that_cannot_be_filled(field: list[float]) -> None:
    with pytest.raises(ValueError, match="desirability"):
        water_filling(field, 1.0, 1.0)


def test_the_grid_programme_against_paths_found_directly() -> None:
    """Three steps to a moving peak: V(x_0) by dynamic programming and by scipy over the path itself."""
    grid = PlaneGrid((-1.5, -1.5), (1.5, 1.5), (50, 50))
    peaks, eta, discount = np.array([[0.5, 0.8], [0.7, 0.0], [0.4, -0.6]]), 1.5, 0.9
    squares = ((grid.places[None] - peaks[:, None]) ** 2).sum(axis=2)
    options = {"movement_cost": eta, "discount": discount, "noise": 0.0, "largest_move": 3.0}
    targets, values = best_targets(np.exp(-2 * squares), grid, **options)

    for start in ([-0.4, 0.1], [0.2, -0.9]):

        def loss(flat: np.ndarray, start: list[float] = start) -> float:
            path = flat.reshape(3, 2)
            moves = np.diff(np.vstack([start, path]), axis=0)
            worth = np.exp(-2 * ((path - peaks) ** 2).sum(axis=1)) - eta / 2 * (moves**2).sum(axis=1)
            return -float(worth @ discount ** np.arange(3))

        found = min(
            (minimize(loss, path.ravel(), tol=1e-12) for path in (peaks, peaks / 2)), key=lambda one: one.fun
        )
        place = np.array([start])
        assert grid.interpolate(values[0], place)[0] == pytest.approx(-found.fun, abs=2e-3)
        first = [grid.interpolate(targets[0, :, axis], place)[0] for axis in range(2)]
        assert first == pytest.approx(found.x[:2], abs=0.02)


def test_the_grid_programme_by_brute_force() -> None:
    """One step, every target tried: the maximum is found axis by axis, and moves are bounded."""
    grid = PlaneGrid((-1.0, -1.0), (1.0, 1.0), (12, 12))
    rng = np.random.default_rng(8)
    rewards = rng.uniform(size=(1, 144))
    for largest_move, eta in ((0.5, 0.7), (3.0, 0.0)):
        options = {"movement_cost": eta, "discount": 0.0, "noise": 0.0, "largest_move": largest_move}
        targets, values = best_targets(rewards, grid, **options)
        moves = targets[0] - grid.places
        assert np.abs(moves).max() <= largest_move + 1e-9
        offsets = grid.places[None] - grid.places[:, None]
        worth = rewards[0] - eta / 2 * (offsets**2).sum(axis=2)
        worth = np.where((np.abs(offsets) <= largest_move).all(axis=2), worth, -np.inf)
        # targets between the centres, where a spline may be higher, are allowed, too
        assert (values[0] >= worth.max(axis=1) - 0.05).all()
        assert values[0].max() <= rewards.max() + 0.5


def test_noise_is_an_expectation() -> None:
    """A quadratic reward, expected under noise, falls by its curvature times sigma^2, away from the edge."""
    grid = PlaneGrid((-2.0, -2.0), (2.0, 2.0), (40, 40))
    rewards = -(grid.places**2).sum(axis=1)[None]
    options = {"movement_cost": 2.0, "discount": 0.0, "largest_move": 4.0}
    middle = np.abs(grid.places).max(axis=1) < 0.8
    for noise in (0.0, 0.2):
        targets, values = best_targets(rewards, grid, noise=noise, **options)
        # max of -y^2 - (y - x)^2 is at y = x / 2, worth -x^2 / 2
        expected = -(grid.places**2).sum(axis=1) / 2 - 2 * noise**2
        assert values[0][middle] == pytest.approx(expected[middle], abs=2e-3)
        assert targets[0][middle] == pytest.approx(grid.places[middle] / 2, abs=0.02)


def test_what_the_model_says_is_what_is_played() -> None:
    """A policy's value among a density, from the model's play and from a game's own (seed 9)."""
    game = SpatialCongestionGame(movement_cost=0.5, grid_cells=30, bandwidth=0.2, n_agents=2000, length=2)
    model = game.mean_field()
    statistic = model.initial_statistic
    policy = model.best_response(statistic)
    value = model.policy_value(policy, statistic)
    alone = game.against(statistic)
    alone.reset(np.random.default_rng(9))
    rewards = alone.rollout(policy, 2).rewards.astype(np.float64)
    weights = np.array([1, 0.99]) / 1.99
    own = weights @ rewards
    error = own.std() / math.sqrt(2000)
    assert value[0] == pytest.approx(own.mean(), abs=4 * error)
    assert model.policy_value(game.uniform_policy(), statistic)[0] < value[0] - 10 * error
    made = model.statistic_of(policy)
    assert made.shape == statistic.shape == (2, 900)
    assert made.sum(axis=1) * game.grid.cell_area == pytest.approx([1, 1])
    curves = model.curves(policy)
    rewards = curves["rewards"]["mean_reward"]
    assert weights @ rewards == pytest.approx(model.policy_value(policy, made)[0])
    x = game.grid.places[:, 0]
    assert curves["places"]["mean_x"] == pytest.approx(made @ x * game.grid.cell_area)
    assert curves["density"]["share_per_x"].sum() * game.grid.spacing[0] == pytest.approx(1)
    assert model.efficiency(policy)[0] == pytest.approx(rewards.mean())
