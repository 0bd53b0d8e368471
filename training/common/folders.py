"""Folders of results: made by one process alone, and written by one at a time."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from karma_envs.config import Config
from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.tables import DIGESTS, write_recorded

CONFIG = "config.yaml"
PATIENCE_SECONDS = 10.0
"""How long what only adds to a folder waits for its owner."""

_LOCK = ".lock"


@contextlib.contextmanager
def writing(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Turn a failure to write in a block into a ResultsError that names the folder and says what is wrong."""
    try:
        yield
    except OSError as error:
        raise ResultsError(f"cannot write results to {folder}: {error.strerror or error}") from error


@contextlib.contextmanager
def owned(folder: Path, *, seconds: float = 0.0) -> Iterator[None]:
    """Be the only one who writes into a folder, among all processes and threads, until the block ends.

    The system takes the lock (on the file ``.lock``) from a process that ends, however it ends. A folder
    that takes no files, or a file system without locks, is nobody's: then nothing is held here.

    Args:
        folder: the folder.
        seconds: how long to wait for another owner to end.

    Raises:
        ResultsError: when another process or thread owns the folder.
    """
    lock = FileLock(folder / _LOCK, timeout=seconds)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock)
        except NotImplementedError:
            pass
        except (Timeout, RuntimeError) as error:  # RuntimeError: this very thread owns it already
            raise ResultsError(
                f"{folder} is in use: another process writes there; wait until it has ended, or choose "
                "another folder"
            ) from error
        except OSError:
            pass
        yield


def new_folder(config: Config, folder: str | os.PathLike[str] | None, name: str) -> Path:
    """Make a folder for results and write the configuration into it; of several at once one succeeds.

    Args:
        config: the configuration.
        folder: where; None for the first free ``runs/<name>-<number>``.
        name: what is in it.

    Raises:
        ResultsError: when the folder holds results already or cannot be written.
    """
    text = to_yaml(config)
    with writing(folder if folder is not None else "runs"):
        path = Path(folder) if folder is not None else _free_folder(name)
        _check_free(path)
        path.mkdir(parents=True, exist_ok=True)
        with owned(path):
            _check_free(path)
            with all_or_nothing(path):
                write_recorded(path / CONFIG, text)
    return path


def _check_free(path: Path) -> None:
    if (path / CONFIG).exists():
        raise ResultsError(
            f"{path} holds a run already; go on with it (--resume {path}) or choose another folder"
        )


def _free_folder(name: str) -> Path:
    """A new folder: to make it is to claim it, so that no two processes take the same."""
    Path("runs").mkdir(exist_ok=True)
    name = name.replace(":", ".")  # of a game of one's own; Windows has no such files
    for number in itertools.count(1):
        path = Path("runs") / f"{name}-{number:03d}"
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            break
    return path


@contextlib.contextmanager
def all_or_nothing(path: Path) -> Iterator[Path]:
    """A folder of :func:`new_folder` that goes again when what was to fill it fails or is interrupted."""
    try:
        yield path
    except BaseException:
        for name in (CONFIG, DIGESTS, _LOCK):
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other things are in it
            path.rmdir()
        raise
