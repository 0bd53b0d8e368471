"""From Q to policies: against plain NumPy, for any Q, legality and rationality."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.learners.tabular import softmax as learners_softmax
from agents.learners.tabular.softmax import BATCH, Scratch, exponential, update_policy
from agents.learners.tabular.targets import ILLEGAL
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.sampling import NEVER, padded_width


@kernel
def exponentials(x, out):  # type: ignore[no-untyped-def]
    for index in range(x.shape[0]):
        out[index] = exponential(x[index])


def random_legal(rng: np.random.Generator, n_observations: int, n_actions: int) -> NDArray[np.bool_]:
    """Any sets of legal actions, also some of a single action that is not the first."""
    legal = rng.random((n_observations, n_actions)) < rng.random((n_observations, 1))
    legal[np.arange(n_observations), rng.integers(n_actions, size=n_observations)] = True
    return legal


def q_table(values: NDArray[np.floating[Any]], legal: NDArray[np.bool_]) -> NDArray[np.float32]:
    """As a learner holds it: padded to a multiple of 8, and illegal there and where not legal."""
    q = np.full((*values.shape[:2], -(-values.shape[2] // 8) * 8), ILLEGAL, np.float32)
    q[..., : values.shape[2]] = np.where(legal, values, ILLEGAL)
    return q


def cumulative(q: NDArray[np.float32], legal: NDArray[np.bool_], beta: float, epsilon: float) -> Any:
    """P(A <= a) by the formula, in double precision."""
    values = np.where(legal, q[..., : legal.shape[1]].astype(np.float64), -np.inf)
    weights = np.exp(beta * (values - values.max(axis=2, keepdims=True)))
    mixed = (1 - epsilon) * weights / weights.sum(axis=2, keepdims=True)
    return np.cumsum(mixed + epsilon * legal / legal.sum(axis=1, keepdims=True), axis=2)


def update(
    q: NDArray[np.float32], n_actions: int, beta: float, epsilon: float, before: Any = None
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """The thresholds of a whole table, and the change."""
    shape = q.shape[:2]
    thresholds = np.full((*shape, padded_width(n_actions)), NEVER, np.uint16) if before is None else before
    change = np.full(len(q), np.nan)
    stale, updates = np.ones(shape, np.uint8), np.ones(len(q), np.uint8)
    beta, epsilon = np.float32(beta), np.float32(epsilon)
    update_policy(q, thresholds, stale, updates, beta, epsilon, Scratch.of(n_actions), change)
    assert not stale.any()
    return thresholds, change


def assert_is_a_policy(thresholds: NDArray[np.uint16], legal: NDArray[np.bool_]) -> None:
    """Illegal actions have probability exactly 0, and the probabilities sum to 1."""
    n_actions = legal.shape[1]
    steps = np.diff(thresholds[..., :n_actions].astype(np.int64), axis=2, prepend=0)
    assert (steps >= 0).all()
    assert (steps[:, ~legal] == 0).all()
    assert (thresholds[..., n_actions - 1 :] == NEVER).all()


# --- the exponential --------------------------------------------------------------------------------


def test_the_exponential_is_numpys() -> None:
    x = -np.concatenate([[0.0], np.logspace(-9, np.log10(87), 200_000)]).astype(np.float32)
    found = np.empty_like(x)
    exponentials(x, found)
    expected = np.exp(x.astype(np.float64))
    assert np.abs(found / expected - 1).max() < 2e-7
    assert found[0] == 1
    assert found.max() == 1


@pytest.mark.parametrize("x", [-87.5, -1e3, -2e15, -3e38, -np.inf])
def test_the_exponential_of_very_little_is_next_to_nothing(x: float) -> None:
    found = np.empty(1, np.float32)
    exponentials(np.array([x], np.float32), found)
    assert 0 < found[0] < 2e-38


def test_the_exponential_means_the_same_uncompiled() -> None:
    x = -np.linspace(0, 100, 1001).astype(np.float32)
    found = np.empty_like(x)
    exponentials(x, found)
    # Compiled, a product and a sum are rounded once, not twice.
    np.testing.assert_allclose([exponential.py_func(each) for each in x], found, rtol=3e-7)


# --- policies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_actions", [1, 2, 8, 15, 16, 21, 30, 32, 33, 64, 300])
@pytest.mark.parametrize(("beta", "spread"), [(10.0, 0.3), (1e-3, 1e6), (1000.0, 1e-3), (1e9, 1e6), (1.0, 0)])
def test_policies_are_the_formula_for_any_legality(n_actions: int, beta: float, spread: float) -> None:
    rng = np.random.default_rng(n_actions)
    legal = random_legal(rng, 50, n_actions)
    q = q_table(-50 + spread * rng.normal(size=(3, 50, n_actions)), legal)
    for epsilon in (0.0, 0.05, 1.0):
        thresholds, _ = update(q, n_actions, beta, epsilon)
        assert_is_a_policy(thresholds, legal)
        off = np.abs(thresholds[..., :n_actions] / NEVER - cumulative(q, legal, beta, epsilon))
        assert off.max() <= 1 / NEVER


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 70),
    st.floats(1e-9, 1e9),
    st.floats(0, 1),
    st.floats(0, 1e6),
    st.floats(-1e6, 1e6),
)
@settings(max_examples=150, deadline=None)
def test_every_policy_is_one(
    seed: int, n_actions: int, beta: float, epsilon: float, spread: float, centre: float
) -> None:
    rng = np.random.default_rng(seed)
    legal = random_legal(rng, 5, n_actions)
    q = q_table(centre + spread * rng.uniform(-1, 1, (2, 5, n_actions)).round(2), legal)
    thresholds, change = update(q, n_actions, beta, epsilon)
    assert_is_a_policy(thresholds, legal)
    # q and beta in single precision: exponents that matter, up to 16, are off by some 2e-6.
    off = np.abs(thresholds[..., :n_actions] / NEVER - cumulative(q, legal, beta, epsilon))
    assert off.max() <= 1 / NEVER
    assert np.isfinite(change).all()


def test_many_actions_of_next_to_no_weight_do_not_add_up() -> None:
    """Weights that single precision loses in a sum of 1: the last action still ends at 1."""
    q = np.full((1, 2, 2000), -1.0, np.float32)
    q[0, 0, 0] = q[0, 1, 1999] = 0
    thresholds, _ = update(q, 2000, 16.9, 0.0)
    assert thresholds[0, :, 1999].tolist() == [NEVER, NEVER]
    assert_is_a_policy(thresholds, np.ones((2, 2000), bool))


def test_a_row_is_the_same_in_any_company() -> None:
    """To the bit: whichever lane of the batch it is in, and however full the batch is."""
    rng = np.random.default_rng(5)
    legal = random_legal(rng, 2 * BATCH + 3, 15)
    q = q_table(rng.normal(size=(2, len(legal), 15)), legal)
    together, change = update(q, 15, 10, 0.05)
    alone = [update(q[:, x : x + 1].copy(), 15, 10, 0.05) for x in range(len(legal))]
    np.testing.assert_array_equal(np.concatenate([found for found, _ in alone], axis=1), together)
    np.testing.assert_allclose(sum(each for _, each in alone), change, rtol=1e-12)


def test_the_change_is_wasserstein_for_any_legality() -> None:
    """Sum over actions of the differences of P(A <= a), over the number of legal actions less one."""
    rng = np.random.default_rng(6)
    legal = random_legal(rng, 100, 30)
    values = rng.normal(size=(2, 3, 100, 30))
    before, _ = update(q_table(values[0], legal), 30, 2, 0.05)
    after, change = update(q_table(values[1], legal), 30, 2, 0.05, before.copy())
    moved = np.abs(after.astype(np.int64) - before)[..., :30].sum(axis=2) / NEVER
    expected = (moved / np.maximum(legal.sum(axis=1) - 1, 1)).sum(axis=1)
    assert expected.min() > 1
    np.testing.assert_allclose(change, expected, rtol=1e-12)


def test_policies_are_the_same_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    legal = random_legal(rng, 40, 9)
    q = q_table(rng.normal(size=(2, 40, 9)), legal)
    compiled, change = update(q, 9, 10, 0.05)
    plain, plain_change = np.full_like(compiled, NEVER), np.empty(2)
    monkeypatch.setattr(learners_softmax, "_update_batch", learners_softmax._update_batch.py_func)
    update_policy.py_func(
        q, plain, np.ones((2, 40), np.uint8), np.ones(2, np.uint8),
        np.float32(10), np.float32(0.05), Scratch.of(9), plain_change,
    )  # fmt: skip
    # Compiled, a product and a sum are rounded once, which once in a while makes a threshold differ.
    assert np.abs(compiled.astype(int) - plain.astype(int)).max() <= 1
    np.testing.assert_allclose(change, plain_change, rtol=0, atol=200 / NEVER)
