"""Urgency: stationary distributions, types' shares of the population, the compiled chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import chi2

from karma_envs.config import ConfigError
from karma_envs.karma.urgency import (
    DRAW_RANGE,
    AgentType,
    step_urgency,
    transition_thresholds,
    trip_thresholds,
    type_counts,
)
from karma_envs.numerics.random import GOLDEN, mix

CYCLE = ((0, 1, 0), (0, 0, 1), (1, 0, 0))
SKEWED = ((0.2, 0.8, 0.0), (0.0, 0.35, 0.65), (0.55, 0.15, 0.3))


# --- types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urgencies", "transition", "stationary"),
    [
        ((1, 5), None, (0.5, 0.5)),
        ((1, 9), (0.75, 0.25), (0.75, 0.25)),
        ((1, 2), ((0.9, 0.1), (0.2, 0.8)), (2 / 3, 1 / 3)),  # detailed balance: mu0 * .1 = mu1 * .2
        ((1, 2), ((0, 1), (1, 0)), (0.5, 0.5)),  # period 2
        ((1, 2, 3), CYCLE, (1 / 3, 1 / 3, 1 / 3)),  # period 3
        ((1, 2, 3), np.eye(3), (1 / 3, 1 / 3, 1 / 3)),  # nobody moves: the uniform start stays
        ((1, 2, 3), ((1, 0, 0), (0.5, 0, 0.5), (0, 0, 1)), (0.5, 0, 0.5)),  # two absorbing states
        ((1, 2, 3), ((1, 0, 0), (0.75, 0, 0.25), (0, 0, 1)), (1 / 3 + 1 / 4, 0, 1 / 3 + 1 / 12)),
        ((1, 2, 3), ((0, 1, 0), (1, 0, 0), (0, 0, 1)), (1 / 3, 1 / 3, 1 / 3)),  # periodic and reducible
        ((7,), ((1,),), (1,)),
    ],
)
def test_stationary_urgency(urgencies: Any, transition: Any, stationary: Any) -> None:
    agent_type = AgentType(urgencies=urgencies, urgency_transition=transition)
    np.testing.assert_allclose(agent_type.stationary_urgency, stationary, rtol=0, atol=1e-12)
    assert agent_type.mean_urgency == pytest.approx(np.dot(urgencies, stationary))


def matrices(n: int) -> st.SearchStrategy[NDArray[np.float64]]:
    """Transition matrices with many zeros: periodic and reducible ones among them."""
    weights = hnp.arrays(np.int64, (n, n), elements=st.sampled_from([0, 0, 1, 3]))
    return weights.map(lambda w: np.where(w.sum(axis=1, keepdims=True) == 0, np.eye(n), w)).map(
        lambda w: w / w.sum(axis=1, keepdims=True)
    )


@given(st.integers(1, 5).flatmap(matrices))
@settings(max_examples=150, deadline=None)
def test_stationary_urgency_is_the_cesaro_limit(phi: NDArray[np.float64]) -> None:
    # The lazy chain (I + phi)/2 has no period and the same Cesàro limit; squared 40 times: 2**40 steps.
    n = len(phi)
    lazy = (np.eye(n) + phi) / 2
    for _ in range(40):
        lazy = lazy @ lazy
        lazy /= lazy.sum(axis=1, keepdims=True)
    stationary = AgentType(urgencies=range(n), urgency_transition=phi).stationary_urgency
    np.testing.assert_allclose(stationary, np.full(n, 1 / n) @ lazy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(stationary @ phi, stationary, rtol=0, atol=1e-12)
    assert (stationary >= 0).all()
    assert stationary.sum() == pytest.approx(1, abs=1e-12)


def test_transition_matrix_of_each_form() -> None:
    np.testing.assert_array_equal(AgentType(urgencies=(1, 2, 3)).transition_matrix, np.full((3, 3), 1 / 3))
    one_row = AgentType(urgency_transition=(0.75, 0.25)).transition_matrix
    np.testing.assert_array_equal(one_row, [[0.75, 0.25]] * 2)
    one_row[0, 0] = 7  # a copy that can be written
    chain = AgentType(urgencies=(1, 2, 3), urgency_transition=SKEWED)
    np.testing.assert_array_equal(chain.transition_matrix, SKEWED)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"share": 0}, r"share = 0 .*\(0, 1e\+12\]"),
        ({"share": float("inf")}, "share = inf"),
        ({"discount": 1}, r"discount = 1 .*\[0, 1\)"),
        ({"urgencies": []}, r"urgencies = \[\]"),
        ({"urgencies": (1, -1)}, r"urgencies\[1\] = -1"),
        ({"urgency_transition": (0.2, 0.2)}, "sum is 0.4"),
        ({"urgency_transition": "None"}, r"or one row of 2, or null \(in Python None\)"),
        ({"urgency_transition": ((1, 0), (1, 0), (1, 0))}, "2 rows of 2"),
    ],
)
def test_types_that_cannot_be(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        AgentType(**fields)


@pytest.mark.parametrize(
    ("shares", "n_agents", "counts"),
    [
        ((1,), 7, (7,)),
        ((0.5, 0.3, 0.2), 10, (5, 3, 2)),
        ((100, 100), 200, (100, 100)),
        ((1, 1, 1), 10, (4, 3, 3)),  # equal remainders: the first comes first
        ((1, 1, 1), 11, (4, 4, 3)),
        ((5, 3, 1), 4, (2, 1, 1)),  # 2.22, 1.33, 0.44: the one left goes to the last
        ((5.4, 3.5, 1.1), 10, (5, 4, 1)),
        ((0.1, 0.2, 0.7), 10, (1, 2, 7)),  # exact in decimal, not in binary
    ],
)
def test_type_counts_by_hand(shares: Any, n_agents: int, counts: Any) -> None:
    assert tuple(type_counts([AgentType(share) for share in shares], n_agents)) == counts


@given(st.lists(st.floats(0.5, 2), min_size=1, max_size=6), st.integers(20, 200), st.randoms())
@settings(max_examples=150, deadline=None)
def test_type_counts_are_largest_remainders(shares: list[float], n_agents: int, random: Any) -> None:
    counts = type_counts([AgentType(share) for share in shares], n_agents)
    exact = np.array(shares) / sum(shares) * n_agents
    assert counts.sum() == n_agents
    assert (np.abs(counts - exact) < 1 + 1e-6).all()
    rounded_up = counts > exact + 1e-6
    rounded_down = counts < exact - 1e-6
    remainder = exact - np.floor(exact + 1e-9)
    if rounded_up.any() and rounded_down.any():
        assert remainder[rounded_up].min() >= remainder[rounded_down].max() - 1e-6
    order = random.sample(range(len(shares)), len(shares))
    permuted = type_counts([AgentType(shares[index]) for index in order], n_agents)
    if len(shares) == 1 or np.diff(np.sort(remainder)).min() > 1e-6:  # no ties to break by position
        assert permuted.tolist() == [counts[index] for index in order]
    scaled = type_counts([AgentType(4 * share) for share in shares], n_agents)
    assert scaled.tolist() == counts.tolist()


def test_a_type_without_agents_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"types\[1\].share = 0.001 .*one of 10 agents"):
        type_counts([AgentType(1), AgentType(0.001)], 10)


# --- the compiled chain ----------------------------------------------------------------------------


def test_thresholds_by_hand() -> None:
    table = transition_thresholds([AgentType(urgencies=(1, 2, 3), urgency_transition=SKEWED), AgentType()])
    assert table.dtype == np.int64
    unit = DRAW_RANGE
    expected = [
        [round(0.2 * unit), unit, unit],
        [0, round(0.35 * unit), unit],
        [round(0.55 * unit), round(0.7 * unit), unit],
    ]
    assert np.abs(table[0] - expected).max() <= 1
    assert table[0, 1, 0] == 0
    assert table[0, 0, 1] == unit
    assert table[1, :2].tolist() == [[unit // 2, unit, unit]] * 2  # padded: never a third urgency


def next_urgencies(types: list[AgentType], type_of_agent: Any, urgency: Any, seed: int) -> Any:
    streams = np.array([1, seed], np.uint64)
    following = np.asarray(urgency, np.uint8).copy()
    step_urgency(following, np.asarray(type_of_agent, np.uint8), transition_thresholds(types), streams, 1)
    assert streams[0] == 1
    assert int(streams[1]) == (seed + -(-len(following) // 2) * int(GOLDEN)) % 2**64
    return following


def test_urgencies_follow_the_chain_of_their_type() -> None:
    types = [
        AgentType(urgencies=(1, 2, 3), urgency_transition=SKEWED),
        AgentType(urgencies=(1, 2), urgency_transition=((0.9, 0.1), (0.35, 0.65))),
    ]
    rng = np.random.default_rng(17)
    n_agents = 400_000
    type_of_agent = rng.integers(0, 2, n_agents)
    before = rng.integers(0, 3 - type_of_agent)
    after = next_urgencies(types, type_of_agent, before, seed=2**63 + 11)
    for index, agent_type in enumerate(types):
        for urgency, row in enumerate(agent_type.transition_matrix):
            members = (type_of_agent == index) & (before == urgency)
            counts = np.bincount(after[members], minlength=len(row))
            assert len(counts) == len(row)
            assert (counts[row == 0] == 0).all()
            expected = row[row > 0] * members.sum()
            statistic = ((counts[row > 0] - expected) ** 2 / expected).sum()
            assert statistic < chi2.isf(1e-5, len(expected) - 1)  # beyond 4 sigma; the seed is fixed


def test_certain_transitions_are_certain() -> None:
    cycle = AgentType(urgencies=(1, 2, 3), urgency_transition=CYCLE)
    before = np.arange(3000) % 3
    after = next_urgencies([cycle], np.zeros(3000), before, seed=1)
    np.testing.assert_array_equal(after, (before + 1) % 3)
    single = AgentType(urgencies=(4,))
    assert (next_urgencies([single], np.zeros(9), np.zeros(9), seed=1) == 0).all()


@given(st.integers(1, 7), st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_each_agent_has_its_own_32_bits(n_agents: int, seed: int) -> None:
    chain = AgentType(urgencies=(1, 2, 3), urgency_transition=SKEWED)
    before = np.arange(n_agents) % 3
    after = next_urgencies([chain], np.zeros(n_agents), before, seed)
    cumulative = transition_thresholds([chain])[0]
    for agent in range(n_agents):
        bits = int(mix(np.uint64((seed + (agent // 2 + 1) * int(GOLDEN)) % 2**64)))
        draw = bits >> 32 if agent % 2 else bits % 2**32
        assert after[agent] == np.searchsorted(cumulative[before[agent]], draw, side="right")


def test_urgencies_of_trips() -> None:
    chain = AgentType(urgency_transition=((0.25, 0.75), (0.5, 0.5)))  # stationary: 2/5, 3/5
    row = AgentType(urgencies=(1, 2, 3), urgency_transition=(0.25, 0.75, 0))
    table = trip_thresholds([chain, row])
    assert table.shape == (2, 4, 3)
    whole = 2**32
    assert table[0, [0, 1, 3], 0].tolist() == [whole // 4, whole // 2, round(0.4 * whole)]
    assert (table[0][[0, 1, 3], 1:] == whole).all()
    assert table[1].tolist() == [[whole // 4, whole, whole]] * 4
    assert (table[:, :3] == transition_thresholds([chain, row])).all()
