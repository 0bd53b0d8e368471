"""Runs of the benchmark keep what was measured, whatever fails, and mix nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import karma_envs
from agents.learners.tabular import LEARNER, TabularLearner
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from tests.training.benchmark.tiny_tasks import REAL, content
from training.benchmark import TASKS, Result, Task, add_result, run_benchmark, write_report
from training.benchmark.algorithms import algorithms
from training.benchmark.measure import measure, measure_reference
from training.benchmark.report import to_markdown
from training.cli import main
from training.common.errors import ResultsError
from training.common.workers import Interrupted


def test_the_real_tasks_have_budgets_that_are_whole_steps() -> None:
    assert set(REAL) == {
        "matching-pbp", "matching-pbs", "matching-rare-urgency", "matching-two-discounts",
        "matching-two-urgencies", "matching-n4", "matching-n1000", "matching-tiny", "city-small",
        "city-thesis", "city-routes", "best-response", "meeting-time", "auction", "malware", "malware-team",
        "two-state-control", "spatial-congestion", "supply", "lq-regulator", "planner-matching",
        "planner-rules", "planner-two-discounts", "planner-nash", "planner-crowd", "planner-learning",
    }  # fmt: skip
    for name, task in REAL.items():
        assert task.name == name
        assert float(task.budget_text) == task.budget
        assert task.definition()["budget"] == task.budget
        if not isinstance(task, Task):
            continue
        assert task.budget % task.definition()["game_config"]["n_agents"] == 0
    assert REAL["matching-two-discounts"].definition()["game_config"]["types"][0]["discount"] == 0.7
    assert REAL["city-routes"].definition()["game_config"]["route_choice"] == "node"


def test_a_run_keeps_a_row_per_seed(tmp_path: Path) -> None:
    results, failed = run_benchmark(["random", "sarsa"], tmp_path, tasks=["tiny"], seeds=2)
    assert not failed
    assert [(result.algorithm, result.seeds) for result in results] == [("random", [0, 1]), ("sarsa", [0, 1])]
    found = content(tmp_path, "sarsa-tiny")
    assert found["budget"] == 1200
    assert found["comparable"] is True
    assert [row["seed"] for row in found["rows"]] == [0, 1]
    row = found["rows"][0]
    assert row["agent_steps"] == 1200
    assert row["steps_per_second"] == pytest.approx(1200 / row["seconds"])
    assert row["versions"]["karma-envs"] == karma_envs.__version__
    coin, dictator = found["reference"]["COIN"], found["reference"]["DICT"]
    assert row["score"] == pytest.approx((row["efficiency"] - coin) / (dictator - coin))
    assert content(tmp_path)["rows"][0]["agent_steps"] == 0
    assert Result.load(tmp_path / "results" / "sarsa-tiny.json") == results[1]


def test_the_references_score_0_and_1() -> None:
    """COIN is -1.5 and DICT -1 here but for sampling: the mean urgency of who loses is 3, or less."""
    task = Task("long", "", 1, "matching", {"n_agents": 100}, n_steps=10_000)
    reference = measure_reference(task)
    assert reference["COIN"] == pytest.approx(-1.5, abs=0.01)  # standard error 0.002 over 10^6 agent-steps
    assert reference["DICT"] == pytest.approx(-1.0, abs=0.01)
    row = measure(task, baseline_policy("bid_nothing", task.make()), 0, reference)
    assert row["score"] == pytest.approx(0, abs=0.02)


def test_a_finished_seed_is_not_run_again(tmp_path: Path) -> None:
    run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=1)
    first = content(tmp_path)["rows"][0]
    reference = (tmp_path / "references" / "tiny.json").stat().st_mtime_ns
    told: list[Any] = []
    run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=3, observer=told.append)
    rows = content(tmp_path)["rows"]
    assert rows[0] == first
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert [progress.what for progress in told if progress.row] == [
        "random, tiny, seed 1",
        "random, tiny, seed 2",
    ]
    assert (tmp_path / "references" / "tiny.json").stat().st_mtime_ns == reference


@pytest.mark.usefixtures("_module")
def test_seeds_of_an_algorithm_that_has_changed_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (tmp_path / "karma_benchmark_mine.py").read_text()
    (tmp_path / "algorithm_of_a_user.py").write_text(source)
    monkeypatch.delitem(sys.modules, "algorithm_of_a_user", raising=False)
    name = "algorithm_of_a_user:nothing"
    run_benchmark([name], tmp_path, tasks=["tiny"], seeds=1)
    path = tmp_path / "results" / "algorithm_of_a_user.nothing-tiny.json"
    assert Result.load(path).code is not None
    run_benchmark([name], tmp_path, tasks=["tiny"], seeds=2)
    (tmp_path / "algorithm_of_a_user.py").write_text(source + "# and something else\n")
    monkeypatch.delitem(sys.modules, "algorithm_of_a_user")
    with pytest.raises(ResultsError, match=f"{path} .*: algo {name} has changed since; restore what it was"):
        run_benchmark([name], tmp_path, tasks=["tiny"], seeds=3)
    assert Result.load(path).seeds == [0, 1]


@pytest.mark.usefixtures("_module")
def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="same command"):
        run_benchmark(["karma_benchmark_mine:fails_later"], tmp_path, tasks=["tiny"])
    assert len(content(tmp_path, "karma_benchmark_mine.fails_later-tiny")["rows"]) == 1
    run = ["benchmark", "run", "--algo", "karma_benchmark_mine:fails_later", "--tasks", "tiny"]
    assert main([*run, "--folder", str(tmp_path), "--quiet"]) == 130


@pytest.mark.usefixtures("_module")
def test_a_failure_loses_nothing_else(tmp_path: Path) -> None:
    algorithms = ["karma_benchmark_mine:fails_in_cities", "karma_benchmark_mine:no_policy", "random"]
    results, failed = run_benchmark(algorithms, tmp_path, tasks=["tiny-city", "tiny"], seeds=1)
    assert [(each.algorithm, each.task) for each in results] == [
        ("random", "tiny-city"),
        ("karma_benchmark_mine:fails_in_cities", "tiny"),
        ("random", "tiny"),
    ]
    assert failed == [
        "karma_benchmark_mine:fails_in_cities, tiny-city, seed 0: RuntimeError: no road",
        *(
            f"karma_benchmark_mine:no_policy, {task}, seed 0: PolicyError: a policy for the game {game} has "
            "thresholds and row_of_agent, as agents.TabularPolicy does; this is 3"
            for task, game in (("tiny-city", "grid_city"), ("tiny", "matching"))
        ),
    ]


def test_what_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    for arguments, message in (
        ({"algorithms": ["sarsaa"]}, "did you mean sarsa"),
        ({"algorithms": ["no_such_module:train"]}, "can be imported"),
        ({"algorithms": ["numpy:pi"]}, "a function train"),
        ({"algorithms": []}, "at least one"),
        ({"algorithms": ["random"], "tasks": ["tyni"]}, "tasks = 'tyni'"),
        ({"algorithms": ["random"], "seeds": 0}, "seeds = 0"),
        ({"algorithms": ["random"], "budget": 0}, "budget = 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_benchmark(folder=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_another_budget_is_not_comparable_and_not_mixed(tmp_path: Path) -> None:
    run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=1, budget=600)
    assert content(tmp_path)["comparable"] is False
    with pytest.raises(ResultsError, match="budget 600, not 1200"):
        run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=1)
    with pytest.raises(ResultsError, match="not comparable: its budget is 600"):
        add_result(tmp_path / "results" / "random-tiny.json", tmp_path / "board")
    assert not (tmp_path / "board").exists()
    assert "not comparable" in to_markdown(write_report(tmp_path))


def test_all_built_in_tables_learn_in_all_tasks(tmp_path: Path) -> None:
    names = ["independent-q", "sarsa", "centralised", "pooled", "bid-all", "proportional", "random"]
    results, failed = run_benchmark(names, tmp_path, seeds=1)
    assert not failed
    assert len(results) == 3 * len(names)
    city = {result.algorithm: result.rows[0] for result in results if result.task == "tiny-city"}
    assert all(row["exploitability"] > 0 for row in city.values())
    learner = next(result for result in results if result.task == "tiny-response")
    assert "access_fairness" not in learner.rows[0]  # of one agent


def test_the_equilibrium_is_not_exploitable(tmp_path: Path) -> None:
    results, failed = run_benchmark(["equilibrium"], tmp_path, tasks=["tiny", "tiny-response"], seeds=1)
    assert not failed
    for result in results:  # tables of 16 bits
        assert result.rows[0]["exploitability"] == pytest.approx(0, abs=1e-5)


def test_stable_baselines_trains_within_the_budget(tmp_path: Path) -> None:
    pytest.importorskip("sb3_contrib", reason="needs the extra sb3: pip install karma-envs[sb3]")
    results, failed = run_benchmark(["ppo", "maskable-ppo", "dqn"], tmp_path, tasks=["tiny"], seeds=1)
    assert not failed
    assert [result.rows[0]["agent_steps"] for result in results] == [1188, 1188, 1200]  # whole updates


def test_a_missing_package_is_named_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = r"algo ppo needs stable_baselines3, sb3_contrib, torch: pip install 'karma-envs\[sb3\]'"
    with pytest.raises(ConfigError, match=told):
        run_benchmark(["ppo"], tmp_path)


def test_a_table_learner_is_the_learner_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Seen(TabularLearner):
        def __init__(self, game: PopulationGame, config: Any, rng: Any) -> None:
            made.append(config)
            super().__init__(game, config, rng)

    seen = replace(LEARNER, learner_class=Seen)
    monkeypatch.setattr("training.benchmark.algorithms.kind_of", lambda config: seen)
    for name in ("sarsa", "independent-q", "centralised", "pooled"):
        algorithms()[name].train(TASKS["tiny"].make(), 1200, 0)
    algorithms()["sarsa"].train(TASKS["tiny-city"].make(), 1200, 0)
    assert [(each.algorithm, each.grouping, each.rationality) for each in made] == [
        ("sarsa", "independent", 1000),
        ("q_learning", "independent", 1000),
        ("sarsa", "per_type", 1000),
        ("sarsa", "pooled", 1000),
        ("sarsa", "independent", 10),
    ]
