"""Actions that are no list of one whole number for each agent are refused by every game; nothing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from karma_envs.finite import FiniteGame
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.registry import game_class

N = 12
TABULAR = [name for name in karma_envs.names() if issubclass(game_class(name), FiniteGame)]
"""Those with numbered actions."""
SMALL: dict[str, dict[str, Any]] = {
    "grid_city": {"rows": 1, "columns": 2},
    "grid_city_routes": {"rows": 2, "columns": 2},
}


def begun(name: str) -> PopulationGame:
    game = karma_envs.make(name, n_agents=N, **SMALL.get(name, {}))
    game.reset(np.random.default_rng(0))
    return game


def one_of(value: int, dtype: Any = None) -> Any:
    """Nothing but for agent 3."""
    actions = np.zeros(N, dtype or np.array([value]).dtype)
    actions[3] = value
    return actions


REFUSED: dict[str, tuple[Any, str]] = {
    "two rows of half the agents": (np.zeros((2, N // 2), int), r"12 whole numbers; these are int64\[2, 6\]"),
    "a row": (np.zeros((1, N), int), r"these are int64\[1, 12\]"),
    "one number": (np.array(0), r"these are int64\[\]"),
    "too few": (np.zeros(N - 1, int), r"these are int64\[11\]"),
    "floats": (np.zeros(N), "these are float64"),
    "booleans": (np.zeros(N, bool), "these are bool"),
    "2**63": (one_of(2**63), "agent 3 .*9223372036854775807"),
    "2**64 - 1": (one_of(2**64 - 1), "agent 3 .*9223372036854775807"),
    "2**64": ([2**64] + [0] * (N - 1), "agent 0 .*9223372036854775807"),
    "2**63 - 1": (one_of(2**63 - 1), "agent 3 .*9223372036854775807"),
    "-2**63": (one_of(-(2**63)), "agent 3 .*-9223372036854775808"),
    "-1": (one_of(-1, np.int8), "agent 3 .*-1"),
    "255": (one_of(255, np.uint8), "agent 3 .*255"),
    "2**32": (one_of(2**32), "agent 3 .*4294967296"),
}


@pytest.mark.parametrize("name", TABULAR)
def test_what_is_no_action_of_everyone_is_refused(name: str) -> None:
    game = begun(name)
    before = game.state_dict()
    for actions, says in REFUSED.values():
        with pytest.raises(IllegalActionError, match=says):
            game.step(actions)
    for field, array in game.state_dict().items():
        np.testing.assert_array_equal(array, before[field])
    for dtype in (np.int8, np.uint16, np.uint64):
        game.step(np.zeros(N, dtype))
