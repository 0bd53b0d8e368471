"""Files of results are refused when damaged, and reports say what they hold and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.training.benchmark.tiny_tasks import REAL, TINY, edit
from training.benchmark import TASKS, Result, Task, add_result, run_benchmark, write_report
from training.benchmark.algorithms import algorithms
from training.benchmark.columns import columns
from training.benchmark.report import summarise, to_markdown
from training.benchmark.tables import number_text
from training.cli import main
from training.common.errors import ResultsError

BAD: dict[str, tuple[Callable[[Any], None], str]] = {
    "no rows": (lambda found: found["rows"].clear(), "no rows"),
    "a field less": (lambda found: found.pop("budget"), "the fields"),
    "a metric less": (lambda found: found["rows"][0].pop("score"), "row 0 must be"),
    "another format": (lambda found: found.update(format="x"), "format 'x'"),
    "unknown task": (lambda found: found.update(task="none"), "tasks = 'none' is not allowed"),
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
    assert not write_report(tmp_path)[0].comparable
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
    assert sections == [f"algorithm-{name}" for name in columns(TASKS.values())]
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
    numbers = dict.fromkeys(columns(TASKS.values()))

    def result(algorithm: str, task: str, scores: list[float]) -> Result:
        rows = tuple(
            {**numbers, "score": score, "seed": seed, "versions": {"numpy": "2.0"}}
            for seed, score in enumerate(scores)
        )
        return Result(algorithm, "", task, TASKS[task].definition(), 1200, {}, rows)

    reports = summarise(
        [
            result("worse", "tiny", [0.0, 0.5]),
            result("better", "tiny", [0.5, 1.0]),
            result("better", "tiny-city", [0.9]),
        ]
    )
    (report,) = reports
    assert report.algorithms == ("better", "worse")
    assert report.tasks == ("tiny", "tiny-city")
    assert report.cells["score", "tiny", "worse"].text == "0.2500 [0.0000, 0.5000]"
    assert report.overall["score", "better"].text == "0.8000"  # one seed in the city: no interval
    assert report.overall["score", "better"].n_tasks == 2
    assert ("score", "tiny-city", "worse") not in report.cells
    assert "0.2500 [0.0000, 0.5000] (1 of 2 tasks)" in to_markdown(reports)
    assert [number_text(value) for value in (0, -0.51234, 12.34, 890.6, 52300.7, 7.1e7, 3e-9)] == [
        "0.0000", "-0.5123", "12.3", "891", "52,301", "7.1e+07", "3e-09",
    ]  # fmt: skip
    assert [task.budget_text for task in REAL.values()][:2] == ["1e8", "1e8"]
    assert REAL["matching-tiny"].budget_text == "1e5"
    assert report.commands == (
        "karma-envs benchmark run --algo better --algo worse --tasks tiny --seeds 2 --folder runs/bench",
        "karma-envs benchmark run --algo better --tasks tiny-city --seeds 1 --folder runs/bench",
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
    assert main([*run, "--algo", "spsa", "--tasks", "tiny-city", "--quiet"]) == 1  # the budget is too small
    assert "1 failed" not in capsys.readouterr().err  # two seeds
    assert main(["benchmark", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*TASKS, *algorithms()))
    assert all(algorithm.description.endswith(".") for algorithm in algorithms().values())
