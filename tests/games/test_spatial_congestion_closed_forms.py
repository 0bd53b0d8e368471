"""Crowds in the plane for infinitely many agents, against published numbers and second formulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from karma_envs.crowds.water_filling import water_filling
from karma_envs.games.spatial_congestion.closed_forms import (
    peak_density,
    peak_level,
    peak_spread,
)
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
