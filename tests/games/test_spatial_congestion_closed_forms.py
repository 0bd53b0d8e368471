"""Crowds in the plane for infinitely many agents, against published numbers and second formulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

from karma_envs.games.spatial_congestion import SpatialCongestionGame
from karma_envs.games.spatial_congestion.closed_forms import (
    peak_density,
    peak_level,
    peak_spread,
    water_filling,
)
from karma_envs.games.spatial_congestion.grid_programme import best_targets
from karma_envs.numerics.density import PlaneGrid

SPREADS = {1.0: 0.2204, 1.5: 0.2790, 2.0: 0.3286, 2.5: 0.3724, 3.0: 0.4122}
"""E|x - mu|^2 by crowd aversion with s = 1, computed independently of this package."""


@pytest.mark.parametrize(("crowd_aversion", "spread"), SPREADS.items())
def test_the_spread_around_one_peak(crowd_aversion: float, spread: float) -> None:
    assert peak_spread(crowd_aversion) == pytest.approx(spread, abs=5e-5)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.2, 5), st.floats(0.3, 3))
def test_one_peak_by_quadrature(crowd_aversion: float, scale: float) -> None:
    """Mass 1 and the spread by adaptive quadrature, and everybody gets the same."""
    edge = scale * math.sqrt(crowd_aversion * math.log(peak_level(crowd_aversion, scale)))

    def moment(power: int) -> float:
        def integrand(radius: float) -> float:
            return 2 * math.pi * radius**power * float(peak_density(radius, crowd_aversion, scale))

        return float(quad(integrand, 0, edge, epsabs=1e-12)[0])

    assert moment(1) == pytest.approx(1, abs=1e-9)
    assert moment(3) == pytest.approx(peak_spread(crowd_aversion, scale), rel=1e-7)
    radii = np.linspace(0, edge, 7)
    worth = (
        np.exp(-((radii / scale) ** 2)) / (1 + peak_density(radii, crowd_aversion, scale)) ** crowd_aversion
    )
    assert worth == pytest.approx(np.full(7, worth[0]), rel=1e-9)


@pytest.mark.parametrize("crowd_aversion", [0.5, 1.0, 3.0])
def test_water_filling_is_the_closed_form_of_one_peak(crowd_aversion: float) -> None:
    grid = PlaneGrid((-3.0, -3.0), (3.0, 3.0), (200, 200))
    radius = np.hypot(*grid.places.T)
    density, value = water_filling(np.exp(-(radius**2)), grid.cell_area, crowd_aversion)
    assert value == pytest.approx(peak_level(crowd_aversion) ** -crowd_aversion, rel=2e-4)
    assert density @ radius**2 * grid.cell_area == pytest.approx(peak_spread(crowd_aversion), rel=1e-3)
    assert np.abs(density - peak_density(radius, crowd_aversion)).max() < 1e-3


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
