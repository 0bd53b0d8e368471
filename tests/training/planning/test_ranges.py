"""What may be chosen and what is sought, as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from agents.planners import Choice, Continuous, Limit, MaxMin, Measure, Objective, TradeOff, Whole
from agents.planners.space import Parameter
from karma_envs.config import ConfigError
from karma_envs.games.matching.config import MatchingConfig
from training.planning.config import DesignConfig
from training.planning.objectives import read_limit, read_objective
from training.planning.ranges import as_it_is, read_over, space_of, split


@pytest.mark.parametrize(
    ("given", "over"),
    [
        (["karma_mean=2:18"], {"karma_mean": {"low": 2, "high": 18}}),
        (["karma-mean=2:18:whole"], {"karma_mean": {"low": 2, "high": 18, "whole": True}}),
        (["tax.rate=.001:.5:log"], {"tax.rate": {"low": 0.001, "high": 0.5, "log": True}}),
        (
            ["payment=pbp,pbs,tax.rate=0:0.5"],
            {"payment": ["pbp", "pbs"], "tax.rate": {"low": 0, "high": 0.5}},
        ),
        (["payment=pbp,mine:rule"], {"payment": ["pbp", "mine:rule"]}),
        (["types[0].discount=.5:.9"], {"types[0].discount": {"low": 0.5, "high": 0.9}}),
        (
            ["redistribution=congestion_tax(rate=0.1, threshold=2),uniform"],
            {"redistribution": ["congestion_tax(rate=0.1, threshold=2)", "uniform"]},
        ),
        ({"a": [10, 20], "b": "2:18"}, {"a": [10, 20], "b": {"low": 2, "high": 18}}),
        ({"karma_mean": {"low": 2, "high": 18}}, {"karma_mean": {"low": 2, "high": 18}}),
        ("karma_max=10,20", {"karma_max": [10, 20]}),
    ],
)
def test_what_is_written_is_read(given: Any, over: dict[str, Any]) -> None:
    assert read_over(given) == over
    assert read_over(over) == over


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["karma_mean"], "over = 'karma_mean' is not allowed; allowed: NAME=VALUES"),
        (["karma_mean=5"], "over karma_mean = .5. is not allowed; allowed: a range such as 0:0.5"),
        (["a=1,2", "a=3,4"], "over a is given twice"),
        ({"a": {"low": 1}}, "over a = {'low': 1} is not allowed"),
        ({"a": {"low": 1, "high": 2, "log": True, "whole": True}}, "over a = "),
        ([], "one parameter or more"),
        (None, "one parameter or more"),
    ],
)
def test_what_cannot_be_read_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_over(given)


@pytest.mark.parametrize(
    ("over", "parameter"),
    [
        ("karma_max=12:30", Whole("karma_max", 12, 30)),
        ("karma_mean=2:18", Continuous("karma_mean", 2, 18)),
        ("karma_mean=2:18:whole", Whole("karma_mean", 2, 18)),
        ("tax.rate=.01:.5:log", Continuous("tax.rate", 0.01, 0.5, log=True)),
        ("payment=pbp,pbs", Choice("payment", ("pbp", "pbs"))),
    ],
)
def test_a_range_is_of_the_numbers_that_the_field_takes(over: str, parameter: Parameter) -> None:
    assert space_of(read_over(over), MatchingConfig()).parameters == (parameter,)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("karma_men=2:18", "over karma_men: 2.* karma_mean"),
        ("tax.rat=0:1", "over tax.rat: 0.0 cannot be: .*; of rules: .*did you mean tax.rate"),
        ("payment=pbp,pbx", "over payment: pbx cannot be: payment = 'pbx' is not allowed"),
        ("karma_mean=-1:18", "over karma_mean: -1.0 cannot be: karma_mean"),
        ("karma_max=12:30:log", "over karma_max = '12:30:log' is not allowed"),
        ("karma_max=12.5:30", "over karma_max: low = 12.5 is not allowed"),
        ("karma_mean=18:2", "over karma_mean: high = 2 is not allowed"),
    ],
)
def test_what_the_game_refuses_is_refused_by_name(over: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space_of(read_over(over), MatchingConfig())


def test_values_that_are_allowed_with_others_alone_are_allowed() -> None:
    """A mean karma of 25 is none with the default karma_max of 20, but with one of 30."""
    assert space_of(read_over(["karma_mean=2:25", "karma_max=20:30"]), MatchingConfig()).names


def test_the_mechanism_as_it_is_has_its_place_whatever_rules_are_called() -> None:
    config = MatchingConfig()  # pay bid to peer, no tax
    space = space_of(read_over("karma_mean=2:18,payment=pbs,pbp,karma_max=20:30,tax.rate=0:1"), config)
    assert as_it_is(space, config) == {"karma_mean": 10.0, "payment": "pbp", "karma_max": 20}


def test_brackets_and_quotes_hold_together() -> None:
    assert split("a(b,c),[d,e],'f,g',h") == ["a(b,c)", "[d,e]", "'f,g'", "h"]


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("efficiency", Measure("efficiency")),
        ("-kl", Measure("kl", maximise=False)),
        ("efficiency+0.5*reward_fairness", TradeOff({"efficiency": 1.0, "reward_fairness": 0.5})),
        ("efficiency - 2 kl", TradeOff({"efficiency": 1.0, "kl": -2.0})),
        ("3*efficiency", TradeOff({"efficiency": 3.0})),
        ("min(payoff_type_0, payoff_type_1)", MaxMin(("payoff_type_0", "payoff_type_1"))),
        ("max(a, b)", MaxMin(("a", "b"), maximise=False)),
    ],
)
def test_objectives_are_read(text: str, objective: Objective) -> None:
    assert read_objective(text) == objective


@pytest.mark.parametrize("objective", [TradeOff({"a": 1.0, "b": 0.5}), TradeOff({"a": -2.0, "b": -1.0})])
def test_a_trade_off_is_read_as_it_is_printed(objective: TradeOff) -> None:
    assert read_objective(objective.name) == objective


@pytest.mark.parametrize("text", ["", "a*b", "min(a", "2", "a b", "a+a", "+", "min(a,2)"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="objective"):
        read_objective(text)


def test_limits_are_read() -> None:
    assert read_limit("budget<=0") == Limit("budget", most=0.0)
    assert read_limit("efficiency >= -1.5") == Limit("efficiency", least=-1.5)
    for text in ("budget<0", "budget", "<=1", "a<=b"):
        with pytest.raises(ConfigError, match="limit"):
            read_limit(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inner": "guess"}, "inner = 'guess' is not allowed; allowed: solve, train"),
        ({"method": "bayes"}, "method = 'bayes' is not allowed"),
        ({"budget": 0}, "budget = 0 is not allowed"),
        ({"objective": []}, "objective = "),
        ({"objective": [3]}, "objective = "),
        ({"options": "rationality"}, "options = 'rationality' is not allowed"),
    ],
)
def test_a_design_is_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DesignConfig(over={"karma_max": [10, 20]}, **fields)


def test_a_design_is_as_it_was_written() -> None:
    config = DesignConfig(over="karma_mean=2:18", objective="-payoff", options={"rationality": 50})
    assert DesignConfig.from_dict(config.to_dict()).to_dict() == config.to_dict()
    assert config.to_dict()["over"] == {"karma_mean": {"low": 2, "high": 18}}
