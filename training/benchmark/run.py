"""Running the benchmark: every algorithm in every task with every seed, resumable, failures apart."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from karma_envs.config import ConfigError, whole
from karma_envs.files import remove_leftovers
from training.benchmark.algorithms import Algorithm, Trained, find
from training.benchmark.columns import columns
from training.benchmark.measure import measure, measure_reference
from training.benchmark.result import Result, as_file_name, file_name, keep_reference, provenance
from training.benchmark.tasks import TASKS, Task, find_task
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
        error: why it failed, once it has.
    """

    done: int
    total: int
    what: str
    row: Row | None = None
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
        algorithms: names of built-in ones or ``module:function``.
        folder: results go to ``results/<algorithm>-<task>.json`` in it after every seed.
        tasks: names, see :func:`training.benchmark.tasks.find_task`; None for all of
            :data:`training.benchmark.tasks.TASKS`.
        seeds: how many, from 0.
        budget: agent-steps other than the tasks'; results are not comparable then.
        observer: told of every seed before and after.

    Returns:
        the results, and for each seed that failed a line that says why; the others are not affected.

    Raises:
        ConfigError: for an unknown name or a value out of range, before any work.
        ResultsError: before any work for a damaged file, one of another budget or task, or a folder that
            is in use; at any time when results cannot be written.
        Interrupted: after Ctrl-C; what was finished is kept.
    """
    found = [find(name) for name in dict.fromkeys(algorithms)]
    if not found:
        raise ConfigError("name at least one algorithm")
    places = [find_task(name) for name in dict.fromkeys(tasks if tasks is not None else TASKS)]
    seeds = whole("seeds", seeds, 1, 10_000)
    budget = None if budget is None else whole("budget", budget, 1, 10**15)
    folder = Path(folder)
    pairs = [(algorithm, task) for task in places for algorithm in found]
    begun = [_begun(folder, algorithm, task, budget) for algorithm, task in pairs]  # may be refused
    if len({each.file_name for each in begun}) < len(pairs):
        raise ConfigError("two algorithms have names of which the same file name is made")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with owned(folder):
        return _run_pairs(pairs, folder, seeds, budget, observer or (lambda progress: None))


def _run_pairs(
    pairs: Sequence[tuple[Algorithm, Task]], folder: Path, seeds: int, budget: int | None, tell: Observer
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
                    else:
                        result = replace(result.with_row(row), reference=reference)
                        with writing(folder):
                            result.save(folder / "results")
                done += 1
                tell(Progress(done, total, what, row, error))
            if result.rows:
                results.append(result)
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; the same command goes on") from error
    return results, failed


def _begun(folder: Path, algorithm: Algorithm, task: Task, budget: int | None) -> Result:
    """What there is of a result."""
    path = folder / "results" / file_name(algorithm.name, task.name)
    wanted = task.budget if budget is None else budget
    name = f"algo {algorithm.name}"
    now = source_of(name, algorithm.train) if ":" in algorithm.name else {}
    code = now.get(name)
    if not path.exists():
        description = algorithm.description[:300]
        return Result(algorithm.name, description, task.name, task.definition(), wanted, {}, code=code)
    found = Result.load(path, trust=True)  # a task that the user has named
    if (found.algorithm, found.task) != (algorithm.name, task.name):
        raise ResultsError(f"{path} is of {found.algorithm} in {found.task}; take another folder")
    if found.budget != wanted:
        raise ResultsError(
            f"{path} has results of budget {found.budget}, not {wanted}; take another folder or that budget"
        )
    if dict(found.definition) != task.definition():
        raise ResultsError(f"{path} is of {task.name} as it was once; take another folder")
    if found.code is not None:
        check_provenance(path, {name: found.code}, found.rows[-1]["versions"], now)
    return found


def _reference(folder: Path, task: Task) -> Row:
    """What the task's references come to, measured if that is not kept in the folder."""
    if not task.references:
        return {}
    path = folder / "references" / f"{as_file_name(task.name)}.json"
    with writing(folder):
        found = keep_reference(path, task) or keep_reference(path, task, measure_reference(task))
    assert found is not None
    return found


def _run(algorithm: Algorithm, task: Task, seed: int, budget: int, reference: Row) -> Row:
    """Train and measure."""
    game = task.make()
    started = time.perf_counter()
    given = algorithm.train(game, budget, seed)
    seconds = time.perf_counter() - started
    trained = given if isinstance(given, Trained) else Trained(given, budget)
    steps = whole("agent_steps", trained.agent_steps, 0, budget)
    row = {
        "seed": seed,
        **measure(task, trained.policy, seed, reference),
        "agent_steps": steps,
        "seconds": seconds,
        "steps_per_second": steps / seconds if steps else None,
        **provenance(),
    }
    for name in columns([task]):
        if row[name] is not None and not math.isfinite(row[name]):
            raise ValueError(f"{name} = {row[name]}")
    return row
