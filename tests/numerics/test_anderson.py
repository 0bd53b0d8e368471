"""Anderson acceleration, on linear residuals whose roots are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_envs.numerics.anderson import Anderson


@given(st.integers(0, 2**32 - 1))
def test_a_linear_residual_is_at_its_root_after_a_step_more_than_it_has_dimensions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 4
    # Plain steps x + r(x) would diverge: 1 - slope is of size 2 and more.
    slopes = np.linalg.qr(rng.normal(size=(n, n)))[0] * np.array([3.0, -1.5, 4.0, 5.0])
    root, point, mixing = rng.normal(size=n), np.zeros(n), Anderson(memory=n)
    for _ in range(n + 1):
        point = mixing.step(point, slopes @ (root - point))
    np.testing.assert_allclose(point, root, atol=1e-5)


def test_the_first_step_and_the_first_after_forgetting_are_plain() -> None:
    mixing = Anderson(memory=3)
    assert mixing.step(np.array([1.0]), np.array([0.5])).tolist() == [1.5]
    # By hand: r falls from .5 to .3 over .5, so that it is 0 at 1.5 + .3 / .4 = 2.25.
    assert mixing.step(np.array([1.5]), np.array([0.3])).tolist() == pytest.approx([2.25])
    mixing.forget()
    assert mixing.step(np.array([1.5]), np.array([0.3])).tolist() == [1.8]
