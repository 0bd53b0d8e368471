"""What a function computes with: a digest of it, and a copy that nothing can change any more.

Numba takes the values that a function reads from around it (globals, closures, constants of other modules)
for constants when it compiles, so two functions are the same to it only if all of these are. Names, files
and line numbers say nothing: two lambdas share a line, a function made in a loop shares all but a value, an
edited module keeps its name.
"""

from __future__ import annotations

import builtins
import contextlib
import dis
import enum
import functools
import hashlib
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.registry import cpu_target

_LIBRARIES = {"builtins", "llvmlite", "numba", "numpy"}
_STANDARD_LIBRARY = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
_RUNS_PYTHON = {"objmode", "getattr", "globals"}  # what these read is not seen in the code
_NUMBAS_OPTIONS: dict[str, Any] = {
    "error_model": "python",
    "fastmath": False,
    "boundscheck": None,
    "parallel": False,
    "inline": "never",
    "_nrt": True,
}
"""Options of numba that change what is computed, with their defaults."""
_PLAIN_OPTIONS = _NUMBAS_OPTIONS | {"error_model": "numpy"}
"""What plain Python functions are compiled with."""


class _UntellableError(Exception):
    """Something was read of which it cannot be told whether it is the same another time."""


class Copy(NamedTuple):
    """What was made of one function."""

    function: Any  # the copy, a Python function
    compiled: Any  # the copy, jitted; None where copies are plain Python
    given: Any  # the jitted function that was copied; None if it was not jitted


def code_digest(function: Callable[..., Any]) -> str | None:
    """A digest of all that ``function`` computes with, jitted or not.

    It holds the bytecode, constants, defaults, closure, the values of the globals and of the attributes of
    modules that it reads, and the same of every function it calls; of Python's, NumPy's and numba's own
    functions the name and the version. Where the function was written, and what it is called, do not
    count. As bytecode differs between Python versions, the digest begins with the version's tag.

    Returns:
        ``"cpython-311:…"``, the same in every process; None where it cannot be told, because the function
        reads something other than numbers, strings, arrays, enumerations, tuples of these, functions and
        modules.
    """
    try:
        return f"{sys.implementation.cache_tag}:{_Digest().of(function)}"
    except _UntellableError:
        return None


def frozen(
    function: FunctionType | Dispatcher,
    compiled: Callable[[FunctionType, Dispatcher | None], Dispatcher] | None,
) -> tuple[Any, list[Copy]]:
    """A copy of a function that reads copies of what the function reads now, and calls such copies.

    Args:
        function: the function, jitted or not.
        compiled: jits the copy of a function, in the way of the jitted one that it was, or None; without,
            all copies are plain Python.

    Returns:
        the copy, and all the copies that were made for it, its own included.
    """
    freezer = _Freezer(compiled)
    given = function if isinstance(function, Dispatcher) else None
    return freezer.called(python_function(function), given), freezer.copies


def is_constant(dispatcher: Any) -> bool:
    """Whether a jitted function was given its identity here, and thus reads only what never changes."""
    return uuid.UUID(dispatcher._uuid).version == 5  # numba's own are drawn at random


def python_function(function: Any) -> Any:
    """The Python function behind a jitted one; anything else as it is."""
    return function.py_func if isinstance(function, Dispatcher) else function


# --- what is read ----------------------------------------------------------------------------------


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of all functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@functools.lru_cache(maxsize=1024)
def _names(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The globals that code reads, and every name by which it may read an attribute of one."""
    read: set[str] = set()
    attributes: set[str] = set()
    for each in _codes(code):
        attributes.update(each.co_names)
        for instruction in dis.get_instructions(each):
            if "GLOBAL" in instruction.opname or instruction.opname == "LOAD_NAME":
                read.add(instruction.argval)
            elif instruction.opname == "IMPORT_NAME":
                read.add("globals")  # it may then read anything
    return tuple(sorted(read)), tuple(sorted(attributes))


def _globals_read(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that a function reads and that exist, builtins left out."""
    for name in _names(function.__code__)[0]:
        if name in function.__globals__:
            yield name, function.__globals__[name]


def values_read(function: FunctionType) -> Iterator[Any]:
    """The values of the globals and the closure that a function reads, as far as they are set."""
    for _, value in _globals_read(function):
        yield value
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not set yet: the function was made before what it names
            yield cell.cell_contents


def _attributes_read(module: ModuleType, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name in names:
        if name.startswith("__"):
            continue
        with contextlib.suppress(Exception):  # a module may make its attributes itself, and fail at others
            yield name, getattr(module, name)


def _library(module_name: object) -> str | None:
    """Name and version of the library that a module belongs to; None for modules of the user's."""
    top = module_name.partition(".")[0] if isinstance(module_name, str) else ""
    module = sys.modules.get(top)
    if module is None or top == "__main__":
        return None
    if top in _LIBRARIES:
        return f"{module_name} {getattr(module, '__version__', sys.version)}"
    if top not in sys.stdlib_module_names:
        return None
    file = getattr(module, "__file__", None)
    standard = file is None or not _STANDARD_LIBRARY.isdisjoint(Path(file).resolve().parents)
    return f"{module_name} {sys.version}" if standard else None


def _library_name(value: Any) -> str | None:
    """Library, version and name of a function or class of a library; None for anything else."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None) or ("numpy" if isinstance(value, np.ufunc) else None)
    library = _library(module)
    if library is None or not isinstance(name, str):
        return None
    named: Any = sys.modules.get(str(module))
    for part in name.split("."):
        named = getattr(named, part, None)
    return f"{library} {name}" if named is value else None


# --- the digest ------------------------------------------------------------------------------------


class _Digest:
    """Takes in values one after the other, each with its kind and length, so that none can be confused."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._order: dict[Any, int] = {}  # of functions and modules, by id: there may be circles

    def of(self, value: Any) -> str:
        self._value(value, ())
        return self._sha256.hexdigest()

    def _add(self, kind: str, content: bytes | str = b"") -> None:
        content = content.encode(errors="surrogatepass") if isinstance(content, str) else content
        self._sha256.update(f"{kind}:{len(content)}:".encode())
        self._sha256.update(content)

    def _is_known(self, key: Any) -> bool:
        """Whether something was taken in before; then only when that was is taken in again."""
        known = key in self._order
        self._add("again" if known else "new", str(self._order.setdefault(key, len(self._order))))
        return known

    def _values(self, kind: str, values: Any, attributes: tuple[str, ...]) -> None:
        self._add(kind, str(len(values)))
        for value in values:
            self._value(value, attributes)

    def _value(self, value: Any, attributes: tuple[str, ...]) -> None:
        """Take in a value; ``attributes`` are the names by which it may be read on, if it is a module."""
        if value is None or value is ... or type(value) in (bool, int, float, complex, str, bytes):
            self._add(type(value).__name__, repr(value))
        elif isinstance(value, enum.Enum):
            self._value(type(value), attributes)
            self._add("member", value.name)
        elif (type(value) is np.ndarray or isinstance(value, np.generic)) and not value.dtype.hasobject:
            order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
            self._add("array", f"{np.lib.format.dtype_to_descr(value.dtype)} {value.shape} {order}")
            self._add("bytes", value.tobytes())
        elif isinstance(value, np.dtype):
            self._add("dtype", repr(value))
        elif isinstance(value, tuple):
            if type(value) is not tuple:
                self._value(type(value), attributes)
            self._values("tuple", value, attributes)
        elif isinstance(value, frozenset):
            self._values("set", sorted(value, key=repr), attributes)
        elif isinstance(value, CodeType):
            self._code(value)
        elif isinstance(value, ModuleType):
            self._module(value, attributes)
        elif isinstance(value, (types.Number, types.Boolean)):
            self._add("numba", str(value))
        elif isinstance(value, _Intrinsic):
            self._add("intrinsic")
            self._value(value._defn, attributes)
        elif isinstance(value, Dispatcher):
            self._dispatcher(value)
        elif (name := _library_name(value)) is not None:
            self._add("library", name)
        elif isinstance(value, type):
            self._class(value, attributes)
        elif isinstance(value, FunctionType) and not _known_to_numba(value):
            self._function(value)
        else:
            raise _UntellableError

    def _module(self, module: ModuleType, attributes: tuple[str, ...]) -> None:
        if (library := _library(module.__name__)) is not None:
            self._add("library", library)
            return
        if self._is_known((id(module), attributes)):
            return
        self._add("module")
        for name, value in _attributes_read(module, attributes):
            self._add("attribute", name)
            self._value(value, attributes)
        self._add("end")

    def _class(self, kind: type, attributes: tuple[str, ...]) -> None:
        """A class whose members are known: an enumeration or a named tuple."""
        if issubclass(kind, enum.Enum):
            self._add("enum", f"{kind.__module__}.{kind.__qualname__}")
            self._values(
                "members", [(name, each.value) for name, each in kind.__members__.items()], attributes
            )
        elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
            self._add("fields", f"{kind.__module__}.{kind.__qualname__} {kind._fields}")
            self._values("defaults", tuple(getattr(kind, "_field_defaults", {}).items()), attributes)
        else:
            raise _UntellableError

    def _dispatcher(self, dispatcher: Any) -> None:
        options = {
            name: dispatcher.targetoptions.get(name, default) for name, default in _NUMBAS_OPTIONS.items()
        }
        special = {name: str(each) for name, each in options.items() if each != _PLAIN_OPTIONS[name]}
        if not dispatcher._can_compile:  # for declared types only, which an address may be part of
            raise _UntellableError
        if special or dispatcher.locals:
            local_types = {name: str(kind) for name, kind in dispatcher.locals.items()}
            self._add("options", repr((special, local_types)))
        self._function(dispatcher.py_func)

    def _function(self, function: FunctionType) -> None:
        if self._is_known(id(function)):
            return
        read, attributes = _names(function.__code__)
        if not _RUNS_PYTHON.isdisjoint((*read, *attributes)):
            raise _UntellableError
        self._code(function.__code__)
        self._value(function.__defaults__, attributes)
        self._values("keywords", tuple(sorted((function.__kwdefaults__ or {}).items())), attributes)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                self._add("empty")
            else:
                self._value(content, attributes)
        for name, value in _globals_read(function):
            self._add("global", name)
            self._value(value, attributes)
        self._add("end")

    def _code(self, code: CodeType) -> None:
        self._add("code", code.co_code)
        self._add("exceptions", code.co_exceptiontable)
        numbers = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        self._add(
            "names", repr((numbers, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars))
        )
        self._values("constants", code.co_consts, ())


# --- the copy --------------------------------------------------------------------------------------


class _Freezer:
    """Makes one copy of each function that is reached, also where functions call each other in circles."""

    def __init__(self, compiled: Callable[[FunctionType, Dispatcher | None], Dispatcher] | None) -> None:
        self._compiled = compiled
        self._made: dict[Any, Any] = {}  # by the id of the function or module
        self.copies: list[Copy] = []

    def called(self, function: FunctionType, given: Dispatcher | None) -> Any:
        """What is called in place of a function."""
        if id(function) not in self._made:
            copy = self._empty_copy(function)
            compiled = self._compiled(copy, given) if self._compiled else None
            self.copies.append(Copy(copy, compiled, given))
            self._made[id(function)] = copy if compiled is None else compiled
            self._fill(copy, function)
        return self._made[id(function)]

    def _empty_copy(self, function: FunctionType) -> FunctionType:
        own_globals = {"__builtins__": builtins, "__name__": function.__globals__.get("__name__", "__main__")}
        cells = tuple(CellType() for _ in function.__closure__ or ()) or None
        copy = FunctionType(function.__code__, own_globals, function.__name__, None, cells)
        copy.__qualname__, copy.__module__ = function.__qualname__, function.__module__
        copy.__doc__ = function.__doc__
        attributes = _names(function.__code__)[1]
        copy.__defaults__ = self._value(function.__defaults__, attributes)
        keywords = function.__kwdefaults__
        copy.__kwdefaults__ = keywords and {
            name: self._value(default, attributes) for name, default in keywords.items()
        }
        return copy

    def _fill(self, copy: FunctionType, function: FunctionType) -> None:
        attributes = _names(function.__code__)[1]
        for name, value in _globals_read(function):
            copy.__globals__[name] = self._value(value, attributes)
        for new, old in zip(copy.__closure__ or (), function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):
                new.cell_contents = self._value(old.cell_contents, attributes)

    def _value(self, value: Any, attributes: tuple[str, ...]) -> Any:
        if type(value) is np.ndarray and not value.dtype.hasobject:
            copy = value.copy(order="K")
            copy.flags.writeable = False
            return copy
        if isinstance(value, tuple):
            make = tuple if type(value) is tuple else getattr(value, "_make", None)  # of a named tuple
            return make([self._value(item, attributes) for item in value]) if make else value
        if isinstance(value, ModuleType) and _library(value.__name__) is None:
            return self._module(value, attributes)
        if isinstance(value, Dispatcher):
            return value if self._compiled and is_constant(value) else self.called(value.py_func, value)
        if isinstance(value, FunctionType) and _library_name(value) is None and not _known_to_numba(value):
            return self.called(value, None)
        return value

    def _module(self, module: ModuleType, attributes: tuple[str, ...]) -> ModuleType:
        """A module that has only the attributes that may be read."""
        key = id(module), attributes  # each function has a copy for what it reads
        if key not in self._made:
            copy = ModuleType(f"{module.__name__} (frozen)")  # is importable nowhere by that name
            self._made[key] = copy
            for name, value in _attributes_read(module, attributes):
                setattr(copy, name, self._value(value, attributes))
        made: ModuleType = self._made[key]
        return made


def _known_to_numba(function: FunctionType) -> bool:
    """Whether numba has code of its own for a Python function (``numba.extending.overload``)."""
    context = cpu_target.typing_context
    with global_compiler_lock:
        context.refresh()
        try:
            return context.resolve_value_type(function) is not None
        except (TypeError, ValueError):
            return False
