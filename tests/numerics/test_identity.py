"""Digests of functions: equal where functions compute with the same, and only there."""

from __future__ import annotations

import enum
import functools
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from numba.extending import overload

import karma_envs
from karma_envs.numerics.compile import as_kernel, kernel
from karma_envs.numerics.identity import code_digest
from karma_envs.numerics.sampling import sample_action


class Fee(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Pair(NamedTuple):
    first: int
    second: int


def module(**attributes: Any) -> ModuleType:
    made = ModuleType("settings_of_the_user")
    vars(made).update(attributes)
    return made


def with_global(value: Any, source: str = "lambda x: x * SHARE") -> Callable[..., Any]:
    function: Callable[..., Any] = eval(source, {"SHARE": value})
    return function


def with_closure(value: Any) -> Callable[..., Any]:
    return lambda x: x * value


def with_default(value: Any) -> Callable[..., Any]:
    def rule(x, share=value):  # type: ignore[no-untyped-def]
        return x * share

    return rule


def with_keyword(value: Any) -> Callable[..., Any]:
    def rule(x, *, share=value):  # type: ignore[no-untyped-def]
        return x * share

    return rule


VALUES: list[tuple[Any, Any]] = [
    (100, 0),
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (1.0, 1.0 + 2**-52),
    ("a", b"a"),
    ((1, 2), (1, (2,))),
    ((), None),
    (np.float32(1), np.float64(1)),
    (np.array([1, 2]), np.array([1, 3])),
    (np.array([1, 2]), np.array([1, 2], np.int32)),
    (np.array([1, 2]), np.array([[1, 2]])),
    (np.ones((2, 2)), np.asfortranarray(np.ones((2, 2)))),
    (Fee.LOW, Fee.HIGH),
    (Fee.LOW, 1),
    (Pair(1, 2), (1, 2)),
    (math.floor, math.ceil),
    (np.sum, np.prod),
    (np.add, np.subtract),
    (np.int32, np.int64),
    (min, max),
    (with_closure(1), with_closure(2)),
    (numba.njit(with_closure(1)), numba.njit(with_closure(2))),
    (numba.njit(with_closure(1)), numba.njit(fastmath=True)(with_closure(1))),
    (kernel(with_closure(1)), kernel(with_closure(2))),
]


@pytest.mark.parametrize("place", [with_global, with_closure, with_default, with_keyword])
@pytest.mark.parametrize(("one", "other"), VALUES)
def test_what_a_function_reads_is_part_of_it(place: Callable[..., Any], one: Any, other: Any) -> None:
    assert code_digest(place(one)) == code_digest(place(one)) is not None
    assert code_digest(place(one)) != code_digest(place(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda w, k: (0, w), lambda w, k: (0, 0)),
        (lambda w, k: (0, w * 2), lambda w, k: (0, w * 3)),
        (lambda w, k: (0, w), lambda w, k: (0, k)),
        (lambda w, k: w.first, lambda w, k: w.second),
        (lambda w, k: min(w, k), lambda w, k: max(w, k)),
        (lambda w, k: (lambda: 1)(), lambda w, k: (lambda: 2)()),
    ],
)
def test_functions_of_one_line_are_told_apart(one: Any, other: Any) -> None:
    assert code_digest(one) != code_digest(other)


def test_where_a_function_was_written_does_not_count() -> None:
    same = [eval(compile("\n" * line + "lambda x: x + 1", f"file_{line}", "eval")) for line in range(2)]
    assert code_digest(same[0]) == code_digest(same[1])


def test_of_a_module_what_is_read_counts() -> None:
    def digest(**attributes: Any) -> str | None:
        return code_digest(with_global(module(**attributes), "lambda x: x * SHARE.amount"))

    assert digest(amount=1) == digest(amount=1, unread=2) is not None
    assert digest(amount=1) != digest(amount=2)
    assert digest(amount=1, unread=object()) is not None
    nested = [with_global(module(inner=module(amount=n)), "lambda x: x * SHARE.inner.amount") for n in (1, 2)]
    assert code_digest(nested[0]) != code_digest(nested[1])


def test_each_function_counts_what_it_reads_of_a_module_that_others_read_too() -> None:
    def rule(amount: int) -> Callable[..., Any]:
        settings = module(share=1, amount=amount)
        settings.myself = settings  # type: ignore[attr-defined]

        def helper(x):  # type: ignore[no-untyped-def]
            return x * settings.myself.amount

        return lambda x: settings.share * helper(x)

    assert code_digest(rule(2)) == code_digest(rule(2)) is not None
    assert code_digest(rule(2)) != code_digest(rule(3))
    assert [as_kernel(rule(amount))(5) for amount in (2, 3)] == [10, 15]


def test_attributes_that_a_module_makes_itself_count() -> None:
    def rule(amount: int) -> Callable[..., Any]:
        settings = module(__getattr__={"AMOUNT": amount}.__getitem__)
        return lambda x: x * settings.AMOUNT

    assert code_digest(rule(2)) == code_digest(rule(2)) is not None
    assert code_digest(rule(2)) != code_digest(rule(3))
    kept = as_kernel(rule(2))
    assert kept(5) == 10


def stands_for_another(x):  # type: ignore[no-untyped-def]
    return x


@overload(stands_for_another)
def _overload(x):  # type: ignore[no-untyped-def]
    return lambda x: 2 * x


def test_functions_that_numba_has_other_code_for_cannot_be_told() -> None:
    rule = with_global(stands_for_another, "lambda x: SHARE(x)")
    assert code_digest(rule) is None
    assert as_kernel(rule)(3) == 6


def test_whether_and_how_often_a_function_was_compiled_does_not_count() -> None:
    plain = with_closure(with_global(3))
    digest = code_digest(plain)
    assert code_digest(kernel(allocates=True)(plain)) == digest
    assert code_digest(as_kernel(plain)) == digest
    assert code_digest(as_kernel(as_kernel(plain))) == digest
    assert code_digest(numba.njit(plain)) != digest  # divides by zero with an error


def test_functions_that_call_each_other() -> None:
    def pair(amount: int) -> Callable[..., Any]:
        def odd(n):  # type: ignore[no-untyped-def]
            return 0 if n == 0 else even(n - 1)

        def even(n):  # type: ignore[no-untyped-def]
            return amount if n == 0 else odd(n - 1)

        return odd

    assert code_digest(pair(1)) == code_digest(pair(1)) is not None
    assert code_digest(pair(1)) != code_digest(pair(2))


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), np.array([None]), np.ma.masked_array([1])])
def test_what_may_change_unseen_cannot_be_told(value: Any) -> None:
    assert code_digest(with_global(value)) is None
    assert code_digest(with_closure(with_global(value))) is None


def test_what_is_no_function_of_the_users_cannot_be_told() -> None:
    for given in (functools.partial(min, 1), Pair(1, 2)._asdict, object()):
        assert code_digest(given) is None


def test_kernels_of_this_package_can_be_told_with_their_intrinsics() -> None:
    assert code_digest(sample_action) is not None


def test_digests_are_the_same_in_every_process() -> None:
    program = "from tests.numerics.test_identity import digests; print(*digests())"
    environment = os.environ | {
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": str(Path(karma_envs.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == digests()


def reads_much(x):  # type: ignore[no-untyped-def]
    return x in {1, "two", 3.0} or VALUES_READ[Fee.HIGH] or np.sum(x) + math.pi * len(x)


VALUES_READ = (np.arange(3), Pair(1, 2), Fee, "word")


def digests() -> list[str | None]:
    return [code_digest(reads_much), code_digest(sample_action), code_digest(with_default(Pair(1, 2)))]
