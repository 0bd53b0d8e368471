"""Kernels are cached across processes, and never stale."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest

import karma_envs.compile as kc
from karma_envs.compile import as_kernel, cache_root, is_compiled, kernel, kernel_digest
from karma_envs.mechanisms.contest import first_wins
from karma_envs.random import mix

PACKAGE = {
    "__init__.py": "",
    "inner.py": """
from karma_envs.compile import kernel

@kernel
def inner(x):
    return 10 * x + 1
""",
    "outer.py": """
from karma_envs.compile import kernel
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
from karma_envs.compile import kernel

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
    (folder / "karma_envs").mkdir()
    for name, content in PACKAGE.items():
        (folder / "karma_envs" / name).write_text(content)
    shutil.copy(kc.__file__, folder / "karma_envs" / "compile.py")
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


def test_function_typed_at_a_prompt_compiles_without_a_cache() -> None:
    namespace = {"kernel": kernel, "__name__": "__main__"}
    exec(compile("@kernel\ndef add(x):\n    return x + 1\n", "<prompt>", "exec"), namespace)
    add: Any = namespace["add"]
    assert is_compiled(add)
    assert add(2) == 3
    assert add.stats.cache_path is None


def test_functions_of_the_user_are_cached_in_the_named_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_module: Callable[[str], ModuleType]
) -> None:
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "cache"))
    before = numba.config.CACHE_DIR
    add = as_kernel(user_module(PLAIN).add)
    assert add(2) == 3
    assert list((tmp_path / "cache").rglob("*.nbi"))
    assert before == numba.config.CACHE_DIR


def test_unwritable_cache_folder_is_no_reason_not_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_module: Callable[[str], ModuleType]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "file" / "cache"))
    add = as_kernel(user_module(PLAIN).add)
    assert add(2) == 3
    assert not list(tmp_path.rglob("*.nb?"))  # in particular not beside the source


def test_cache_root_is_the_users_unless_that_is_unwritable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KARMA_ENVS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "karma-envs"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert tmp_path not in cache_root().parents
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "named"))
    assert cache_root() == tmp_path / "named"


def test_stale_folders_of_digests_are_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_module: Callable[[str], ModuleType]
) -> None:
    cache = tmp_path / "cache"
    days_old = {"0123456789abcdef": 31, "fedcba9876543210": 29, "photographs": 400, "0123456789abcde": 400}
    for name, days in days_old.items():
        (cache / name).mkdir(parents=True)
        (cache / name / "content").touch()
        then = time.time() - days * 24 * 3600
        os.utime(cache / name, (then, then))
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(cache))
    add = user_module(PLAIN).add
    as_kernel(add)
    left = {folder.name for folder in cache.iterdir()}
    assert left == {*days_old, kernel_digest(add)} - {"0123456789abcdef"}
    assert (cache / "photographs" / "content").exists()


def test_digest_depends_on_settings_and_source(
    monkeypatch: pytest.MonkeyPatch, user_module: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    add = user_module(PLAIN).add
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)
    plain = kernel_digest(add)
    assert len(plain) == 16
    assert int(plain, 16) >= 0
    assert kernel_digest(add) == plain
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert kernel_digest(add) != plain
    monkeypatch.delenv("NUMBA_BOUNDSCHECK")
    Path(add.__code__.co_filename).write_text(PLAIN)
    assert kernel_digest(add) != plain


def test_kernels_of_the_package_share_a_digest() -> None:
    assert kernel_digest(mix.py_func) == kernel_digest(first_wins.py_func)
    assert kernel_digest(mix.py_func) != kernel_digest(plus_one)


def plus_one(x):  # type: ignore[no-untyped-def]
    return x + 1


def test_as_kernel_compiles_what_is_not_compiled() -> None:
    assert not is_compiled(plus_one)
    compiled: Any = as_kernel(plus_one)
    assert is_compiled(compiled)
    assert compiled.py_func is plus_one
    assert compiled(1) == plus_one(1)
    assert as_kernel(compiled) is compiled
    plain = numba.njit(plus_one)
    assert as_kernel(plain) is plain


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
