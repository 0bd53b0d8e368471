"""One process at a time: folders are claimed by making them, and owned by a lock that dies with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import filelock
import pytest

from training import ResultsError, Run, TrainConfig, train
from training.benchmark.run import run_benchmark
from training.cli import main
from training.common.folders import all_or_nothing, new_folder, owned
from training.reproduction import reproduce as machinery
from training.reproduction.experiment import Experiment
from training.reproduction.reproduce import reproduce
from training.runs.replica import Replica
from training.solving.solution import SolveConfig, solve_to_folder
from training.sweeps.sweep import sweep

Tiny = Callable[..., TrainConfig]


@pytest.fixture
def another_owner(tmp_path: Path) -> Iterator[Callable[[Path], int]]:
    """Has another process own a folder until the test ends; gives its number."""
    code = """
        import sys, time
        from filelock import FileLock
        with FileLock(sys.argv[1] + "/.lock"):
            print("owned", flush=True)
            time.sleep(600)
    """
    begun: list[subprocess.Popen[str]] = []

    def begin(folder: Path) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder)], stdout=subprocess.PIPE, text=True
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        return process.pid

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


# --- claimed ----------------------------------------------------------------------------------------


def test_at_once_every_run_gets_a_folder_of_its_own(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight threads that see the same free number, as processes that start together do."""
    monkeypatch.chdir(tmp_path)
    ready = threading.Barrier(8)

    def claim(number: int) -> Path:
        ready.wait(60)
        return new_folder(tiny(seed=number), None, "matching")

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(claim, range(8)))
    assert sorted(folders) == [Path("runs") / f"matching-00{number}" for number in range(1, 9)]
    assert {Run.open(folder).config.seed for folder in folders} == set(range(8))


def test_of_several_runs_in_one_folder_one_is_made(tiny: Tiny, tmp_path: Path) -> None:
    ready, refused = threading.Barrier(8), []

    def claim(number: int) -> None:
        ready.wait(60)
        try:
            new_folder(tiny(seed=number), tmp_path / "run", "matching")
        except ResultsError as error:
            refused.append(str(error))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim, range(8)))
    assert len(refused) == 7
    assert all(text.startswith(f"{tmp_path / 'run'} ") for text in refused)
    assert Run.open(tmp_path / "run").config.seed in range(8)


def test_what_fails_leaves_no_folder(tmp_path: Path, tiny: Tiny) -> None:
    def failing() -> None:
        with all_or_nothing(new_folder(tiny(), tmp_path / "run", "matching")):
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        failing()
    assert list(tmp_path.iterdir()) == []


# --- owned ------------------------------------------------------------------------------------------


def toy() -> Experiment:
    return Experiment("toy", "A toy", "nowhere", lambda scale, seed: [{"case": "a", "x": 1.0}], {})


def calls(config: TrainConfig) -> dict[str, Callable[[Path], Any]]:
    """All that writes into a folder that may be there already."""
    return {
        "train": lambda folder: train(config, folder),
        "resume": lambda folder: train(config, folder, resume=True),
        "sweep": lambda folder: sweep(config, {"seed": [1, 2]}, folder),
        "reproduce": lambda folder: reproduce("toy", folder=folder.parent, seeds=1),
        "benchmark": lambda folder: run_benchmark(["random"], folder, tasks=["matching-pbp"], seeds=1),
        "solve": lambda folder: solve_to_folder(SolveConfig("matching", {"n_agents": 20}), folder),
    }


@pytest.mark.parametrize("what", calls(TrainConfig()))
def test_a_folder_that_another_process_owns_is_refused_by_name(
    what: str,
    tiny: Tiny,
    tmp_path: Path,
    another_owner: Callable[[Path], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And it is free at once when that process is killed."""
    monkeypatch.setattr(machinery, "experiments", lambda: {"toy": toy()})
    monkeypatch.setattr(Replica, "run_epoch", lambda self: pytest.fail("worked all the same"))
    folder = tmp_path / "toy-quick"
    if what == "resume":
        new_folder(tiny(), folder, "matching")
    before = {path.name for path in folder.iterdir()} if folder.exists() else set()
    owner = another_owner(folder)
    with pytest.raises(ResultsError, match=f"{folder} is in use: another process writes there"):
        calls(tiny())[what](folder)
    assert {path.name for path in folder.iterdir()} == before | {".lock"}
    os.kill(owner, signal.SIGKILL)
    with owned(folder, seconds=10):
        pass


def test_a_lock_is_exclusive_between_threads_and_for_one_that_has_it(tmp_path: Path) -> None:
    with owned(tmp_path), ThreadPoolExecutor(1) as pool:
        for claim in (
            lambda: owned(tmp_path).__enter__(),
            lambda: pool.submit(owned(tmp_path).__enter__).result(),
        ):
            with pytest.raises(ResultsError, match="is in use"):
                claim()
    with owned(tmp_path), owned_elsewhere(tmp_path):
        pass


def owned_elsewhere(folder: Path) -> Any:
    (folder / "other").mkdir()
    return owned(folder / "other")


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), NotImplementedError("no flock")])
def test_where_there_are_no_locks_nothing_is_locked(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    done = []
    with owned(tmp_path):
        done.append(1)
    assert done
    with pytest.raises(KeyError), owned(tmp_path):
        raise KeyError


def test_an_evaluation_of_a_run_that_is_in_use_is_printed_and_not_kept(
    finished_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.runs.evaluate_command.PATIENCE_SECONDS", 0.0)
    before = (finished_folder / "digests.json").read_bytes()
    with owned(finished_folder):
        assert main(["evaluate", str(finished_folder), "--n-steps", "100"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"what follows is not kept: {finished_folder} is in use")
    assert "learned" in printed
    assert (finished_folder / "digests.json").read_bytes() == before


# --- reproductions ----------------------------------------------------------------------------------


def test_a_seed_is_counted_once_when_killed_after_its_rows_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[int] = []

    def rows(scale: str, seed: int) -> list[dict[str, Any]]:
        run.append(seed)
        return [{"case": "a", "x": 1.0 + seed}]

    monkeypatch.setattr(
        machinery, "experiments", lambda: {"toy": Experiment("toy", "A toy", "nowhere", rows, {})}
    )
    folder = tmp_path / "toy-quick"
    with monkeypatch.context() as patch:
        patch.setattr(machinery, "write_text", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            reproduce("toy", seeds=1, folder=tmp_path)
    assert not (folder / "run.json").exists()
    reproduce("toy", seeds=2, folder=tmp_path)
    assert run == [0, 1]
    assert [row["seed"] for row in machinery.read_table(folder / "results.csv")] == [0, 1]
    assert "--seeds 2" in (folder / "README.md").read_text()
    for damage in ("", "{", "[]", '{"seconds": 3}', "\0"):  # no result depends on run.json
        (folder / "run.json").write_text(damage)
        reproduce("toy", seeds=2, folder=tmp_path)
    assert run == [0, 1]
    (folder / "results.csv").write_text("seed,case,x\r\n0,a,9.0\r\n")
    with pytest.raises(ResultsError, match=r"results\.csv is damaged or was edited"):
        reproduce("toy", seeds=2, folder=tmp_path)
