"""Files that are whole or not there, and never unpickled.

Arrays are kept in npz files, stored and not compressed, with a digest over all of them (``checksum``), so
that no flipped bit is taken for a number.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

PathLike = str | os.PathLike[str]

_CHECKSUM = "checksum"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


@contextlib.contextmanager
def whole_file(path: PathLike) -> Iterator[IO[bytes]]:
    """A file to write that takes ``path``'s place when the block ends, and leaves no trace if it fails.

    It is on the disk before it takes that place. A process that is killed meanwhile leaves a file that
    :func:`remove_leftovers` removes.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:  # with the permissions of any new file
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: PathLike) -> None:
    """Remove what :func:`whole_file` left in a folder when its process was killed.

    Nobody may be writing there.
    """
    for path in Path(folder).iterdir():
        if _LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_text(path: PathLike, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode())


def file_digest(path: PathLike) -> str:
    """``sha256:`` and the SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The SHA-256 of arrays: of their names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        if array.dtype.hasobject:
            raise ValueError(f"{name} holds objects, which no file of this package does")
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return digest.digest()


def write_npz(path: PathLike, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to an npz file, with their digest as the array ``checksum``; whole or not at all."""
    checksum = np.frombuffer(arrays_digest(arrays), np.uint8)
    with whole_file(path) as file:
        # The digest comes first, so that no damage to the zip file's directory hides it and not the rest.
        np.savez(file, allow_pickle=False, **{_CHECKSUM: checksum}, **arrays)


def read_npz(path: PathLike) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file whose members are stored, never unpickling.

    Sizes are compared with the file's before memory is taken, and the arrays with their digest, where the
    file has one: those of earlier versions have none, and are compared with zip's check sums only.

    Raises:
        ValueError: when the file is not an npz file, is compressed, or is damaged.
        FileNotFoundError: when there is none.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            _check_sizes(archive, os.fstat(file.fileno()).st_size)
            arrays = {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
        checksum = arrays.pop(_CHECKSUM, None)
        if checksum is not None and checksum.tobytes() != arrays_digest(arrays):
            raise ValueError("its arrays are not those that were written")
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a damaged file makes zipfile and NumPy stumble over
        raise ValueError(f"{os.fspath(path)} is damaged or not an npz file ({error})") from error
    return arrays


def _check_sizes(archive: zipfile.ZipFile, file_size: int) -> None:
    """Refuse members that would take more memory than the file has bytes, or that are there twice."""
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed; this package's own are not")
    if sum(member.file_size for member in members) > file_size:
        raise ValueError("its members are larger than the file")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("a member is there twice")


def _array(content: bytes) -> NDArray[Any]:
    """The array of an npy file, which holds as many bytes as its header says."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"npy version {version}")
    shape, fortran_order, dtype = _HEADERS[version](stream)
    values = content[stream.tell() :]
    if dtype.hasobject or min(shape, default=0) < 0 or len(values) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(values)} bytes are no {dtype}{list(shape)}")
    return np.ndarray(shape, dtype, bytearray(values), order="F" if fortran_order else "C")


def json_array(plain: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Plain data as an array: the bytes of its JSON, for a place among the arrays of an npz file."""
    return np.frombuffer(json.dumps(plain).encode(), np.uint8)


def json_of(array: NDArray[Any]) -> Any:
    """The plain data of :func:`json_array`.

    Raises:
        ValueError: when the array is none of JSON.
    """
    return json.loads(array.tobytes())
