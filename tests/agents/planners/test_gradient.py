"""Ascent by derivatives: how few evaluations it takes, bounds, turns of a branch, failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.planners import Choice, Continuous, Evaluation, Limit, Space, design
from agents.planners.inner import Arrays
from agents.planners.space import Point
from karma_envs.config import ConfigError
from tests.agents.planners.inner_problems import SQUARE, Bowl

AWAY: Point = {"x": -0.9, "y": 0.1}


def test_a_bowl_takes_few_evaluations() -> None:
    result = design(SQUARE, Bowl(), "f", budget=12, method="gradient", start=[AWAY])
    assert result.trials[0].point == AWAY
    assert result.value(result.best) == pytest.approx(0, abs=1e-8)
    assert result.best.number <= 9


def test_it_stops_at_the_edge_and_begins_anew() -> None:
    result = design(SQUARE, Bowl(), "sum", budget=12, method="gradient", start=[AWAY])
    assert result.best.point == {"x": 3.0, "y": 2.0}
    assert result.best.number <= 4
    assert any(trial.warm_from is None for trial in result.trials[1:])  # the next ascent
    low = design(SQUARE, Bowl(), "-sum", budget=5, method="gradient", start=[AWAY])
    assert low.best.point == {"x": -1.0, "y": 0.0}


def test_what_is_not_continuous_stays(tmp_path: Path) -> None:
    space = Space([*SQUARE.parameters, Choice("rule", ["a", "b"])])
    start = [{**AWAY, "rule": "b"}]
    result = design(space, Bowl(), "f", budget=7, method="gradient", start=start)
    assert {trial.point["rule"] for trial in result.trials} == {"b"}
    design(space, Bowl(), "f", budget=4, method="gradient", start=start, storage=tmp_path)
    again = design(space, Bowl(), "f", budget=7, method="gradient", start=start, storage=tmp_path)
    assert again.trials == result.trials


def test_a_step_that_fails_is_made_shorter() -> None:
    start = [{"x": 0.4, "y": 0.0}]
    result = design(SQUARE, Bowl(fails={"above": 0.45}), "f", budget=12, method="gradient", start=start)
    failed = [trial for trial in result.trials if not trial.complete]
    assert failed
    assert result.value(result.best) > 0.5 * result.value(result.trials[0])
    following = result.trials[failed[0].number + 1]
    assert following.warm_from == failed[0].warm_from  # from the same place, less far
    assert float(following.point["x"]) < float(failed[0].point["x"])


class Folding(Bowl):
    """A bowl whose branch turns back wherever y passes .8: from beyond, another one is lower by 1."""

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        evaluation = super().evaluate(point, seed=seed, warm=warm)
        lower = float(point["y"]) > 0.8
        values = {**evaluation.values, "f": evaluation.values["f"] - 0.1 * lower}
        ends = (0.8, float("inf")) if lower else (float("-inf"), 0.8)
        return replace(evaluation, values=values, reach={"y": ends})


def test_it_goes_up_to_where_the_branch_turns_and_then_across() -> None:
    result = design(SQUARE, Folding(), "f", budget=20, method="gradient", start=[AWAY])
    heights = [float(trial.point["y"]) for trial in result.trials]
    first = next(number for number, y in enumerate(heights) if y > 0.8)
    before = list(result.trials[1:first])
    assert before  # steps that were cut short, on the branch
    assert all(trial.warm_from is not None for trial in before)
    assert max(heights[:first]) > 0.75
    assert result.trials[first].warm_from is None  # solved for anew, as there is no branch to follow
    assert result.value(result.best) == pytest.approx(-0.1, abs=1e-6)


def test_it_refuses_what_it_cannot_do() -> None:
    how = {"budget": 3, "method": "gradient"}
    with pytest.raises(ConfigError, match="one, for method gradient"):
        design(SQUARE, Bowl(), ["f", "sum"], **how)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="none, for method gradient"):
        design(SQUARE, Bowl(), "f", limits=[Limit("sum", most=1)], **how)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a continuous parameter"):
        design(Space([Choice("x", [0, 1])]), Bowl(), "f", **how)  # type: ignore[arg-type]

    class Blind(Bowl):
        def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
            return replace(super().evaluate(point, seed=seed, warm=warm), derivatives=None)

    with pytest.raises(ConfigError, match="gives no derivatives"):
        design(Space([Continuous("x", 0, 1)]), Blind(), "f", **how)  # type: ignore[arg-type]


class Ridge(Bowl):
    """A gain with a kink along a straight line that slopes: f = -.05 x - a |y - .5 - .2 x|.

    On either side of the line a differs, .3 above and .1 below; the best is where it leaves the square, at
    (-1, .3).
    """

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        x, y = float(point["x"]), float(point["y"])
        off = y - 0.5 - 0.2 * x
        side = 0.3 if off > 0 else -0.1
        slopes = {"x": -0.05 + 0.2 * side, "y": -side}
        return Evaluation(values={"f": -0.05 * x - side * off}, derivatives={"f": slopes})


@pytest.mark.parametrize(("x", "y"), [(2.5, 1.8), (2.9, 0.1), (0.3, 1.0)])
def test_a_ridge_is_climbed_along_its_kink(x: float, y: float) -> None:
    result = design(SQUARE, Ridge(), "f", budget=12, method="gradient", start=[{"x": x, "y": y}])
    # Steps across the kink lead down from close to it: by one slope alone the ascent ends there.
    assert result.value(result.best) == pytest.approx(0.05, abs=1e-4)
    assert result.best.point["x"] == -1.0


def test_it_begins_anew_at_the_peak_of_a_cone() -> None:
    class Cone(Bowl):
        def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
            away = {"x": float(point["x"]) - 0.5, "y": 3 * (float(point["y"]) - 1.5)}
            name = max(away, key=lambda each: abs(away[each]))
            sign = -1.0 if away[name] > 0 else 1.0
            slopes = {"x": 0.0, "y": 0.0} | {name: sign * (3.0 if name == "y" else 1.0)}
            return Evaluation(values={"f": -1 - abs(away[name])}, derivatives={"f": slopes})

    result = design(SQUARE, Cone(), "f", budget=30, method="gradient", start=[AWAY])
    assert result.value(result.best) == pytest.approx(-1, abs=1e-3)
    assert any(trial.warm_from is None for trial in result.trials[1:])
