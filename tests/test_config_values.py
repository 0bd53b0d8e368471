"""Odd values in configurations, and karma at the start: taken as what they are, or refused by name."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from agents.learners import TabularConfig
from karma_envs.config import Config, ConfigError
from karma_envs.games.grid_city import GridCityConfig
from karma_envs.games.grid_city_routes import GridCityRoutesConfig
from karma_envs.games.malware import MalwareConfig
from karma_envs.games.matching import MatchingConfig
from karma_envs.karma.config import draw_initial_karma
from karma_envs.karma.urgency import AgentType
from training.sweeps.config import SweepConfig

HUGE = 10**310
"""A whole number that no float holds."""

ODD_VALUES: list[Any] = [
    *(HUGE, -HUGE, Fraction(HUGE), 2**63, 1j, None, b"x", object(), {1}, {}, {1: 2}, {"x": HUGE}, range(3)),
    *([HUGE], [[HUGE]], [HUGE, HUGE], [[HUGE, 0], [0, 1]], [HUGE] * 21, [1e308, 1e308], [b"x"], [None], [[]]),
    *(np.array(5), np.array(0.5), np.array("grid"), np.array(None), np.array(["grid", "none"]), np.array([])),
    *(
        np.zeros((0, 0)),
        np.eye(2),
        np.bool_(1),
        np.float16(5),
        np.datetime64("2026-01-01"),
        [np.array([1.0])],
    ),
    *(
        [np.array([1.0])],
        [np.array(1.0), np.array(2.0)],
        [{"share": HUGE}],
        [{"share": 1e308}, {"share": 1e308}],
        [{1: 2}],
    ),
    *([{"discount": [0.5]}], [{"urgencies": np.array(3.0)}]),
]


@pytest.mark.parametrize(
    "config_class",
    [MatchingConfig, GridCityConfig, GridCityRoutesConfig, AgentType, TabularConfig],
    ids=lambda config_class: config_class.__name__,
)
def test_any_value_in_any_field_is_taken_or_refused(config_class: type[Config]) -> None:
    """Whole numbers without end, arrays of one number, arrays for names: never another error."""
    for field in config_class.field_names():
        for value in ODD_VALUES:
            with contextlib.suppress(ConfigError):
                config_class(**{field: value})


@pytest.mark.parametrize("values", [np.array(5), "10", b"10", 10, [], {}, None], ids=repr)
def test_what_is_swept_over_is_a_list(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"^over n_agents = "):
        SweepConfig({}, {"n_agents": values})
    assert SweepConfig({}, {"n_agents": np.array([4, 6])}).over == {"n_agents": [4, 6]}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("n_agents", {"n_agents": HUGE}),
        ("karma_mean", {"karma_mean": HUGE}),
        (r"urgencies\[0\]", {"urgencies": [HUGE, 1]}),
        (r"urgency_transition\[0\]", {"urgency_transition": [HUGE, 0]}),
        (r"initial_karma\[1\]", {"karma_max": 1, "karma_mean": 0.5, "initial_karma": [0.5, HUGE]}),
        ("urgencies", {"urgencies": np.array(5.0)}),
        (r"urgencies\[1\]", {"urgencies": [1, np.array(5.0)]}),
        ("urgency_transition", {"urgency_transition": np.array(0.5)}),
        ("initial_karma", {"initial_karma": np.array("equal")}),
        ("types", {"types": np.array(1)}),
        ("payment", {"payment": np.array(["pbp", "pbs"])}),
        (r"types\[1\]\.urgencies\[0\]", {"types": [{}, {"urgencies": [-1]}]}),
        (r"types\[0\]\.urgency_transition\[0\]", {"types": [{"urgency_transition": [2, 0]}]}),
        (r"types\[0\]\.discount", {"types": [{"discount": HUGE}]}),
        (r"types\[0\]\.share", {"types": [{"share": 1e308}, {"share": 1e308}]}),
    ],
)
def test_odd_values_are_named(field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^{field} = "):
        MatchingConfig(**fields)


def test_arrays_are_lists_and_no_names() -> None:
    """``==`` of an array with a name would compare item by item."""
    assert MatchingConfig(urgencies=np.array([1, 2], np.int8), urgency_transition=np.eye(2)).urgencies == (
        1,
        2,
    )
    with pytest.raises(ConfigError, match=r"^algorithm = array"):
        TabularConfig(algorithm=np.array(["sarsa", "q_learning"]))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^route_choice = array.* none, trip, node"):
        GridCityConfig(route_choice=np.array(["none", "trip"]))  # type: ignore[arg-type]


def test_a_large_population_has_any_whole_total() -> None:
    """The mean is rounded; the total is not."""
    total = 12_345_678_901
    assert MatchingConfig(n_agents=10**8, karma_max=200, karma_mean=total / 10**8).total_karma == total


@pytest.mark.parametrize("mean", [0.5, 2.5, 10, 10.5, 17, 19.5])
@pytest.mark.parametrize("initial", ["equal", "uniform", "extremes"])
def test_karma_starts_within_its_range_and_with_its_total(mean: float, initial: str) -> None:
    """Single units that make the total exact go to nobody at the cap, and come from nobody without karma.

    With all at 0 or at the cap, and few of either, that is decided in most draws.
    """
    extremes = (1 - mean / 20, *[0.0] * 19, mean / 20)
    config = MatchingConfig(
        n_agents=8, karma_mean=mean, initial_karma=extremes if initial == "extremes" else initial
    )
    span = {"equal": 0.5, "uniform": min(mean, 20 - mean)}.get(initial, 20)
    for seed in range(60):
        karma = draw_initial_karma(config, np.random.default_rng(seed))
        assert karma.sum() == config.total_karma == 8 * mean
        assert karma.min() >= 0
        assert karma.max() <= 20
        if initial == "equal":
            assert np.abs(karma - mean).max() <= span
    assert karma.dtype == np.int16


def test_a_uniform_start_is_as_wide_as_it_may_be() -> None:
    """A mean of 3 of 20: 0 … 6, all met, before single units make the total exact: at most one above."""
    config = MatchingConfig(n_agents=5000, karma_mean=3, initial_karma="uniform")
    counts = np.bincount(draw_initial_karma(config, np.random.default_rng(0)), minlength=21)
    assert counts[:7].min() > 600  # 714 each, before about 70 single units
    assert counts[7] < 60
    assert not counts[8:].any()


def test_the_end_of_an_interval_is_said_to_its_last_digit() -> None:
    """A discount of 1 is not in [0, 1 - 1e-9], which %g would show as [0, 1]."""
    with pytest.raises(ConfigError, match=r"discount = 1 .* allowed: a number in \[0, 0\.999999999\]$"):
        MalwareConfig(discount=1)
