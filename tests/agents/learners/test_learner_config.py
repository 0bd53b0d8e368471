"""Schedules of step sizes by hand, and fields of learners that are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.learners import TabularConfig, targets
from agents.learners.tabular.schedules import SCHEDULES
from karma_envs.config import ConfigError
from karma_envs.transitions import Transitions
from tests.agents.learners.learner_worlds import ALGORITHMS, World, bids, learner_of


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", (0.1, 0.1, 0.1)),
        ("linear", (0.1, 0.055, 0.01)),
        ("exponential", (0.1, np.sqrt(0.001), 0.01)),
        ("inverse", (0.1, 0.1 / 5.5, 0.01)),
    ],
)
def test_schedules_by_hand(name: str, values: tuple[float, float, float]) -> None:
    found = [SCHEDULES[name](0.1, 0.01, progress) for progress in (0.0, 0.5, 1.0)]
    assert found == pytest.approx(values, rel=1e-12)
    final = None if name == "constant" else 0.01
    config = TabularConfig(learning_rate=0.1, learning_rate_final=final, learning_rate_schedule=name)
    assert [config.rate(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(values, rel=1e-12)


def test_every_schedule_has_its_hand_values() -> None:
    assert set(SCHEDULES) == {"constant", "linear", "exponential", "inverse"}


def test_the_rate_follows_the_progress() -> None:
    world = World(bids([1]), np.zeros(1, np.uint8))
    transition = Transitions(
        np.zeros((2, 1), np.uint16), np.zeros((1, 1), np.uint16), np.full((1, 1), -8, np.float32)
    )
    for progress, rate in ((0.0, 0.5), (0.5, 0.375), (1.0, 0.25)):
        learner = learner_of(
            world,
            algorithm="q_learning",
            learning_rate=0.5,
            learning_rate_final=0.25,
            learning_rate_schedule="linear",
        )
        learner.update(transition, progress=progress)
        assert learner.q[0, 0, 0] == -8 * rate


@pytest.mark.parametrize(
    ("field_name", "value", "allowed"),
    [
        ("algorithm", "sarza", "did you mean sarsa"),
        ("grouping", "by_type", "independent, per_type, pooled"),
        ("learning_rate", 0, r"\(0, 1\]"),
        ("learning_rate", 1.5, r"\(0, 1\]"),
        ("learning_rate", "fast", r"\(0, 1\]"),
        ("learning_rate_final", 0.1, "schedule is not constant"),
        ("learning_rate_schedule", "cosine", "constant, linear, exponential, inverse"),
        ("rationality", 0, r"\(0, "),
        ("rationality", float("inf"), r"\(0, "),
        ("exploration", -0.1, r"\[0, 1\]"),
        ("exploration", 1.1, r"\[0, 1\]"),
        ("update_probability", 0, r"\(0, 1\]"),
        ("update_probability", True, r"\(0, 1\]"),
        ("initial_q", float("nan"), "a number"),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
    field_name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{field_name} = {value!r} is not allowed; allowed: .*{allowed}"):
        TabularConfig(**{field_name: value})


def test_a_schedule_needs_its_final_rate() -> None:
    with pytest.raises(ConfigError, match="learning_rate_final = None is not allowed"):
        TabularConfig(learning_rate_schedule="linear")
    with pytest.raises(ConfigError, match=r"learning_rate_final = 0 is not allowed; allowed: .*\(0, 1\]"):
        TabularConfig(learning_rate_schedule="linear", learning_rate_final=0)


def test_algorithms_are_the_files_of_the_folder() -> None:
    assert set(targets()) == set(ALGORITHMS)
    assert {name: target.needs_next_action for name, target in targets().items()} == {
        "sarsa": True,
        "q_learning": False,
        "expected_sarsa": False,
    }
