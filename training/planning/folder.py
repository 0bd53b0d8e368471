"""A design on disk.

A folder holds ``config.yaml`` (what was designed, and how; to be copied, changed and given to the command
again), ``study.json`` and ``trials.jsonl`` (what is sought, and a line for each trial, from which a study
goes on), ``trials.csv`` (the same for people), ``as_it_is/`` (the mechanism before a planner meddles, a study
of one trial), ``provenance.json`` (versions, the commit, digests of files and functions) and ``figures/``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from agents.planners import Design, Trial
from agents.planners.journal import STUDY
from agents.planners.space import Value
from training.common.config import load_layer, to_yaml
from training.common.errors import ResultsError
from training.common.folders import CONFIG, new_folder, owned, writing
from training.common.provenance import check_provenance, provenance_of, source_commit, versions
from training.common.tables import read_json, write_recorded
from training.common.trust import functions_named, made, read_config
from training.planning.config import DesignConfig
from training.planning.ranges import as_it_is

AS_IT_IS = "as_it_is"
_PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Plan:
    """A design on disk.

    Attributes:
        folder: where it is.
        design: its trials.
        as_it_is: the trial of the mechanism as it is; None where that failed, or was not made.
        own_values: the values that it has of the parameters, of those that it has.
    """

    folder: Path
    design: Design
    as_it_is: Trial | None
    own_values: dict[str, Value]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Plan:
        """The design in a folder, also of ``agents.design(..., storage=folder)``.

        Raises:
            ConfigError: when there is none, or it is damaged.
            ResultsError: when what is beside it is damaged.
        """
        return cls.of(Path(folder), Design.load(folder))

    @classmethod
    def of(cls, folder: Path, design: Design) -> Plan:
        """A design that may still be at work, with what its folder holds beside it."""
        has_own, said = (folder / AS_IT_IS / STUDY).is_file(), folder / _PROVENANCE
        own = Design.load(folder / AS_IT_IS).complete if has_own else ()
        values = read_json(said)[AS_IT_IS] if said.is_file() else {}
        return cls(folder, design, own[0] if own else None, values)


def holds_design(folder: str | os.PathLike[str] | None) -> bool:
    """Whether a folder was begun, with this design or another."""
    return (
        folder is not None
        and (Path(folder) / CONFIG).is_file()
        and "over" in load_layer(Path(folder) / CONFIG)
    )


def begin(config: DesignConfig, folder: str | os.PathLike[str] | None) -> Path:
    """Make the folder of a design, or see that one that is there is of the same, but for its budget.

    Returns:
        the folder.

    Raises:
        ResultsError: when it holds something else, cannot be written, or files and functions that the
            configuration names have other contents now.
    """
    if folder is None or not holds_design(folder):
        path = new_folder(config, folder, f"{config.game}-design")
        about = {
            AS_IT_IS: as_it_is(config.space(), config.game_config),
            "commit": source_commit(),
            "versions": versions(),
            "provenance": provenance_of(config, path),
        }
        with writing(path), owned(path):
            write_recorded(path / _PROVENANCE, json.dumps(about, indent=1) + "\n")
        return path
    path = Path(folder)
    known = read_design(path, known=functions_named(config.to_dict()))
    if to_yaml(known.replace(budget=config.budget)) != to_yaml(config):
        raise ResultsError(f"{path} holds another design; choose another folder")
    about = read_json(path / _PROVENANCE)
    check_provenance(path, about.get("provenance"), about.get("versions"), provenance_of(config, path))
    if known.budget != config.budget:
        with writing(path), owned(path):
            write_recorded(path / CONFIG, to_yaml(config))
    return path


def read_design(folder: Path, *, trust: bool = False, known: list[str] | None = None) -> DesignConfig:
    """The configuration in a folder, as :func:`training.common.trust.read_config` reads one.

    Raises:
        ResultsError: when there is none, it is damaged, of something else, or not trusted.
    """
    path = folder / CONFIG
    if not holds_design(folder):
        raise ResultsError(f"{folder} holds no design: there is no {CONFIG} of one in it")
    config: DesignConfig = made(DesignConfig, path, read_config(path, trust=trust, known=known or ()))
    return config
