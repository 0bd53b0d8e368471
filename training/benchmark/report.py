"""The report on a folder of results: tables in Markdown and a page in HTML; and the leaderboard."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from karma_envs.files import write_text
from training.benchmark.columns import Column
from training.benchmark.page import REPORT_COMMAND, to_html
from training.benchmark.result import Result
from training.benchmark.statistics import aggregate
from training.benchmark.tables import Cell, Report
from training.benchmark.task import BenchmarkTask
from training.benchmark.tasks import TASKS, find_task
from training.common.errors import ResultsError
from training.common.tables import Row


def write_report(folder: str | os.PathLike[str], *, trust: bool = False) -> tuple[Report, ...]:
    """Write ``README.md`` and ``index.html`` about the result files in ``results`` of a folder.

    Args:
        folder: the folder.
        trust: whether the files may name tasks to be imported, ``module:Class``.

    Returns:
        a report for each kind of task.

    Raises:
        ResultsError: when there are none, or one is not valid or not trusted.
    """
    folder = Path(folder)
    paths = sorted((folder / "results").glob("*.json"))
    if not paths:
        raise ResultsError(f"{folder} holds no results: there are no files results/*.json in it")
    reports = summarise([Result.load(path, trust=trust) for path in paths])
    write_text(folder / "README.md", to_markdown(reports))
    write_text(folder / "index.html", to_html(reports))
    return reports


def summarise(results: Sequence[Result]) -> tuple[Report, ...]:
    """What is told of results, with intervals, by metric, task and algorithm: a report for each kind of task.

    Raises:
        ResultsError: when two results are of one algorithm and task.
    """
    by_kind: dict[type[BenchmarkTask], list[Result]] = {type(task): [] for task in TASKS.values()}
    for result in results:
        by_kind.setdefault(type(find_task(result.task)), []).append(result)
    return tuple(_report(kind, some) for kind, some in by_kind.items() if some)


def _report(kind: type[BenchmarkTask], results: Sequence[Result]) -> Report:
    """What is told of results in tasks of one kind."""
    by_place: dict[tuple[str, str], Result] = {}
    for result in results:
        place = result.task, result.algorithm
        if place in by_place:
            raise ResultsError(f"there are two results of {result.algorithm} in {result.task}")
        by_place[place] = result
    marked = {place for place, result in by_place.items() if not result.comparable}
    cells: dict[tuple[str, str, str], Cell] = {}
    overall: dict[tuple[str, str], Cell] = {}
    algorithms = list(dict.fromkeys(result.algorithm for result in results))
    named = dict.fromkeys(result.task for result in results)
    tasks = [*(task for task in TASKS if task in named), *(task for task in named if task not in TASKS)]
    numbers = kind.columns(find_task(task) for task in tasks)
    for metric, column in numbers.items():
        for algorithm in algorithms:
            done = {task: by_place[task, algorithm] for task in tasks if (task, algorithm) in by_place}
            strata = {
                task: runs for task, result in done.items() if (runs := result.runs((metric, *column.also)))
            }
            for task, runs in strata.items():
                cells[metric, task, algorithm] = _cell(column, [runs], (task, algorithm) not in marked)
            if strata and column.across_tasks:
                comparable = not any((task, algorithm) in marked for task in strata)
                overall[metric, algorithm] = _cell(column, list(strata.values()), comparable)
    report = Report(
        kind=kind,
        tasks=tuple(tasks),
        columns=numbers,
        algorithms=(),
        about={result.algorithm: result.description for result in results},
        cells=cells,
        overall=overall,
        refused={place: result.refused for place, result in by_place.items() if result.refused},
        commands=(),
        environments=_environments(results),
    )

    def rank(name: str) -> float:
        cell = overall.get((report.headline, name))
        return math.inf if cell is None else report.rank(cell)

    algorithms.sort(key=rank)
    ordered = [by_place[task, name] for name in algorithms for task in tasks if (task, name) in by_place]
    return dataclasses.replace(report, algorithms=tuple(algorithms), commands=tuple(_commands(ordered)))


def _cell(column: Column, strata: Sequence[Sequence[tuple[float, ...]]], comparable: bool) -> Cell:
    """What is told of the seeds of some tasks."""
    runs = tuple(run for of_task in strata for run in of_task)
    return Cell(
        aggregate(strata, statistic=column.statistic),
        runs,
        tuple(map(column.seed_text, runs)),
        len(strata),
        comparable,
        column.shows_seeds,
    )


def _commands(results: Sequence[Result]) -> Iterable[str]:
    """A line for all algorithms that were run in the same tasks, with as many seeds and the same packages."""
    tasks: dict[tuple[str, int, int | None, str], list[str]] = {}
    for one in results:
        if not one.rows:
            continue
        budget = None if one.budget == one.definition["budget"] else one.budget
        key = one.algorithm, max(one.seeds) + 1, budget, _environment(one.rows[-1])
        tasks.setdefault(key, []).append(one.task)
    algorithms: dict[tuple[tuple[str, ...], int, int | None, str], list[str]] = {}
    for (algorithm, seeds, budget, packages), names in tasks.items():
        algorithms.setdefault((tuple(names), seeds, budget, packages), []).append(algorithm)
    for (places, seeds, budget, _), found in algorithms.items():
        yield shlex.join(
            [
                *("karma-envs", "benchmark", "run"),
                *(word for algorithm in found for word in ("--algo", algorithm)),
                *("--tasks", ",".join(places), "--seeds", str(seeds)),
                *(("--budget", str(budget)) if budget is not None else ()),
                *("--folder", "runs/bench"),
            ]
        )


def _environment(row: Row) -> str:
    """The versions of packages that a row was made with."""
    return ", ".join(f"{package} {version}" for package, version in row["versions"].items())


def _environments(results: Sequence[Result]) -> dict[str, tuple[str, ...]]:
    """The algorithms that were run with the same versions of packages."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for row in result.rows:
            found.setdefault(_environment(row), {})[result.algorithm] = None
    return {text: tuple(algorithms) for text, algorithms in found.items()}


def add_result(
    file: str | os.PathLike[str],
    leaderboard: str | os.PathLike[str],
    *,
    replace: bool = False,
) -> Path:
    """Enter a result into the leaderboard, and write its report anew.

    Args:
        file: a file that ``karma-envs benchmark run`` wrote.
        leaderboard: the leaderboard's folder.
        replace: whether to overwrite the algorithm's result in that task.

    Returns:
        where it is now.

    Raises:
        ResultsError: when the file is not valid, not comparable, or would overwrite another.
    """
    result = Result.load(file)
    if result.task not in TASKS:
        raise ResultsError(f"{os.fspath(file)} is of {result.task}, which is no task of the leaderboard")
    budget = TASKS[result.task].budget
    if not result.comparable:
        raise ResultsError(
            f"{os.fspath(file)} is not comparable: its budget is {result.budget}, that of {result.task} is "
            f"{budget}"
            if result.budget != budget
            else f"{os.fspath(file)} is not comparable: {result.task} is defined otherwise now"
        )
    path = Path(leaderboard) / "results" / result.file_name
    if path.exists() and not replace:
        raise ResultsError(f"{path} is there already; --replace overwrites it")
    others = [Result.load(other) for other in sorted(path.parent.glob("*.json")) if other != path]
    summarise([*others, result])  # may be refused, before anything is written
    result.save(path.parent)
    write_report(leaderboard)
    return path


def to_markdown(reports: Sequence[Report]) -> str:
    """The reports as a page: of each kind of task the headline in all tasks, then all metrics of each."""
    lines = ["# The karma benchmark", "", _HOW]
    if not all(report.comparable for report in reports):
        lines += [
            "",
            r"\* with another budget, or in another version of the task: not comparable.",
        ]
    for report in reports:
        lines += _of_kind(report)
    commands = [command for report in reports for command in report.commands]
    lines += ["", "## What gives these numbers", "", "```", *commands, REPORT_COMMAND, "```", ""]
    lines += _table(
        ["algorithms", "run with"],
        (
            [_escaped(", ".join(names)), _escaped(text)]
            for report in reports
            for text, names in report.environments.items()
        ),
    )
    return "\n".join(lines) + "\n"


_HOW = (
    "Interquartile mean over seeds unless it says otherwise, under “all tasks” over tasks and seeds, with "
    "95 % intervals of the stratified bootstrap in brackets (none for one seed)."
)


def _of_kind(report: Report) -> Iterable[str]:
    """The section of a kind of task."""
    yield from ("", f"## {report.kind.heading}", "")
    yield from (
        f"- {metric.title}: {metric.meaning}; {'more' if metric.more_is_better else 'less'} is better"
        for name, metric in report.columns.items()
        if report.tasks_of(name)
    )
    headline = report.headline
    if len(tasks := report.tasks_of(headline)) > 1:
        title = report.columns[headline].title
        yield from ("", f"### {title[0].upper()}{title[1:]}", "")
        yield from _table(
            [report.kind.contender, *tasks, "**all tasks**"],
            (
                [
                    _escaped(name),
                    *(_text(report.cells.get((headline, task, name))) for task in tasks),
                    _text(report.overall.get((headline, name)), len(tasks)),
                ]
                for name in report.algorithms
            ),
        )
    for task in report.tasks:
        metrics = [name for name in report.columns if task in report.tasks_of(name)]
        place = find_task(task)
        yield from ("", f"### {_escaped(task)}", "")
        yield from (f"{_escaped(place.title)}; {_escaped(place.numbers_text)}", "")
        rows = [
            [_escaped(name), *(_text(report.cells.get((metric, task, name))) for metric in metrics)]
            for name in report.best_first(task)
        ]
        yield from _table([report.kind.contender, *(report.columns[name].title for name in metrics)], rows)
        for name in report.algorithms:
            if (task, name) in report.refused:
                yield from ("", f"{_escaped(name)} does not do this: {_escaped(report.refused[task, name])}")
    yield from ("", "### What they are", "")
    yield from _table(
        [report.kind.contender, "what it is"],
        ([_escaped(name), _escaped(report.about[name])] for name in report.algorithms),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _text(cell: Cell | None, n_tasks: int | None = None) -> str:
    if cell is None:
        return ""
    text = cell.text.replace("*", r"\*")
    return text if n_tasks in (None, cell.n_tasks) else f"{text} ({cell.n_tasks} of {n_tasks} tasks)"


def _escaped(text: str) -> str:
    """Text of a file as Markdown that shows it and nothing else."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{each}" if each in r"\`*_{}[]()#+!|~" else each for each in text)
