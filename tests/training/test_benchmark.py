"""The benchmark: running, resuming, failing, reporting and the leaderboard, in tasks of a few agents."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.evaluators.exploitability.exact import exploitability_by_agent
from agents.learners import TabularLearner
from agents.mean_field.exploitability import exploitability
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import BASELINES, baseline_policy
from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from training.benchmark import TASKS, Result, Task, add_result, run_benchmark, write_report
from training.benchmark.algorithms import algorithms
from training.benchmark.best_response import BestResponseGame
from training.benchmark.measure import measure, measure_reference, normalised_exploitability
from training.benchmark.report import summarise, to_markdown
from training.benchmark.result import METRICS
from training.benchmark.tables import number_text
from training.cli import main
from training.common.errors import ResultsError
from training.common.workers import Interrupted

REAL = dict(TASKS)
TINY = {"n_agents": 6, "karma_max": 4, "karma_mean": 2}


@pytest.fixture(autouse=True)
def _tiny_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three tasks of a few agents in the place of the real ones."""
    monkeypatch.setenv("COLUMNS", "300")
    TASKS.clear()
    for task in (
        Task("tiny", "six agents", 1200, "matching", TINY, n_steps=200, burn_in=10),
        Task("tiny-city", "a city", 1200, "grid_city", {"n_agents": 12, "rows": 2, "columns": 2}, 100, 10),
        Task("tiny-response", "one learner", 300, BestResponseGame, TINY, n_steps=300, burn_in=10),
    ):
        TASKS[task.name] = task
    yield
    TASKS.clear()
    TASKS.update(REAL)


@pytest.fixture
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's in the working directory."""
    source = '''
import numpy as np
from agents import TabularPolicy

def nothing(game, budget, seed):
    """Bid nothing & say <so>."""
    table = np.zeros((game.n_observations, game.n_actions))
    table[:, 0] = 1
    return TabularPolicy(table, np.zeros(game.n_agents, int))

def fails_in_cities(game, budget, seed):
    if game.name == "grid_city":
        raise RuntimeError("no road")
    return nothing(game, budget, seed)

def fails_later(game, budget, seed):
    if seed == 1:
        raise KeyboardInterrupt
    return nothing(game, budget, seed)

def no_policy(game, budget, seed):
    return 3
'''
    (tmp_path / "karma_benchmark_mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "karma_benchmark_mine", raising=False)  # of another test's folder


def content(folder: Path, name: str = "random-tiny") -> Any:
    return json.loads((folder / "results" / f"{name}.json").read_text())


def test_the_real_tasks_have_budgets_that_are_whole_steps() -> None:
    assert set(REAL) == {
        "matching-pbp", "matching-pbs", "matching-rare-urgency", "matching-two-discounts",
        "matching-two-urgencies", "matching-n4", "matching-n1000", "matching-tiny", "city-small",
        "city-thesis", "city-routes", "best-response",
    }  # fmt: skip
    for name, task in REAL.items():
        assert task.budget % task.definition()["game_config"]["n_agents"] == 0
        assert task.name == name
        assert float(task.budget_text) == task.budget
        assert task.definition()["budget"] == task.budget
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
            f"karma_benchmark_mine:no_policy, {task}, seed 0: TypeError: train must give a policy, such as "
            "agents.TabularPolicy, not int"
            for task in ("tiny-city", "tiny")
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
    assert all(row["exploitability"] is None for row in city.values())
    learner = next(result for result in results if result.task == "tiny-response")
    assert learner.rows[0]["access_fairness"] is None  # of one agent


def test_the_equilibrium_is_none_in_the_city_and_not_exploitable_elsewhere(tmp_path: Path) -> None:
    results, failed = run_benchmark(["equilibrium"], tmp_path, seeds=1)
    assert len(failed) == 1
    assert "mean-field model" in failed[0]
    assert [result.task for result in results] == ["tiny", "tiny-response"]
    for result in results:  # tables of 16 bits
        assert result.rows[0]["exploitability"] == pytest.approx(0, abs=1e-5)


def test_exploitability_is_per_type_or_agent_by_agent() -> None:
    game = karma_envs.make("matching", **TINY)
    uniform = BASELINES["random"](game)
    shared = TabularPolicy(uniform, np.zeros(6, int))
    own = TabularPolicy(np.repeat(uniform, 6, axis=0), np.arange(6))
    expected = exploitability(game.mean_field(), uniform).normalised  # type: ignore[arg-type]
    assert normalised_exploitability(game, shared) == pytest.approx(expected, rel=1e-3)
    by_agent = exploitability_by_agent(game, own).normalised
    assert normalised_exploitability(game, own) == pytest.approx(by_agent, rel=1e-3)
    assert normalised_exploitability(karma_envs.make("matching", n_agents=6000), TabularPolicy(
        np.repeat(np.eye(42, 21)[None] * 0 + np.eye(21)[0], 2, axis=0), np.arange(6000) % 2
    )) is None  # fmt: skip


def test_the_game_of_one_learner_keeps_the_contract() -> None:
    check_game(BestResponseGame(**TINY))


def test_the_others_play_the_equilibrium_in_steps_and_rollouts() -> None:
    """The learner's mean reward is the same both ways; tolerance five standard errors of 20 batches."""
    game = BestResponseGame(**TINY)
    proportional = baseline_policy("proportional", game)
    game.reset(np.random.default_rng(0))
    rolled = game.rollout(proportional, 40_000).rewards[:, 0].reshape(20, -1).mean(axis=1)
    game.reset(np.random.default_rng(1))
    actions = game.truthful_actions()
    assert actions is not None
    stepped = np.array([game.step(actions[0, game.observation_index()])[0] for _ in range(20_000)])
    stepped = stepped.reshape(20, -1).mean(axis=1)
    error = np.sqrt((rolled.var(ddof=1) + stepped.var(ddof=1)) / 20)
    assert abs(rolled.mean() - stepped.mean()) < 5 * error
    assert error < 0.03


def test_a_rollout_in_parts_is_the_same_as_one() -> None:
    game, other = BestResponseGame(**TINY), BestResponseGame(**TINY)
    policy = baseline_policy("random", game)
    for each in (game, other):
        each.reset(np.random.default_rng(0))
    whole = game.rollout(policy, 2500)
    parts = [other.rollout(policy, steps) for steps in (1000, 1000, 500)]
    np.testing.assert_array_equal(whole.rewards, np.concatenate([part.rewards for part in parts]))
    np.testing.assert_array_equal(whole.observations[-1], parts[-1].observations[-1])


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


def edit(folder: Path, change: Callable[[Any], None]) -> Path:
    """A result of one seed, changed."""
    run_benchmark(["random"], folder, tasks=["tiny"], seeds=1)
    found = content(folder)
    del found["sha256"]  # as in files of earlier versions
    change(found)
    path = folder / "results" / "random-tiny.json"
    path.write_text(json.dumps(found))
    return path


BAD: dict[str, tuple[Callable[[Any], None], str]] = {
    "no rows": (lambda found: found["rows"].clear(), "no rows"),
    "a field less": (lambda found: found.pop("budget"), "the fields"),
    "a metric less": (lambda found: found["rows"][0].pop("score"), "row 0 must be"),
    "another format": (lambda found: found.update(format="x"), "format 'x'"),
    "unknown task": (lambda found: found.update(task="none"), "no task 'none'"),
    "nan": (lambda found: found["rows"][0].update(score=float("nan")), "NaN is not a finite"),
    "huge": (lambda found: found["rows"][0].update(score=10**400), "too large"),
    "text": (lambda found: found["rows"][0].update(efficiency="1"), "efficiency must be a finite"),
    "a version of two lines": (
        lambda found: found["rows"][0]["versions"].update(numpy="2\n# more"),
        "row 0: versions must hold lines",
    ),
    "a version that is no text": (
        lambda found: found["rows"][0]["versions"].update(numpy=[2]),
        "row 0: versions must hold lines",
    ),
    "null": (lambda found: found["rows"][0].update(score=None), "score must be a finite"),
    "negative steps": (lambda found: found["rows"][0].update(agent_steps=-1), "agent_steps must be"),
    "too many steps": (lambda found: found["rows"][0].update(agent_steps=1201), "agent_steps must be"),
    "seed twice": (lambda found: found["rows"].append(found["rows"][0]), "twice"),
    "lines": (lambda found: found.update(algorithm="a\nb"), "algorithm must be a line"),
    "reference": (lambda found: found["reference"].pop("COIN"), "COIN and DICT"),
    "lie": (lambda found: found.update(budget=5), "comparable must be"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused(tmp_path: Path, what: str) -> None:
    path = edit(tmp_path, BAD[what][0])
    for use in (Result.load, lambda file: add_result(file, tmp_path / "board")):
        with pytest.raises(ResultsError, match=BAD[what][1]):
            use(path)
    with pytest.raises(ResultsError, match=re.escape(str(path))):
        write_report(tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_another_digit_is_refused(tmp_path: Path) -> None:
    """Of a result, and of what COIN and DICT are."""
    path = edit(tmp_path, lambda found: None)
    assert Result.load(path).save(tmp_path / "results") == path
    text = path.read_text()
    digit = json.loads(text)["rows"][0]["efficiency"]
    path.write_text(text.replace(f'"efficiency": {digit}', f'"efficiency": {digit - 0.1}'))
    with pytest.raises(ResultsError, match=f"{path} .* is damaged or was edited: it is not what was written"):
        write_report(tmp_path)
    path.write_text(text)
    reference = tmp_path / "references" / "tiny.json"
    reference.write_text(reference.read_text().replace('COIN": -', 'COIN": -1'))
    with pytest.raises(ResultsError, match=r"tiny\.json is damaged or was edited"):
        run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=2)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"format": ')
    with pytest.raises(ResultsError, match=r"broken\.json is not a benchmark result"):
        Result.load(path)
    with pytest.raises(ResultsError, match=r"none\.json"):
        Result.load(tmp_path / "none.json")
    with pytest.raises(ResultsError, match="holds no results"):
        write_report(tmp_path)


def test_a_task_that_has_changed_is_another(tmp_path: Path) -> None:
    run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=1)
    TASKS["tiny"] = Task("tiny", "seven", 1200, "matching", {**TINY, "n_agents": 8}, n_steps=200, burn_in=10)
    with pytest.raises(ResultsError, match="as it was once"):
        run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=2)
    with pytest.raises(ResultsError, match="tiny is defined otherwise now"):
        add_result(tmp_path / "results" / "random-tiny.json", tmp_path / "board")
    assert not write_report(tmp_path).comparable
    (tmp_path / "results" / "random-tiny.json").unlink()
    with pytest.raises(ResultsError, match="not a usable reference"):
        run_benchmark(["random"], tmp_path, tasks=["tiny"], seeds=1)


def test_the_leaderboard_takes_a_result_once(tmp_path: Path) -> None:
    run_benchmark(["random", "bid-all"], tmp_path, tasks=["tiny"], seeds=2)
    board, file = tmp_path / "board", tmp_path / "results" / "random-tiny.json"
    path = add_result(file, board)
    assert path.read_text() == file.read_text()
    before = (board / "index.html").read_text()
    with pytest.raises(ResultsError, match="there already"):
        add_result(file, board)
    add_result(file, board, replace=True)
    assert (board / "index.html").read_text() == before
    add_result(tmp_path / "results" / "bid-all-tiny.json", board)
    assert "bid-all" in (board / "README.md").read_text()


class Page(HTMLParser):
    """Elements and texts of a page; every element must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.usefixtures("_module")
def test_the_page_shows_all_and_needs_nothing(tmp_path: Path) -> None:
    algorithms = ["random", "bid-all", "karma_benchmark_mine:nothing"]
    run_benchmark(algorithms, tmp_path, tasks=["tiny", "tiny-city"], seeds=3)
    write_report(tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert "http" not in text
    assert not re.search(r"url\(|@import|\bsrc=|href=|fetch\(|//", text)
    page = Page(text)
    sections = [attributes["data-metric"] for tag, attributes in page.elements if tag == "section"]
    assert sections == list(METRICS)
    for name in algorithms:
        assert page.texts.count(name) >= len(sections)
    assert "Bid nothing & say <so>." in "".join(page.texts)
    marks = [attributes for _, attributes in page.elements if attributes.get("class") == "mark"]
    # In the score, for each algorithm a point in each of two tasks and over both.
    scores = [mark for mark in marks if "normalised score" in (mark["data-numbers"] or "")]
    assert len(scores) == 3 * 3
    markdown = (tmp_path / "README.md").read_text()
    assert "karma\\_benchmark\\_mine:nothing" in markdown
    assert "say &lt;so&gt;" in markdown


def test_names_from_files_are_text_and_nothing_else(tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>\"' [red]|"
    edit(tmp_path, lambda found: found.update(algorithm=name, description=name))
    assert main(["benchmark", "report", str(tmp_path)]) == 0
    page = Page((tmp_path / "index.html").read_text())
    assert "img" not in {tag for tag, _ in page.elements}
    assert name in page.texts
    outside_of_code = re.sub(r"(?ms)^```$.*?^```$", "", (tmp_path / "README.md").read_text())
    assert "<img" not in outside_of_code


def test_the_numbers_of_a_report_by_hand() -> None:
    def result(algorithm: str, task: str, scores: list[float]) -> Result:
        rows = tuple(
            {**dict.fromkeys(METRICS), "score": score, "seed": seed, "versions": {"numpy": "2.0"}}
            for seed, score in enumerate(scores)
        )
        return Result(algorithm, "", task, TASKS[task].definition(), 1200, {}, rows)

    report = summarise(
        [
            result("worse", "tiny", [0.0, 0.5]),
            result("better", "tiny", [0.5, 1.0]),
            result("better", "tiny-city", [0.9]),
        ]
    )
    assert report.algorithms == ("better", "worse")
    assert report.tasks == ("tiny", "tiny-city")
    assert report.cells["score", "tiny", "worse"].text == "0.2500 [0.0000, 0.5000]"
    assert report.overall["score", "better"].text == "0.8000"  # one seed in the city: no interval
    assert report.overall["score", "better"].n_tasks == 2
    assert ("score", "tiny-city", "worse") not in report.cells
    assert "0.2500 [0.0000, 0.5000] (1 of 2 tasks)" in to_markdown(report)
    assert [number_text(value) for value in (0, -0.51234, 12.34, 890.6, 52300.7, 7.1e7, 3e-9)] == [
        "0.0000", "-0.5123", "12.3", "891", "52,301", "7.1e+07", "3e-09",
    ]  # fmt: skip
    assert [task.budget_text for task in REAL.values()][:2] == ["1e8", "1e8"]
    assert REAL["matching-tiny"].budget_text == "1e5"
    assert report.commands == (
        "karma-envs benchmark run --algo better --algo worse --tasks tiny --seeds 2 --folder runs/bench",
        "karma-envs benchmark run --algo better --tasks tiny-city --seeds 1 --folder runs/bench",
        "karma-envs benchmark report runs/bench",
    )
    with pytest.raises(ResultsError, match="two results of a in tiny"):
        summarise([result("a", "tiny", [1.0]), result("a", "tiny", [2.0])])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, board = str(tmp_path / "bench"), str(tmp_path / "board")
    run = ["benchmark", "run", "--algo", "random", "--tasks", "tiny", "--seeds", "2", "--folder", folder]
    assert main([*run, "--quiet"]) == 0
    assert "random, tiny, seed 1: score" in capsys.readouterr().out
    assert main(["benchmark", "add", f"{folder}/results/random-tiny.json", "--leaderboard", board]) == 0
    assert (Path(board) / "index.html").is_file()
    assert main([*run, "--algo", "equilibrium", "--tasks", "tiny-city", "--quiet"]) == 1
    assert "1 failed" not in capsys.readouterr().err  # two seeds
    assert main(["benchmark", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*TASKS, *algorithms()))
    assert all(algorithm.description.endswith(".") for algorithm in algorithms().values())


def test_a_table_learner_is_the_learner_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Seen(TabularLearner):
        def __init__(self, game: PopulationGame, config: Any, rng: Any) -> None:
            made.append(config)
            super().__init__(game, config, rng)

    monkeypatch.setattr("training.benchmark.algorithms.TabularLearner", Seen)
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
