"""Spaces of parameters: coordinates, checks, constraints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.planners import Choice, Continuous, Space, Whole
from agents.planners.space import Point
from karma_envs.config import ConfigError

MIXED = Space(
    [
        Continuous("rate", 0, 0.5),
        Continuous("step", 1e-3, 10, log=True),
        Whole("karma_max", 5, 8),
        Choice("payment", ["pbp", "pbs", 3]),
    ]
)


def test_coordinates_are_where_values_stand_in_their_ranges() -> None:
    point = MIXED.at(np.array([0.5, 0.25, 0.99, 0.5]))
    assert point == {"rate": 0.25, "step": pytest.approx(1e-2), "karma_max": 8, "payment": "pbs"}
    # Each of 4 whole numbers has a quarter of the range, each of 3 choices a third; values are in its middle.
    assert MIXED.coordinates(point) == pytest.approx([0.5, 0.25, 7 / 8, 0.5])
    assert MIXED.at(np.array([-1.0, 2.0, 1.0, 1.0])) == {
        "rate": 0.0,
        "step": 10.0,
        "karma_max": 8,
        "payment": 3,
    }


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_point_is_where_its_coordinates_say(coordinates: list[float]) -> None:
    point = MIXED.at(np.array(coordinates))
    again = MIXED.at(MIXED.coordinates(point))
    assert MIXED.checked(point) == point
    assert {**again, "rate": 0, "step": 0} == {**point, "rate": 0, "step": 0}
    assert (again["rate"], again["step"]) == pytest.approx((point["rate"], point["step"]))


def test_distances_take_choices_for_equal_or_one_apart() -> None:
    here: Point = {"rate": 0.0, "step": 1e-3, "karma_max": 5, "payment": "pbp"}
    there: Point = {"rate": 0.25, "step": 10.0, "karma_max": 7, "payment": 3}
    assert MIXED.distance(here, here) == 0
    assert MIXED.distance(here, there) == pytest.approx(np.sqrt(0.5**2 + 1 + 0.5**2 + 1))


def test_the_slope_of_a_value_is_that_by_its_coordinate() -> None:
    for name, value in (("rate", 0.1), ("step", 0.2)):
        parameter, step = MIXED[name], 1e-6
        place = parameter.coordinate(value)
        ahead, behind = (float(parameter.at(place + side * step)) for side in (1, -1))
        assert parameter.slope(value) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
    assert MIXED["karma_max"].slope(6) == 0


def test_what_is_not_allowed_is_named() -> None:
    point = MIXED.at(np.full(4, 0.5))
    with pytest.raises(ConfigError, match=r"rate = 0.6 .* \[0, 0.5\]"):
        MIXED.checked({**point, "rate": 0.6})
    with pytest.raises(ConfigError, match=r"payment = .pps. .*did you mean pbs"):
        MIXED.checked({**point, "payment": "pps"})
    with pytest.raises(ConfigError, match="has no payment"):
        MIXED.checked({name: value for name, value in point.items() if name != "payment"})
    with pytest.raises(ConfigError, match=r"parameter = 'rat'.*did you mean rate"):
        MIXED.checked({**point, "rat": 1})
    with pytest.raises(ConfigError, match="high = 1 "):
        Continuous("x", 1, 1)
    with pytest.raises(ConfigError, match="low = 0 "):
        Continuous("x", 0, 1, log=True)
    with pytest.raises(ConfigError, match="names of their own"):
        Space([Whole("x", 0, 1), Continuous("x", 0, 1)])


def test_constraints_keep_draws_and_steps_inside() -> None:
    disc = Space(
        [Continuous("x", -1, 1), Continuous("y", -1, 1)],
        {"radius": lambda point: float(point["x"]) ** 2 + float(point["y"]) ** 2 - 0.25},
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        point = disc.draw(rng)
        assert float(point["x"]) ** 2 + float(point["y"]) ** 2 <= 0.25
    end = disc.towards({"x": 0.0, "y": 0.0}, {"x": 0.6, "y": 0.8})
    assert end == {"x": pytest.approx(0.3), "y": pytest.approx(0.4)}
    assert disc.allows(end)
    with pytest.raises(ConfigError, match="radius <= 0"):
        disc.checked({"x": 1, "y": 0})
    never = Space([Continuous("x", 0, 1)], {"never": lambda point: 1.0})
    with pytest.raises(ConfigError, match="never"):
        never.draw(rng)


def test_a_space_survives_plain_data() -> None:
    assert Space.from_plain(MIXED.to_plain()) == MIXED


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(1e-3, 0.5))
def test_the_part_around_a_point_holds_it_and_what_is_near(coordinates: list[float], radius: float) -> None:
    point = MIXED.at(np.array(coordinates))
    part = MIXED.around(point, radius)
    assert part.holds(point)
    assert part.constraints == MIXED.constraints
    for end in (0.0, 1.0):
        corner = part.at(np.full(4, end))
        assert MIXED.holds(corner)
        for name in ("rate", "step"):
            assert MIXED[name].distance(point[name], corner[name]) <= radius + 1e-9
    assert part["payment"] == MIXED["payment"]


def test_the_part_around_a_point_ends_where_the_space_does() -> None:
    point = {"rate": 0.5, "step": 1e-2, "karma_max": 8, "payment": "pbs"}
    part = MIXED.around(point, 0.25)
    assert part["rate"] == Continuous("rate", 0.375, 0.5)
    # A quarter of four orders of magnitude, to either side.
    assert (part["step"].low, part["step"].high) == pytest.approx((1e-3, 0.1))
    # 8 is at 7/8 of four numbers: from 5/8 on there are 7 and 8.
    assert part["karma_max"] == Whole("karma_max", 7, 8)
    assert not part.holds({**point, "rate": 0.3})
    assert not part.holds({**point, "karma_max": 6})
