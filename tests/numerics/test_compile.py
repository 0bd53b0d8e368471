"""Kernels are cached across processes, and never stale."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

import karma_envs.numerics.compile as kc
from karma_envs.numerics.compile import as_kernel, is_compiled, kernel
from karma_envs.numerics.identity import is_constant
from karma_envs.numerics.random import mix

PACKAGE = {
    "__init__.py": "",
    "inner.py": """
from karma_envs.numerics.compile import kernel

@kernel
def inner(x):
    return 10 * x + 1
""",
    "outer.py": """
from karma_envs.numerics.compile import kernel
from karma_envs.inner import inner

@kernel
def middle(x):
    return inner(x)

@kernel
def outer(x):
    return middle(x)

@kernel
def play(rule, x):
    return rule(x)
""",
    "rules.py": """
from karma_envs.numerics.compile import kernel

@kernel
def double(x):
    return 2 * x

def fee(amount):
    @kernel
    def take(x):
        return x - amount
    return take
""",
}

PROGRAM = """
import json
from karma_envs.outer import outer, play
from karma_envs.rules import double, fee

results = [outer(3), play(double, 7), play(fee(1), 7), play(fee(5), 7)]
counts = [
    {"hits": sum(f.stats.cache_hits.values()), "misses": sum(f.stats.cache_misses.values())}
    for f in (outer, play)
]
print(json.dumps({"results": results, "outer": counts[0], "play": counts[1]}))
"""


def run_program(folder: Path) -> dict[str, Any]:
    """Run the program in a process of its own, on the package in ``folder``."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",  # an edit within the same second would go unnoticed
        "KARMA_ENVS_CACHE_DIR": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, str(folder / "program.py")],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Four processes: the first, one more, one after an edit deep down, one with the edit undone."""
    folder = tmp_path_factory.mktemp("two_processes")
    numerics = folder / "karma_envs" / "numerics"
    numerics.mkdir(parents=True)
    (numerics / "__init__.py").touch()
    for name, content in PACKAGE.items():
        (folder / "karma_envs" / name).write_text(content)
    for name in ("compile.py", "identity.py", "kernel_cache.py"):
        shutil.copy(Path(kc.__file__).with_name(name), numerics / name)
    (folder / "program.py").write_text(PROGRAM)
    inner = folder / "karma_envs" / "inner.py"
    found = {"first": run_program(folder), "second": run_program(folder)}
    inner.write_text(PACKAGE["inner.py"].replace("+ 1", "+ 2"))
    found["edited"] = run_program(folder)
    inner.write_text(PACKAGE["inner.py"])
    found["undone"] = run_program(folder)
    return found


def test_first_process_compiles(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["first"]["results"] == [31, 14, 6, 2]
    assert runs["first"]["outer"] == {"hits": 0, "misses": 1}
    assert runs["first"]["play"] == {"hits": 0, "misses": 3}


def test_second_process_finds_the_cache(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["second"]["results"] == [31, 14, 6, 2]
    assert runs["second"]["outer"] == {"hits": 1, "misses": 0}


def test_functions_passed_as_arguments_find_the_cache(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["second"]["play"] == {"hits": 3, "misses": 0}


def test_edit_in_a_transitively_called_file_recompiles(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["edited"]["results"] == [32, 14, 6, 2]
    assert runs["edited"]["outer"] == {"hits": 0, "misses": 1}


def test_undoing_an_edit_finds_the_old_cache(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["undone"]["results"] == [31, 14, 6, 2]
    assert runs["undone"]["outer"] == {"hits": 1, "misses": 0}
    assert runs["undone"]["play"] == {"hits": 3, "misses": 0}


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Writes and imports a module of the user's; no bytecode, and its source is like no other's."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(source: str) -> ModuleType:
        file = tmp_path / "user" / "rule_of_the_user.py"
        file.parent.mkdir()
        file.write_text(f"# {tmp_path}\n{source}")
        spec = importlib.util.spec_from_file_location("rule_of_the_user", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


PLAIN = "def add(x):\n    return x + 1\n"


def compiled_anew(function: Any) -> int:
    return sum(function.stats.cache_misses.values())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_functions_typed_at_a_prompt_are_compiled_and_cached_too(cache: Path) -> None:
    adds = []
    for _ in range(2):
        namespace = {"kernel": kernel, "__name__": "__main__"}
        exec(compile("@kernel\ndef add(x):\n    return x + 1\n", "<prompt>", "exec"), namespace)
        adds.append(namespace["add"])
    assert [add(2) for add in adds] == [3, 3]  # type: ignore[operator]
    assert [compiled_anew(add) for add in adds] == [1, 0]
    assert len(list(cache.rglob("*.nbc"))) == 1


def test_functions_of_the_user_are_cached_in_the_named_folder(
    cache: Path, user_module: Callable[[str], ModuleType]
) -> None:
    before = numba.config.CACHE_DIR
    add = as_kernel(user_module(PLAIN).add)
    assert add(2) == 3
    assert list(cache.rglob("*.nbc"))
    assert before == numba.config.CACHE_DIR


RELOADED = """
from karma_envs.numerics.compile import kernel

@kernel
def amount(x):
    return {amount} * x

@kernel
def pay(x):
    return amount(x)
"""


def test_a_module_that_was_edited_and_reloaded_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "edited_by_the_user.py"
    file.write_text(RELOADED.format(amount=2))
    module = importlib.import_module("edited_by_the_user")
    assert module.pay(5) == 10
    assert as_kernel(module.pay)(5) == 10
    file.write_text(RELOADED.format(amount=3))
    importlib.reload(module)
    assert module.pay(5) == 15
    assert as_kernel(module.pay)(5) == 15


def test_sources_of_the_package_are_digested_anew_when_a_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "kernels.py"
    file.write_text("@kernel\n")
    (tmp_path / "words.py").write_text("nothing that is compiled")
    before = kc._Sources(tmp_path)
    assert before.are_current(file)
    (tmp_path / "words.py").write_text("more of it")
    assert kc._Sources(tmp_path).digest == before.digest
    file.write_text("@kernel edited\n")
    assert not before.are_current(file)
    assert kc._Sources(tmp_path).digest != before.digest


def test_identities_depend_on_numbas_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = kc._identity("some code")
    assert kc._identity("some code") == plain
    assert kc._identity("other code") != plain
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert kc._identity("some code") != plain


def plus_one(x):  # type: ignore[no-untyped-def]
    return x + 1


def test_as_kernel_compiles_what_is_not_compiled() -> None:
    assert not is_compiled(plus_one)
    compiled: Any = as_kernel(plus_one)
    assert is_compiled(compiled)
    assert compiled(1) == plus_one(1)
    assert as_kernel(compiled) is compiled
    assert as_kernel(plus_one) is compiled
    assert as_kernel(mix) is mix
    plain = numba.njit(plus_one)
    assert as_kernel(plain)(1) == 2  # type: ignore[operator]


AMOUNT = 1
TABLE = np.array([1, 2, 3])


def plain_helper(x):  # type: ignore[no-untyped-def]
    return AMOUNT * x + TABLE[0]


@numba.njit
def jitted_helper(x):  # type: ignore[no-untyped-def]
    return plain_or_not(x)


@kernel
def plain_or_not(x):  # type: ignore[no-untyped-def]
    return AMOUNT * x


def reads_all_around_it(x, times=10):  # type: ignore[no-untyped-def]
    return plain_helper(x) + times * jitted_helper(x)


def test_a_copy_keeps_the_values_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they were read before or not, and again where they come back."""
    first, untouched = as_kernel(reads_all_around_it), as_kernel(reads_all_around_it, bounds_checked=True)
    assert first(1) == 12
    monkeypatch.setattr(f"{__name__}.AMOUNT", 2)
    TABLE[0] = 100
    second: Any = as_kernel(reads_all_around_it)
    assert second(1) == 122
    assert first(1.0) == untouched(1) == 12
    monkeypatch.setattr(f"{__name__}.AMOUNT", 1)
    TABLE[0] = 1
    assert as_kernel(reads_all_around_it) is first


def test_a_kernel_keeps_the_values_of_its_first_call(cache: Path) -> None:
    """And is found on disk by what it was compiled with, not by what there was when it was written."""

    def made() -> tuple[Any, dict[str, int]]:
        values = {"AMOUNT": 1}
        return kernel(eval("lambda x: AMOUNT * x", values)), values

    changed, values = made()
    values["AMOUNT"] = 2
    assert changed(5) == 10
    values["AMOUNT"] = 3
    assert changed(5.0) == 10
    assert made()[0](5) == 5
    again, values = made()
    values["AMOUNT"] = 2
    assert (again(5), compiled_anew(again)) == (10, 0)


def test_a_copy_of_a_function_that_calls_itself() -> None:
    @numba.njit
    def factorial(n):  # type: ignore[no-untyped-def]
        return 1 if n < 2 else n * factorial(n - 1)

    @kernel
    def itself(n):  # type: ignore[no-untyped-def]
        return 1 if n < 2 else n * itself(n - 1)

    for function in (factorial, itself):
        assert as_kernel(function)(5) == function(5) == 120


def test_a_copy_of_a_function_with_declared_types_keeps_them() -> None:
    declared = numba.njit("float64(float64)")(plus_one)
    assert isinstance(declared(1), float)
    assert isinstance(as_kernel(declared)(1), float)  # type: ignore[operator]


def reads_beyond(x):  # type: ignore[no-untyped-def]
    return x + reads_an_item(x)


@numba.njit
def reads_an_item(x):  # type: ignore[no-untyped-def]
    return TABLE[x]


def test_bounds_can_be_checked_in_all_that_is_called() -> None:
    checked = as_kernel(as_kernel(reads_beyond), bounds_checked=True)
    assert checked(2) == 5
    with pytest.raises(IndexError):
        checked(3)


def test_what_cannot_be_told_apart_is_never_shared_and_not_cached(cache: Path) -> None:
    settings = {"amount": 3}

    def pay(x):  # type: ignore[no-untyped-def]
        return x + amount(settings)

    def amount(anything):  # type: ignore[no-untyped-def]
        return 1

    assert as_kernel(pay) is not as_kernel(pay)
    assert not is_constant(as_kernel(pay))  # type: ignore[arg-type]


# Two processes keep code that differs only in a value, and a third loads both.
ONE_NAME = """
import sys
from karma_envs.numerics.compile import as_kernel, kernel

@kernel
def helper(x):  # calls itself, so that its code stays a function of its own
    return 0 if x < 1 else AMOUNT + helper(x - 1)

def pay(x):
    return helper(x)

@kernel
def play(rule, x):
    return rule(x)

results = []
for AMOUNT in map(int, sys.argv[1:]):
    results.append(play(as_kernel(pay), 3))
print(results, sum(play.stats.cache_hits.values()))
"""


def test_code_of_two_processes_is_not_mixed_up_in_a_third(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(ONE_NAME)

    def run(*amounts: int) -> str:
        program = [sys.executable, str(tmp_path / "program.py"), *map(str, amounts)]
        environment = os.environ | {"PYTHONPATH": str(Path(kc.__file__).parents[2])}
        return subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout

    assert run(100) == "[300] 0\n"
    assert run(7) == "[21] 0\n"
    assert run(100, 7) == "[300, 21] 2\n"


def test_options_of_kernels() -> None:
    exact: Any = kernel(plus_one)
    fast: Any = kernel(fastmath=True)(plus_one)
    assert exact.targetoptions["nogil"]
    assert not exact.targetoptions["fastmath"]
    assert fast.targetoptions["fastmath"]
    assert fast(1) == 2


@kernel
def reciprocal(x):  # type: ignore[no-untyped-def]
    return 1.0 / x


def test_division_by_zero_is_infinite_as_in_numpy() -> None:
    assert reciprocal(0.0) == float("inf")


PACKAGES = ("karma_envs", "agents")
ROOT = Path(kc.__file__).parents[2]
KERNEL_FILES = [
    file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if b"@kernel" in file.read_bytes()
]


@pytest.mark.parametrize("file", KERNEL_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_kernels_of_the_package_read_is_in_a_file_that_is_digested(file: Path) -> None:
    """Files are that have ``@kernel`` in them; an edit of a constant elsewhere would go unnoticed."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    read: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any("kernel" in ast.unparse(d) for d in node.decorator_list):
            read.update(name.id for name in ast.walk(node) if isinstance(name, ast.Name))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            place = ROOT.joinpath(*(node.module or "").split("."))
            source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            for alias in node.names:
                assert (alias.asname or alias.name) not in read or source in KERNEL_FILES, source
