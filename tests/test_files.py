"""Files: whole or not there, on the disk before they are named, and no flipped bit taken for a number."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.files import (
    arrays_digest,
    file_digest,
    read_npz,
    remove_leftovers,
    whole_file,
    write_npz,
    write_text,
)

ARRAYS: dict[str, Any] = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "one": np.array(7, np.int16),
    "empty": np.zeros((0, 4)),
    "text": np.array(["a", "bc"]),
}


def test_arrays_come_back_and_can_be_written(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", ARRAYS)
    back = read_npz(tmp_path / "a.npz")
    assert back.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
        assert back[name].flags.writeable
    with np.load(tmp_path / "a.npz") as plain:  # by NumPy alone, too
        assert {*plain.files} == {*ARRAYS, "checksum"}


def test_a_file_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a power cut leaves an empty file in the place of a whole one."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append(f"{os.fstat(handle).st_size} bytes synced")
        fsync(handle)

    def replaced(source: Any, target: Any) -> None:
        done.append(f"named {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_text(tmp_path / "a.txt", "seven!!")
    assert done == ["7 bytes synced", "named a.txt"]


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "before")

    def half() -> None:
        with whole_file(tmp_path / "a.txt") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_writing_in_threads_leaves_the_umask_alone(tmp_path: Path) -> None:
    """Permissions are those of any new file; reading the umask by setting it was a race between threads."""
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: write_text(tmp_path / str(number), "x"), range(40)))
        assert os.umask(0o027) == 0o027
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}
    finally:
        os.umask(before)


def test_what_a_killed_process_leaves_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from karma_envs.files import whole_file\n"
        "with whole_file(sys.argv[1]) as file: os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "checkpoint-0.npz")], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    others = [tmp_path / name for name in (".hidden", "notes.tmp", ".notes.tmp", ".a.0123.tmp")]
    for path in others:
        path.touch()
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert all(path.exists() for path in others)


# --- checksums --------------------------------------------------------------------------------------


def test_the_digest_is_of_names_dtypes_shapes_and_values() -> None:
    base = {"a": np.arange(6, dtype=np.int32)}
    others: list[dict[str, Any]] = [
        {"b": base["a"]},
        {"a": base["a"].astype(np.uint32)},
        {"a": base["a"].reshape(2, 3)},
        {"a": base["a"] + 1},
        {"a": base["a"], "b": np.zeros(0)},
        {},
    ]
    assert len({arrays_digest(each) for each in (base, *others)}) == 7
    assert arrays_digest({"a": base["a"][::1]}) == arrays_digest(base)
    assert arrays_digest({"a": np.repeat(base["a"], 2)[::2]}) == arrays_digest(base)


def rewritten(path: Path, **changes: Any) -> None:
    """The file as a valid zip with other members and the digest of the old ones."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, **changes})


def test_an_array_with_a_valid_checksum_of_zip_but_other_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    rewritten(path)
    assert read_npz(path).keys() == ARRAYS.keys()
    for changes in ({"one": np.array(8, np.int16)}, {"new": np.zeros(1)}):
        write_npz(path, ARRAYS)
        rewritten(path, **changes)
        with pytest.raises(ValueError, match=r"a\.npz is damaged .* not those that were written"):
            read_npz(path)


def test_no_flipped_bit_changes_a_number(tmp_path: Path) -> None:
    """Every 29th bit of a small file: refused, or the arrays are the same."""
    path = tmp_path / "a.npz"
    write_npz(path, {"a": np.arange(3, dtype=np.uint8), "b": np.array([0.5])})
    content = path.read_bytes()
    whole = arrays_digest(read_npz(path))
    refused = 0
    places = range(0, 8 * len(content), 29)
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert arrays_digest(read_npz(path)) == whole
        except ValueError:
            refused += 1
    assert refused > len(places) / 2


def test_files_of_earlier_versions_have_no_digest(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    assert arrays_digest(read_npz(tmp_path / "a.npz")) == arrays_digest(ARRAYS)


def test_a_files_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B
    )


# --- memory -----------------------------------------------------------------------------------------


def npy(shape: str, values: bytes = b"", dtype: str = "'<f8'") -> bytes:
    """An npy file whose header says what it likes."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


def zipped(path: Path, content: bytes, **how: Any) -> None:
    with zipfile.ZipFile(path, "w", **how) as archive:
        archive.writestr("a.npy", content)


@pytest.mark.parametrize(
    ("shape", "values"),
    [("(10**12,)", 8), ("(1000000000000,)", 8), ("(-1, -1)", 8), ("(2,)", 8), ("(1,)", 16)],
)
def test_a_header_that_claims_another_size_is_refused_before_memory_is_taken(
    tmp_path: Path, shape: str, values: int
) -> None:
    zipped(tmp_path / "a.npz", npy(shape, b"x" * values))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.npz is damaged or not an npz file"):
            read_npz(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_compressed_members_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """50 MB of zeros in 50 kB."""
    stream = io.BytesIO()
    np.save(stream, np.zeros(50_000_000, np.uint8))
    zipped(tmp_path / "a.npz", stream.getvalue(), compression=zipfile.ZIP_DEFLATED)
    stream.close()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="it is compressed; this package's own are not"):
            read_npz(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    objects = np.array([{"not": "numbers"}], object)
    with pytest.raises(ValueError, match="a holds objects"):
        write_npz(tmp_path / "a.npz", {"a": objects})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "a.npz", allow_pickle=True, a=objects)
    with pytest.raises(ValueError, match=r"a\.npz is damaged"):
        read_npz(tmp_path / "a.npz")
