"""States that come from files: values that no game has are refused by name, before a kernel meets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.games.matching import MatchingGame
from karma_envs.states import LARGEST_COUNT, check_values

GAMES: dict[str, dict[str, Any]] = {
    "matching": {"n_agents": 7, "payment": "pay_bid_to_society"},
    "grid_city": {"n_agents": 12, "rows": 1, "columns": 2},
    "grid_city_routes": {"n_agents": 12, "rows": 2, "columns": 2},
}


def played(name: str, **fields: Any) -> PopulationGame:
    game = karma_envs.make(name, **{**GAMES[name], **fields})
    game.reset(np.random.default_rng(0))
    for _ in range(4):
        game.step(np.zeros(game.n_agents, np.int64))
    return game


def extremes(dtype: np.dtype[Any]) -> list[Any]:
    if dtype.kind == "f":
        return [np.nan, np.inf, -np.inf, np.finfo(dtype).max, np.finfo(dtype).min]
    return [np.iinfo(dtype).max, np.iinfo(dtype).min] if dtype.kind == "i" else [np.iinfo(dtype).max]


@pytest.mark.parametrize("name", GAMES)
def test_one_extreme_value_in_any_array_is_refused_by_name(name: str) -> None:
    """All but the random streams, of which every value is one; nothing changes."""
    game = played(name)
    state = game.state_dict()
    for field, array in state.items():
        if field == "streams":
            continue
        for value in extremes(array.dtype):
            for place in (0, -1):
                wrong = array.copy()
                wrong[place] = value
                with pytest.raises(
                    ValueError, match=rf"^game state {field}\[\d+\] = .*; allowed: \S+ … \S+$"
                ):
                    game.load_state_dict({**state, field: wrong})
    for field, array in game.state_dict().items():
        np.testing.assert_array_equal(array, state[field])
    game.load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("matching", {"surplus": -10}, r"surplus\[0\] = -10; allowed: 0 … 70"),
        ("matching", {"steps": -1}, rf"steps\[0\] = -1; allowed: 0 … {LARGEST_COUNT}"),
        ("matching", {"steps": 0}, r"reward_total\[\d\] = -\d+.0; allowed: -0.0 … 0"),
        ("matching", {"urgency": 2}, r"urgency\[0\] = 2; allowed: 0 … 1"),
        ("matching", {"active": 255}, r"active\[0\] = 255; allowed: 0 … 1"),
        ("matching", {"sat_out": -1}, r"sat_out\[0\] = -1; allowed: 0 … 4"),
        ("matching", {"accesses": 5}, r"accesses\[0\] = 5; allowed: 0 … "),
        ("matching", {"reward_total": 1}, r"reward_total\[0\] = 1.0; allowed: -20.2 … 0"),
        ("matching", {"reward_total": -21}, r"reward_total\[0\] = -21.0; allowed: -20.2 … 0"),
        ("matching", {"pairing": 0}, "no game with this configuration"),
        ("grid_city", {"contests": 5}, r"contests\[0\] = 5; allowed: 0 … 4"),
        ("grid_city", {"entries": 49}, r"entries\[0\] = 49; allowed: 0 … 48.0"),
        ("grid_city", {"bid_total": 673}, r"bid_total\[0\] = 673; allowed: 0 … 672.0"),
    ],
)
def test_what_no_game_has_is_refused(name: str, changes: dict[str, Any], says: str) -> None:
    game = played(name)
    state = game.state_dict()
    for field, value in changes.items():
        state[field][:] = value
    with pytest.raises(ValueError, match=says):
        game.load_state_dict(state)


@pytest.mark.parametrize("name", GAMES)
def test_counters_go_past_two_to_the_31(name: str) -> None:
    """A state after 2**31 - 1 steps, in which one agent won and another lost all contests, goes on."""
    game = played(name, karma_mean=5)
    state, steps = game.state_dict(), 2**31 - 1
    state["steps"][0] = steps
    counters = ("accesses", "contests") if "contests" in state else ("accesses", "sat_out")
    for field in counters:
        assert state[field].dtype == np.int64
        state[field][:] = 0
    state[counters[1]][0], state[counters[0]][1] = steps, steps
    if "contests" in state:
        state["contests"][1] = steps
    game.load_state_dict(state)
    before = game.outcome()
    for _ in range(20):
        game.step(np.zeros(game.n_agents, np.int64))
    after = game.outcome()
    for field in ("accesses", "contests", "counted"):
        gained = getattr(after, field) - getattr(before, field)
        assert (gained >= 0).all(), field
        assert (gained <= 20).all(), field
    assert after.accesses[1] > before.accesses[1]
    assert after.steps == steps + 20


@pytest.mark.parametrize("name", GAMES)
def test_counters_of_32_bits_are_read_and_widened(name: str) -> None:
    game = played(name)
    state = game.state_dict()
    narrow = {
        field: array.astype(np.int32) if field in ("accesses", "contests", "sat_out") else array
        for field, array in state.items()
    }
    assert sum(array.dtype != state[field].dtype for field, array in narrow.items()) == 2
    game.load_state_dict(narrow)
    for field, array in game.state_dict().items():
        assert array.dtype == state[field].dtype
        np.testing.assert_array_equal(array, state[field])
    for field, dtype in (("karma", np.int32), ("accesses", np.int16), ("accesses", np.float64)):
        with pytest.raises(ValueError, match=f"game state '{field}': {np.dtype(dtype)}.* expected"):
            game.load_state_dict({**state, field: state[field].astype(dtype)})


def test_turn_taking_keeps_its_order_past_two_to_the_31() -> None:
    """Who had the resource more often loses; in 32 bits its count would be the lowest there is."""
    game = played("matching", n_agents=2, allocation="turn_taking")
    state = game.state_dict()
    state["steps"][0], state["accesses"][:] = 2**33, (2**32 + 1, 2**31 - 1)
    game.load_state_dict(state)
    for _ in range(50):
        game.step(np.zeros(2, np.int64))
    np.testing.assert_array_equal(game.outcome().accesses, [2**32 + 1, 2**31 + 49])


def test_all_of_256_urgencies_are_told_apart() -> None:
    """Each value is its index, of which a state has 8 bits; one more is refused by name."""
    game = MatchingGame(n_agents=6000, urgencies=np.arange(256.0))
    game.reset(np.random.default_rng(0))
    for _ in range(3):
        urgency = game.observation_index() // 21
        rewards = game.step(np.zeros(game.n_agents, np.int64))
        assert set(urgency.tolist()) == set(range(256))
        lost = rewards < 0
        np.testing.assert_array_equal(rewards[lost], -urgency[lost])
        assert lost.sum() + (urgency[~lost] == 0).sum() >= 3000
    with pytest.raises(
        ConfigError, match=r"^urgencies = .* allowed: a list of at least one number, and at most 256"
    ):
        MatchingGame(urgencies=range(257))


def test_values_are_compared_item_by_item() -> None:
    state = {"a": np.array([[0, 1], [2, 3]]), "b": np.array([0.5])}
    check_values("my", state, {"a": (0, [3, 3]), "b": None})
    with pytest.raises(ValueError, match=r"^my state a\[1, 0\] = 2; allowed: 0 … 1$"):
        check_values("my", state, {"a": (0, [[1, 1], [1, 3]]), "b": (0, 1)})
    with pytest.raises(ValueError, match=r"^my state b\[0\] = nan; allowed: 0 … 1$"):
        check_values("my", {"b": np.array([np.nan])}, {"b": (0, 1)})
