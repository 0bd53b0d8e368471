"""A sweep on disk.

A folder holds ``sweep.yaml`` (the runs' common configuration, what is swept, versions), ``trials.csv``
(one row per trial, written anew as trials end), ``trial-<number>/`` (a run each, see
:mod:`training.runs.folder`) and ``figures/``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from karma_envs.display import data_frame, html_table
from karma_envs.outcome import Estimate, Metric, headlines
from karma_envs.registry import game_class
from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.folders import CONFIG, writing
from training.common.provenance import versions
from training.common.tables import Row, read_table, write_recorded, write_table
from training.common.trust import functions_named, made, read_config
from training.runs.folder import Run
from training.sweeps.config import SweepConfig, Trial, as_text

if TYPE_CHECKING:
    from pandas import DataFrame


_SWEEP = "sweep.yaml"


def recorded_columns(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """What is averaged over the end of training: metrics, and the steps that each record is over."""
    return ("window", *(metric.name for metric in metrics))


def columns_of(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """What is told of a trial, besides its number, the swept values and its status."""
    return (
        *(f"train_{name}" for name in recorded_columns(metrics)),
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
        config = read_sweep(folder, trust=trust)
        trials = config.trials()
        return cls(folder, config, trials, tuple(read_rows(folder, config, trials)))

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


def empty_row(trial: Trial) -> Row:
    """The row of a trial that has not run."""
    columns = columns_of(game_class(trial.config.game).metrics)
    return {"trial": trial.number, **trial.values, "status": "missing", **dict.fromkeys(columns)}


def read_sweep(folder: Path, *, trust: bool = False, known: Sequence[str] = ()) -> SweepConfig:
    """The configuration in a folder, as :func:`training.common.trust.read_config` reads one."""
    path = folder / _SWEEP
    layer = read_config(path, trust=trust, known=known)
    config: SweepConfig = made(SweepConfig, path, {name: layer.get(name) for name in ("base", "over")})
    return config


def read_rows(folder: Path, config: SweepConfig, trials: Sequence[Trial], *, anew: bool = False) -> list[Row]:
    """What ``trials.csv`` knows; a trial whose policies are gone is missing.

    Where it is to be written ``anew``, nothing is known from a damaged one: what trials say is in their
    folders.
    """
    path, columns = folder / "trials.csv", columns_of(game_class(config.base.game).metrics)
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
        rows.append(empty_row(trial) | found)
    return rows


def _check_table(path: Path, table: Sequence[Row], columns: Sequence[str]) -> None:
    """Refuse a table whose columns of numbers hold something else."""
    for row in table:
        for name in columns:
            if isinstance(row.get(name, ""), str) and row.get(name) not in ("", None) and name != "error":
                raise ResultsError(f"{path} is damaged: {name} of trial {row.get('trial')} is no number")


def write_rows(folder: Path, trials: Sequence[Trial], rows: Sequence[Row]) -> None:
    """Write ``trials.csv``, swept values as text."""
    table = [
        {**row, **{name: as_text(value) for name, value in trial.values.items()}}
        for trial, row in zip(trials, rows)
    ]
    with writing(folder):
        write_table(folder / "trials.csv", table)


def begin(folder: Path, config: SweepConfig) -> None:
    """Write ``sweep.yaml``, or see that it is there already; the folder is ours."""
    text = to_yaml(config)
    if (folder / _SWEEP).is_file():
        if to_yaml(read_sweep(folder, known=functions_named(config.to_dict()))) != text:
            raise ResultsError(f"{folder} holds another sweep; choose another folder")
        return
    check_no_run(folder)
    with writing(folder):
        write_recorded(folder / _SWEEP, text + yaml.safe_dump({"versions": versions()}, sort_keys=False))


def check_no_run(folder: Path) -> None:
    """Refuse a folder that holds a run and no sweep."""
    if (folder / CONFIG).exists() and not (folder / _SWEEP).is_file():
        raise ResultsError(f"{folder} holds a run; choose another folder")
