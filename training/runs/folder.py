"""Results on disk: a folder per run with its configuration, tidy tables, policies and checkpoints.

``config.yaml`` (the whole configuration), ``run.json`` (versions, commit, times, and what the run was made
of), ``metrics.csv`` (one row per replica and record), a table for each distribution that the game tells of,
such as ``karma.csv`` (likewise),
``policy-<replica>.npz`` (without exploration), ``checkpoint-<replica>.npz`` and ``figures/``; once
evaluated, ``evaluation.csv``, ``evaluation-types.csv`` where there are several types,
``policy-<replica>.csv`` (what is done, by type or agent) and a table for each part of the game, such as
``agents.csv`` and ``lanes.csv``; ``digests.json`` (of the configuration and the tables, see
:mod:`training.common.tables`). Every file is written whole or not at all, by one process at a time
(:func:`training.common.folders.owned`).
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karma_envs.display import data_frame, html_table
from karma_envs.files import write_text
from karma_envs.game import PopulationGame
from karma_envs.registry import game_class
from training.common.errors import ResultsError
from training.common.folders import CONFIG, all_or_nothing, new_folder
from training.common.policy_files import playable, read_policy
from training.common.provenance import check_provenance, provenance_of, source_commit, versions
from training.common.tables import Row, number_table, read_table, write_table
from training.common.trust import made, read_config
from training.runs.checkpoints import read_learned
from training.runs.config import TrainConfig

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "ResultsError",
    "Row",
    "Run",
    "all_or_nothing",
    "create_run",
    "new_folder",
    "read_metadata",
    "read_policy",
    "read_table",
    "source_commit",
    "write_metadata",
    "write_table",
]

RECORD = ("replica", "step", "window", "policy_change_max", "policy_change_mean")
"""Columns of ``metrics.csv`` besides the game's first metric. There are those of its other metrics, too, as
far as the game had them when the run was made, and of what else it records."""


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
    def open(cls, folder: str | os.PathLike[str], trust: bool = False, *, known: Collection[str] = ()) -> Run:
        """The run in a folder.

        Names of files in its configuration that are relative are looked up from the current working
        directory, as when it was made.

        Args:
            folder: the folder.
            trust: whether its configuration may name functions (rules, networks) to be imported that are
                not this package's; without, a folder of somebody else's cannot have code run.
            known: names ``module:function`` that it may name all the same.

        Raises:
            ResultsError: when there is none, it is damaged, or it names functions and is not trusted.
        """
        folder = Path(folder)
        path = folder / CONFIG
        if not path.is_file():
            raise ResultsError(f"{folder} holds no run: there is no {CONFIG} in it")
        return cls(folder, made(TrainConfig, path, read_config(path, trust=trust, known=known)))

    def provenance(self) -> dict[str, str]:
        """What the run is made of besides its configuration, see :meth:`karma_envs.config.Config.provenance`.

        Raises:
            ResultsError: when a network's file or a function of the user's is not what it was.
        """
        known, now = read_metadata(self.folder), provenance_of(self.config, self.folder)
        check_provenance(self.folder, known.get("provenance"), recorded_versions(known), now)
        return now

    def game(self) -> PopulationGame:
        """The run's game, not yet reset.

        Raises:
            ResultsError: when a network's file or a function of the user's is not what the run was made of.
        """
        self.provenance()
        return self.config.make_game()

    @property
    def policies(self) -> list[Any]:
        """The learned policies without exploration, one per replica; of tabular learners ``TabularPolicy``.

        Raises:
            ResultsError: when the run has not finished, or a policy's file is damaged, of another run, or
                none that can be played in the run's game.
        """
        paths = [self.policy_path(replica) for replica in range(self.config.replicas)]
        if missing := [path.name for path in paths if not path.is_file()]:
            raise ResultsError(f"{self.folder}: the run has not finished, {missing[0]} is missing")
        game = self.game()
        return [
            playable(path, read_learned(path, self.config, replica), game)
            for replica, path in enumerate(paths)
        ]

    @property
    def policy(self) -> Any:
        """The learned policy without exploration, of the first replica."""
        return self.policies[0]

    @property
    def metrics(self) -> list[Row]:
        """The recorded metrics, one row per replica and record.

        Raises:
            ResultsError: when there are none, or the file is damaged.
        """
        first = game_class(self.config.game).metrics[0]
        return number_table(self.folder / "metrics.csv", (*RECORD, first.name))

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


def create_run(config: TrainConfig, folder: str | os.PathLike[str] | None) -> Run:
    """Make the folder of a new run and write its configuration.

    Args:
        config: the configuration.
        folder: where; None for the first free ``runs/<game>-<number>``.

    Raises:
        ResultsError: when the folder holds a run already or cannot be written.
    """
    return Run(new_folder(config, folder, config.game), config)


def read_metadata(folder: Path) -> dict[str, Any]:
    """What ``run.json`` holds; nothing where there is none, or it is damaged: no result depends on it."""
    try:
        known = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def recorded_versions(known: dict[str, Any]) -> dict[str, Any]:
    """The versions that ``run.json`` holds, of packages and Python."""
    packages = known.get("versions")
    return {**(packages if isinstance(packages, dict) else {}), "python": known.get("python")}


def write_metadata(run: Run, **values: Any) -> None:
    """Write ``run.json``: where the results come from, and ``values``."""
    here = versions()
    known = read_metadata(run.folder) | {
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": here.pop("python"),
        "versions": here,
        "commit": source_commit(),
        **values,
    }
    write_text(run.folder / "run.json", json.dumps(known, indent=2) + "\n")
