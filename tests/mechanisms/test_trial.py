"""Rules of the user's: which functions can be one, how they are tried, and that each plays what it says."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingConfig, MatchingGame
from karma_envs.mechanisms import Parameter, Rule, resolve, rules
from karma_envs.mechanisms.trial import MOST, Domain, _arguments, _some, try_rule
from karma_envs.numerics.compile import kernel

SMALL = Domain(karma_max=3, urgencies=(0.0, 1.0, 5.0), crowding=(0.0, 2.0))
TABLE = np.arange(3)
SHARE = 100


# --- what is played --------------------------------------------------------------------------------


@kernel
def paid(pay, bid):  # type: ignore[no-untyped-def]
    """What a winner pays in all, from a kernel that takes the rule as games' do."""
    to_loser, to_society = pay(bid, 0, 0, 100, TABLE)
    return to_loser + to_society


def price(config: MatchingConfig) -> int:
    """What a winner pays for a bid of 10."""
    return int(paid(config.rule("payment").function, 10))


@kernel
def share_of(bid):  # type: ignore[no-untyped-def]
    return bid * SHARE // 100


@numba.njit
def jitted_share_of(bid):  # type: ignore[no-untyped-def]
    return bid * SHARE // 100


def plain_share_of(bid):  # type: ignore[no-untyped-def]
    return bid * SHARE // 100


@kernel
def kernel_rule(w, b, k, m, p):  # type: ignore[no-untyped-def]
    return 0, share_of(w)


RULES: dict[str, Callable[..., Any]] = {
    "lambda": lambda w, b, k, m, p: (0, w * SHARE // 100),
    "calls a kernel": lambda w, b, k, m, p: (0, share_of(w)),
    "calls a jitted function": lambda w, b, k, m, p: (0, jitted_share_of(w)),
    "calls a Python function": lambda w, b, k, m, p: (0, plain_share_of(w)),
    "kernel": kernel_rule,
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_plays_the_globals_that_there_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value its own, in any order, and what was accepted stays."""
    configs = []
    for share, expected in ((100, 10), (0, 0), (100, 10)):
        monkeypatch.setattr(sys.modules[__name__], "SHARE", share)
        configs.append(MatchingConfig(payment=RULES[name]))
        assert price(configs[-1]) == expected
    monkeypatch.setattr(sys.modules[__name__], "SHARE", 0)
    assert [price(config.replace(n_agents=4)) for config in configs] == [10, 0, 10]
    assert price(configs[0].replace(payment=RULES[name])) == 0


def test_functions_of_one_line_and_of_one_name_are_played_each() -> None:
    pays = [lambda w, b, k, m, p: (0, w), lambda w, b, k, m, p: (0, 0)]
    assert [price(MatchingConfig(payment=pay)) for pay in pays] == [10, 0]
    prices = []
    for share in (100, 50, 0):

        def pay(w, b, k, m, p):  # type: ignore[no-untyped-def]
            return 0, w * share // 100  # noqa: B023

        prices.append(price(MatchingConfig(payment=pay)))
    assert prices == [10, 5, 0]


def test_redistributions_of_one_line_are_tried_and_kept_each() -> None:
    shares = [lambda k, m, c, p: (0.0, True), lambda k, m, c, p: (0.0, False)]
    accepted = [MatchingConfig(redistribution=share).rule("redistribution") for share in shares]
    assert [rule.function(1, 2, 1.0, np.empty(0)) for rule in accepted] == [(0.0, True), (0.0, False)]


EDITED = """
import settings_that_are_edited as settings
from helpers_that_are_edited import half

def pay(w, b, k, m, p):
    return 0, half(w) * settings.TIMES
"""
HELPERS = """
from karma_envs.numerics.compile import kernel

@kernel
def half(x):
    return x // {divisor}
"""


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Writes a rule, a helper and a module of constants, and imports them or loads them anew."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)

    def write(times: int, divisor: int) -> ModuleType:
        sources = {
            "settings_that_are_edited": f"TIMES = {times}",
            "helpers_that_are_edited": HELPERS.format(divisor=divisor),
            "rules_that_are_edited": EDITED,
        }
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            module = sys.modules.get(name)
            monkeypatch.setitem(
                sys.modules, name, importlib.reload(module) if module else importlib.import_module(name)
            )
        return sys.modules["rules_that_are_edited"]

    return write


def test_a_rule_follows_edits_of_the_modules_that_it_reads(edited: Callable[..., ModuleType]) -> None:
    prices = []
    for times, divisor in ((1, 2), (0, 2), (1, 5)):
        edited(times, divisor)
        prices.append(price(MatchingConfig(payment="rules_that_are_edited:pay")))
    assert prices == [5, 0, 2]


# --- what can be a rule ----------------------------------------------------------------------------


def pay_all(w, b, k, m, p):  # type: ignore[no-untyped-def]
    return 0, w


class Payment:
    def __call__(self, w, b, k, m, p):  # type: ignore[no-untyped-def]
        return 0, w

    def pay(self, w, b, k, m, p):  # type: ignore[no-untyped-def]
        return 0, w


def generates(w, b, k, m, p):  # type: ignore[no-untyped-def]
    yield 0, w


async def waits(w, b, k, m, p):  # type: ignore[no-untyped-def]
    return 0, w


NO_RULES: list[tuple[Any, str]] = [
    (Payment, "a class"),
    (Payment(), "an object of type Payment"),
    (Payment().pay, "a method of an object"),
    (functools.partial(pay_all), "a functools.partial"),
    (max, "a built-in function"),
    (np.add, "an object of type ufunc"),
    (generates, "a generator"),
    (waits, "a coroutine"),
    (lambda w, b, k, m: (0, w), r"a function of \(w, b, k, m\)"),
    (lambda w, b, k, m, p, *, more: (0, w), r"a function of \(w, b, k, m, p, \*, more\)"),
    (kernel(lambda w: (0, w)), r"a function of \(w\)"),
    (Rule("own", Payment()), "an object of type Payment"),
    (rules("redistribution")["tax"], r"a function of \(karma, karma_max, crowding, parameters\)"),
]


@pytest.mark.parametrize(("given", "kind"), NO_RULES)
def test_what_cannot_be_a_rule_is_named(given: Any, kind: str) -> None:
    arguments = r"\(winner_bid, loser_bid, loser_karma, karma_max, parameters\)"
    with pytest.raises(ConfigError, match=rf"^payment = .*a function of {arguments}, .*; this is {kind}"):
        resolve("payment", given)
    module = sys.modules[__name__]
    module.named = given  # type: ignore[attr-defined]
    name = given.name if isinstance(given, Rule) else f"{__name__}:named"
    with pytest.raises(ConfigError, match=rf"^payment = {name} .*; this is {kind}"):
        resolve("payment", f"{__name__}:named")
    del module.named  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given",
    [lambda *all_of_them: (0, all_of_them[0]), lambda w, b, k, m, p, more=1: (0, w), numba.njit(pay_all)],
)
def test_what_takes_the_arguments_can_be_a_rule(given: Any) -> None:
    assert price(MatchingConfig(payment=given)) == 10


# --- the trial -------------------------------------------------------------------------------------


def first_parameter(w, b, k, m, p):  # type: ignore[no-untyped-def]
    return 0, min(w, int(p[0]))


def beyond_a_table(w, b, k, m, p):  # type: ignore[no-untyped-def]
    return 0, min(w, table_at(w))


def table_at(w):  # type: ignore[no-untyped-def]
    return TABLE[w]


def fails_at_two(w, b, k, m, p):  # type: ignore[no-untyped-def]
    if w == 2:
        raise ValueError("two")
    return 0, w


def throws_dice(w, b, k, m, p):  # type: ignore[no-untyped-def]
    return 0, np.random.randint(0, w + 1)  # noqa: NPY002


UNKNOWN = {"share": 1}

REFUSED: list[tuple[str, Any, str]] = [
    ("payment", first_parameter, "with winner_bid 0, .* IndexError"),
    ("payment", beyond_a_table, "with winner_bid 3, loser_bid 0, loser_karma 0, karma_max 3 .* IndexError"),
    ("payment", fails_at_two, "with winner_bid 2, .* ValueError: two$"),
    ("payment", lambda w, b, k, m, p: w, r"gives \(to_loser, to_society\), .*, not 0$"),
    ("payment", lambda w, b, k, m, p: (0, w, 0), r"not \(0, 0, 0\)$"),
    ("payment", lambda w, b, k, m, p: (0.0, w), r"not \(0.0, 0\)$"),
    ("payment", lambda w, b, k, m, p: None, "not None$"),
    ("payment", lambda w, b, k, m, p: (-1, 0), r"karma_max 3 it gives \(-1, 0\)$"),
    ("payment", lambda w, b, k, m, p: (0, UNKNOWN["share"]), "numba can compile; it says: .*UNKNOWN"),
    ("payment", throws_dice, "gives the same each time; with winner_bid"),
    ("redistribution", lambda k, m, c, p: 0.0, r"gives \(tax, receives\), .*, not 0.0$"),
    ("redistribution", lambda k, m, c, p: (0.0, 2), r"not \(0.0, 2\)$"),
    (
        "redistribution",
        lambda k, m, c, p: (k * c, True),
        r"karma 1, karma_max 3, crowding 2.0 it gives \(2.0",
    ),
    ("allocation", lambda b, u, a, p: (b, u), r"gives a number, not \(0, 0.0\)$"),
    ("allocation", lambda b, u, a, p: u / u, "gives a number, not nan$"),
    ("allocation", lambda b, u, a, p: TABLE[a], "with bid 0, urgency 0.0, accesses 3 .* IndexError"),
]


@pytest.mark.parametrize(("family", "function", "says"), REFUSED)
def test_rules_that_break_their_contract_are_refused(
    family: str, function: Callable[..., Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{family} = .*{says}") as caught:
        try_rule(family, function, resolve(family, function), SMALL)
    assert "\n" not in str(caught.value)


def test_a_game_asks_before_it_begins() -> None:
    config = MatchingConfig(payment=first_parameter)
    with pytest.raises(ConfigError, match=r"^payment = .*:first_parameter .* IndexError"):
        MatchingGame(config)


def test_a_rule_that_reads_its_parameters_is_played_and_one_that_writes_them_is_not() -> None:
    def taxes(k, m, c, p):  # type: ignore[no-untyped-def]
        return min(k, p[0]), True

    def writes(k, m, c, p):  # type: ignore[no-untyped-def]
        p[0] = 1
        return 0.0, True

    parameters = {"amount": Parameter(2, 0, 5, "karma")}
    for function in (taxes, writes):
        rule = Rule("own", function, parameters=parameters)
        if function is taxes:
            try_rule("redistribution", rule, resolve("redistribution", rule), SMALL)
            continue
        with pytest.raises(ConfigError, match="leaves its parameters as they are"):
            try_rule("redistribution", rule, resolve("redistribution", rule), SMALL)


def test_crowding_is_tried_as_far_as_the_game_goes() -> None:
    def share(k, m, crowding, p):  # type: ignore[no-untyped-def]
        return 0.0, TABLE[int(crowding)] >= 0

    rule = resolve("redistribution", share)
    try_rule("redistribution", share, rule, SMALL)
    with pytest.raises(ConfigError, match=r"crowding 3.0 .* IndexError"):
        try_rule("redistribution", share, rule, SMALL._replace(crowding=(0.0, 3.0)))


@pytest.mark.parametrize("family", ["payment", "redistribution", "allocation"])
@pytest.mark.parametrize("karma_max", [1, 2, 20, 1000])
def test_there_are_not_too_many_arguments_and_the_ends_are_among_them(family: str, karma_max: int) -> None:
    domain = Domain(karma_max, np.linspace(0, 9, 200).tolist(), np.linspace(0, 50, 999).tolist())
    tried = list(_arguments(family, domain, np.empty(0)))
    assert len(tried) <= 1.5 * MOST
    first = {arguments[0] for arguments in tried}
    assert {0, 1, karma_max - 1, karma_max} <= first <= set(range(karma_max + 1))
    if family == "payment" and karma_max <= 20:
        bids = {(w, b, k) for w, b, k, *_ in tried}
        assert len(bids) == len(tried) == (karma_max + 1) ** 2 * (karma_max + 2) // 2


def test_some_of_many() -> None:
    assert _some(np.arange(10), 10).tolist() == list(range(10))
    assert _some(np.arange(100), 3).tolist() == [0, 1, 49, 98, 99]
