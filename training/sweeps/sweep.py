"""Sweeps: the same training run over a grid of values, on many cores or machines, resumable to the bit.

A folder holds ``sweep.yaml`` (the runs' common configuration, what is swept, versions), ``trials.csv``
(one row per trial, written anew as trials end), ``trial-<number>/`` (a run each, see
:mod:`training.runs.folder`) and ``figures/``. While there is a file ``stop``, all trials that run finish
their epoch, write a checkpoint and stop, on whatever machine: that is what Ctrl-C does.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from karma_envs.config import ConfigError, choice, whole
from karma_envs.display import data_frame, html_table
from karma_envs.outcome import Estimate, Metric, as_columns, headlines
from karma_envs.registry import game_class
from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.folders import CONFIG, owned, writing
from training.common.provenance import versions
from training.common.tables import Row, read_table, write_recorded, write_table
from training.common.trust import functions_named, made, read_config, resuming
from training.common.workers import Interrupted, stop_on_signal
from training.evaluation.play import Summary, measure, over_seeds
from training.runs.config import TrainConfig
from training.runs.folder import Run
from training.runs.memory import check_memory
from training.runs.train import train
from training.sweeps.backends import BACKENDS, Backend, StopFile, require
from training.sweeps.config import SweepConfig, Trial, as_text, check_games, trial_folder

_SWEEP = "sweep.yaml"

if TYPE_CHECKING:
    from pandas import DataFrame

LEARNED_STEPS = 10_000
"""Steps that the learned policies are measured over."""


def _recorded(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """What is averaged over the end of training: metrics, and the steps that each record is over."""
    return ("window", *(metric.name for metric in metrics))


def _columns(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """What is told of a trial, besides its number, the swept values and its status."""
    return (
        *(f"train_{name}" for name in _recorded(metrics)),
        *(column for metric in metrics for column in (metric.name, f"{metric.name}_se")),
        "seconds",
        "error",
    )


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk.

    Attributes:
        folder: where it is.
        config: what it is over.
        trials: its trials.
        rows: a row for each: trial, the swept values, status (finished, failed or missing),
            ``train_<metric>`` (means over the last tenth of a run's records and over replicas; fairness
            depends on the steps that it is measured over, here ``train_window``), the metrics of the
            learned policies without exploration and their standard errors ``<metric>_se``, seconds (of the
            last session), error; None for what is not known.
    """

    folder: Path
    config: SweepConfig
    trials: tuple[Trial, ...]
    rows: tuple[Row, ...]

    @classmethod
    def open(cls, folder: str | os.PathLike[str], trust: bool = False) -> Sweep:
        """The sweep in a folder.

        Args:
            folder: the folder.
            trust: whether its configuration may name functions to be imported, see
                :meth:`training.runs.folder.Run.open`.

        Raises:
            ResultsError: when there is none, it is damaged, or it names functions and is not trusted.
        """
        folder = Path(folder)
        if not (folder / _SWEEP).is_file():
            raise ResultsError(f"{folder} holds no sweep: there is no {_SWEEP} in it")
        config = _read_config(folder, trust=trust)
        trials = config.trials()
        return cls(folder, config, trials, tuple(_read_rows(folder, config, trials)))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured of the game of all trials; trials are ranked by the first."""
        return game_class(self.config.base.game).metrics

    def __repr__(self) -> str:
        over = " × ".join(f"{len(values)} {name}" for name, values in self.config.over.items())
        return f"Sweep({self.folder}: {over}; {len(self.best_first)} of {len(self.trials)} trials finished)"

    def _repr_html_(self) -> str:
        rows = [
            {name: as_text(row[name]) for name in ("trial", *self.config.over)}
            | {each.name: estimate_in(row, each).concise() for each in headlines(self.metrics)}
            for row in self.best_first
        ]
        return html_table(rows, f"{self!r}; best first, learned policies without exploration")

    def to_frame(self) -> DataFrame:
        """A row per trial, see ``rows``.

        Raises:
            ImportError: where pandas is missing.
        """
        return data_frame(self.rows)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows of the trials that failed."""
        return tuple(row for row in self.rows if row["status"] == "failed")

    @property
    def best_first(self) -> tuple[Row, ...]:
        """Rows of the finished trials, those first that learned best by the game's first metric."""
        metric = self.metrics[0]
        sign = -1 if metric.more_is_better else 1

        def rank(row: Row) -> float:
            value: float = row[metric.name]
            return math.inf if math.isnan(value) else sign * value

        return tuple(sorted((row for row in self.rows if row["status"] == "finished"), key=rank))


def estimate_in(row: Row, metric: Metric) -> Estimate:
    """A metric of what a finished trial learned."""
    return Estimate(row[metric.name], row[f"{metric.name}_se"])


def _empty_row(trial: Trial) -> Row:
    columns = _columns(game_class(trial.config.game).metrics)
    return {"trial": trial.number, **trial.values, "status": "missing", **dict.fromkeys(columns)}


def _read_config(folder: Path, *, trust: bool = False, known: Sequence[str] = ()) -> SweepConfig:
    path = folder / _SWEEP
    layer = read_config(path, trust=trust, known=known)
    config: SweepConfig = made(SweepConfig, path, {name: layer.get(name) for name in ("base", "over")})
    return config


def _read_rows(
    folder: Path, config: SweepConfig, trials: Sequence[Trial], *, anew: bool = False
) -> list[Row]:
    """What ``trials.csv`` knows; a trial whose policies are gone is missing.

    Where it is to be written ``anew``, nothing is known from a damaged one: what trials say is in their
    folders.
    """
    path, columns = folder / "trials.csv", _columns(game_class(config.base.game).metrics)
    try:
        table = read_table(path) if path.is_file() else []
        _check_table(path, table, columns)
    except ResultsError:
        if not anew:
            raise
        table = []
    known = {row.get("trial"): row for row in table}
    rows = []
    for trial in trials:
        row, run = known.get(trial.number, {}), Run(folder / trial.name, trial.config)
        paths = [run.policy_path(replica) for replica in range(trial.config.replicas)]
        if row.get("status") == "finished" and not all(path.is_file() for path in paths):
            row = {}
        found = {name: row[name] for name in ("status", *columns) if row.get(name, "") != ""}
        rows.append(_empty_row(trial) | found)
    return rows


def _check_table(path: Path, table: Sequence[Row], columns: Sequence[str]) -> None:
    """Refuse a table whose columns of numbers hold something else."""
    for row in table:
        for name in columns:
            if isinstance(row.get(name, ""), str) and row.get(name) not in ("", None) and name != "error":
                raise ResultsError(f"{path} is damaged: {name} of trial {row.get('trial')} is no number")


def _write_rows(folder: Path, trials: Sequence[Trial], rows: Sequence[Row]) -> None:
    table = [
        {**row, **{name: as_text(value) for name, value in trial.values.items()}}
        for trial, row in zip(trials, rows)
    ]
    with writing(folder):
        write_table(folder / "trials.csv", table)


def _begin(folder: Path, config: SweepConfig) -> None:
    """Write ``sweep.yaml``, or see that it is there already; the folder is ours."""
    text = to_yaml(config)
    if (folder / _SWEEP).is_file():
        if to_yaml(_read_config(folder, known=functions_named(config.to_dict()))) != text:
            raise ResultsError(f"{folder} holds another sweep; choose another folder")
        return
    _check_no_run(folder)
    with writing(folder):
        write_recorded(folder / _SWEEP, text + yaml.safe_dump({"versions": versions()}, sort_keys=False))


def _check_no_run(folder: Path) -> None:
    if (folder / CONFIG).exists():
        raise ResultsError(f"{folder} holds a run; choose another folder")


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
        for name in _recorded(metrics)
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
    if not (folder / _SWEEP).is_file():
        _check_no_run(folder)
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
    _begin(folder, config)
    rows = _read_rows(folder, config, trials, anew=True)
    todo = [trial for trial in trials if rows[trial.number]["status"] != "finished"]
    for trial in todo:
        rows[trial.number] = _empty_row(trial)
    _write_rows(folder, trials, rows)
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
                _write_rows(folder, trials, rows)
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
