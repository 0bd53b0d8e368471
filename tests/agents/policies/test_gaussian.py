"""Gaussian policies: the network by hand, the noise, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.policies import GaussianPolicy, load
from karma_envs.config import ConfigError
from karma_envs.game import PolicyError


def small(variance: Any = 0.25) -> GaussianPolicy:
    """One hidden unit of the sum of two observations; two actions."""
    hidden = np.array([[1.0], [1.0]], np.float32), np.array([0.5], np.float32)
    last = np.array([[2.0, -1.0]], np.float32), np.array([0.0, 3.0], np.float32)
    return GaussianPolicy([hidden, last], variance)


def test_means_by_hand() -> None:
    observations = np.array([[0.25, 0.25], [-0.5, 0.0]], np.float32)
    one = np.tanh(1.0)
    np.testing.assert_allclose(small().mean(observations), [[2 * one, 3 - one], [0, 3]], rtol=1e-6)
    actions = small(0.0).act(observations, np.zeros(1, np.uint64))
    np.testing.assert_array_equal(actions, small().mean(observations))
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(small().greedy().act(observations, np.zeros(1, np.uint64)), actions)


def test_noise_has_the_variance_of_each_dimension() -> None:
    """20,000 draws, seed 7: means have standard errors of .0035 and .0106, variances of 1 % each."""
    streams = np.array([7], np.uint64)
    policy = small([0.25, 2.25])
    observations = np.zeros((20_000, 2), np.float32)
    noise = policy.act(observations, streams) - policy.mean(observations)
    assert streams[0] != 7
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.035)
    np.testing.assert_allclose(noise.var(axis=0), [0.25, 2.25], rtol=0.035)
    again = policy.act(observations, np.array([7], np.uint64)) - policy.mean(observations)
    np.testing.assert_array_equal(again, noise)


def test_files_hold_the_policy(tmp_path: Path) -> None:
    path = small([0.5, 0.0]).save(tmp_path / "policy.npz")
    loaded = load(path)
    assert type(loaded) is GaussianPolicy
    observations = np.array([[0.3, -1.0]], np.float32)
    np.testing.assert_array_equal(loaded.mean(observations), small().mean(observations))
    assert loaded.variance.tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("variance", np.array([0.1, -0.1])),
        ("variance", np.zeros(3)),
        ("weights_1", np.zeros((2, 2), np.float32)),
        ("biases_0", np.zeros(2, np.float32)),
        ("weights_0", np.full((2, 1), np.nan, np.float32)),
    ],
)
def test_arrays_of_no_policy_are_refused(name: str, array: NDArray[Any]) -> None:
    arrays = small().to_arrays()
    assert arrays[name].shape != array.shape or not np.array_equal(arrays[name], array)
    with pytest.raises(ValueError, match=r"variance|layers"):
        GaussianPolicy.from_arrays({**arrays, name: array})
    del arrays[name]
    with pytest.raises(ValueError, match="holds no policy"):
        GaussianPolicy.from_arrays(arrays)


def test_refusals_say_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"^variance = -1 is not allowed; allowed: a number >= 0, or 2"):
        small(-1)
    with pytest.raises(ConfigError, match=r"^layers = \[\] is not allowed"):
        GaussianPolicy([], 0.1)
    with pytest.raises(PolicyError, match=r"for observations of 2 numbers; these have \(3,\)"):
        small().mean(np.zeros((4, 3), np.float32))
