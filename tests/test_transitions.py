"""Buffers of transitions: what kernels would write beyond, or wrap in, is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.learners import TabularLearner
from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.game import PolicyError
from karma_envs.transitions import Transitions

N = 6

MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "narrow observations": ({"observations": np.zeros((6, N), np.uint8)}, r"uint16\[6, 6\]; these are uint8"),
    "wide actions": ({"actions": np.zeros((5, N), np.int64)}, r"uint16\[5, 6\]; these are int64\[5, 6\]"),
    "wide rewards": ({"rewards": np.zeros((5, N))}, r"float32\[5, 6\]; these are float64\[5, 6\]"),
    "no observations after": (
        {"observations": np.zeros((5, N), np.uint16)},
        r"uint16\[6, 6\]; these are .*5, 6\]",
    ),
    "fewer rewards": (
        {"rewards": np.zeros((4, N), np.float32)},
        r"float32\[5, 6\]; these are float32\[4, 6\]",
    ),
    "fewer agents": ({"observations": np.zeros((6, N - 1), np.uint16)}, r"these are uint16\[6, 5\]"),
    "flat": ({"rewards": np.zeros(5, np.float32)}, r"these are float32\[5\]"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_buffers_that_kernels_must_not_see_are_refused(misfit: str) -> None:
    """By rollouts, which write into them, and by learners, which read them."""
    arrays, says = MISFITS[misfit]
    game = karma_envs.make("matching", n_agents=N)
    game.reset(np.random.default_rng(0))
    buffer = replace(Transitions.empty(5, N), **arrays)
    before = game.state_dict()
    with pytest.raises(ValueError, match=rf"^transitions of 5 steps of 6 agents have .*{says}"):
        game.rollout(baseline_policy("random", game), 2, out=buffer)
    for name, array in game.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    learner = TabularLearner(game)
    with pytest.raises(ValueError, match=says):
        learner.update(buffer)


def test_rows_of_agents_are_whole_numbers() -> None:
    game = karma_envs.make("matching", n_agents=N)
    game.reset(np.random.default_rng(0))
    thresholds, rows = baseline_policy("random", game)
    with pytest.raises(PolicyError, match="row_of_agent must be whole numbers; it is float64"):
        game.rollout(PlayedPolicy(thresholds, rows.astype(float)), 1)  # type: ignore[arg-type]
