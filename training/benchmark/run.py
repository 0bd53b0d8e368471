"""Running the benchmark: every algorithm in every task with every seed, resumable, failures apart."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from karma_envs.config import ConfigError, whole
from karma_envs.files import remove_leftovers
from training.benchmark.result import Result, as_file_name, as_line, file_name, keep_reference, provenance
from training.benchmark.task import BenchmarkTask, Contender, known
from training.benchmark.tasks import TASKS, find_task
from training.common.errors import ResultsError
from training.common.folders import owned, writing
from training.common.provenance import check_provenance, source_of
from training.common.tables import Row
from training.common.workers import Interrupted


@dataclass(frozen=True)
class Progress:
    """What the observer is told: before a seed of an algorithm in a task, and after.

    Attributes:
        done: how many seeds have ended, of all algorithms and tasks.
        total: how many there are.
        what: which one is meant.
        row: its metrics, once it has ended well.
        said: the headline of the row in words.
        error: why it failed, once it has.
    """

    done: int
    total: int
    what: str
    row: Row | None = None
    said: str = ""
    error: str | None = None


Observer = Callable[[Progress], None]


def run_benchmark(
    algorithms: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    tasks: Sequence[str] | None = None,
    seeds: int = 3,
    budget: int | None = None,
    observer: Observer | None = None,
) -> tuple[list[Result], list[str]]:
    """Run what is not in the folder yet.

    Args:
        algorithms: names of built-in ones or ``module:function``; each competes in the tasks of its kind.
        folder: results go to ``results/<algorithm>-<task>.json`` in it after every seed.
        tasks: names, see :func:`training.benchmark.tasks.find_task`; None for all of
            :data:`training.benchmark.tasks.TASKS`.
        seeds: how many, from 0.
        budget: agent-steps, or evaluations, other than the tasks'; results are not comparable then.
        observer: told of every seed before and after.

    Returns:
        the results, and for each seed that failed a line that says why; the others are not affected.

    Raises:
        ConfigError: for an unknown name or a value out of range, before any work.
        ResultsError: before any work for a damaged file, one of another budget or task, or a folder that
            is in use; at any time when results cannot be written.
        Interrupted: after Ctrl-C; what was finished is kept.
    """
    names = list(dict.fromkeys(algorithms))
    if not names:
        raise ConfigError("name at least one algorithm")
    places = [find_task(name) for name in dict.fromkeys(tasks if tasks is not None else TASKS)]
    seeds = whole("seeds", seeds, 1, 10_000)
    budget = None if budget is None else whole("budget", budget, 1, 10**15)
    folder = Path(folder)
    pairs = _pairs(names, places)
    begun = [_begun(folder, algorithm, task, budget) for algorithm, task in pairs]  # may be refused
    if len({each.file_name for each in begun}) < len(pairs):
        raise ConfigError("two algorithms have names of which the same file name is made")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with owned(folder):
        return _run_pairs(pairs, folder, seeds, budget, observer or (lambda progress: None))


def _pairs(names: Sequence[str], tasks: Sequence[BenchmarkTask]) -> list[tuple[Contender, BenchmarkTask]]:
    """What is run in which task: everything in the tasks of its kind, and nothing in none."""
    kinds = list(dict.fromkeys(type(task) for task in tasks))
    for name in names:
        known(name, kinds)
        if not any(kind.takes(name) for kind in kinds):
            kinds[0].find(name)  # says what it would have to be
    contenders = {(kind, name): kind.find(name) for kind in kinds for name in names if kind.takes(name)}
    return [
        (contenders[type(task), name], task)
        for task in tasks
        for name in names
        if (type(task), name) in contenders
    ]


def _run_pairs(
    pairs: Sequence[tuple[Contender, BenchmarkTask]],
    folder: Path,
    seeds: int,
    budget: int | None,
    tell: Observer,
) -> tuple[list[Result], list[str]]:
    """Run what is missing in a folder that is ours."""
    for name in ("results", "references"):
        if (folder / name).is_dir():
            remove_leftovers(folder / name)
    total, done = len(pairs) * seeds, 0
    results: list[Result] = []
    failed: list[str] = []
    try:
        for algorithm, task in pairs:
            result = _begun(folder, algorithm, task, budget)
            for seed in range(seeds):
                what = f"{algorithm.name}, {task.name}, seed {seed}"
                tell(Progress(done, total, what))
                row, error = None, None
                if seed not in result.seeds:
                    try:
                        reference = _reference(folder, task)
                        row = _run(algorithm, task, seed, result.budget, reference)
                    except ResultsError:
                        raise
                    except Exception as problem:  # whatever an algorithm of somebody else's may raise
                        error = f"{what}: {type(problem).__name__}: {problem}"
                        failed.append(error)
                        result = _refused(folder, result, problem)
                    else:
                        result = replace(result.with_row(row), reference=reference)
                        with writing(folder):
                            result.save(folder / "results")
                done += 1
                said = "" if row is None else _said(task, row)
                tell(Progress(done, total, what, row, said, error))
            if result.rows:
                results.append(result)
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; the same command goes on") from error
    return results, failed


def _said(task: BenchmarkTask, row: Row) -> str:
    """The headline of a row in words."""
    name, column = next(iter(task.columns([task]).items()))
    return f"{name} {column.seed_text([row[each] for each in (name, *column.also)])}"


def _begun(folder: Path, algorithm: Contender, task: BenchmarkTask, budget: int | None) -> Result:
    """What there is of a result."""
    path = folder / "results" / file_name(algorithm.name, task.name)
    wanted = task.budget if budget is None else budget
    name = f"algo {algorithm.name}"
    now = source_of(name, algorithm.function) if ":" in algorithm.name else {}
    description, code = as_line(algorithm.description), now.get(name)
    begun = Result(algorithm.name, description, task.name, task.definition(), wanted, {}, code=code)
    if not path.exists():
        return begun
    found = Result.load(path, trust=True)  # a task that the user has named
    if (found.algorithm, found.task) != (algorithm.name, task.name):
        raise ResultsError(f"{path} is of {found.algorithm} in {found.task}; take another folder")
    if found.budget != wanted:
        raise ResultsError(
            f"{path} has results of budget {found.budget}, not {wanted}; take another folder or that budget"
        )
    if dict(found.definition) != begun.definition:
        raise ResultsError(f"{path} is of {task.name} as it was once; take another folder")
    if not found.rows:  # it was refused, and may do it now
        return begun
    if found.code is not None:
        check_provenance(path, {name: found.code}, found.rows[-1]["versions"], now)
    return found


def _refused(folder: Path, result: Result, problem: Exception) -> Result:
    """The result, which says so from now on if it is the task that the algorithm does not do."""
    if not isinstance(problem, ConfigError) or result.rows:
        return result
    result = replace(result, refused=as_line(str(problem)))
    with writing(folder):
        result.save(folder / "results")
    return result


def _reference(folder: Path, task: BenchmarkTask) -> Row:
    """What the task's references come to, measured if that is not kept in the folder."""
    if not task.reference_names:
        return {}
    path = folder / "references" / f"{as_file_name(task.name)}.json"
    with writing(folder):
        found = keep_reference(path, task) or keep_reference(path, task, task.measure_references())
    assert found is not None
    return found


def _run(algorithm: Contender, task: BenchmarkTask, seed: int, budget: int, reference: Row) -> Row:
    """The row of a seed."""
    row = {"seed": seed, **task.run(algorithm, seed, budget, reference), **provenance()}
    for name in task.columns([task]):
        if row[name] is not None and not math.isfinite(row[name]):
            raise ValueError(f"{name} = {row[name]}")
    return row
