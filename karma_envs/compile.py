"""The one way this project compiles: the ``@kernel`` decorator.

A kernel is a numba function that is cached on disk, releases the GIL and may be handed to other
kernels as an argument, so that a rule (a payment, an allocation) lives in a file of its own and is
inlined where it is used.

Plain ``@njit(cache=True)`` fails at both: it does not notice an edit in another file that a kernel
calls, and it never finds its cache again when a jitted function is passed as an argument, because
the type of such an argument is keyed by an identifier drawn at random in every process. ``@kernel``
therefore

1. takes a digest of every source file that holds kernels (and of the settings that change the
   generated code),
2. keeps the cache in a user folder named by that digest while it decorates,
3. gives the function an identity made of its name and the digest, the same in every process, and
4. keys the cache by the names of argument types, so that looking a kernel up imports nothing.

Folders of old digests are removed after a month without use.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
from numba.core import config, types
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "@kernel"
_CODE_SETTINGS = tuple(
    f"NUMBA_{name}" for name in ("BOUNDSCHECK", "OPT", "DEBUG", "SLP_VECTORIZE", "LOOP_VECTORIZE")
)
_DIGEST = re.compile(r"[0-9a-f]{16}")
_MONTH_S = 30 * 24 * 3600.0


def cache_root() -> Path:
    """The folder that holds compiled kernels: ``KARMA_ENVS_CACHE_DIR``, or the user's cache folder.

    Where that cannot be written, a folder of this user in the system's temporary folder.
    """
    named = os.environ.get("KARMA_ENVS_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or (
        os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    )
    folder = (Path(base) if base else Path.home() / ".cache") / "karma-envs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.gettempdir()) / f"karma-envs-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


@cache
def _source_digest(root: Path) -> str:
    """Digest of all files that hold kernels in a package, or of modules in a folder that is none."""
    digest = hashlib.sha256()
    is_package = (root / "__init__.py").is_file()
    for file in sorted(root.rglob("*.py") if is_package else root.glob("*.py")):
        content = file.read_bytes()
        if _MARK.encode() in content:
            digest.update(str(file.relative_to(root)).encode())
            digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _source_file(function: Callable[..., Any]) -> Path:
    """Where ``function`` was written; a path that does not exist for one typed at a prompt."""
    return Path(function.__code__.co_filename)


def kernel_digest(function: Callable[..., Any]) -> str:
    """What ``function``'s compiled code depends on, in 16 hex digits.

    That is: the kernels of this package, those of the function's own package (for a module in none:
    its own file and the kernels beside it), numba's version and the settings that change generated
    code.
    """
    here = Path(__file__).parent
    parts = [_source_digest(here), numba.__version__]
    parts += [f"{name}={os.environ.get(name, '')}" for name in _CODE_SETTINGS]
    file = _source_file(function)
    package = function.__module__.partition(".")[0]
    root = getattr(sys.modules.get(package), "__file__", None)
    if package != here.name and file.is_file():
        in_package = root is not None and Path(root).name == "__init__.py"
        parts.append(_source_digest(Path(root).parent if root and in_package else file.parent))
        parts.append(hashlib.sha256(file.read_bytes()).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def _cache_folder(digest: str) -> Path | None:
    """The cache folder of one digest, made, marked as used today, its stale neighbours removed.

    None where it cannot be written, which is no reason not to run: numba would then cache beside the
    source, where it does not notice edits in other files.
    """
    root = cache_root()
    folder = root / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            os.utime(folder)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        for neighbour in root.iterdir():
            if _DIGEST.fullmatch(neighbour.name) and time.time() - neighbour.stat().st_mtime > _MONTH_S:
                shutil.rmtree(neighbour, ignore_errors=True)
    return folder


def _identity(function: Callable[..., Any], digest: str) -> str:
    """An identifier of ``function`` that is the same in every process, and another function's in none.

    Functions made by one factory differ in what they close over, so that is part of it.
    """
    name = f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno}:{digest}"
    enclosed = [cell.cell_contents for cell in function.__closure__ or ()]
    if enclosed or function.__defaults__:
        name += hashlib.sha256(dumps((enclosed, function.__defaults__))).hexdigest()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


class _NamedCache(FunctionCache):
    """A cache whose index holds the names of argument types instead of the types.

    Numba's own index unpickles all types at every look-up, and with them the modules of every rule a
    kernel was ever handed, which need not exist in this process.
    """

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        names = tuple(
            kind.dispatcher._uuid if isinstance(kind, types.Dispatcher) else str(kind) for kind in sig
        )
        return (names, *super()._index_key(sig, codegen)[1:])


@contextlib.contextmanager
def _numba_cache_dir(folder: Path) -> Iterator[None]:
    before = getattr(config, "CACHE_DIR")  # noqa: B009  (set at run time, unknown to type checkers)
    setattr(config, "CACHE_DIR", str(folder))  # noqa: B010
    try:
        yield
    finally:
        setattr(config, "CACHE_DIR", before)  # noqa: B010


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(*, allocates: bool = ..., fastmath: bool | set[str] = ...) -> Callable[[F], F]: ...
def kernel(
    function: F | None = None, *, allocates: bool = False, fastmath: bool | set[str] = False
) -> F | Callable[[F], F]:
    """Compile a function with numba: cached across processes, without the GIL, usable as a rule.

    Args:
        function: the Python function; numba's nopython subset.
        allocates: whether the function makes arrays. Without, numba counts no references to the arrays
            it is given (``_nrt``), which would cost more than the arithmetic of a short kernel.
        fastmath: numba's ``fastmath``; only where the result does not depend on it.

    Returns:
        The compiled function. The original is its ``py_func``.
    """

    def decorate(python_function: F) -> F:
        digest = kernel_digest(python_function)
        options: dict[str, Any] = {
            "nogil": True,
            "error_model": "numpy",
            "fastmath": fastmath,
            "_nrt": allocates,
        }
        folder = _cache_folder(digest)
        if folder is None or not _source_file(python_function).is_file():  # typed at a prompt
            return numba.njit(**options)(python_function)  # type: ignore[no-any-return]
        with _numba_cache_dir(folder):
            dispatcher = numba.njit(cache=True, **options)(python_function)
            dispatcher._cache = _NamedCache(python_function)
        dispatcher._set_uuid(_identity(python_function, digest))
        return dispatcher  # type: ignore[no-any-return]

    return decorate if function is None else decorate(function)


def is_compiled(function: object) -> bool:
    """Whether ``function`` is a numba function (of ``@kernel`` or of plain ``@njit``)."""
    return isinstance(function, Dispatcher)


def as_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` itself if it is compiled, else compiled with :func:`kernel`."""
    return function if is_compiled(function) else kernel(allocates=True)(function)
