"""Results on disk: a folder per run with its configuration, tidy tables, policies and checkpoints.

``config.yaml`` (the whole configuration), ``run.json`` (versions, commit, times), ``metrics.csv`` (one
row per replica and record), ``karma.csv`` (karma distribution likewise), ``policy-<replica>.npz``
(without exploration), ``checkpoint-<replica>.npz`` and ``figures/``; once evaluated, ``evaluation.csv``,
``evaluation-types.csv`` where there are several types, ``policy-<replica>.csv`` (what is done, by type or
agent) and a table for each part of the game, such as ``agents.csv`` and ``lanes.csv``. Every file is
written whole or not at all.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import importlib.metadata
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.policy import TabularPolicy
from karma_envs.config import Config
from karma_envs.display import data_frame, html_table
from karma_envs.files import read_npz, write_npz, write_text
from karma_envs.game import PolicyError, PopulationGame
from karma_envs.registry import game_class
from training.config import TrainConfig, load_layer, to_yaml

if TYPE_CHECKING:
    from pandas import DataFrame

_CHECKPOINT_FORMAT = "karma-envs checkpoint"
_CHECKPOINT_VERSION = 1
_PACKAGES = ("karma-envs", "numpy", "numba", "scipy", "gymnasium", "pettingzoo")

Row = dict[str, Any]


class ResultsError(RuntimeError):
    """A results folder or file that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Run:
    """A training run on disk.

    Attributes:
        folder: where it is.
        config: its configuration.
    """

    folder: Path
    config: TrainConfig

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """The run in a folder.

        Raises:
            ResultsError: when there is none.
        """
        folder = Path(folder)
        if not (folder / "config.yaml").is_file():
            raise ResultsError(f"{folder} holds no run: there is no config.yaml in it")
        return cls(folder, TrainConfig.from_dict(load_layer(folder / "config.yaml")))

    @property
    def policies(self) -> list[TabularPolicy]:
        """The learned policies without exploration, one per replica.

        Raises:
            ResultsError: when the run has not finished, or a policy's file is damaged or of another game.
        """
        paths = [self.policy_path(replica) for replica in range(self.config.replicas)]
        if missing := [path.name for path in paths if not path.is_file()]:
            raise ResultsError(f"{self.folder}: the run has not finished, {missing[0]} is missing")
        game = game_class(self.config.game)(self.config.game_config)
        return [read_policy(path, game) for path in paths]

    @property
    def policy(self) -> TabularPolicy:
        """The learned policy without exploration, of the first replica."""
        return self.policies[0]

    @property
    def metrics(self) -> list[Row]:
        """The recorded metrics, one row per replica and record."""
        return read_table(self.folder / "metrics.csv")

    def __repr__(self) -> str:
        return f"Run({', '.join(f'{name} {value}' for name, value in self._sizes().items())})"

    def _repr_html_(self) -> str:
        return html_table([self._sizes()], "run")

    def _sizes(self) -> dict[str, object]:
        """What the run is, in short."""
        finished = all(self.policy_path(replica).is_file() for replica in range(self.config.replicas))
        return {
            "folder": self.folder,
            "game": self.config.game,
            "agents": self.config.game_config.n_agents,
            "steps": self.config.n_steps,
            "replicas": self.config.replicas,
            "seed": self.config.seed,
            "finished": "yes" if finished else "no",
        }

    def to_frame(self) -> DataFrame:
        """The recorded metrics, a row per replica and record.

        Raises:
            ImportError: where pandas is missing.
            ResultsError: where nothing has been recorded yet.
        """
        return data_frame(self.metrics)

    def policy_path(self, replica: int) -> Path:
        """Where a replica's policy is."""
        return self.folder / f"policy-{replica}.npz"

    def checkpoint_path(self, replica: int) -> Path:
        """Where a replica's checkpoint is."""
        return self.folder / f"checkpoint-{replica}.npz"


def read_policy(path: Path, game: PopulationGame, *, by_type: bool = False) -> TabularPolicy:
    """A policy that can be played in a game.

    Args:
        path: of its file.
        game: the game.
        by_type: whether it has a row for each type, and not for each agent.

    Raises:
        ResultsError: when the file is damaged, is no policy, or is one of another game.
    """
    try:
        policy = TabularPolicy.load(path)
    except ValueError as error:
        raise ResultsError(str(error)) from error
    try:
        if policy.n_actions != game.n_actions:  # rows may be as wide all the same
            raise PolicyError(f"it has {policy.n_actions} actions; the game has {game.n_actions}")
        game.check_policy(policy.for_agents(game.type_of_agent) if by_type else policy)
    except ValueError as error:
        raise ResultsError(f"{path} is the policy of another run: {error}") from error
    return policy


def create_run(config: TrainConfig, folder: str | os.PathLike[str] | None) -> Run:
    """Make the folder of a new run and write its configuration.

    Args:
        config: the configuration.
        folder: where; None for the first free ``runs/<game>-<number>``.

    Raises:
        ResultsError: when the folder holds a run already or cannot be written.
    """
    return Run(new_folder(config, folder, config.game), config)


def new_folder(config: Config, folder: str | os.PathLike[str] | None, name: str) -> Path:
    """Make a folder for results and write the configuration into it.

    Args:
        config: the configuration.
        folder: where; None for the first free ``runs/<name>-<number>``.
        name: what is in it.

    Raises:
        ResultsError: when the folder holds results already or cannot be written.
    """
    text = to_yaml(config)
    path = Path(folder) if folder is not None else _free_folder(name)
    if (path / "config.yaml").exists():
        raise ResultsError(
            f"{path} holds a run already; go on with it (--resume {path}) or choose another folder"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / "config.yaml", text)
    except OSError as error:
        raise ResultsError(f"cannot write results to {path}: {error.strerror or error}") from error
    return path


@contextlib.contextmanager
def all_or_nothing(path: Path) -> Iterator[Path]:
    """A folder of :func:`new_folder` that goes again when what was to fill it fails or is interrupted."""
    try:
        yield path
    except BaseException:
        (path / "config.yaml").unlink()
        with contextlib.suppress(OSError):  # other things are in it
            path.rmdir()
        raise


def _free_folder(name: str) -> Path:
    number = 1
    name = name.replace(":", ".")  # of a game of one's own; Windows has no such files
    while (path := Path("runs") / f"{name}-{number:03d}").exists():
        number += 1
    return path


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal keys as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_table(path: Path) -> list[Row]:
    """Rows of a CSV file, numbers as numbers.

    Raises:
        ResultsError: when it is not there.
    """
    if not path.is_file():
        raise ResultsError(f"{path} is missing; the run has not recorded anything yet")

    def value(text: str) -> Any:
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(text)
        return text

    with path.open(encoding="utf-8", newline="") as file:
        return [{key: value(text) for key, text in row.items()} for row in csv.DictReader(file)]


def write_metadata(run: Run, **values: Any) -> None:
    """Write ``run.json``: where the results come from, and ``values``."""
    path = run.folder / "run.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known |= {
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": source_commit(),
        **values,
    }
    write_text(path, json.dumps(known, indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def source_commit() -> str | None:
    """The commit of the source, where this runs from a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def write_checkpoint(
    path: Path,
    config: TrainConfig,
    replica: int,
    progress: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write all that a replica needs to go on.

    Args:
        path: where.
        config: the run's configuration.
        replica: which replica.
        progress: plain data.
        arrays: by name.
    """
    metadata = {
        "format": _CHECKPOINT_FORMAT,
        "version": _CHECKPOINT_VERSION,
        "config": to_yaml(config),
        "replica": replica,
        "versions": {name: _version(name) for name in _PACKAGES},
        "progress": dict(progress),
    }
    text = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, {"metadata": text, **arrays})


def read_checkpoint(
    path: Path, config: TrainConfig, replica: int
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The progress and the arrays of :func:`write_checkpoint`.

    Raises:
        ResultsError: when the file is damaged, is no checkpoint, or is one of another run.
    """
    try:
        arrays = read_npz(path)
        metadata = json.loads(arrays.pop("metadata").tobytes())
        if metadata["format"] != _CHECKPOINT_FORMAT or metadata["version"] != _CHECKPOINT_VERSION:
            raise ValueError(f"format {metadata['format']!r}, version {metadata['version']!r}")
        same = metadata["config"] == to_yaml(config) and metadata["replica"] == replica
        progress = dict(metadata["progress"])
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is not a usable checkpoint: {error}") from error
    if not same:
        raise ResultsError(f"{path} is the checkpoint of another run: its configuration differs")
    return progress, arrays
