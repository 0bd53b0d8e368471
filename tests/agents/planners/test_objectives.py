"""Objectives and limits: values, errors, slopes, by hand."""

from __future__ import annotations

import math

import pytest

from agents.planners import Limit, MaxMin, Measure, TradeOff
from agents.planners.objectives import as_objective, objective_from_plain, objective_to_plain
from karma_envs.config import ConfigError

MEASURES = {"efficiency": -1.0, "fairness": -0.25, "kl": 0.5}
ERRORS = {"efficiency": 0.03, "fairness": 0.02}
SLOPES = {"efficiency": {"a": 1.0, "b": 2.0}, "fairness": {"a": -3.0}, "kl": {"b": 4.0}}


def test_a_measure_is_what_it_is_and_less_may_be_better() -> None:
    kl = as_objective("-kl")
    assert kl == Measure("kl", maximise=False)
    assert (kl.value(MEASURES), kl.gain(MEASURES)) == (0.5, -0.5)
    assert kl.gradient(MEASURES, SLOPES) == {"b": -4.0}
    assert math.isnan(kl.standard_error(MEASURES, ERRORS))
    assert as_objective("efficiency").standard_error(MEASURES, ERRORS) == 0.03
    with pytest.raises(ConfigError, match=r"measure = 'eficiency'.*efficiency, fairness, kl.*did you mean"):
        as_objective("eficiency").value(MEASURES)


def test_a_trade_off_weighs() -> None:
    both = TradeOff({"efficiency": 1, "fairness": 2})
    assert both.name == "efficiency + 2 fairness" or both.name == "efficiency +2 fairness"
    assert both.value(MEASURES) == -1.5
    assert both.standard_error(MEASURES, ERRORS) == pytest.approx(0.05)  # sqrt(.03^2 + (2 .02)^2)
    assert both.gradient(MEASURES, SLOPES) == {"a": -5.0, "b": 2.0}


def test_max_min_is_the_worst() -> None:
    worst = MaxMin(["efficiency", "fairness"])
    assert worst.value(MEASURES) == -1.0
    assert worst.gradient(MEASURES, SLOPES) == {"a": 1.0, "b": 2.0}
    least = MaxMin(["kl", "fairness"], maximise=False)
    assert (least.value(MEASURES), least.gain(MEASURES)) == (0.5, -0.5)


def test_a_limit_says_by_how_much_it_is_passed() -> None:
    assert Limit("kl", most=0.2).excess(MEASURES) == pytest.approx(0.3)
    assert Limit("efficiency", least=-1.5).excess(MEASURES) == -0.5
    assert Limit("kl", least=0, most=0.6).excess(MEASURES) == pytest.approx(-0.1)
    assert Limit("kl", least=0, most=0.6).name == "0 <= kl <= 0.6"
    with pytest.raises(ConfigError, match="most"):
        Limit("kl")
    with pytest.raises(ConfigError, match="most = 0 "):
        Limit("kl", most=0, least=1)


@pytest.mark.parametrize("objective", [Measure("kl", False), TradeOff({"a": 1.5}), MaxMin(("a", "b"))])
def test_an_objective_survives_plain_data(objective: Measure | TradeOff | MaxMin) -> None:
    assert objective_from_plain(objective_to_plain(objective)) == objective
