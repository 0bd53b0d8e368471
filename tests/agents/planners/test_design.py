"""Studies: the same again, whatever happens meanwhile; failures, fronts, limits."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.planners import (
    AllFailed,
    Continuous,
    Design,
    Limit,
    Measure,
    NoneAcceptable,
    Space,
    Trial,
    design,
)
from agents.planners.journal import TRIALS
from agents.planners.study import Proposal, Study
from karma_envs.config import ConfigError
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from tests.agents.planners.inner_problems import SQUARE, Bowl

ROOT = Path(__file__).parents[3]


def test_random_search_counts_what_it_tried() -> None:
    result = design(SQUARE, Bowl(), "f", budget=40, method="random", seed=3)
    values = [trial.values["f"] for trial in result.trials]
    assert [trial.number for trial in result.trials] == list(range(40))
    assert result.best.values["f"] == max(values)
    assert result.best_after() == pytest.approx(np.maximum.accumulate(values))
    assert result.value(result.best) > -0.5
    assert "best: f" in repr(result)
    again = design(SQUARE, Bowl(), "f", budget=40, method="random", seed=3)
    assert again.trials == result.trials
    assert design(SQUARE, Bowl(), "f", budget=1, method="random", seed=4).trials[0] != result.trials[0]


def test_without_intervention_it_is_tried_as_it_is() -> None:
    result = design(SQUARE, Bowl(), "f", budget=9, method="none", start=[{"x": 0.5, "y": 1.5}])
    assert [trial.point for trial in result.trials] == [{}, {"x": 0.5, "y": 1.5}]
    assert [trial.values["f"] for trial in result.trials] == [-9.25, 0.0]


def test_a_failure_is_one_failed_trial() -> None:
    result = design(SQUARE, Bowl(fails={"above": 1.0}), "f", budget=20, method="random")
    failed = [trial for trial in result.trials if not trial.complete]
    assert {trial.number for trial in failed} == {t.number for t in result.trials if t.point["x"] > 1}
    assert 0 < len(failed) < 20
    assert failed[0].notes.startswith("RuntimeError: x = ")
    assert failed[0].notes.endswith("is too much")
    assert result.best.complete
    with pytest.raises(AllFailed, match="all 3 trials failed: RuntimeError: x = "):
        design(SQUARE, Bowl(fails={"above": -2.0}), "f", budget=3, method="random")
    unknown = design(SQUARE, Bowl(noise=math.nan), "sum", budget=2, method="random")
    assert len(unknown.complete) == 2  # f is nan, and nobody asked for it
    with pytest.raises(AllFailed, match="f is nan"):
        design(SQUARE, Bowl(noise=math.nan), "f", budget=2, method="random")


def test_limits_are_what_trials_must_come_to() -> None:
    limits = [Limit("sum", most=1.5)]
    result = design(SQUARE, Bowl(), "f", budget=40, method="random", limits=limits)
    inside = [trial for trial in result.trials if trial.values["sum"] <= 1.5]
    assert result.best.values["f"] == max(trial.values["f"] for trial in inside)
    with pytest.raises(NoneAcceptable, match=r"none of 5 trials .* is beyond sum <= -2 by"):
        _ = design(SQUARE, Bowl(), "f", budget=5, method="random", limits=[Limit("sum", most=-2)]).best


def test_the_front_is_what_none_is_better_than() -> None:
    result = design(SQUARE, Bowl(), ["f", "-sum"], budget=60, method="random")
    pairs = {trial.number: (trial.values["f"], trial.values["sum"]) for trial in result.trials}
    by_hand = {
        number
        for number, (f, total) in pairs.items()
        if not any(g >= f and other <= total and (g, other) != (f, total) for g, other in pairs.values())
    }
    assert {trial.number for trial in result.front} == by_hand
    assert [trial.values["f"] for trial in result.front] == sorted(
        (pairs[number][0] for number in by_hand), reverse=True
    )
    assert [row["trial"] for row in result.rows() if row["on_front"]] == sorted(by_hand)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_rounding_is_no_trade_off(scale: float) -> None:
    """Four of which one is best in both, but for rounding, and one is worse by more than that."""
    noise = scale * np.array([0.0, 3e-12, -2e-12, 1e-6])
    trials = tuple(
        Trial(n, n, {"x": 0.0, "y": 0.0}, "complete", n, values={"f": scale + up, "g": -scale - up})
        for n, up in enumerate(noise)
    )
    study = design(SQUARE, Bowl(), ["f", "sum"], budget=1, method="random").study
    both = replace(study, objectives=(Measure("f"), Measure("g")))
    assert [trial.number for trial in Design(both, trials).front] == [3, 0]
    # A second measure that is 0 but for rounding decides nothing.
    flat = tuple(replace(trial, values={**trial.values, "g": -1e-16 * trial.number}) for trial in trials)
    assert [trial.number for trial in Design(both, flat).front] == [3]


def test_repeats_are_averaged() -> None:
    result = design(SQUARE, Bowl(noise=0.3), "f", budget=3, method="random", seeds=400)
    for trial in result.trials:
        exact = -((trial.point["x"] - 0.5) ** 2) - 4 * (trial.point["y"] - 1.5) ** 2
        # The standard error of 400 is .015; three trials are within four of it but for one time in 5000.
        assert trial.standard_errors["f"] == pytest.approx(0.015, rel=0.15)
        assert abs(trial.values["f"] - exact) < 4 * 0.015
    assert result.standard_error(result.best) == result.best.standard_errors["f"]


def test_trials_begin_with_what_the_nearest_left() -> None:
    bowl = Bowl()
    result = design(SQUARE, bowl, "f", budget=6, method="random")
    assert bowl.begun[0][1] is None
    for trial, (point, warm) in list(zip(result.trials, bowl.begun))[1:]:
        before = result.trials[: trial.number]
        nearest = min(before, key=lambda other: SQUARE.distance(other.point, point))
        assert trial.warm_from == nearest.number
        assert warm == nearest.values["f"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_study_goes_on_where_it_was(tmp_path: Path, workers: int) -> None:
    how = {"method": "random", "workers": workers, "seed": 5}
    whole = design(SQUARE, Bowl(noise=0.1, pause=0.002), "f", budget=11, **how)  # type: ignore[arg-type]
    for budget in (4, 5, 11):
        part = design(SQUARE, Bowl(noise=0.1), "f", budget=budget, storage=tmp_path, **how)  # type: ignore[arg-type]
        assert part.trials == whole.trials[:budget]
    bowl = Bowl(noise=0.1)
    assert design(SQUARE, bowl, "f", budget=7, storage=tmp_path, **how).trials == whole.trials[:7]  # type: ignore[arg-type]
    assert bowl.begun == []
    # The last line of a process that was killed while it wrote.
    with open(tmp_path / TRIALS, "r+b") as file:
        file.truncate((tmp_path / TRIALS).stat().st_size - 30)
    assert len(Design.load(tmp_path).trials) == 10
    again = design(SQUARE, Bowl(noise=0.1), "f", budget=11, storage=tmp_path, **how)  # type: ignore[arg-type]
    assert again.trials == Design.load(tmp_path).trials == whole.trials


PROGRAM = """
import sys
from agents.planners import design
from tests.agents.planners.inner_problems import SQUARE, Bowl
bowl = Bowl(noise=0.1, kills_at=int(sys.argv[2]))
design(SQUARE, bowl, "f", budget=9, method="random", workers=2, storage=sys.argv[1])
"""


def corner(study: Study, told: Sequence[Trial]) -> list[Proposal]:
    """A method of the user's: one point, again and again."""
    return [Proposal({"x": 0.0, "y": 0.0})]


def test_a_method_of_the_user_goes_by_its_module(tmp_path: Path) -> None:
    name = f"{__name__}:corner"
    result = design(SQUARE, Bowl(), "f", budget=3, method=name, storage=tmp_path)
    assert [trial.point for trial in result.trials] == [{"x": 0.0, "y": 0.0}] * 3
    assert Design.load(tmp_path).study.method == name  # without importing it
    with pytest.raises(ConfigError, match="module:METHOD, a function of a study and its trials"):
        design(SQUARE, Bowl(), "f", budget=3, method=f"{__name__}:SQUARE")
    with pytest.raises(ConfigError, match=r"bayesian, gradient, none, random.*did you mean random"):
        design(SQUARE, Bowl(), "f", budget=3, method="randon")


def test_a_study_that_was_killed_is_the_same(tmp_path: Path) -> None:
    for kills_at in (3, -1):
        arguments = [sys.executable, "-c", PROGRAM, str(tmp_path), str(kills_at)]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == (0 if kills_at < 0 else -signal.SIGKILL), done.stderr
        if kills_at > 0:
            assert 0 < len(Design.load(tmp_path).trials) <= 3
    whole = design(SQUARE, Bowl(noise=0.1), "f", budget=9, method="random", workers=2)
    assert Design.load(tmp_path).trials == whole.trials


def test_another_study_is_refused(tmp_path: Path) -> None:
    design(SQUARE, Bowl(), "f", budget=2, method="random", storage=tmp_path)
    with pytest.raises(ConfigError, match="another study: there seed is 0, here 1"):
        design(SQUARE, Bowl(), "f", budget=2, method="random", storage=tmp_path, seed=1)
    with pytest.raises(ConfigError, match="another study: there inner is"):
        design(SQUARE, Bowl(noise=1), "f", budget=2, method="random", storage=tmp_path)
    lines = (tmp_path / TRIALS).read_text().splitlines()
    (tmp_path / TRIALS).write_text("\n".join(["{}", *lines[1:]]) + "\n")
    with pytest.raises(ConfigError, match="line 1, is no trial"):
        design(SQUARE, Bowl(), "f", budget=2, method="random", storage=tmp_path)


def test_a_design_survives_its_files(tmp_path: Path) -> None:
    meaning = Meaning(None, EXACT, STATIONARY)
    bowl = Bowl(noise=0.1, fails={"above": 2.0}, meanings={"f": meaning})
    space = Space([Continuous("x", -1, 3), Continuous("y", 0, 2)], {"edge": lambda point: point["y"] - 1.9})
    limits = [Limit("sum", most=3)]
    result = design(space, bowl, ["f", "-sum"], budget=12, method="random", limits=limits)
    result.save(tmp_path)
    loaded = Design.load(tmp_path)
    assert loaded.trials == result.trials
    assert loaded.meanings == {"f": meaning}
    assert loaded.inner == {"problem": "bowl", "noise": 0.1}
    assert [trial.number for trial in loaded.front] == [trial.number for trial in result.front]
    assert json.loads((tmp_path / "study.json").read_text())["space"]["constraints"] == ["edge"]
    table = (tmp_path / "trials.csv").read_text().splitlines()
    assert table[0].startswith("trial,batch,state,x,y,f,f_se,sum,")
    assert len(table) == 13
    frame = result.to_frame()
    assert list(frame["f"].dropna()) == [trial.values["f"] for trial in result.complete]


def test_what_cannot_be_is_refused_before_any_work() -> None:
    bowl = Bowl()
    with pytest.raises(ConfigError, match=r"method = 'bayes'.*did you mean bayesian"):
        design(SQUARE, bowl, "f", budget=3, method="bayes")
    with pytest.raises(ConfigError, match="budget = 0"):
        design(SQUARE, bowl, "f", budget=0)
    with pytest.raises(ConfigError, match="x = 4"):
        design(SQUARE, bowl, "f", budget=3, start=[{"x": 4, "y": 1}])
    with pytest.raises(ConfigError, match="inner = 3"):
        design(SQUARE, 3, "f", budget=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"backend = 'joblib' .*karma_envs.jobs.in_threads"):
        design(SQUARE, bowl, "f", budget=3, backend="joblib")  # type: ignore[arg-type]
    assert bowl.begun == []


def test_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    def stop(result: Design) -> None:
        if len(result.trials) == 3:
            raise KeyboardInterrupt

    result = design(SQUARE, Bowl(), "f", budget=9, method="random", observer=stop, storage=tmp_path)
    assert result.interrupted
    assert len(result.trials) == 3
    whole = design(SQUARE, Bowl(), "f", budget=9, method="random", storage=tmp_path)
    assert not whole.interrupted
    assert whole.trials == design(SQUARE, Bowl(), "f", budget=9, method="random").trials
