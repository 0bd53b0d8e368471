"""Truncated power series: their terms, their values and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_envs.config import ConfigError
from karma_envs.incentives import PowerSeries

PLANE = PowerSeries(names=("x", "y"), low=(-2, 0), high=(2, 4), degree=2)


def test_values_by_hand():
    """At (1, 3), which is (1/2, 1/2) in units of the ranges."""
    series = PLANE.weighted({"1": 1.0, "x": 2.0, "x y": 4.0, "y^2": 8.0})
    assert series.weights == (1, 2, 0, 0, 4, 8)
    assert series(np.array([[1.0, 3.0]])) == pytest.approx([1 + 2 / 2 + 4 / 4 + 8 / 4])


def test_beyond_its_range_a_feature_counts_as_at_its_end():
    series = PLANE.weighted({"x": 1.0})
    assert series(np.array([[-9.0, 0.0], [9.0, 0.0]])).tolist() == [-1, 1]


@given(st.integers(1, 3), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_is_a_sum_over_all_exponents(d, degree, seed):
    """Against the definition, term by term; and within its bounds."""
    rng = np.random.default_rng(seed)
    names = ("a", "b", "c")[:d]
    series = PowerSeries(names=names, low=(-1,) * d, high=(1,) * d, degree=degree)
    series = series.replace(weights=tuple(rng.normal(size=len(series.terms))))
    features = rng.uniform(-1, 1, (5, d))
    exponents = {
        tuple(p) for p in np.indices((degree + 1,) * d).reshape(d, -1).T.tolist() if sum(p) <= degree
    }
    assert {*map(tuple, series.exponents.tolist())} == exponents
    assert len({*series.terms}) == len(exponents)
    expected = [
        sum(w * np.prod(row**p) for w, p in zip(series.weights, series.exponents, strict=True))
        for row in features
    ]
    np.testing.assert_allclose(series(features), expected, rtol=1e-12, atol=1e-12)
    low, high = series.bounds
    assert (series(features) >= low - 1e-12).all()
    assert (series(features) <= high + 1e-12).all()


def test_travels_as_plain_data_and_names_its_parameters():
    series = PLANE.weighted({"y": 0.25})
    assert PowerSeries.from_dict(series.to_dict()) == series
    assert series.with_parameter("weights[2]", 0.5) == PLANE.weighted({"y": 0.5})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"names": ()}, "names"),
        ({"degree": -1}, "degree"),
        ({"names": tuple("abcdefgh"), "degree": 20}, "degree"),
        ({"low": (1.0,)}, "high"),
        ({"weights": (1.0,)}, "weights"),
        ({"weights": (1.0, np.nan, 0.0)}, "weights"),
    ],
)
def test_refusals(fields, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        PowerSeries(**fields)


def test_refuses_weights_of_unknown_terms():
    with pytest.raises(ConfigError, match="term = 'z' is not allowed"):
        PLANE.weighted({"z": 1.0})
