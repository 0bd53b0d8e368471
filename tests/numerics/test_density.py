"""Densities in the plane: mass, the closed forms of bias and variance, and a second formulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from karma_envs.config import ConfigError
from karma_envs.numerics.density import DensityEstimator, PlaneGrid

SQUARE = PlaneGrid((-2.0, -2.0), (2.0, 2.0), (80, 80))
OBLONG = PlaneGrid((0.0, -1.0), (3.0, 1.0), (30, 16))


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.float64, (7, 2), elements=st.floats(-5, 5)),
    st.sampled_from([(SQUARE, 0.05), (SQUARE, 1.0), (OBLONG, 0.13), (OBLONG, 0.5)]),
)
def test_no_mass_is_lost(places: np.ndarray, case: tuple[PlaneGrid, float]) -> None:
    """Also of places at the edge and beyond it, and with the narrowest and the widest kernel."""
    grid, bandwidth = case
    density = DensityEstimator(grid, bandwidth)(places)
    assert density.min() >= 0
    assert density.sum() * grid.cell_area == pytest.approx(1, abs=1e-12)


def test_the_kernel_by_scipy() -> None:
    """Counts smoothed by scipy's reflected Gaussian filter of the same variance give the same."""
    rng = np.random.default_rng(5)
    places = rng.uniform((0, -1), (3, 1), (50, 2))
    deviations = np.sqrt(0.3**2 - OBLONG.spacing**2 / 6) / OBLONG.spacing
    counts = OBLONG.share(places).reshape(OBLONG.shape)
    expected = gaussian_filter(counts, deviations, mode="reflect", truncate=4.0) / (50 * OBLONG.cell_area)
    density = DensityEstimator(OBLONG, 0.3)(places).reshape(OBLONG.shape)
    assert density == pytest.approx(expected, abs=2e-4)  # scipy cuts off at 4 deviations too, but rounds


def test_one_place_has_the_kernels_variance() -> None:
    """Wherever it lies within its cell on average: h^2 along each axis, as the module says."""
    rng = np.random.default_rng(6)
    estimate = DensityEstimator(SQUARE, 0.1)
    x, y = SQUARE.places.T
    variances = []
    for place in rng.uniform(-0.5, 0.5, (400, 2)):
        mass = estimate(place[None]) * SQUARE.cell_area
        assert mass @ x == pytest.approx(place[0], abs=1e-9)
        variances.append([mass @ (x - place[0]) ** 2, mass @ (y - place[1]) ** 2])
    # Cloud in cell varies from 0 to spacing^2 / 4 with the place in the cell: that much, over 400, is noise.
    assert np.mean(variances, axis=0) == pytest.approx([0.01, 0.01], rel=0.01)


@pytest.mark.parametrize("bandwidth", [0.1, 0.2])
def test_bias_and_variance_are_as_documented(bandwidth: float) -> None:
    """At the centre of a normal density: 200 populations of 1000 (seed 1), within 4 standard errors."""
    n, spread = 1000, 0.6
    rng = np.random.default_rng(1)
    estimate, centre = DensityEstimator(SQUARE, bandwidth), np.zeros((1, 2))
    estimates = [
        float(SQUARE.interpolate(estimate(rng.normal(0, spread, (n, 2))), centre)[0]) for _ in range(200)
    ]
    density = 1 / (2 * np.pi * spread**2)
    exact_mean = 1 / (2 * np.pi * (spread**2 + bandwidth**2))  # a normal, smoothed by a normal
    bias = bandwidth**2 / 2 * (-2 * density / spread**2)
    assert exact_mean - density == pytest.approx(bias, rel=1.2 * bandwidth**2 / spread**2)
    error = float(np.std(estimates)) / np.sqrt(200)
    assert np.mean(estimates) == pytest.approx(exact_mean, abs=4 * error)
    variance = exact_mean / (4 * np.pi * bandwidth**2 * n)
    assert np.var(estimates) == pytest.approx(variance, rel=4 * np.sqrt(2 / 200) + 0.1)  # and O(1 / N)


def test_an_agent_counts_itself() -> None:
    """On average over places in a cell by 1 / (2 pi h^2 N), here with N = 1 and h of 4 cells (seed 2)."""
    rng = np.random.default_rng(2)
    estimate = DensityEstimator(SQUARE, 0.2)
    own = [
        float(SQUARE.interpolate(estimate(place[None]), place[None])[0])
        for place in rng.normal(size=(50, 2)) / 9
    ]
    assert np.mean(own) == pytest.approx(1 / (2 * np.pi * 0.04), rel=0.03)


def test_interpolation_is_linear_between_centres() -> None:
    x, y = OBLONG.places.T
    values = 2 * x - y + 3 * x * y  # linear in each, so exact
    places = np.random.default_rng(3).uniform((0.05, -0.9), (2.9, 0.9), (100, 2))
    expected = 2 * places[:, 0] - places[:, 1] + 3 * places[:, 0] * places[:, 1]
    assert OBLONG.interpolate(values, places) == pytest.approx(expected, abs=1e-12)
    corner = OBLONG.interpolate(values, np.array([[9.0, 9.0]]))
    assert corner[0] == values[-1]  # as at the outermost centre


def test_places_are_numbered_row_by_row() -> None:
    assert len(OBLONG) == 480
    assert OBLONG.places[16] == pytest.approx([0.15, -0.9375])
    assert OBLONG.share(OBLONG.places[[16, 17, 17]])[[15, 16, 17]] == pytest.approx([0, 1, 2])


@pytest.mark.parametrize("bandwidth", [0.04, 1.1, 0, float("nan"), "wide"])
def test_bandwidths_that_cannot_be(bandwidth: object) -> None:
    with pytest.raises(ConfigError, match="bandwidth"):
        DensityEstimator(SQUARE, bandwidth)  # type: ignore[arg-type]
