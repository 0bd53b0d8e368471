"""Ctrl-C stops gently, twice at once; killed sweeps leave no worker; draws are apart; memory is told."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.learners import TabularConfig, TabularLearner
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.jobs import in_threads
from karma_envs.registry import game_class
from training import TrainConfig, train
from training.cli import main
from training.common import machine, workers
from training.common.machine import available_bytes
from training.common.workers import stop_on_signal
from training.runs import memory
from training.runs.memory import check_memory, training_bytes
from training.runs.replica import Replica
from training.sweeps.sweep import sweep

Tiny = Callable[..., TrainConfig]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")


def begun(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    """Until a file is there and has something in it."""
    deadline = time.monotonic() + 120
    while not (path.is_file() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


# --- Ctrl-C -----------------------------------------------------------------------------------------

LONG_EPOCH = """
    import sys, time
    from pathlib import Path
    from training.cli import main
    from training.runs.replica import Replica

    def run_epoch(self):
        Path(sys.argv[1]).write_text("begun")
        time.sleep(600)

    Replica.run_epoch = run_epoch
    sys.exit(main(sys.argv[2:]))
"""


@POSIX
def test_a_second_ctrl_c_interrupts_a_long_epoch_at_once(tmp_path: Path) -> None:
    """And three quick ones more mean the same: no traceback, the status of Ctrl-C, and how to go on."""
    folder = tmp_path / "run"
    arguments = ("train", "matching", "--quiet", "--n-agents", "20", "--folder", str(folder))
    process = begun(LONG_EPOCH, str(tmp_path / "begun"), *arguments)
    try:
        wait_for(tmp_path / "begun")
        pressed = time.monotonic()
        for _ in range(5):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - pressed < 10
    assert (process.returncode, err) == (130, "")
    assert out.replace("\n", " ") == (
        "stopped at once; what was done since the last checkpoint is lost; go on with: "
        f"karma-envs train matching --resume {folder} "
    )


@POSIX
def test_the_first_press_sets_the_event_the_second_raises_and_a_burst_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    stop = threading.Event()

    def press_twice() -> None:
        with stop_on_signal(stop):
            signal.raise_signal(signal.SIGINT)
            assert stop.is_set()
            signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            press_twice()
        signal.raise_signal(signal.SIGINT)  # of the same burst
        assert not heard
        monkeypatch.setattr(workers, "_BURST_SECONDS", 0.0)
        signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_an_error_of_a_job_waits_for_those_that_run() -> None:
    ended: list[int] = []

    def work(job: int) -> None:
        if job == 1:
            raise ConnectionAbortedError
        time.sleep(0.1)
        ended.append(job)

    with pytest.raises(ConnectionAbortedError):
        list(in_threads(work, iter([0, 1, 2]), 3))
    assert sorted(ended) == [0, 2]


def test_no_more_jobs_run_at_once_than_are_asked_for() -> None:
    running: list[int] = []
    most: list[int] = []

    def work(job: int) -> int:
        running.append(job)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(job)
        return job * job

    ends = dict(in_threads(work, iter(range(8)), 2))
    assert ends == {job: job * job for job in range(8)}
    assert max(most) == 2


KILLED_SWEEP = """
    import os, sys, time
    from pathlib import Path
    from training.common.backends import in_processes

    def work(folder):
        Path(folder, "worker").write_text(str(os.getpid()))
        time.sleep(600)

    list(in_processes(work, iter([sys.argv[1]]), 2))
"""


@POSIX
def test_a_worker_ends_with_the_sweep_that_was_killed(tmp_path: Path) -> None:
    process = begun(KILLED_SWEEP, str(tmp_path))
    wait_for(tmp_path / "worker")
    worker = int((tmp_path / "worker").read_text())
    assert worker != process.pid
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline and not is_zombie(worker):
            os.kill(worker, 0)
            time.sleep(0.05)
        if not is_zombie(worker):
            os.kill(worker, signal.SIGKILL)
            pytest.fail("the worker outlives the sweep")
    process.communicate(timeout=60)


def is_zombie(process: int) -> bool:
    """Whether a process has ended and nobody has asked, as where process 1 takes no notice."""
    status = Path(f"/proc/{process}/stat")
    return status.is_file() and status.read_text().rpartition(")")[2].split()[0] == "Z"


# --- random draws -----------------------------------------------------------------------------------


def test_learner_and_game_and_replicas_draw_apart(tiny: Tiny) -> None:
    """Seeds [seed, replica, 0] for the game and [seed, replica, 1] for the learner, none of them twice."""
    config = tiny(learner={"update_probability": 0.5}, seed=3)
    streams: list[bytes] = []
    for number in range(3):
        replica = Replica(config, number)
        game, learner = replica.game.state_dict()["streams"], replica.learner.state_dict()["streams"]
        streams += [stream.tobytes() for stream in (*game.reshape(len(game), -1), *learner.reshape(1, -1))]
        other = make("matching", n_agents=20)
        other.reset(np.random.default_rng([3, number, 0]))
        np.testing.assert_array_equal(game, other.state_dict()["streams"])
        alone = TabularLearner(
            other, TabularConfig(update_probability=0.5), np.random.default_rng([3, number, 1])
        )
        np.testing.assert_array_equal(learner, alone.state_dict()["streams"])
    assert len(set(streams)) == len(streams)


def test_replicas_update_other_agents(tiny: Tiny) -> None:
    """With update_probability, the agents whose policies change are drawn by each replica for itself."""
    changed = []
    for number in range(2):
        replica = Replica(tiny(learner={"update_probability": 0.5, "initial_q": 0}), number)
        replica.run_epoch()
        changed.append(replica.learner.policy_change > 0)
        assert 0 < changed[-1].sum() < 20
    assert (changed[0] != changed[1]).any()


# --- memory -----------------------------------------------------------------------------------------


@pytest.fixture
def one_gib(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    return


def test_the_estimate_is_what_a_learner_takes(tiny: Tiny) -> None:
    """Q (24 float32) and thresholds of 20 agents and 42 observations, with a copy for the checkpoint."""
    learner = Replica(tiny(), 0).learner
    tables = learner.q.nbytes + learner.policy.thresholds.nbytes
    assert learner.q.nbytes == 20 * 42 * 24 * 4
    assert training_bytes(tiny())[0] == 2 * tables + 20 * 100
    assert training_bytes(tiny(replicas=5, threads=2))[0] == 7 * tables + 5 * 20 * 100
    pooled = tiny(learner={"grouping": "pooled"})
    assert training_bytes(pooled)[0] == 2 * tables // 20 + 20 * 100


@pytest.mark.usefixtures("one_gib")
@pytest.mark.parametrize(
    ("flags", "numbers"),
    [
        (["--n-agents", "20000000"], r"about 1\.9 GiB .* 1\.0 GiB are there: 1 replica\(s\) of 20,000,000"),
        (
            ["--karma-max", "1000", "--karma-mean", "500"],
            r"about 2\.3 GiB .* 100 table\(s\) of 2,002 observations and 1,001 actions",
        ),
        (["--replicas", "100000"], r"about 63\.5 GiB .* 100,000 replica\(s\) of 100 agents"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_numbers_and_leaves_nothing(
    flags: list[str],
    numbers: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["train", "matching"], ["sweep", "matching", "--over", "seed=1,2", "--folder", "sweep"]):
        assert main([*command, *flags]) == 1
        (error,) = capsys.readouterr().err.splitlines()
        assert "GiB of memory are needed" in error
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=numbers):
        train(TrainConfig.from_flat("matching", None, flat(flags)))


def flat(flags: list[str]) -> dict[str, Any]:
    pairs = zip(flags[::2], flags[1::2])
    return {flag[2:].replace("-", "_"): int(value) for flag, value in pairs}


def test_a_sweep_needs_what_its_trials_need_that_run_at_once(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = training_bytes(tiny())[0]
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * one)
    check_memory([tiny(seed=seed) for seed in range(5)], at_once=2)
    with pytest.raises(ConfigError, match="3 runs at once, the largest of 1 replica"):
        sweep(tiny(), {"seed": [1, 2, 3]}, tmp_path / "sweep", jobs=3)
    assert not (tmp_path / "sweep").exists()
    monkeypatch.setattr(memory, "available_bytes", lambda: None)  # where nobody knows
    check_memory([tiny(n_steps=400)])


@pytest.mark.parametrize("command", ["solve", "theory"])
def test_a_model_that_does_not_fit_is_refused_and_leaves_nothing(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "available_bytes", lambda: 100 * 2**30)
    assert main([command, "matching", "--karma-max", "1000", "--karma-mean", "500"]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert "at least 179.4 GiB of memory are needed and 100.0 GiB are there" in error  # 6 * 8 * 2002^2 * 1001
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(machine, "available_bytes", lambda: 2**30)
    machine.check_model_memory(game_class("grid_city")())  # whose model has no tables of transitions


def test_memory_is_the_least_of_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[str, int | None] = {"_of_machine": 300, "_of_group": None, "_of_process": 200}
    for name in limits:
        monkeypatch.setattr(machine, name, lambda name=name: limits[name])
    assert available_bytes() == 200
    limits["_of_process"] = None
    assert available_bytes() == 300
    limits["_of_machine"] = None
    assert available_bytes() is None
    monkeypatch.undo()
    assert available_bytes() is None or available_bytes() > 2**20  # type: ignore[operator]
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine._of_group() is None
    for name, text in {"max": "1000\n", "current": "700\n", "stat": "anon 600\ninactive_file 50\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert machine._of_group() == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._of_group() is None
