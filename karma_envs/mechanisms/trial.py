"""Trying a rule before it plays: what it gives for all that a game will ask it.

A rule of the user's is first compiled with a look at the bounds of arrays, which costs too much in play; then
every rule is tried as it will be played. Where there are more arguments than :data:`MOST`, as for
karma_max = 1000, the first trial takes the ends, their neighbours and some between; of a payment the second
takes all.
"""

from __future__ import annotations

import itertools
import math
import numbers
import re
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.mechanisms.rule import ARGUMENTS, Rule, is_built_in
from karma_envs.numerics.compile import as_kernel, kernel

MOST = 20_000
"""On about how many arguments at most a rule is tried with bounds checked."""

GIVES = {
    "allocation": "a number",
    "payment": "(to_loser, to_society), two whole numbers",
    "redistribution": "(tax, receives), a number and whether the agent shares",
}
KEEPS = {
    "payment": "to_loser, to_society >= 0, to_loser + to_society <= winner_bid and "
    "loser_karma + to_loser <= karma_max",
    "redistribution": "0 <= tax <= karma",
}
_ACCESSES = np.array([0, 1, 2, 3, 10, 100, 1000, 10**6, 2**31, 2**40])
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Domain(NamedTuple):
    """What a game asks its rules, besides karma of 0 … karma_max."""

    karma_max: int
    urgencies: Sequence[float]
    crowding: Sequence[float]  # agents that want a place, per place; see karma_envs.mechanisms.redistribution


def try_rule(family: str, configured: Any, rule: Rule, domain: Domain) -> None:
    """Try a rule on all that a game asks it.

    Args:
        family: the rule's.
        configured: what the configuration has for it, to be named in errors.
        rule: the rule.
        domain: what the game asks.

    Raises:
        ConfigError: when the rule fails on some arguments, which the error names, or gives what a rule of
            its family must not; and when numba cannot compile it.
    """
    parameters, karma_max = rule.parameter_array(), np.int64(domain.karma_max)

    def check(arguments: tuple[Any, ...], value: Any) -> None:
        if not _is_of_kind(family, value):
            shown = reprlib.repr(_plain(value))
            raise refusal(family, configured, f"a rule that gives {GIVES[family]}, not {shown}")
        if not _is_kept(family, arguments, value):
            allowed = (
                f"a rule with {KEEPS[family]}; with {_named(family, arguments)} it gives {_plain(value)}"
            )
            raise refusal(family, configured, allowed)

    if not is_built_in(family, rule):
        checked = as_kernel(rule.function, bounds_checked=True)
        for arguments in _arguments(family, domain, parameters):
            try:
                value = checked(*arguments)
            except NumbaError as error:
                allowed = f"a rule that numba can compile; it says: {_one_line(error)}"
                raise refusal(family, configured, allowed) from error
            except Exception as error:  # whatever the user's code raises
                allowed = "a rule that gives something for all arguments; with "
                allowed += f"{_named(family, arguments)} it raises {type(error).__name__}: {_one_line(error)}"
                raise refusal(family, configured, allowed) from error
            check(arguments, value)
            if checked(*arguments) != value:  # it draws random numbers, which no seed of a game's decides
                allowed = (
                    f"a rule that gives the same each time; with {_named(family, arguments)} it does not"
                )
                raise refusal(family, configured, allowed)
        if not np.array_equal(parameters, rule.parameter_array()):
            raise refusal(family, configured, "a rule that leaves its parameters as they are")

    arguments = next(_arguments(family, domain, parameters))
    check(arguments, rule.function(*arguments))
    if family == "payment":
        broken = check_payment(rule.function, domain.karma_max, parameters)
        if broken[0] >= 0:
            check((*broken[:3], karma_max, parameters), tuple(broken[3:].tolist()))
    if family == "redistribution":
        for arguments in _arguments(family, domain, parameters):
            check(arguments, rule.function(*arguments))


def _arguments(family: str, domain: Domain, parameters: NDArray[np.float64]) -> Iterator[tuple[Any, ...]]:
    """All arguments that a rule may be given, or some :data:`MOST` of them."""
    karma_max = np.int64(domain.karma_max)
    karma = np.arange(karma_max + 1)
    if family == "payment":
        karma = _some(karma, round((2 * MOST) ** (1 / 3)))
        for winner_bid, loser_karma in itertools.product(karma, karma):
            for loser_bid in karma[karma <= loser_karma]:
                yield winner_bid, loser_bid, loser_karma, karma_max, parameters
    elif family == "redistribution":
        crowding = _some(np.unique(np.array(domain.crowding, np.float64)), MOST // len(karma))
        for held, crowded in itertools.product(karma, crowding):
            yield held, karma_max, crowded, parameters
    else:
        urgencies = _some(np.unique(np.array(domain.urgencies, np.float32)), 50)
        bids = _some(karma, MOST // (len(urgencies) * len(_ACCESSES)))
        for bid, urgency, accesses in itertools.product(bids, urgencies, _ACCESSES):
            yield bid, urgency, accesses, parameters


def _some(values: NDArray[Any], most: int) -> NDArray[Any]:
    """About so many of some sorted values: the ends, their neighbours, and others evenly between."""
    last = len(values) - 1
    if last < most:
        return values
    return values[np.unique([0, 1, last - 1, last, *np.linspace(0, last, most).astype(int)])]


def _is_of_kind(family: str, value: Any) -> bool:
    """Whether a value is what rules of a family give."""
    if family == "allocation":
        return isinstance(value, (numbers.Real, np.bool_)) and not math.isnan(value)
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    if family == "payment":
        return all(isinstance(each, numbers.Integral) and not isinstance(each, bool) for each in value)
    tax, receives = value
    is_truth = isinstance(receives, (bool, np.bool_)) or (isinstance(receives, int) and receives in (0, 1))
    return isinstance(tax, numbers.Real) and is_truth


def _is_kept(family: str, arguments: tuple[Any, ...], value: Any) -> bool:
    """Whether a value of the right kind keeps the contract of a family."""
    if family == "payment":
        winner_bid, _, loser_karma, karma_max, _ = arguments
        to_loser, to_society = value
        return (
            min(to_loser, to_society) >= 0
            and to_loser + to_society <= winner_bid
            and loser_karma + to_loser <= karma_max
        )
    return family != "redistribution" or 0 <= value[0] <= arguments[0]


def _named(family: str, arguments: tuple[Any, ...]) -> str:
    """Arguments of a rule with their names, the parameters left out."""
    named = zip(ARGUMENTS[family][:-1], arguments[:-1], strict=True)
    return ", ".join(f"{name} {_plain(value)}" for name, value in named)


def _plain(value: Any) -> Any:
    """A value whose ``repr`` has plain numbers."""
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)
    return value.item() if isinstance(value, np.generic) else value


def _one_line(error: Exception) -> str:
    """What is wrong, without where numba was when it noticed."""
    lines = [_COLOURS.sub("", line).strip() for line in str(error).splitlines()]
    informative = [line for line in lines if line and not line.startswith("Failed in nopython mode")]
    where = re.search(r'File "([^"]+)", line (\d+)', "\n".join(lines))
    place = f" ({where[1]}:{where[2]})" if where else ""
    return (informative[0][:300] if informative else type(error).__name__) + place


@kernel(allocates=True)
def check_payment(pay, karma_max, parameters):
    """The first argument on which a payment breaks its contract, as ``int64[5]``; -1 if none.

    ``(winner_bid, loser_bid, loser_karma, to_loser, to_society)``.
    """
    counterexample = np.full(5, -1, np.int64)
    for winner_bid in range(karma_max + 1):
        for loser_karma in range(karma_max + 1):
            for loser_bid in range(loser_karma + 1):
                to_loser, to_society = pay(winner_bid, loser_bid, loser_karma, karma_max, parameters)
                if (
                    to_loser < 0
                    or to_society < 0
                    or to_loser + to_society > winner_bid
                    or loser_karma + to_loser > karma_max
                ):
                    counterexample[:] = (winner_bid, loser_bid, loser_karma, to_loser, to_society)
                    return counterexample
    return counterexample
