"""The one way this project compiles: the ``@kernel`` decorator.

A kernel is a numba function that is cached on disk, releases the GIL and may be handed to other
kernels as an argument, so that a rule (a payment, an allocation) lives in a file of its own and is
inlined where it is used.

Plain ``@njit(cache=True)`` fails at both: it does not notice an edit in another file that a kernel
calls, nor another value of a global, and it never finds its cache again when a jitted function is passed
as an argument, because the type of such an argument is keyed by an identifier drawn at random in every
process. ``@kernel`` therefore gives every function an identity that says what its code depends on:

- a kernel of this project's: where it stands, and a digest of all source files that hold kernels, which is
  quick to take;
- any other: a digest of all that it computes with, see
  :func:`karma_envs.numerics.identity.code_digest`. What is digested is what is compiled: a copy of the
  function that reads what there was to read when it was first needed (:func:`kernel`) or when it was
  accepted (:func:`as_kernel`).

What cannot be told apart is compiled anew in every process. Compiled code is kept by
:mod:`karma_envs.numerics.kernel_cache`.
"""

from __future__ import annotations

import hashlib
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, overload
from weakref import WeakValueDictionary

import numba
import numpy as np
from numba.core import config
from numba.core.dispatcher import Dispatcher

from karma_envs.numerics.identity import Copy, code_digest, frozen, is_constant, values_read
from karma_envs.numerics.kernel_cache import KernelCache, cache_folder, cache_root

__all__ = ["as_kernel", "cache_root", "code_digest", "is_compiled", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])

_HERE = Path(__file__).parents[1]
_PACKAGES = (_HERE.name, "agents", "training")
_MARK = b"@kernel"
_CODE_SETTINGS = ("BOUNDSCHECK", "OPT", "DEBUG", "SLP_VECTORIZE", "LOOP_VECTORIZE")
_accepted: WeakValueDictionary[str, Dispatcher] = WeakValueDictionary()


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
        The compiled function. The original is its ``py_func``. What it reads from around it (globals, what
        it calls) is taken as it is when it is first compiled, and stays so.
    """

    def decorate(python_function: F) -> F:
        compiled = numba.njit(**_options(allocates, fastmath))(python_function)
        if not is_compiled(compiled):  # NUMBA_DISABLE_JIT: whole numbers wrap without a word, as compiled
            return np.errstate(all="ignore")(python_function)
        if (identity := _source_identity(python_function)) is not None:
            _keep(compiled, identity)
        else:
            name = python_function.__qualname__
            compiled._cache = KernelCache(name, lambda: _freeze(compiled), _folder)
        return compiled  # type: ignore[no-any-return]

    return decorate if function is None else decorate(function)


def is_compiled(function: object) -> bool:
    """Whether ``function`` is a numba function (of ``@kernel`` or of plain ``@njit``)."""
    return isinstance(function, Dispatcher)


def as_kernel(function: Callable[..., Any], *, bounds_checked: bool = False) -> Callable[..., Any]:
    """A compiled copy of a function that stays what the function is now.

    Whatever the function reads or calls may change afterwards; the copy keeps the values of now. Python
    functions that it calls are compiled with it. Two functions that compute with the same are one copy.

    Args:
        function: a Python function, or one of ``@kernel`` or numba's ``@njit``.
        bounds_checked: whether reading beyond the end of an array is an ``IndexError``, in the function and
            in those of the user's that it calls.

    Returns:
        the compiled copy; ``function`` itself if it is such a copy or a kernel of this project's. Where
        numba is switched off (``NUMBA_DISABLE_JIT``), a copy in Python.
    """
    if isinstance(function, Dispatcher) and is_constant(function) and not bounds_checked:
        return function
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return frozen(function, None)[0]  # type: ignore[no-any-return, arg-type]
    copy, copies = frozen(function, _compiled_with_bounds if bounds_checked else _compiled_like)  # type: ignore[arg-type]
    _restrict(copies)
    digest = code_digest(copy)
    if digest is not None:
        identity = _identity(digest, copy.targetoptions)
        if (known := _accepted.get(identity)) is not None:
            return known
        _name_apart(copies, identity)
        _keep(copy, identity)
        _accepted[identity] = copy
    return copy  # type: ignore[no-any-return]


# --- identities ------------------------------------------------------------------------------------


def _options(allocates: bool, fastmath: bool | set[str] = False) -> dict[str, Any]:
    return {"nogil": True, "error_model": "numpy", "fastmath": fastmath, "_nrt": allocates}


def _keep(compiled: Any, identity: str) -> None:
    """Give a function its identity, and its compiled code a place on disk."""
    compiled._set_uuid(identity)
    compiled._type.name = f"type({identity})"  # numba's holds an address; machine code is named by it
    compiled._cache = KernelCache(compiled.py_func.__qualname__, lambda: identity, _folder)


def _identity(*parts: object) -> str:
    """An identifier that is the same in every process, and of other code in none."""
    settings = [f"{name}={getattr(config, name, None)}" for name in _CODE_SETTINGS]
    text = repr((*parts, numba.__version__, sys.implementation.cache_tag, settings))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _freeze(compiled: Any) -> str | None:
    """Have a kernel compiled from a copy that stays what the kernel is now; its identity, if it has one."""
    copy, copies = frozen(compiled, _compiled_like)
    _restrict(copies[1:])
    digest = code_digest(copy)
    if digest is None or any(copy is read for each in copies for read in values_read(each.function)):
        return None  # numba knows a function that calls itself by the original only
    identity = _identity(digest, copy.targetoptions)
    _name_apart(copies, identity)
    compiled._compiler.py_func = copy.py_func
    return identity


def _compiled_like(function: FunctionType, given: Dispatcher | None, **options: Any) -> Dispatcher:
    if given is None:
        return numba.njit(**_options(allocates=True), **options)(function)  # type: ignore[no-any-return]
    return type(given)(function, given.locals, {**given.targetoptions, **options})


def _compiled_with_bounds(function: FunctionType, given: Dispatcher | None) -> Dispatcher:
    return _compiled_like(function, given, boundscheck=True)


def _name_apart(copies: list[Copy], identity: str) -> None:
    """Names that no other code has: machine code of several files is linked by the names of functions."""
    for copy in copies:
        copy.function.__qualname__ += f"@{identity}"


def _restrict(copies: list[Copy]) -> None:
    """Compile copies of functions with declared types for these, and for no others."""
    for copy in copies:
        if copy.given is not None and copy.compiled is not None and not copy.given._can_compile:
            for signature in copy.given.nopython_signatures:
                copy.compiled.compile(signature)
            copy.compiled.disable_compile()


# --- kernels of this project -----------------------------------------------------------------------


class _Sources:
    """The source files of one package that hold kernels, and their digest."""

    def __init__(self, root: Path) -> None:
        digest = hashlib.sha256()
        self._stamps: dict[Path, tuple[int, int]] = {}
        for file in sorted(root.rglob("*.py")):
            stamp = _stamp(file)
            content = file.read_bytes()
            if _MARK in content:
                self._stamps[file] = stamp
                digest.update(str(file.relative_to(root)).encode())
                digest.update(hashlib.sha256(content).digest())
        self.digest = digest.hexdigest()

    def are_current(self, file: Path) -> bool:
        """Whether a file is the one that was digested; a module that is reloaded may be another."""
        return self._stamps.get(file) == _stamp(file)


_sources: dict[Path, _Sources] = {}


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _source_identity(function: Callable[..., Any]) -> str | None:
    """The identity of a kernel of this project's; None for a function of anyone else's."""
    file = Path(function.__code__.co_filename)
    root = _HERE.parent / (function.__module__ or "").partition(".")[0]
    if root.name not in _PACKAGES or root not in file.parents or not file.is_file():
        return None
    if root not in _sources or not _sources[root].are_current(file):
        _sources[root] = _Sources(root)
    place = f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno}"
    made_with = None
    if function.__closure__ or function.__defaults__:  # functions made by one factory differ in these
        made_with = code_digest(function)
        if made_with is None:
            return None
    return _identity(place, _sources[root].digest, _package_digest(), made_with)


def _package_digest() -> str:
    """Digest of the kernels of this package, which those of all others may call."""
    if _HERE not in _sources:
        _sources[_HERE] = _Sources(_HERE)
    return _sources[_HERE].digest


def _folder() -> Path | None:
    settings = [f"{name}={getattr(config, name, None)}" for name in _CODE_SETTINGS]
    text = repr((_package_digest(), numba.__version__, sys.implementation.cache_tag, settings))
    return cache_folder(hashlib.sha256(text.encode()).hexdigest()[:16])
