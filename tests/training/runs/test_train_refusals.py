"""Checkpoints that are damaged or foreign, and folders that take no files, are refused by name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from karma_envs.files import read_npz, write_npz
from tests.training.runs.run_results import Tiny, contents
from training import ResultsError, Run, train
from training.runs.replica import Replica


def truncated(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def edited(path: Path, **changes: Any) -> None:
    """A checkpoint with other metadata."""
    arrays = read_npz(path)
    metadata = {**json.loads(arrays["metadata"].tobytes()), **changes}
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, arrays)


def without(path: Path, name: str) -> None:
    arrays = read_npz(path)
    del arrays[name]
    write_npz(path, arrays)


def with_fewer_agents(path: Path) -> None:
    arrays = read_npz(path)
    arrays["learner/q"] = arrays["learner/q"][:-1]
    write_npz(path, arrays)


def as_pickle(path: Path) -> None:
    arrays = {**read_npz(path), "game/karma": np.array([{"not": "numbers"}], object)}
    np.savez(path, allow_pickle=True, **arrays)


def as_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: truncated(path, 0),
    "truncated at the start": lambda path: truncated(path, 0.1),
    "truncated in the middle": lambda path: truncated(path, 0.5),
    "truncated at the end": lambda path: truncated(path, 0.99),
    "text": lambda path: path.write_text("epoch: 5"),
    "npy": as_npy,
    "pickle": as_pickle,
    "foreign npz": lambda path: np.savez(path, weights=np.zeros(3)),
    "a policy": lambda path: TabularPolicy(np.ones((1, 2, 1))).save(path),
    "another format": lambda path: edited(path, format="somebody else's checkpoint"),
    "a later version": lambda path: edited(path, version=2),
    "another run's": lambda path: edited(path, config="seed: 7\n"),
    "another replica's": lambda path: edited(path, replica=1),
    "no progress": lambda path: edited(path, progress=None),
    "progress without epoch": lambda path: edited(path, progress={"rows": []}),
    "without karma": lambda path: without(path, "game/karma"),
    "without Q": lambda path: without(path, "learner/q"),
    "without the window": lambda path: without(path, "window/rewards"),
    "of fewer agents": with_fewer_agents,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_checkpoint_is_refused(
    damage: str, tmp_path: Path, unfinished_folder: Path
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    path = folder / "checkpoint-0.npz"
    DAMAGE[damage](path)
    before = contents(folder)
    with pytest.raises(ResultsError, match=r"checkpoint-0\.npz is (not a usable|the) checkpoint") as caught:
        train(Run.open(folder).config, folder, resume=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(folder) == before


def test_flipped_bits_never_pass_unnoticed(tmp_path: Path, unfinished_folder: Path) -> None:
    """In 200 random places (seed 20): refused, or the damage is in bytes that carry nothing."""
    config = Run.open(unfinished_folder).config
    path = tmp_path / "checkpoint-0.npz"
    content = (unfinished_folder / "checkpoint-0.npz").read_bytes()
    path.write_bytes(content)
    whole = Replica(config, 0)
    whole.load(path)
    rng = np.random.default_rng(20)
    refused = 0
    replica = Replica(config, 0)
    # Half of the places in the zip file's directory and the metadata, which are few bytes but brittle.
    places = [*rng.integers(len(content), size=100), *(len(content) - rng.integers(1, 2000, size=100))]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            replica.load(path)
        except ResultsError:
            refused += 1
            continue
        for name, array in whole.learner.state_dict().items():
            np.testing.assert_array_equal(replica.learner.state_dict()[name], array, err_msg=name)
        for name, array in whole.game.state_dict().items():
            np.testing.assert_array_equal(replica.game.state_dict()[name], array, err_msg=name)
        assert (replica.epoch, replica.rows) == (whole.epoch, whole.rows)
    assert refused > 100


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that begins fails the test."""

    def work(self: Replica) -> None:
        raise AssertionError("the run has begun")

    monkeypatch.setattr(Replica, "run_epoch", work)


@pytest.mark.usefixtures("no_work")
def test_a_folder_that_cannot_be_is_refused_before_any_work(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResultsError, match=f"cannot write results to {tmp_path / 'file' / 'run'}: "):
        train(tiny(), tmp_path / "file" / "run")
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("function", ["os.replace", "os.fsync"])
def test_a_folder_that_takes_no_files_is_refused_before_any_work(
    function: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(function, refuse)
    with pytest.raises(ResultsError, match=f"cannot write results to {tmp_path}: Read-only file system"):
        train(tiny(), tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("no_work")
def test_resuming_in_a_folder_that_takes_no_files_is_refused_before_any_work(
    tmp_path: Path, unfinished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    before = contents(folder)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ResultsError, match=f"cannot write results to {folder}: Read-only file system"):
        train(Run.open(folder).config, folder, resume=True)
    assert contents(folder) == before


def test_a_disk_that_fills_up_is_one_clear_error(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Replica, *_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Replica, "save", full)
    with pytest.raises(ResultsError, match=f"cannot write results to {tmp_path}: No space left on device"):
        train(tiny(), tmp_path)


@pytest.mark.usefixtures("no_work")
def test_a_run_is_not_overwritten(tiny: Tiny, finished_folder: Path) -> None:
    before = contents(finished_folder)
    with pytest.raises(ResultsError, match=rf"holds a run already; .* \(--resume {finished_folder}\)"):
        train(tiny(), finished_folder)
    assert contents(finished_folder) == before
