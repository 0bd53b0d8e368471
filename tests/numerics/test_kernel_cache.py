"""Compiled code on disk never stops a run, and only this user's own is read."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import pytest

from karma_envs.numerics import kernel_cache
from karma_envs.numerics.compile import as_kernel, kernel
from karma_envs.numerics.kernel_cache import cache_folder, cache_root

POSIX = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes of files are POSIX's")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def add(amount: int) -> Any:
    """A kernel that was not compiled in this process."""

    @kernel
    def added(x):  # type: ignore[no-untyped-def]
        return x + amount

    return added


def hits(function: Any) -> int:
    return sum(function.stats.cache_hits.values())


def the_file(cache: Path) -> Path:
    (file,) = cache.rglob("*.nbc")
    return file


def flipped(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[:-1],
    "cut in the head": lambda content: content[:10],
    "one bit": flipped,
    "of another": lambda content: b"\0" * 32 + content[32:],
    "text": lambda content: b"<html>not found</html>" * 50,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_made_again(cache: Path, damage: str) -> None:
    assert add(1)(1) == 2
    file = the_file(cache)
    whole = file.read_bytes()
    file.write_bytes(DAMAGE[damage](whole))
    again = add(1)
    assert (again(1), hits(again)) == (2, 0)
    third = add(1)
    assert (third(1), hits(third)) == (2, 1)
    assert the_file(cache) == file


def test_a_folder_in_the_place_of_a_file_is_left(cache: Path) -> None:
    assert add(1)(1) == 2
    file = the_file(cache)
    file.unlink()
    file.mkdir()
    assert add(1)(1) == 2
    assert sorted(file.parent.iterdir()) == [file]


def full(*arguments: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("place", ["replace", "dumps", "mkstemp"])
def test_a_full_disk_is_no_reason_not_to_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, name = {
        "replace": (os, "replace"),
        "dumps": (kernel_cache, "dumps"),
        "mkstemp": (tempfile, "mkstemp"),
    }[place]
    added = add(2)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, lambda *arguments, **options: full())
        assert added(1) == 3
    assert not [file for file in cache.rglob("*") if file.is_file() and file.name != ".cleaned"]


@POSIX
def test_what_others_may_write_is_not_read(cache: Path) -> None:
    assert add(1)(1) == 2
    file = the_file(cache)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for mode in (0o620, 0o602):
        file.chmod(mode)
        again = add(1)
        assert (again(1), hits(again)) == (2, 0)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600  # made again


@POSIX
def test_links_are_not_followed(cache: Path, tmp_path: Path) -> None:
    assert add(1)(1) == 2
    file = the_file(cache)
    file.rename(tmp_path / "planted")
    file.symlink_to(tmp_path / "planted")
    again = add(1)
    assert (again(1), hits(again)) == (2, 0)
    assert not file.is_symlink()


@POSIX
@pytest.mark.parametrize("owner", ["mine", "root's", "another's"])
def test_whose_files_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: str) -> None:
    (tmp_path / "file").touch(mode=0o600)
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    uid = {"mine": 1234, "root's": 0, "another's": 1235}[owner]
    status = os.stat_result((*(tmp_path / "file").stat()[:4], uid, *(tmp_path / "file").stat()[5:]))
    assert kernel_cache._is_trusted(status) == (owner != "another's")


@POSIX
@pytest.mark.parametrize("others", [0o770, 0o707, "link", "file"])
def test_a_folder_that_others_may_have_made_is_not_used(cache: Path, tmp_path: Path, others: Any) -> None:
    cache.mkdir()
    folder = cache / "0123456789abcdef"
    if others == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    elif others == "file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(others)
    assert cache_folder("0123456789abcdef") is None
    assert cache_folder("fedcba9876543210") == cache / "fedcba9876543210"


def test_the_root_is_named_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KARMA_ENVS_CACHE_DIR", raising=False)
    assert cache_root() == tmp_path / "karma-envs"
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "named"))
    assert cache_root() == tmp_path / "named"
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", "~/x")
    assert cache_root() == Path.home() / "x"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", "here")
    assert cache_root() == tmp_path / "here"


@POSIX
@pytest.mark.parametrize("home", ["unwritable", "of nobody"])
def test_a_user_without_a_home_has_a_folder_that_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.delenv("KARMA_ENVS_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    if home == "unwritable":
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:

        def nobody() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", nobody)
    folder = cache_root()
    assert folder == tmp_path / f"karma-envs-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o750)
    assert cache_root() is None
    folder.chmod(0o700)
    assert cache_root() == folder
    folder.rename(tmp_path / "mine")
    folder.symlink_to(tmp_path / "mine")
    assert cache_root() is None
    assert as_kernel(lambda x: x + 3)(1) == 4


def test_no_home_for_a_named_folder_means_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", "~no_such_user_here/x")
    assert cache_root() is None


def test_threads_compile_at_once_and_leave_nothing_behind(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = numba.config.CACHE_DIR

    def compiled(amount: int) -> int:
        return int(add(amount)(1)) + int(as_kernel(lambda x: x * amount)(1))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(compiled, [1, 2, 3, 1, 2, 3])) == [3, 5, 7, 3, 5, 7]
    assert before == numba.config.CACHE_DIR
    assert list((tmp_path / "work").iterdir()) == []
    assert len(list(cache.rglob("*.nbc"))) == 6


def test_what_was_not_used_for_a_month_is_removed_and_nothing_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    days_old = {"0123456789abcdef": 31, "fedcba9876543210": 29, "photographs": 400, "0123456789abcde": 400}
    for name, days in days_old.items():
        (cache / name).mkdir(parents=True)
        (cache / name / "content").touch()
        os.utime(cache / name, (now - days * 24 * 3600,) * 2)
    own = cache / "aaaaaaaaaaaaaaaa"
    own.mkdir(mode=0o700)
    for name, days in {"old.nbc": 31, "new.nbc": 29}.items():
        (own / name).touch()
        os.utime(own / name, (now - days * 24 * 3600,) * 2)
    assert cache_folder(own.name) == own
    left = {path.name for path in cache.iterdir()}
    assert left == {*days_old, own.name, ".cleaned"} - {"0123456789abcdef"}
    assert (cache / "photographs" / "content").exists()
    assert [file.name for file in own.iterdir()] == ["new.nbc"]


def test_flushing_makes_a_function_compile_again(cache: Path) -> None:
    added = add(5)
    assert added(1) == 6
    assert len(list(cache.rglob("*.nbc"))) == 1
    added._cache.flush()
    assert not list(cache.rglob("*.nbc"))


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that cannot be written is POSIX's")
def test_unwritable_cache_folder_is_no_reason_not_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KARMA_ENVS_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert add(4)(1) == 5
    assert not list(tmp_path.rglob("*.nb?"))
