"""Files that are whole or not there, and never unpickled."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def whole_file(path: PathLike) -> Iterator[IO[bytes]]:
    """A file to write that takes ``path``'s place when the block ends, and leaves no trace if it fails.

    It gets the permissions that a file made in the ordinary way would have.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: PathLike, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode())


def write_npz(path: PathLike, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to an npz file, whole or not at all."""
    with whole_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_npz(path: PathLike) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file, never unpickling; each is read whole, so that its checksum is compared.

    Raises:
        ValueError: when the file is not an npz file or is damaged.
        FileNotFoundError: when there is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(archive.read(name)), allow_pickle=False
                )
                for name in archive.namelist()
            }
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a damaged file makes zipfile and NumPy stumble over
        raise ValueError(f"{os.fspath(path)} is damaged or not an npz file ({error})") from error
