"""Where a study keeps its trials: in memory, or in a folder from which it goes on after it was killed.

The folder holds ``study.json``, what is sought, ``trials.jsonl``, a line for each trial, written once it has
ended and on the disk before anything depends on it, and in ``warm`` what trials left for others to begin
with. ``trials.csv`` is written at the end, for people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agents.planners.inner import Arrays
from agents.planners.trial import Trial
from karma_envs.config import ConfigError
from karma_envs.files import PathLike, read_npz, remove_leftovers, write_npz, write_text

STUDY, TRIALS, WARM = "study.json", "trials.jsonl", "warm"
_LOCK = ".lock"


class Journal:
    """The trials of a study, in memory.

    Attributes:
        trials: by number, those that have ended.
    """

    def __init__(self) -> None:
        self.trials: dict[int, Trial] = {}
        self._warm: dict[int, Arrays] = {}

    def add(self, trial: Trial, warm: Arrays | None) -> None:
        """Keep a trial and what it left to begin with."""
        if warm is not None:
            self._warm[trial.number] = warm
        self.trials[trial.number] = trial

    def warm(self, number: int | None) -> Arrays | None:
        """What a trial left to begin with; None if nothing."""
        return None if number is None else self._warm.get(number)


class FileJournal(Journal):
    """The trials of a study, in a folder that nobody else writes to.

    Args:
        folder: the folder, which is there.
        what: what is sought, as plain data, to be compared with what the folder's study seeks.

    Raises:
        ConfigError: when the folder holds another study, or is damaged.
    """

    def __init__(self, folder: Path, what: Mapping[str, Any]) -> None:
        super().__init__()
        self._folder = folder
        remove_leftovers(folder)
        text = as_json(what)
        if (folder / STUDY).exists():
            _check_same(folder, json.loads(text))
        else:
            write_text(folder / STUDY, text)
        self.trials = {trial.number: trial for trial in read_trials(folder, mend=True)}

    def add(self, trial: Trial, warm: Arrays | None) -> None:
        if warm is not None:
            (self._folder / WARM).mkdir(exist_ok=True)
            write_npz(self._warm_path(trial.number), warm)
        with open(self._folder / TRIALS, "a", encoding="utf-8") as file:
            file.write(json.dumps(trial.to_plain()) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.trials[trial.number] = trial

    def warm(self, number: int | None) -> Arrays | None:
        if number is None or not self._warm_path(number).exists():
            return None
        return read_npz(self._warm_path(number))

    def _warm_path(self, number: int) -> Path:
        return self._folder / WARM / f"trial_{number:06d}.npz"


@contextmanager
def journal_in(folder: PathLike | None, what: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of a study, in memory or in a folder, which is ours meanwhile.

    Raises:
        ConfigError: when the folder holds another study, is damaged, or another process writes to it.
    """
    if folder is None:
        yield Journal()
        return
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"storage {path} is in use by another process") from error
    try:
        yield FileJournal(path, what)
    finally:
        lock.release()


def as_json(plain: Mapping[str, Any]) -> str:
    """Plain data as the text of a file."""
    return json.dumps(plain, indent=1) + "\n"


def read_study(folder: PathLike) -> dict[str, Any]:
    """What the study in a folder seeks, as plain data.

    Raises:
        ConfigError: when there is none.
    """
    try:
        plain: dict[str, Any] = json.loads((Path(folder) / STUDY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} holds no study that can be read: {error}") from error
    return plain


def read_trials(folder: PathLike, *, mend: bool = False) -> list[Trial]:
    """The trials in a folder, as far as they are whole.

    Args:
        folder: the folder.
        mend: whether to cut off half a line at the end, which a process that was killed left.

    Raises:
        ConfigError: when a line before the last is damaged.
    """
    path = Path(folder) / TRIALS
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if mend and len(whole) < len(content):
        with open(path, "r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    trials = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            trials.append(Trial.from_plain(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path}, line {number}, is no trial: {error}") from error
    return trials


def _check_same(folder: Path, what: Mapping[str, Any]) -> None:
    """Refuse to go on with another study."""
    stored = read_study(folder)
    for name in {**stored, **what}:
        if stored.get(name) != what.get(name):
            raise ConfigError(
                f"storage {folder} holds another study: there {name} is {stored.get(name)}, here "
                f"{what.get(name)}; choose another folder"
            )
