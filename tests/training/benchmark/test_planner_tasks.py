"""Planners are compared by evaluations to a target, in tasks of their own kind beside those of algorithms."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.planners import Choice, Continuous, Evaluation, Space
from karma_envs.config import ConfigError
from karma_envs.meaning import Meaning
from tests.training.benchmark.tiny_tasks import REAL, content
from training.benchmark import TASKS, PlannerTask, Result, run_benchmark, write_report
from training.benchmark.panels import Panel, profiles
from training.benchmark.report import summarise, to_markdown
from training.benchmark.statistics import aggregate, expected_running_time
from training.benchmark.tables import Cell
from training.benchmark.tasks import find_task
from training.cli import main

SPACE = Space([Continuous("x", 0, 1)])


class Peak:
    """-(x - 0.5)^2, with noise where it is asked for, and the derivative where it is offered."""

    def __init__(self, noise: float = 0.0, *, derivatives: bool = True) -> None:
        self.noise, self.derivatives = noise, derivatives

    @property
    def meanings(self) -> Mapping[str, Meaning]:
        return {}

    def evaluate(self, point: Mapping[str, Any], *, seed: int, warm: Any) -> Evaluation:
        off = float(point["x"]) - 0.5
        drawn = self.noise * np.random.default_rng(seed).standard_normal()
        slopes = {"height": {"x": -2 * off}} if self.derivatives else None
        return Evaluation({"height": -(off**2) + drawn}, derivatives=slopes)

    def to_plain(self) -> dict[str, Any]:
        return {"problem": "peak", "noise": self.noise}


PEAK = PlannerTask("peak", "a parabola", 12, SPACE, Peak, "height", -1e-4, "within 0.01 of the top")
BLUNT = replace(PEAK, name="blunt", inner=lambda: Peak(derivatives=False))

METHODS = '''
from agents.planners.study import Proposal

def steps(study, trials):
    """Tenths, one after the other."""
    return [Proposal({"x": len(trials) / 10})]

def twice(study, trials):
    """Two points, and no more."""
    return [Proposal({"x": len(trials) / 4})] if len(trials) < 2 else []

def train(game, budget, seed):
    """An algorithm."""
'''


@pytest.fixture(autouse=True)
def _peaks(_tiny_tasks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = TASKS["tiny"]
    TASKS.clear()
    TASKS.update({task.name: task for task in (tiny, PEAK, BLUNT)})
    (tmp_path / "methods_of_a_user.py").write_text(METHODS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "methods_of_a_user", raising=False)


def test_evaluations_count_until_the_target_is_reached(tmp_path: Path) -> None:
    """Tenths reach 0.5 at the sixth evaluation; a method that ends before has not reached it."""
    names = ["methods_of_a_user:steps", "methods_of_a_user:twice"]
    (steps, twice), failed = run_benchmark(names, tmp_path / "bench", tasks=["peak"], seeds=2)
    assert not failed
    assert [row["evaluations"] for row in steps.rows] == [6, 6]
    assert [row["reached"] for row in steps.rows] == [1, 1]
    assert [row["shortfall"] for row in steps.rows] == [0, 0]
    assert [(row["evaluations"], row["reached"]) for row in twice.rows] == [(2, 0), (2, 0)]
    assert twice.rows[0]["shortfall"] == pytest.approx(0.25**2 - 1e-4)
    path = tmp_path / "bench" / "results" / "methods_of_a_user.steps-peak.json"
    assert Result.load(path) == steps
    assert steps.code is not None
    short, _ = run_benchmark(names[:1], tmp_path / "short", tasks=["peak"], seeds=1, budget=5)
    assert (short[0].rows[0]["reached"], short[0].comparable) == (0, False)


def test_less_may_be_better() -> None:
    down = replace(PEAK, goal="-height", target=-0.2)
    assert down.shortfall(np.array([-0.25, -0.2, -0.1])).tolist() == pytest.approx([-0.05, 0, 0.1])
    assert "at most -0.2" in down.numbers_text


def test_a_lucky_evaluation_does_not_reach_the_target() -> None:
    """Noise of 1 is over the target at once; what is recommended is evaluated anew, by 1000 seeds.

    The standard error of the mean is 0.03, so that it is below a target of 0.2 by more than six of them.
    """
    noisy = replace(PEAK, inner=lambda: Peak(1.0), target=0.2, anew=1000)
    fooled = replace(noisy, anew=0)
    row, trusting = (task.run(task.find("random"), 0, 12, {}) for task in (noisy, fooled))
    assert (trusting["evaluations"] < 12, trusting["reached"]) == (True, 1)
    assert (row["evaluations"], row["reached"]) == (12, 0)
    again = noisy.value_of({"x": 0.3}, Peak(1.0))
    assert again == noisy.value_of({"x": 0.3}, Peak(1.0))  # the same seeds for all
    assert noisy.value_of({"x": 0.5}, Peak(1.0)) - again == pytest.approx(0.04)


def test_what_competes_depends_on_the_task(tmp_path: Path) -> None:
    """``random`` goes by one name in both kinds; a function of the user's is told by its arguments."""
    results, failed = run_benchmark(["random"], tmp_path / "both", tasks=["tiny", "peak"], seeds=1)
    assert not failed
    assert [set(result.rows[0]) >= {"score"} for result in results] == [True, False]
    with pytest.raises(ConfigError, match=r"a function method\(study, trials\)"):
        run_benchmark(["methods_of_a_user:train"], tmp_path / "no", tasks=["peak"])
    with pytest.raises(ConfigError, match=r"a function train\(game, budget, seed\)"):
        run_benchmark(["methods_of_a_user:steps"], tmp_path / "no", tasks=["tiny"])
    with pytest.raises(ConfigError, match=r"allowed: .*bayesian, gradient, random"):
        run_benchmark(["sarsa"], tmp_path / "no", tasks=["peak"])
    with pytest.raises(ConfigError, match="did you mean gradient"):
        run_benchmark(["gradiant"], tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_task_that_a_method_does_not_do_is_blank_and_says_why(tmp_path: Path) -> None:
    results, failed = run_benchmark(["gradient", "random"], tmp_path, tasks=["peak", "blunt"], seeds=2)
    assert len(failed) == 2
    assert [(each.algorithm, each.task) for each in results] == [
        ("gradient", "peak"), ("random", "peak"), ("random", "blunt"),
    ]  # fmt: skip
    refused = content(tmp_path, "gradient-blunt")
    assert refused["rows"] == []
    assert "the inner problem gives no derivatives" in refused["refused"]
    (report,) = write_report(tmp_path)
    assert ("evaluations", "blunt", "gradient") not in report.cells
    assert report.overall["evaluations", "gradient"].n_tasks == 1
    text = (tmp_path / "README.md").read_text()
    assert "gradient does not do this: method = 'gradient' is not allowed" in text
    assert "does not do" in (tmp_path / "index.html").read_text()
    TASKS["blunt"] = replace(BLUNT, inner=Peak)  # now it gives them
    results, failed = run_benchmark(["gradient"], tmp_path, tasks=["blunt"], seeds=1)
    assert not failed
    assert Result.load(tmp_path / "results" / "gradient-blunt.json").refused == ""


def test_the_expected_running_time_by_hand() -> None:
    """Two of three reach it: 10 + 40 + 20 evaluations over 2. Of none it is infinite."""
    assert expected_running_time(np.array([[10.0, 1], [40, 0], [20, 1]])) == 35
    assert expected_running_time(np.array([[40.0, 0], [40, 0]])) == np.inf
    one = aggregate([[(10.0, 1.0), (40.0, 0.0)]], statistic=expected_running_time)
    # Of two draws both are misses with probability 1/4: the upper end is infinite, the lower 20 / 2.
    assert (one.value, one.low, one.high) == (50, 10, np.inf)


def test_it_is_what_starting_anew_takes() -> None:
    """The mean over many games of drawing runs until one reaches the target: standard error 0.3, seed 0."""
    runs = np.array([[10.0, 1], [40, 0], [20, 1], [40, 0]])
    rng, totals = np.random.default_rng(0), []
    for _ in range(20_000):
        spent, reached = 0.0, False
        while not reached:
            evaluations, hit = runs[rng.integers(4)]
            spent, reached = spent + evaluations, bool(hit)
        totals.append(spent)
    error = np.std(totals) / np.sqrt(len(totals))
    assert expected_running_time(runs) == pytest.approx(np.mean(totals), abs=4 * error)


def test_tables_do_not_hide_who_missed() -> None:
    numbers = {"shortfall": 0.0, "seconds": 1.0, "versions": {"numpy": "2.0"}}

    def result(name: str, task: str, runs: list[tuple[int, int]]) -> Result:
        rows = tuple(
            {**numbers, "seed": seed, "evaluations": evaluations, "reached": reached}
            for seed, (evaluations, reached) in enumerate(runs)
        )
        return Result(name, "", task, TASKS[task].definition(), 12, {}, rows)

    (report,) = summarise(
        [
            result("never", "peak", [(12, 0), (12, 0)]),
            result("some", "peak", [(4, 1), (12, 0)]),
            result("some", "blunt", [(6, 1), (6, 1)]),
        ]
    )
    assert report.algorithms == ("some", "never")
    assert report.cells["evaluations", "peak", "some"].text == "16.0 [4.0000, ∞] (4, >12)"
    assert report.cells["evaluations", "peak", "never"].text == "∞ [∞, ∞] (>12, >12)"
    assert report.cells["reached", "peak", "some"].estimate.value == 0.5
    assert report.overall["evaluations", "some"].text.startswith("9.3333 [")  # 28 over 3
    assert ("shortfall", "some") not in report.overall  # of objectives that differ
    markdown = to_markdown([report])
    assert "## Planners that choose a mechanism" in markdown
    assert "at most 12 evaluations to height of at least -0.0001, within 0.01 of the top" in markdown


def test_a_profile_rises_where_runs_reach_the_target() -> None:
    """Of four runs two reach it, after 5 and 10 of 20 evaluations: steps to a quarter and to a half."""
    runs = ((5.0, 1.0), (20.0, 0.0), (10.0, 1.0), (20.0, 0.0))
    cell = Cell(aggregate([runs], statistic=expected_running_time), runs, ("5", ">20", "10", ">20"), 1, True)
    drawn = profiles(Panel("peak", "a parabola", "expected running time", (("some", cell, 0),)))
    path = drawn.partition('<path d="')[2].partition('"')[0]
    start, *moves = path.replace("V", " V").replace("H", " H").split()[1:]
    bottom, top = float(path.partition(" ")[2].partition("H")[0]), 8.0
    heights = [(bottom - float(move[1:])) / (bottom - top) for move in [start, *moves] if move[0] == "V"]
    assert heights == pytest.approx([0.25, 0.5], abs=0.01)
    across = [float(move[1:]) for move in [start, *moves] if move[0] == "H"]
    assert across == sorted(across)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    run = ["benchmark", "run", "--algo", "methods_of_a_user:steps", "--algo", "random", "--tasks", "peak"]
    assert main([*run, "--seeds", "1", "--folder", "bench", "--quiet"]) == 0
    assert "methods_of_a_user:steps, peak, seed 0: evaluations 6" in capsys.readouterr().out
    assert main(["benchmark", "report", "bench"]) == 0
    assert 'data-metric="method-evaluations"' in Path("bench/index.html").read_text()
    assert main(["benchmark", "add", "bench/results/random-peak.json", "--leaderboard", "board"]) == 0
    assert json.loads(Path("board/results/random-peak.json").read_text())["comparable"] is True
    assert main(["benchmark", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("peak", "bayesian", "evaluations", "tiny", "sarsa"))


def test_the_real_targets_can_be_reached_and_are_no_gift() -> None:
    """As they are, problems miss them; definitions are plain data of what numbers depend on."""
    tasks = [task for task in REAL.values() if isinstance(task, PlannerTask)]
    assert len(tasks) == 6
    for task in tasks:
        assert json.loads(json.dumps(task.definition()))["target"] == task.target
    crowd = REAL["planner-crowd"]
    assert isinstance(crowd, PlannerTask)
    inner = crowd.inner()
    without = crowd.value_of({}, inner)
    assert crowd.target == pytest.approx(without + np.log(0.05), abs=1e-5)
    matching = REAL["planner-matching"]
    assert isinstance(matching, PlannerTask)
    best = {"tax.rate": 0.0, "karma_mean": 6.368421052631579}  # of the grid
    value = matching.value_of(best, matching.inner())
    assert matching.shortfall(np.array([value]))[0] == pytest.approx(-1e-5, abs=1e-5)


def test_a_choice_is_searched_by_ascents_from_several_starts() -> None:
    space = Space([Choice("side", ("left", "right")), Continuous("x", 0, 1)])
    row = replace(PEAK, space=space, budget=30).run(PEAK.find("gradient"), 0, 30, {})
    assert row["reached"] == 1


def test_what_the_page_says_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method and the task of docs/benchmark.md, by the names that it gives them."""
    page = (Path(__file__).parents[3] / "docs" / "benchmark.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    (tmp_path / "mine_of_the_page.py").write_text("".join(blocks))
    monkeypatch.delitem(sys.modules, "mine_of_the_page", raising=False)
    results, failed = run_benchmark(["mine_of_the_page:halving"], tmp_path / "bench", tasks=["peak"], seeds=1)
    assert not failed
    assert results[0].description == "Random points, then ever closer to the best so far."
    cap = find_task("mine_of_the_page:CAP")
    assert cap.definition()["inner"]["game"] == "matching"
    assert cap.numbers_text.startswith("at most 20 evaluations to efficiency of at least -1.0207")
