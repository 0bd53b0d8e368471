"""Files of a run that say which run they are of: checkpoints and policies, by a stamp of JSON in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray

from agents.policies.files import from_arrays
from karma_envs.config import ConfigError
from karma_envs.files import json_array, json_of, read_npz, write_npz
from karma_envs.saved_policy import SavedPolicy
from training.common.errors import ResultsError
from training.common.provenance import versions
from training.common.trust import functions_named
from training.runs.config import TrainConfig

_CHECKPOINT_FORMAT = "karma-envs checkpoint"
_CHECKPOINT_VERSION = 1
_STAMP = "run"


@dataclass(frozen=True)
class Stamp:
    """Which run a file is of, and what it was made with.

    Attributes:
        config: the run's configuration.
        replica: which replica.
        provenance: see :meth:`karma_envs.config.Config.provenance`.
    """

    config: TrainConfig
    replica: int
    provenance: Mapping[str, str]

    def to_plain(self) -> dict[str, Any]:
        """As it stands in a file, with the versions of packages."""
        return {
            "config": self.config.to_dict(),
            "replica": self.replica,
            "provenance": dict(self.provenance),
            "versions": versions(),
        }


def is_of(config: TrainConfig, recorded: Any, *, or_shorter: bool = False) -> bool:
    """Whether a configuration that was written to a file is that of a run.

    Fields that are missing, as they were added in a later version, have their defaults.

    Args:
        config: of the run.
        recorded: plain data; in files of earlier versions YAML.
        or_shorter: whether it may have fewer steps, as a run can be gone on with for more.
    """
    plain = config.to_dict()
    if isinstance(recorded, str):
        recorded = yaml.safe_load(recorded)
    if not isinstance(recorded, Mapping) or not set(functions_named(recorded)) <= set(functions_named(plain)):
        return False
    try:
        other = TrainConfig.from_dict(recorded)
    except ConfigError:
        return False
    steps = min(other.n_steps, config.n_steps) if or_shorter else config.n_steps
    return other.to_dict() == {**plain, "n_steps": steps}


def write_checkpoint(
    path: Path, stamp: Stamp, progress: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write all that a replica needs to go on.

    Args:
        path: where.
        stamp: of which run.
        progress: plain data.
        arrays: by name.
    """
    head = {"format": _CHECKPOINT_FORMAT, "version": _CHECKPOINT_VERSION, "progress": dict(progress)}
    write_npz(path, {"metadata": json_array({**head, **stamp.to_plain()}), **arrays})


def read_checkpoint(
    path: Path, config: TrainConfig, replica: int
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The metadata and the arrays of :func:`write_checkpoint`.

    Raises:
        ResultsError: when the file is damaged, is no checkpoint, or is one of another run.
    """
    try:
        arrays = read_npz(path)
        metadata = json_of(arrays.pop("metadata"))
        if metadata["format"] != _CHECKPOINT_FORMAT or metadata["version"] != _CHECKPOINT_VERSION:
            raise ValueError(f"format {metadata['format']!r}, version {metadata['version']!r}")
        same = is_of(config, metadata["config"], or_shorter=True) and metadata["replica"] == replica
        metadata["progress"] = dict(metadata["progress"])
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise ResultsError(f"{path} is not a usable checkpoint: {_line(error)}") from error
    if not same:
        raise ResultsError(f"{path} is the checkpoint of another run: its configuration differs")
    return metadata, arrays


def write_learned(path: Path, stamp: Stamp, policy: SavedPolicy) -> None:
    """Write what a replica has learned; :func:`agents.policies.load` reads it, too."""
    write_npz(path, {**policy.to_arrays(), _STAMP: json_array(stamp.to_plain())})


def read_learned(path: Path, config: TrainConfig, replica: int) -> Any:
    """The policy of :func:`write_learned`; of an earlier version, which says not which run it is of, too.

    Raises:
        ResultsError: when the file is damaged, is no policy, or is one of another run.
    """
    try:
        arrays = read_npz(path)
    except ValueError as error:
        raise ResultsError(str(error)) from error
    try:
        stamp = json_of(arrays.pop(_STAMP)) if _STAMP in arrays else None
        same = stamp is None or (is_of(config, stamp["config"]) and stamp["replica"] == replica)
        policy = from_arrays(arrays)
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise ResultsError(f"{path} is not a policy of karma-envs: {_line(error)}") from error
    if not same:
        raise ResultsError(f"{path} is the policy of another run: its configuration differs")
    return policy


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
