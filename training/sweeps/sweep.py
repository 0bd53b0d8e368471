"""Sweeps: the same training run over a grid of values, on many cores or machines, resumable to the bit.

What a sweep leaves behind is told in :mod:`training.sweeps.folder`. While there is a file ``stop`` in it, all
trials that run finish their epoch, write a checkpoint and stop, on whatever machine: Ctrl-C makes one.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from karma_envs.config import ConfigError, choice, whole
from karma_envs.jobs import Backend
from karma_envs.outcome import as_columns
from karma_envs.registry import game_class
from training.common.backends import BACKENDS, StopFile, require
from training.common.errors import ResultsError
from training.common.folders import owned, writing
from training.common.tables import Row
from training.common.trust import resuming
from training.common.workers import Interrupted, stop_on_signal
from training.evaluation.play import Summary, measure, over_seeds
from training.runs.config import TrainConfig
from training.runs.folder import Run
from training.runs.memory import check_memory
from training.runs.train import train
from training.sweeps.config import SweepConfig, Trial, check_games, trial_folder
from training.sweeps.folder import (
    Sweep,
    begin,
    check_no_run,
    empty_row,
    read_rows,
    recorded_columns,
    write_rows,
)

LEARNED_STEPS = 10_000
"""Steps that the learned policies are measured over."""


# --- one trial --------------------------------------------------------------------------------------


_STOP = "stop"


@dataclass(frozen=True)
class Job:
    """What a worker needs to know, wherever it is.

    Attributes:
        trial: number of the trial.
        config: the run's configuration, as plain data.
        sweep: the sweep's folder.
    """

    trial: int
    config: dict[str, Any]
    sweep: str


def run_trial(job: Job) -> Row:
    """Train, from the beginning or a checkpoint, and evaluate; a failure is part of what is returned.

    Returns:
        the columns of the trial's row that are known now.
    """
    folder, stop = Path(job.sweep) / trial_folder(job.trial), StopFile(Path(job.sweep) / _STOP)
    started = time.perf_counter()
    try:
        if stop.is_set():
            return {"status": "missing"}
        config = TrainConfig.from_dict(job.config)
        run = train(config, folder, resume=(folder / "config.yaml").exists(), stop=stop)
        found = _end_of_training(run) | as_columns(_learned(run))
    except Interrupted:
        return {"status": "missing"}
    except Exception as error:
        return _failure(error)
    return {"status": "finished", **found, "seconds": round(time.perf_counter() - started, 3)}


def _failure(error: Exception) -> Row:
    text = " ".join(str(error).split())
    ours = isinstance(error, (ConfigError, ResultsError))
    return {"status": "failed", "error": text if ours else f"{type(error).__name__}: {text}"}


def _end_of_training(run: Run) -> dict[str, float]:
    rows, metrics = run.metrics, game_class(run.config.game).metrics
    steps = sorted({row["step"] for row in rows})
    last = set(steps[-max(1, len(steps) // 10) :])
    return {
        f"train_{name}": float(np.mean([row.get(name, math.nan) for row in rows if row["step"] in last]))
        for name in recorded_columns(metrics)
    }


def _learned(run: Run) -> Summary:
    """The learned policies without exploration: the first row of :func:`training.runs.evaluate.evaluate`."""
    game = run.game()
    return over_seeds(
        [
            measure(game, policy, n_steps=LEARNED_STEPS, seed=[1, number])
            for number, policy in enumerate(run.policies)
        ]
    )


# --- all trials -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes:
        trials: in all.
        ended: finished or failed.
        running: at work now.
        last: the row of the trial that ended last, missing if it was stopped; or None.
    """

    trials: int
    ended: int
    running: int
    last: Row | None


def sweep(
    base: TrainConfig,
    over: Mapping[str, Sequence[Any]],
    folder: str | os.PathLike[str],
    *,
    backend: str = "threads",
    jobs: int = 0,
    observer: Callable[[Progress], None] | None = None,
) -> Sweep:
    """Train with every combination of values, or go on with what is in the folder.

    Trials that are finished are kept, those that were interrupted go on from their checkpoints, and
    those that failed are tried again; the results are the same to the bit as without the interruption.

    Args:
        base: the runs' common configuration.
        over: lists of values by the name of a field, of the game, the learner or the run.
        folder: where results go.
        backend: threads, joblib or ray.
        jobs: trials at once; 0 for one per core, with ray of the whole cluster. A trial of several
            replicas works on these at once, too, see the field ``threads``.
        observer: called at the start and whenever a trial has ended, from this thread.

    Returns:
        the sweep; some of its trials may have failed.

    Raises:
        ConfigError: before any work, when a trial is refused or two are equal.
        ResultsError: when the folder holds another sweep, is in use or cannot be written, or the backend is
            not installed.
        Interrupted: after Ctrl-C; epochs were finished and checkpoints written. After a second Ctrl-C what
            was done since the last checkpoints is lost.
    """
    config, folder = SweepConfig(base, over), Path(folder)
    trials = config.trials()
    run_jobs, jobs = BACKENDS[choice("backend", backend, BACKENDS)], whole("jobs", jobs, 0, 100_000)
    if backend != "threads":
        require(backend)
    check_games(trials)
    if backend != "ray":  # other machines have memory of their own
        check_memory([trial.config for trial in trials], at_once=jobs or os.cpu_count() or 1)
    check_no_run(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with owned(folder):
        return _sweep(config, trials, folder, run_jobs, jobs, observer)


def _sweep(
    config: SweepConfig,
    trials: tuple[Trial, ...],
    folder: Path,
    run_jobs: Backend,
    jobs: int,
    observer: Callable[[Progress], None] | None,
) -> Sweep:
    """Run what is left to do of a sweep in a folder that is ours."""
    begin(folder, config)
    rows = read_rows(folder, config, trials, anew=True)
    todo = [trial for trial in trials if rows[trial.number]["status"] != "finished"]
    for trial in todo:
        rows[trial.number] = empty_row(trial)
    write_rows(folder, trials, rows)
    started = returned = 0

    def jobs_left() -> Iterator[Job]:
        nonlocal started
        for trial in todo:
            if stop.is_set():
                return
            started += 1
            yield Job(trial.number, trial.config.to_dict(), str(folder.absolute()))

    def tell(running: int, last: Row | None) -> None:
        if observer is not None:
            ended = sum(row["status"] != "missing" for row in rows)
            observer(Progress(len(trials), ended, running, last))

    tell(min(jobs or os.cpu_count() or 1, len(todo)), None)
    (folder / _STOP).unlink(missing_ok=True)
    how_to_go_on = resuming("sweep", folder, config.to_dict())
    with (
        stop_on_signal(StopFile(folder / _STOP)) as stop,
        contextlib.closing(run_jobs(run_trial, jobs_left(), jobs)) as ends,
    ):
        try:
            for job, found in ends:
                rows[job.trial] |= _failure(found) if isinstance(found, Exception) else found
                write_rows(folder, trials, rows)
                returned += 1
                tell(started - returned, rows[job.trial])
        except KeyboardInterrupt:
            stop.set()
            raise Interrupted(
                f"stopped at once; what trials did since their last checkpoints is lost; {how_to_go_on}"
            ) from None
        except BaseException:
            stop.set()  # those that run now
            raise
    (folder / _STOP).unlink(missing_ok=True)
    if any(row["status"] == "missing" for row in rows):
        finished = sum(row["status"] == "finished" for row in rows)
        raise Interrupted(f"stopped, {finished} of {len(rows)} trials are finished; {how_to_go_on}")
    return Sweep(folder, config, trials, tuple(rows))
