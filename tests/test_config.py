"""Fields of configurations are checked by name, value and what is allowed, whatever the value is."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from typing import Any

import numpy as np
import pytest

from karma_envs.config import Config, ConfigError, choice, real, refusal, whole
from karma_envs.games.grid_city import GridCityConfig
from karma_envs.games.matching import MatchingConfig

NAN, INF = float("nan"), float("inf")


# --- the checks themselves -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 2.0, np.int16(2), np.float32(2), np.uint64(2)])
def test_whole_numbers_become_ints(value: Any) -> None:
    result = whole("n", value, 0, 3)
    assert result == 2
    assert type(result) is int


@pytest.mark.parametrize("value", [True, False, 1.5, NAN, INF, -INF, "2", None, 1j, [2], -1, 4, -0.5])
def test_what_is_not_whole_or_in_range_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"n = .* is not allowed; allowed: a whole number from 0 to 3"):
        whole("n", value, 0, 3)


def test_whole_without_an_upper_end() -> None:
    assert whole("n", 10**12, 1) == 10**12
    with pytest.raises(ConfigError, match="from 1 up"):
        whole("n", 0, 1)


@pytest.mark.parametrize("value", [0.5, 1, 0, np.float32(0.25), np.int8(1)])
def test_reals_become_floats(value: Any) -> None:
    result = real("x", value, 0, 1)
    assert result == value
    assert type(result) is float


@pytest.mark.parametrize("value", [True, NAN, INF, "0.5", None, 1j, -1e-12, 1.0000001, [0.5]])
def test_what_is_not_real_or_in_range_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"x = .*allowed: a number in \[0, 1\]"):
        real("x", value, 0, 1)


def test_open_ends() -> None:
    with pytest.raises(ConfigError, match=r"\(0, 1\)"):
        real("x", 0, 0, 1, open_low=True, open_high=True)
    with pytest.raises(ConfigError, match=r"\[0, 1\)"):
        real("x", 1, 0, 1, open_high=True)
    assert real("x", 0, 0, 1, open_high=True) == 0
    assert real("x", 1e-300, 0, 1, open_low=True) > 0


def test_choice_suggests_the_closest() -> None:
    assert choice("colour", "red", ["red", "blue"]) == "red"
    with pytest.raises(ConfigError, match=r"colour = 'bleu' .*allowed: red, blue \(did you mean blue\?\)"):
        choice("colour", "bleu", ["red", "blue"])
    with pytest.raises(ConfigError, match=r"allowed: red, blue$"):
        choice("colour", 7, ["red", "blue"])


def test_long_values_are_shortened_in_messages() -> None:
    assert len(str(refusal("x", list(range(10_000)), "less"))) < 300


@dataclasses.dataclass(frozen=True)
class Inner(Config):
    size: int = 1


@dataclasses.dataclass(frozen=True)
class Outer(Config):
    inner: Inner = Inner()
    parts: tuple[Inner, ...] = (Inner(2), Inner(3))
    table: Any = None


def test_plain_data_reaches_all_the_way_down() -> None:
    outer = Outer(table={"a": (1, Inner(4))})
    assert outer.to_dict() == {
        "inner": {"size": 1},
        "parts": [{"size": 2}, {"size": 3}],
        "table": {"a": [1, {"size": 4}]},
    }


def test_configurations_are_frozen_and_replaced() -> None:
    outer = Outer()
    with pytest.raises(dataclasses.FrozenInstanceError):
        outer.table = 1  # type: ignore[misc]
    assert outer.replace(table=1) == Outer(table=1)
    assert outer.table is None
    with pytest.raises(ConfigError, match=r"Outer has no field 'tabel' \(did you mean table\?\)"):
        outer.replace(tabel=1)


# --- errors about anything ---------------------------------------------------------------------------


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def bomb(levels: int) -> list[Any]:
    """A list that holds 10^levels items, in little memory."""
    value: list[Any] = ["x"] * 10
    for _ in range(levels - 1):
        value = [value] * 10
    return value


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
DEEP: Any = 1
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        bomb(30), {"a": bomb(30)}, (bomb(30),) * 3, ENDLESS, DEEP, 10**6000, Unshowable(), [Unshowable()],
        "long" * 10**6, np.zeros((3, 3)), np.array(3.0), functools.partial(max, 1), Unshowable, len, np.add,
        lambda: 0, {1: {2: [3, (4, {5})]}}, b"\x00" * 10**6,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_any_value_is_refused_in_one_short_line(value: Any) -> None:
    message = str(refusal("field", value, "less"))
    assert len(message) < 300
    assert "\n" not in message
    with pytest.raises(ConfigError, match=r"^field = .* is not allowed; allowed: red, blue$"):
        choice("field", value, ("red", "blue"))


def test_small_values_are_shown_whole() -> None:
    value = {"types": [{"share": 1, "urgencies": (1.0, 5.0)}, None, "text", {2, 3}]}
    assert str(refusal("x", value, "less")).startswith(f"x = {value!r} is not allowed")


class Counter:
    def __call__(self) -> int:
        return 1


@pytest.mark.parametrize("given", [functools.partial(max, 1), Counter(), np.add.reduce])
def test_callables_without_a_name_are_named_by_their_class(given: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be written to a file"):
        Outer(table=given).to_dict()


def shadowed() -> int:
    return 1


FIRST = shadowed


def shadowed() -> int:  # type: ignore[no-redef]
    return 2


def test_a_function_is_not_written_by_the_name_of_another() -> None:
    """As in a loop that defines a rule anew: the file would bring the last one back."""
    assert Outer(table=json.loads).to_dict()["table"] == "json:loads"
    assert Outer(table=math.sqrt).to_dict()["table"] == "math:sqrt"
    with pytest.raises(ConfigError, match=r"shadowed cannot be written to a file: .*a name of its own"):
        Outer(table=FIRST).to_dict()


@pytest.mark.parametrize("word", ["none", "None"])
def test_none_is_a_word_where_a_field_may_be_none(word: str) -> None:
    assert MatchingConfig.from_dict({"urgency_transition": word}).urgency_transition is None
    assert GridCityConfig.from_dict({"capacity": word}).capacity is None
    assert GridCityConfig.from_dict({"redistribution": "none"}).redistribution == "none"  # a rule
    with pytest.raises(ConfigError, match=f"discount = '{word}' is not allowed"):
        MatchingConfig.from_dict({"discount": word})
