"""Each rule by hand, and how a name in a configuration becomes a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingConfig
from karma_envs.mechanisms import FAMILIES, Parameter, Rule, resolve, rules
from karma_envs.numerics.compile import is_compiled, kernel

NOTHING = np.empty(0)


# --- the rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "paid"),
    [
        # winner_bid, loser_bid, loser_karma, karma_max -> to_loser, to_society
        ("pbp", (3, 2, 4, 10), (3, 0)),
        ("pbp", (3, 2, 9, 10), (1, 2)),
        ("pbp", (3, 3, 10, 10), (0, 3)),
        ("pbp", (0, 0, 10, 10), (0, 0)),
        ("pbp_capped", (3, 2, 4, 10), (3, 0)),
        ("pbp_capped", (3, 2, 9, 10), (1, 0)),
        ("pbp_capped", (3, 3, 10, 10), (0, 0)),
        ("pbs", (3, 2, 4, 10), (0, 3)),
        ("pbs", (3, 3, 10, 10), (0, 3)),
        ("pbs", (0, 0, 0, 10), (0, 0)),
        ("second_price", (3, 2, 4, 10), (0, 2)),
        ("second_price", (3, 3, 10, 10), (0, 3)),
        ("second_price", (3, 0, 10, 10), (0, 0)),
        ("second_price", (1, 4, 10, 10), (0, 1)),  # an allocation that ignores bids: never overdrawn
    ],
)
def test_payments(name: str, arguments: tuple[int, ...], paid: tuple[int, int]) -> None:
    pay: Any = resolve("payment", name).function
    assert pay(*arguments, NOTHING) == paid
    assert pay.py_func(*arguments, NOTHING) == paid


@pytest.mark.parametrize(
    ("share", "arguments", "paid"),
    [
        (0.5, (4, 2, 4, 10), (2, 2)),
        (0.5, (3, 2, 4, 10), (2, 1)),  # 1.5 is rounded up
        (0.3, (5, 2, 4, 10), (2, 3)),
        (0.3, (4, 2, 4, 10), (1, 3)),
        (0.5, (8, 2, 9, 10), (1, 7)),  # what the loser cannot hold
    ],
)
def test_a_bid_is_paid_in_parts(share: float, arguments: tuple[int, ...], paid: tuple[int, int]) -> None:
    rule = resolve("payment", f"pay_bid_in_parts(peer_share={share})")
    assert rule.function(*arguments, rule.parameter_array()) == paid


@pytest.mark.parametrize(("share", "end"), [(0, "pbs"), (1, "pbp")])
def test_parts_have_the_two_ends(share: float, end: str) -> None:
    parts, other = resolve("payment", f"pay_bid_in_parts(peer_share={share})"), resolve("payment", end)
    for bid, loser_karma in np.ndindex(8, 8):
        arguments = bid, 0, loser_karma, 7
        assert parts.function(*arguments, parts.parameter_array()) == other.function(*arguments, NOTHING)


@pytest.mark.parametrize("name", rules("payment"))
def test_payments_keep_their_contract(name: str) -> None:
    rule = resolve("payment", name)
    pay: Any = rule.function
    for karma_max in (1, 4):
        for winner_bid, loser_bid, loser_karma in np.ndindex((karma_max + 1,) * 3):
            arguments = winner_bid, loser_bid, loser_karma, karma_max, rule.parameter_array()
            to_loser, to_society = pay(*arguments)
            assert isinstance(to_loser, int)
            assert isinstance(to_society, int)
            assert min(to_loser, to_society) >= 0
            assert to_loser + to_society <= winner_bid
            assert loser_karma + to_loser <= karma_max


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        # (bid, urgency, accesses)
        ("karma", (3, 1, 9), (2, 5, 0)),
        ("dict", (0, 5, 9), (7, 1, 0)),
        ("turn", (0, 1, 3), (7, 5, 4)),
    ],
)
def test_allocations_look_at_one_thing(name: str, better: Any, worse: Any) -> None:
    priority: Any = resolve("allocation", name).function
    assert priority(*better, NOTHING) > priority(*worse, NOTHING)
    same = [list(better) for _ in range(3)]
    looked_at = {"karma": 0, "dict": 1, "turn": 2}[name]
    for position in {0, 1, 2} - {looked_at}:
        same[position][position] += 1
        assert priority(*same[position], NOTHING) == priority(*better, NOTHING)


def test_a_coin_looks_at_nothing() -> None:
    priority: Any = resolve("allocation", "coin").function
    assert priority(0, 1, 5, NOTHING) == priority(7, 5, 0, NOTHING)


def test_only_the_karma_allocation_uses_bids() -> None:
    assert {name: rule.uses_bids for name, rule in rules("allocation").items()} == {
        "highest_bid": True,
        "benevolent_dictator": False,
        "coin_toss": False,
        "turn_taking": False,
    }


@pytest.mark.parametrize(
    ("name", "karma", "crowding", "expected"),
    [
        ("uniform", 5, 1.0, (0, True)),
        ("uniform", 5, 0.0, (0, True)),
        ("by_lane", 5, 0.0, (0, True)),
        ("uniform_to_active", 5, 0.1, (0, True)),
        ("uniform_to_active", 5, 0.0, (0, False)),
        ("none", 5, 1.0, (0, False)),
        ("tax", 0, 1.0, (0, True)),
        ("tax(rate=0.2)", 10, 1.0, (2, True)),  # at the cap: the rate
        ("tax(rate=0.2)", 5, 1.0, (0.5, True)),  # at half: half the rate, of half the karma
        ("tax(rate=0.2)", 5, 0.0, (0.5, True)),
        ("tax(rate=0)", 10, 1.0, (0, True)),
        ("tax(rate=1)", 10, 1.0, (10, True)),
        ("congestion_tax", 8, 0.0, (0.4, False)),
        ("congestion_tax", 8, 1.0, (0.4, False)),  # as many agents as places: no congestion
        ("congestion_tax", 8, 1.1, (0, True)),
        ("congestion_tax(rate=1, threshold=2)", 8, 2.0, (8, False)),
        ("congestion_tax(rate=1, threshold=2)", 8, 2.5, (0, True)),
        ("congestion_tax(threshold=0)", 8, 0.1, (0, True)),
    ],
)
def test_redistributions(name: str, karma: int, crowding: float, expected: tuple[float, bool]) -> None:
    rule = resolve("redistribution", name)
    tax, receives = rule.function(karma, 10, crowding, rule.parameter_array())
    assert tax == pytest.approx(expected[0], abs=1e-15)
    assert receives == expected[1]


def test_one_redistribution_is_by_resource() -> None:
    assert [name for name, rule in rules("redistribution").items() if rule.by_resource] == ["by_resource"]


def test_tax_is_progressive() -> None:
    rule = resolve("redistribution", "tax(rate=0.3)")
    shares = [rule.function(karma, 20, 1.0, rule.parameter_array())[0] / karma for karma in range(1, 21)]
    assert (np.diff(shares) > 0).all()
    assert shares[-1] == pytest.approx(0.3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_its_folder(family: str) -> None:
    folder = Path(__import__(f"karma_envs.mechanisms.{family}", fromlist=["_"]).__file__).parent
    files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    assert set(rules(family)) == files
    names = [name for rule in rules(family).values() for name in (rule.name, *rule.aliases)]
    assert len(names) == len(set(names))
    assert all(is_compiled(rule.function) for rule in rules(family).values())


# --- resolve ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "given", "name"),
    [
        ("payment", "pbp", "pay_bid_to_peer"),
        ("payment", "pbs", "pay_bid_to_society"),
        ("payment", "pbp_capped", "pay_capped_bid_to_peer"),
        ("payment", " second_price ", "second_price"),
        ("allocation", "karma", "highest_bid"),
        ("allocation", "dict", "benevolent_dictator"),
        ("allocation", "coin", "coin_toss"),
        ("allocation", "turn", "turn_taking"),
        ("redistribution", "uniform", "uniform"),
        ("redistribution", "tax", "tax"),
        ("redistribution", "tax()", "tax"),
    ],
)
def test_names_and_aliases(family: str, given: str, name: str) -> None:
    assert resolve(family, given) is rules(family)[name]
    assert str(resolve(family, given)) == name


def test_parameters() -> None:
    rule = resolve("redistribution", "tax(rate=0.1)")
    assert rule.values == {"rate": 0.1}
    assert rule.parameter_array().tolist() == [0.1]
    assert rule.parameter_array().dtype == np.float64
    assert str(rule) == "tax(rate=0.1)"
    assert resolve("redistribution", str(rule)) == rule
    assert rule.function is rules("redistribution")["tax"].function
    assert rules("redistribution")["tax"].parameter_array().tolist() == [0.05]
    assert rules("payment")["pay_bid_to_peer"].parameter_array().shape == (0,)


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 1e-7, 0.123456789012345, 0.0, 1.0])
def test_the_spelling_of_a_rule_is_exact(rate: float) -> None:
    rule = rules("redistribution")["tax"].with_values(rate=rate)
    assert resolve("redistribution", str(rule)).parameter_array().tolist() == [rate]


def test_parameters_keep_their_order() -> None:
    parameters = {name: Parameter(default, 0, 10, "") for name, default in (("b", 1.0), ("a", 2.0))}
    rule = Rule("two", lambda: None, parameters=parameters)
    assert rule.parameter_array().tolist() == [1, 2]
    assert rule.with_values(a=3).with_values(b=4).parameter_array().tolist() == [4, 3]
    assert rule.values == {}


@pytest.mark.parametrize(
    ("family", "given", "says"),
    [
        ("redistribution", "tax(rate=1.5)", r"tax\(rate\) = 1.5 .*\[0, 1\]"),
        ("redistribution", "tax(rate=-0.1)", r"tax\(rate\) = -0.1"),
        ("redistribution", "tax(rate=nan)", r"tax\(rate\) = nan"),
        ("redistribution", "tax(rat=0.1)", r"tax\(rat\) = 0.1 .*parameters rate"),
        ("redistribution", "tax(0.1)", r"'0.1' is not parameter=number"),
        ("redistribution", "tax(rate=high)", "'rate=high' is not parameter=number"),
        ("redistribution", "tax(rate=0.1", "redistribution = "),
        ("redistribution", "uniform(rate=0.1)", "allowed: no parameters$"),
        ("redistribution", "taxes", "did you mean tax"),
        ("payment", "tax", "payment = 'tax'"),
        ("payment", "", "'module:function'"),
        ("payment", None, "'module:function'"),
        ("payment", 3, "payment = 3"),
        ("payment", ["pbp"], "payment = "),
        ("payment", "no_such_module_of_mine:pay", "module:function that can be imported"),
        ("payment", "math:no_such_function", "module:function that can be imported"),
    ],
)
def test_what_is_no_rule_is_refused(family: str, given: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(family, given)


USER = """
from karma_envs.numerics.compile import kernel
from karma_envs.mechanisms import Parameter, Rule

def half(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, winner_bid // 2

@kernel
def fee(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, min(winner_bid, int(parameters[0]))

FEE = Rule("flat_fee", fee, parameters={"amount": Parameter(1, 0, 5, "karma per win")})
"""


def test_rules_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules_of_the_user.py").write_text(USER)
    monkeypatch.syspath_prepend(tmp_path)
    half = resolve("payment", "rules_of_the_user:half")
    assert half.name == "rules_of_the_user:half"
    assert is_compiled(half.function)
    assert half.function(5, 0, 0, 9, NOTHING) == (0, 2)
    fee = resolve("payment", "rules_of_the_user:FEE(amount=3)")
    assert str(fee) == "rules_of_the_user:FEE(amount=3.0)"
    assert fee.function(5, 0, 0, 9, fee.parameter_array()) == (0, 3)
    for given, says in (
        ("FEE(amount=6)", r"rules_of_the_user:FEE\(amount\) = 6"),
        ("FEE(rate=1)", r"rules_of_the_user:FEE\(rate\) = 1.0 .* allowed: parameters amount$"),
        ("half(rate=.1)", r"rules_of_the_user:half\(rate\) = 0.1 .* allowed: no parameters; a Rule of"),
    ):
        with pytest.raises(ConfigError, match=f"^payment {says}"):
            resolve("payment", f"rules_of_the_user:{given}")


def test_a_configuration_keeps_a_rule_of_the_user_with_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules_with_parameters.py").write_text(USER)
    monkeypatch.syspath_prepend(tmp_path)
    config = MatchingConfig(n_agents=4, payment="rules_with_parameters:FEE(amount=2)")
    assert config.to_dict()["payment"] == "rules_with_parameters:FEE(amount=2.0)"
    assert MatchingConfig.from_dict(config.to_dict()) == config
    assert config.rule("payment").parameter_array().tolist() == [2.0]
    assert config.provenance()["settings of payment rules_with_parameters:FEE"] == "amount=2.0"


def nothing(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, 0


@kernel
def all_of_it(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, winner_bid


def test_functions_and_rules_are_taken_as_they_are() -> None:
    plain = resolve("payment", nothing)
    assert is_compiled(plain.function)
    assert plain.name == f"{__name__}:nothing"
    assert plain.function(3, 0, 0, 9, NOTHING) == (0, 0)
    compiled = resolve("payment", all_of_it)
    assert is_compiled(compiled.function)
    assert compiled.name == f"{__name__}:all_of_it"
    assert compiled.function(3, 0, 0, 9, NOTHING) == (0, 3)
    assert resolve("payment", compiled) is compiled


def test_values_of_a_rule_are_checked_where_it_is_used_and_its_family_is_named() -> None:
    parameters = {"amount": Parameter(1, 0, 5, "karma per win")}
    for values, says in (({"amount": 6}, r"fee\(amount\) = 6"), ({"amont": 1}, r"fee\(amont\) = 1")):
        with pytest.raises(ConfigError, match=f"^payment {says} is not allowed"):
            resolve("payment", Rule("fee", nothing, parameters=parameters, values=values))
    with pytest.raises(ConfigError, match=r"^redistribution tax\(rate\) = 1.5 is not allowed"):
        resolve("redistribution", "tax(rate=1.5)")
