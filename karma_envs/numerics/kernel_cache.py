"""Compiled code on disk: read if it is whole and this user's own, else made again.

Each compiled version of a function is one file, named by a digest of all that the code depends on: the
function's identity, the types of its arguments, the processor. So nothing is ever overwritten by something
else, and there is no index that could be damaged or fought over. Reading such a file runs what it says;
hence one is read only if it belongs to this user (or to root) and nobody else can write it.

Nothing here ever stops a run: what cannot be read is compiled, what cannot be written is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from numba.core import sigutils, types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps, loads

from karma_envs.numerics.identity import code_digest, is_constant

_FOLDER = re.compile(r"[0-9a-f]{16}")
_ADDRESS = re.compile(r"0x[0-9a-f]+|#[0-9a-f]+")
_CLEANED = ".cleaned"
_DAY_S = 24 * 3600.0
_MONTH_S = 30 * _DAY_S


def cache_root() -> Path | None:
    """The folder that holds compiled code: ``KARMA_ENVS_CACHE_DIR``, or the user's cache folder.

    Where there is none that can be written, a folder of this user in the system's temporary folder, if
    that is this user's and open to nobody else. None: nothing is kept.
    """
    try:
        if named := os.environ.get("KARMA_ENVS_CACHE_DIR"):
            return Path(named).expanduser().absolute()
        base = os.environ.get("XDG_CACHE_HOME") or (
            os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
        )
        folder = (Path(base) if base else Path.home() / ".cache").absolute() / "karma-envs"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: a user without a name has no home
        return None if os.environ.get("KARMA_ENVS_CACHE_DIR") else _temporary_root()


def _temporary_root() -> Path | None:
    """A folder in the system's temporary folder, which anyone might have made before."""
    try:
        folder = (
            Path(tempfile.gettempdir()) / f"karma-envs-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        )
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    open_to_others = hasattr(os, "getuid") and (
        status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077
    )
    return folder if stat.S_ISDIR(status.st_mode) and not open_to_others else None


def _is_trusted(status: os.stat_result) -> bool:
    """Whether a file or folder is this user's or root's, and nobody else can write it."""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def cache_folder(digest: str) -> Path | None:
    """The folder for compiled code of one version of this package, made if it is not there.

    Once a day what was not used for a month is removed.

    Args:
        digest: of the version, 16 hex digits.

    Returns:
        the folder; None where there can be none that is only this user's to write.
    """
    variables = "KARMA_ENVS_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "TMPDIR"
    return _cache_folder(digest, *(os.environ.get(name) for name in variables))


@cache
def _cache_folder(digest: str, *variables: str | None) -> Path | None:
    if (root := cache_root()) is None:
        return None
    folder = root / digest
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not _is_trusted(status):
            return None
    except OSError:
        return None
    with contextlib.suppress(OSError):  # as in a folder that can only be read
        os.utime(folder)
        _clean(root, folder)
    return folder


def _clean(root: Path, folder: Path) -> None:
    """Remove folders of other versions, and files of this one, that nobody used for a month."""
    mark = root / _CLEANED
    now = time.time()
    if mark.exists() and now - mark.stat().st_mtime < _DAY_S:
        return
    mark.touch()
    for neighbour in root.iterdir():
        if _FOLDER.fullmatch(neighbour.name) and now - neighbour.stat().st_mtime > _MONTH_S:
            shutil.rmtree(neighbour, ignore_errors=True)
    for file in folder.iterdir():
        if now - file.stat().st_mtime > _MONTH_S:
            file.unlink(missing_ok=True)


class KernelCache(_Cache):
    """The compiled versions of one function on disk, as numba's dispatchers ask for them.

    Args:
        name: of the function, for the names of files.
        identity: gives what the function's code depends on, besides the types of its arguments; None if
            that cannot be told, and then nothing is kept. Asked once, when the first version is needed.
        folder: gives the folder, or None where nothing can be kept.
    """

    def __init__(
        self, name: str, identity: Callable[[], str | None], folder: Callable[[], Path | None]
    ) -> None:
        self._name = re.sub(r"\W+", "_", name)[:60]
        self._identify = identity
        self._find_folder = folder
        self._enabled = True

    @cached_property
    def identity(self) -> str | None:
        """What the function's code depends on, besides the types of its arguments."""
        return self._identify()

    @property
    def cache_path(self) -> str | None:
        """The folder, for numba's statistics."""
        folder = self._find_folder()
        return None if folder is None else str(folder)

    def enable(self) -> None:
        """Read and write files."""
        self._enabled = True

    def disable(self) -> None:
        """Leave files alone."""
        self._enabled = False

    def flush(self) -> None:
        """Remove the function's files."""
        folder = self._find_folder()
        with contextlib.suppress(OSError):
            for file in folder.glob(f"{self._stem()}*.nbc") if folder and self.identity else ():
                file.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled version for the arguments ``sig``; None if it must be compiled."""
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        folder = self._find_folder()
        if key is None or folder is None:
            return None
        try:
            content = _read(folder / self._file_name(key), key)
            result: Any = CompileResult._rebuild(target_context, *loads(content))
        except Exception:  # whatever is wrong with a file, compiling again is the cure
            return None
        # Jitted functions among the arguments are compared by identity, and another of the same code may
        # have come with the file.
        arguments, _ = sigutils.normalize_signature(sig)
        return result._replace(signature=result.signature.replace(args=tuple(arguments)))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled version, if it can be kept."""
        key = self._key(sig, data.codegen)
        folder = self._find_folder()
        if key is None or folder is None or data.library.has_dynamic_globals:
            return
        if not all(lifted.can_cache for lifted in data.lifted):
            return
        try:
            _write(folder / self._file_name(key), key, dumps(data._reduce()))
        except Exception:  # a full disk, or something that cannot be written: it will be compiled again
            return

    def _key(self, sig: Any, codegen: Any) -> bytes | None:
        """Digest of all that one compiled version depends on; None if that cannot be told."""
        if not self._enabled or self.identity is None:
            return None
        arguments, return_type = sigutils.normalize_signature(sig)
        names = [_type_name(kind) for kind in (*arguments, return_type)]
        if None in names:
            return None
        return hashlib.sha256(repr((self.identity, names, codegen.magic_tuple())).encode()).digest()

    def _stem(self) -> str:
        return f"{self._name}-{hashlib.sha256(str(self.identity).encode()).hexdigest()[:12]}"

    def _file_name(self, key: bytes) -> str:
        return f"{self._stem()}-{key.hex()[:20]}.nbc"


def _type_name(kind: Any) -> str | None:
    """A name of a type that no other type has, in no process; None if there is none."""
    if isinstance(kind, types.Dispatcher):
        cached = kind.dispatcher._cache
        if is_constant(kind.dispatcher):
            return str(kind.dispatcher._uuid)
        return cached.identity if isinstance(cached, KernelCache) else None
    if isinstance(kind, (types.BaseTuple, types.Optional)):
        parts: Any = getattr(kind, "types", None) or (getattr(kind, "type", None),)
        names = [_type_name(part) for part in parts]
        fields = getattr(kind, "fields", ())
        return None if None in names else f"{type(kind).__name__}{fields}{names}"
    if isinstance(kind, (types.EnumMember, types.EnumClass)):
        digest = code_digest(kind.instance_class)
        return digest and f"{type(kind).__name__}({digest})"
    if isinstance(kind, (types.Callable, types.Module)) or _ADDRESS.search(str(kind)):
        return None
    return str(kind)


def _read(path: Path, key: bytes) -> bytes:
    """The content of a file, if it is all there and trusted.

    Raises:
        OSError: where there is no such file, or it is another's.
        ValueError: when it is damaged, or holds something else.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_trusted(status):
            raise PermissionError(f"{path} is another's")
        head, content = file.read(64), file.read()
    if head != key + hashlib.sha256(content).digest():
        raise ValueError(f"{path} is damaged")
    if time.time() - status.st_mtime > _DAY_S:
        with contextlib.suppress(OSError):
            os.utime(path)
    return content


def _write(path: Path, key: bytes, content: bytes) -> None:
    """Write a file that is whole or not there, and only this user's."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with open(descriptor, "wb") as file:
            file.write(key + hashlib.sha256(content).digest() + content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
