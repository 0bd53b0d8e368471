"""Results on disk: a JSON file for each algorithm and task, with a row per seed; whole or not there."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from karma_envs.files import write_text
from training.benchmark.columns import Column
from training.benchmark.task import BenchmarkTask
from training.benchmark.tasks import find_task
from training.common.errors import ResultsError
from training.common.provenance import source_commit
from training.common.tables import Row, read_recorded, write_recorded
from training.common.trainers import trainers

_FORMAT, _VERSION = "karma-envs benchmark", 1
_PACKAGES = ("karma-envs", "numpy", "numba", "scipy", "gymnasium", "pettingzoo")
_DIGEST = "sha256"  # the field that tells damage
_OPTIONAL = {_DIGEST, "code", "refused"}  # which earlier versions did not write
_LONGEST = 300  # characters of a text in a file


_FIELDS = {"format", "version", "algorithm", "description", "task", "definition", "budget", "comparable"} | {
    "reference",
    "rows",
}


@dataclass(frozen=True)
class Result:
    """What an algorithm did in a task.

    Attributes:
        algorithm: its name.
        description: what it is, in a line.
        task: the task's name.
        definition: the task as it was, see :meth:`training.benchmark.tasks.Task.definition`.
        budget: the most it was allowed to spend, of the task's unit.
        reference: the game's first metric of the references that score 0 and 1, by name.
        rows: for each seed its numbers, those of the task's columns and what was spent, and where they come
            from; none where the algorithm does not do the task.
        code: digest of the file of an algorithm of the user's; None where there is none.
        refused: why the algorithm does not do the task; empty where it does.
    """

    algorithm: str
    description: str
    task: str
    definition: Mapping[str, Any]
    budget: int
    reference: Mapping[str, float]
    rows: tuple[Row, ...] = ()
    code: str | None = None
    refused: str = ""

    @property
    def comparable(self) -> bool:
        """Whether it was trained with the task's budget, in the task as it is now."""
        task = find_task(self.task)
        return self.budget == task.budget and dict(self.definition) == task.definition()

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return file_name(self.algorithm, self.task)

    @property
    def seeds(self) -> list[int]:
        """The seeds that are done."""
        return [row["seed"] for row in self.rows]

    def runs(self, names: Sequence[str]) -> list[tuple[float, ...]]:
        """Some numbers of all seeds; empty where a seed lacks one."""
        if any(row.get(name) is None for row in self.rows for name in names):
            return []
        return [tuple(float(row[name]) for name in names) for row in self.rows]

    def with_row(self, row: Row) -> Result:
        """The same with a seed more."""
        rows = sorted((*self.rows, row), key=lambda each: each["seed"])
        return replace(self, rows=tuple(rows), refused="")

    def to_text(self) -> str:
        """As JSON."""
        comparable = self.budget == self.definition["budget"]
        content = {"format": _FORMAT, "version": _VERSION, "comparable": comparable, **self.__dict__}
        return json.dumps({**content, _DIGEST: _digest(content)}, indent=2, allow_nan=False) + "\n"

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the file into a folder; give its path."""
        path = Path(folder) / self.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.to_text())
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trust: bool = False) -> Result:
        """Read a file.

        Args:
            path: of the file.
            trust: whether the task that it names may be one to be imported, ``module:Class``.

        Raises:
            ResultsError: when it is not a valid result, or not trusted; the message names the file and what
                is wrong.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_number)
            return cls._checked(content, trust)
        except (OSError, ValueError, OverflowError, RecursionError) as error:
            raise ResultsError(f"{os.fspath(path)} is not a benchmark result: {error}") from error

    @classmethod
    def _checked(cls, found: Any, trust: bool) -> Result:
        """A result of a file's content.

        Raises:
            ValueError: saying what is wrong.
        """
        if not isinstance(found, dict) or set(found) - _OPTIONAL != _FIELDS:
            raise ValueError(f"it must be an object with the fields {', '.join(sorted(_FIELDS))}")
        if found["format"] != _FORMAT or found["version"] != _VERSION:
            raise ValueError(f"format {found['format']!r}, version {found['version']!r}")
        for name in ("algorithm", "description", "task", "refused"):
            text = found.get(name, "")
            if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable():
                raise ValueError(f"{name} must be a line of at most {_LONGEST} characters")
        if not isinstance(found.get("code"), (str, type(None))):
            raise ValueError("code must be a text or null")
        if not found["algorithm"]:
            raise ValueError("algorithm is empty")
        if ":" in found["task"] and not trust:
            raise ValueError(
                f"it names code to be run: {found['task']!r}; if you trust whoever made it, say so with "
                "--trust (in Python trust=True)"
            )
        task = find_task(found["task"])
        if not isinstance(found["definition"], dict) or not isinstance(found["rows"], list):
            raise ValueError("definition must be an object and rows a list")
        if bool(found["rows"]) is bool(found.get("refused")):
            raise ValueError("there are no rows" if not found["rows"] else "refused, but there are rows")
        reference = found["reference"]
        measured = task.reference_names if found["rows"] else ()
        if not isinstance(reference, dict) or set(reference) != set(measured):
            raise ValueError(f"reference must hold {' and '.join(task.reference_names) or 'nothing'}")
        for name, number in reference.items():
            _check_number(f"reference {name}", number)
        _check_whole("budget", found["budget"], 1)
        for number, row in enumerate(found["rows"]):
            _check_row(f"row {number}", row, found["budget"], task)
        seeds = [row["seed"] for row in found["rows"]]
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is there twice")
        names = ("algorithm", "description", "task", "definition", "budget", "reference")
        if found["comparable"] is not (found["budget"] == found["definition"].get("budget")):
            raise ValueError("comparable must be whether the budget is the task's")
        content = {name: value for name, value in found.items() if name != _DIGEST}
        if found.get(_DIGEST, _digest(content)) != _digest(content):  # earlier versions wrote none
            raise ValueError("it is damaged or was edited: it is not what was written")
        return cls(
            **{name: found[name] for name in names},
            rows=tuple(found["rows"]),
            code=found.get("code"),
            refused=found.get("refused", ""),
        )


def _digest(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a file's other fields."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_name(algorithm: str, task: str) -> str:
    """The name of a result's file."""
    return f"{as_file_name(algorithm)}-{as_file_name(task)}.json"


def as_line(text: str) -> str:
    """A text as a line of a file, cut off where it is too long."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:_LONGEST]


def as_file_name(name: str) -> str:
    """A name without characters that file systems do not take."""
    return re.sub(r"[^A-Za-z0-9_.-]+", ".", name).strip(".")


def provenance() -> Row:
    """Where a row comes from."""
    versions: dict[str, str] = {"python": platform.python_version()}
    integrated = (package for trainer in trainers() for package in trainer.packages)
    for package in dict.fromkeys((*_PACKAGES, *integrated)):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"commit": source_commit(), "versions": versions}


def keep_reference(
    path: Path, task: BenchmarkTask, measured: Mapping[str, float] | None = None
) -> Row | None:
    """A task's references as kept in a file, or ``measured`` after writing it; None if there are none.

    Raises:
        ResultsError: when the file is damaged or of another task.
    """
    definition = {name: value for name, value in task.definition().items() if name != "budget"}
    if measured is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"definition": definition, "reference": measured}, indent=2) + "\n"
        write_recorded(path, text)
        return dict(measured)
    if not path.exists():
        return None
    try:
        found = json.loads(read_recorded(path), parse_constant=_no_number)
        if found["definition"] != definition:
            raise ValueError("it is of another task; delete it")
        reference = {name: found["reference"][name] for name in task.reference_names}
        for name, number in reference.items():
            _check_number(name, number)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is not a usable reference: {error}") from error
    return reference


def _check_row(where: str, row: Any, budget: int, task: BenchmarkTask) -> None:
    """Refuse a row that does not say of a seed what there is to say; more may be there as missing."""
    numbers: Mapping[str, Column] = task.columns([task])
    expected = {"seed", task.spent, "commit", "versions", *numbers}
    known = isinstance(row, dict) and {name for name in row if row[name] is not None} <= expected
    if not known or expected - set(row):
        raise ValueError(f"{where} must be an object with the fields {', '.join(sorted(expected))}")
    _check_whole(f"{where}: seed", row["seed"], 0)
    _check_whole(f"{where}: {task.spent}", row[task.spent], 0, budget)
    for name, column in numbers.items():
        if row[name] is not None or not column.optional:
            _check_number(f"{where}: {name}", row[name])
    if not isinstance(row["versions"], dict) or not isinstance(row["commit"], (str, type(None))):
        raise ValueError(f"{where}: versions must be an object and commit a text or null")
    for text in (*row["versions"], *row["versions"].values()):  # reports show them
        if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable():
            raise ValueError(f"{where}: versions must hold lines of at most {_LONGEST} characters")


def _check_number(what: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise ValueError(f"{what} must be a finite number, not {number!r}")


def _check_whole(what: str, number: Any, low: int, high: int = 2**63 - 1) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise ValueError(f"{what} must be a whole number from {low} to {high}, not {number!r}")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a finite number")
