"""``karma-envs benchmark``: compare algorithms in fixed tasks, and keep a leaderboard."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from training.benchmark.columns import number_text
from training.benchmark.report import add_result, summarise, write_report
from training.benchmark.run import Progress, run_benchmark
from training.benchmark.tables import Report
from training.benchmark.tasks import TASKS
from training.common.console import console, print_table
from training.common.errors import ResultsError
from training.common.flags import docs_folder, value
from training.common.trust import add_trust

_LEADERBOARD = "docs/benchmark"
_COLUMN = 12  # characters that a task takes in the table of scores
_EXAMPLES = """\
examples:
  What there is:
    karma-envs benchmark list

  Two algorithms in two tasks with three seeds, then a page with tables and figures:
    karma-envs benchmark run --algo sarsa --algo pooled --tasks matching-pbp,city-small --folder runs/bench
    karma-envs benchmark report runs/bench

  An algorithm of yours, a function train(game, budget, seed) in mine.py that returns a policy for all
  agents (such as agents.TabularPolicy(probabilities, row_of_agent)), tried for a minute, then in earnest:
    karma-envs benchmark run --algo mine:train --tasks matching-pbp --seeds 1 --budget 1e6 --folder runs/try
    karma-envs benchmark run --algo mine:train --tasks all --folder runs/mine

  In a game of yours, scored by its first metric as it is, 10^6 steps of each agent unless told otherwise:
    karma-envs benchmark run --algo mine:train --tasks mine:Game --seeds 1 --budget 1e6 --folder runs/own

  Methods that choose a mechanism, by how many evaluations they take: a function of yours too, that returns
  the points to try next of a study and its trials (agents.planners.study.Method):
    karma-envs benchmark run --algo bayesian --algo gradient --algo mine:METHOD --tasks planner-matching \
        --seeds 5 --folder runs/planners

  Enter a result into the leaderboard:
    karma-envs benchmark add runs/mine/results/mine.train-matching-pbp.json --leaderboard docs/benchmark

A finished seed is not run again: after Ctrl-C, or with more seeds, tasks or algorithms, the same command
goes on. An algorithm that fails does not stop the others.
"""

COMMAND = "benchmark"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "compare algorithms in fixed tasks, with confidence intervals and a leaderboard"
    command = subparsers.add_parser(
        COMMAND,
        help=text,
        description=text.capitalize() + ".",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(title="actions", required=True, metavar="ACTION")

    def action(name: str, what: str, run: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(
            name,
            help=what,
            description=what.capitalize() + ".",
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(action=run)
        return parser

    action("list", "list tasks and built-in algorithms", _list)
    run = action("run", "train and measure algorithms in tasks", _run)
    run.add_argument(
        "--algo",
        metavar="NAME",
        action="append",
        required=True,
        help="a built-in algorithm or module:function; may be repeated; runs in the tasks of its kind",
    )
    run.add_argument(
        "--tasks",
        metavar="NAMES",
        default="all",
        help="all, or names with commas; a game is a task, too: its name, or module:Class (default all)",
    )
    run.add_argument("--seeds", metavar="N", type=value, default=3, help="seeds 0 … N-1 (default 3)")
    run.add_argument("--folder", metavar="DIR", required=True, help="where results go, and are looked for")
    run.add_argument(
        "--budget",
        metavar="N",
        type=value,
        help="agent-steps, of planners evaluations, instead of the tasks'; for tries: not comparable",
    )
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    report = action("report", "write README.md and index.html about a folder's results", _report)
    report.add_argument("folder", metavar="DIR", help="the folder of a run, or a leaderboard")
    add_trust(report)
    enter = action("add", "check a result, copy it into the leaderboard, write its report anew", _add)
    enter.add_argument("file", metavar="FILE", help="a file in results/ of a run's folder")
    enter.add_argument(
        "--leaderboard",
        metavar="DIR",
        help=f"its folder (default {_LEADERBOARD} in a checkout of karma-envs)",
    )
    enter.add_argument("--replace", action="store_true", help="overwrite the algorithm's result in that task")


def _list(options: argparse.Namespace) -> None:
    for kind in dict.fromkeys(type(task) for task in TASKS.values()):
        tasks = [task for task in TASKS.values() if type(task) is kind]
        rows = [(task.name, task.title, task.budget_text) for task in tasks]
        _print_list(f"{kind.heading}: tasks", ("name", "what it is", kind.unit), rows)
        contenders = kind.contenders().values()
        _print_list(
            f"{kind.contender}s", ("name", "what it is"), [(c.name, c.description) for c in contenders]
        )


def _print_list(title: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading)
    for line in lines:
        table.add_row(*line)
    print_table(table)


def _run(options: argparse.Namespace) -> None:
    tasks = None if options.tasks == "all" else options.tasks.split(",")
    bar = Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=4,
        disable=options.quiet,
    )

    def show(progress: Progress) -> None:
        if not bar.tasks:
            bar.add_task("", total=progress.total)
        if progress.row is not None:
            console.print(f"{progress.what}: {progress.said}, {progress.row['seconds']:.1f} s")
        bar.update(bar.tasks[0].id, completed=progress.done, description=progress.what)

    with bar:
        results, failed = run_benchmark(
            options.algo,
            options.folder,
            tasks=tasks,
            seeds=options.seeds,
            budget=options.budget,
            observer=show,
        )
    if results:
        _print(summarise(results))
        console.print(
            f"results are in {options.folder}; for a page: karma-envs benchmark report {options.folder}",
        )
    if failed:
        raise ResultsError("\n".join([f"{len(failed)} failed, the others are kept", *failed]))


def _print(reports: Iterable[Report]) -> None:
    """The headlines of each kind of task, in as many tables as the width of the terminal asks for."""
    for report in reports:
        title = report.columns[report.headline].title
        title += "" if report.comparable else "; * not comparable: another budget"
        columns = [*report.tasks, "all tasks"]
        longest = max(map(len, report.algorithms))
        at_once = max(1, (console.width - longest - 4) // _COLUMN)
        for start in range(0, len(columns), at_once):
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
            table.add_column(report.kind.contender, min_width=longest)
            shown = columns[start : start + at_once]
            for column in shown:
                heading = column.replace("-", "\n").replace(" ", "\n")
                table.add_column(heading, no_wrap=True, vertical="bottom")
            for name in report.algorithms:  # names come from files: no markup
                table.add_row(Text(name), *(_headline(report, column, name) for column in shown))
            print_table(table)


def _headline(report: Report, column: str, algorithm: str) -> Text:
    cell = report.cells.get((report.headline, column, algorithm))
    cell = report.overall.get((report.headline, algorithm)) if column == "all tasks" else cell
    if cell is None:
        return Text("")
    return Text(number_text(cell.estimate.value) + ("" if cell.comparable else "*"))


def _report(options: argparse.Namespace) -> None:
    _print(write_report(options.folder, trust=options.trust))
    console.print(f"written: {options.folder}/README.md and {options.folder}/index.html")


def _add(options: argparse.Namespace) -> None:
    leaderboard = docs_folder("--leaderboard", options.leaderboard, _LEADERBOARD)
    path = add_result(options.file, leaderboard, replace=options.replace)
    console.print(f"entered as {path}")
