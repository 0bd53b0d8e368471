"""Bayesian design: nearer to the best than chance, within limits, on the front, and the same again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optuna")
pytest.importorskip("torch")

from agents.planners import Limit, Space, design
from tests.agents.planners.inner_problems import SQUARE, Bowl

BEST_BELOW = -0.8
"""Where x + y <= 1: with x = 1 - y, f = -(.5 - y)^2 - 4 (y - 1.5)^2 is greatest at y = 1.3."""


def test_it_comes_near_to_the_best_soon() -> None:
    result = design(SQUARE, Bowl(noise=0.01), "f", budget=16)
    # 16 random points have their best at -.1 in the mean (simulated); the noise's standard error is .01.
    assert result.value(result.best) > -0.03
    assert (result.best.point["x"], result.best.point["y"]) == pytest.approx((0.5, 1.5), abs=0.2)


def test_it_goes_on_as_it_would_have(tmp_path: Path) -> None:
    how = {"workers": 2, "seed": 1, "start": [{"x": 0.0, "y": 0.0}]}
    whole = design(SQUARE, Bowl(fails={"above": 1.0}), "f", budget=11, **how)  # type: ignore[arg-type]
    assert whole.trials[0].point == {"x": 0.0, "y": 0.0}
    design(SQUARE, Bowl(fails={"above": 1.0}), "f", budget=9, storage=tmp_path, **how)  # type: ignore[arg-type]
    rest = design(SQUARE, Bowl(fails={"above": 1.0}), "f", budget=11, storage=tmp_path, **how)  # type: ignore[arg-type]
    assert rest.trials == whole.trials
    assert any(not trial.complete for trial in whole.trials)


def test_it_keeps_within_what_constraints_allow() -> None:
    below = Space(SQUARE.parameters, {"below": lambda point: float(point["x"]) + float(point["y"]) - 1})
    result = design(below, Bowl(), "f", budget=12)
    assert all(trial.values["sum"] <= 1 + 1e-9 for trial in result.trials)
    assert result.value(result.best) == pytest.approx(BEST_BELOW, abs=0.06)


@pytest.mark.nightly
def test_it_comes_near_to_the_best_within_limits() -> None:
    result = design(SQUARE, Bowl(), "f", budget=16, limits=[Limit("sum", most=1)])
    assert result.value(result.best) == pytest.approx(BEST_BELOW, abs=0.06)


@pytest.mark.nightly
def test_it_spreads_along_a_front() -> None:
    result = design(SQUARE, Bowl(), ["f", "-sum"], budget=18)
    sums = [trial.values["sum"] for trial in result.front]
    assert len(sums) >= 6
    assert max(sums) - min(sums) > 1


def test_a_search_that_stalls_looks_nearby() -> None:
    """The best comes first; after six more trials every other one is around it, ever nearer."""
    result = design(SQUARE, Bowl(), "f", budget=14, start=[{"x": 0.5, "y": 1.5}])
    best = SQUARE.coordinates(result.trials[0].point)
    assert result.best.number == 0
    radius = 0.2
    for number in (7, 9, 11, 13):
        apart = np.abs(SQUARE.coordinates(result.trials[number].point) - best).max()
        assert 0 < apart <= radius + 1e-9
        radius *= 0.5**0.25


def test_what_a_gradient_ended_at_is_where_it_begins() -> None:
    # Ascent goes uphill with few evaluations; the search starts from there and cannot be worse.
    climbed = design(SQUARE, Bowl(), "f", budget=9, method="gradient", seed=3)
    result = design(SQUARE, Bowl(), "f", budget=3, start=[climbed.best.point])
    assert result.trials[0].point == climbed.best.point
    assert result.value(result.best) >= climbed.value(climbed.best)
    assert result.value(result.best) > -1e-6
    alone = design(SQUARE, Bowl(), "f", budget=3)
    assert alone.value(alone.best) < -0.1
