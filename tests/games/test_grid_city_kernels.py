"""The city's kernels: who gets in is what sorting says, and compiled code does what it says in Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.kernels import (
    REDISTRIBUTION,
    CityScratch,
    find_thresholds,
    line_up,
    move,
    new_scratch,
    real_key,
    whole_key,
)
from karma_envs.karma.surplus import Purses, redistribute


@given(
    keys=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**64 - 1)), min_size=1, max_size=40),
    mask=st.sampled_from([0, 0b111, 0xFF0, 0xF0F0 << 40, 2**63, 2**64 - 1]),
    capacity=st.tuples(*[st.integers(1, 12)] * 3),
)
@settings(max_examples=300, deadline=None)
def test_thresholds_are_those_of_sorting(
    keys: list[tuple[int, int]], mask: int, capacity: tuple[int, ...]
) -> None:
    scratch: CityScratch = new_scratch(len(keys), 3)
    common = keys[0][1] & ~mask & (2**64 - 1)
    values = [common | key & mask for _, key in keys]
    scratch.lane[:] = [lane for lane, _ in keys]
    scratch.key[:] = np.array(values, np.uint64)
    varying = np.bitwise_or.reduce(scratch.key ^ scratch.key[0])
    find_thresholds(scratch, np.array(capacity), np.uint64(varying))
    for lane, places in enumerate(capacity):
        here = sorted((key for key, (at, _) in zip(values, keys) if at == lane), reverse=True)
        threshold = int(scratch.threshold[lane])
        above = sum(key > threshold for key in here)
        tied = sum(key == threshold for key in here)
        assert tied == scratch.tied[lane] or not here
        assert above + min(int(scratch.places[lane]), tied) == min(places, len(here))
        assert above <= places
        if len(here) > places:
            assert scratch.places[lane] <= tied
            assert threshold in (here[places - 1], here[places]) or above == places


@given(st.lists(st.integers(-(2**40), 2**40), min_size=2))
def test_whole_keys_keep_the_order(values: list[int]) -> None:
    assert sorted(values) == sorted(values, key=lambda value: int(np.uint64(whole_key(value))))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
@settings(deadline=None)
def test_real_keys_keep_the_order(values: list[float]) -> None:
    assert sorted(values) == sorted(values, key=lambda value: int(np.uint64(real_key(value))))
    assert real_key(0.0) == real_key(-0.0)


@pytest.mark.parametrize("choice", ["none", "node"])
@pytest.mark.parametrize("allocation", ["highest_bid", "benevolent_dictator", "coin_toss", "turn_taking"])
def test_kernels_do_compiled_what_they_say_in_python(allocation: str, choice: str) -> None:
    compiled, interpreted = (
        GridCityGame(n_agents=30, rows=2, columns=2, allocation=allocation, route_choice=choice) for _ in "ab"
    )
    for game in (compiled, interpreted):
        game.reset(np.random.default_rng(2))
    rng = np.random.default_rng(3)
    scratch = new_scratch(30, len(interpreted.network.lanes) + 1)
    for _ in range(10):
        mask = compiled.action_mask()
        actions = np.argmax(rng.random(mask.shape) * mask, axis=1)
        rewards = np.empty(30, np.float32)
        state, tables, rules = interpreted.arrays, interpreted._tables, interpreted._rules
        varying = line_up.py_func(state, tables, scratch, actions, *rules[:2])
        find_thresholds.py_func(scratch, tables.capacity, varying)
        move.py_func(state, tables, scratch, rewards)
        sharing = tables.redistribution, state.streams, REDISTRIBUTION
        purses = Purses(state.karma, tables.karma_max, state.surplus, state.sharing)
        redistribute(purses, scratch.lane, scratch.crowding, rules[2], *sharing)
        state.steps[0] += 1
        np.testing.assert_array_equal(compiled.step(actions), rewards)
        expected = interpreted.state_dict()
        assert all((array == expected[name]).all() for name, array in compiled.state_dict().items())
