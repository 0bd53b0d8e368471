"""Backends take jobs as there is room, and lose none but those that were lost."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from karma_envs.config import ConfigError
from tests.training.sweeps.trials import Tiny
from training import Interrupted, ResultsError, train
from training.common import backends
from training.runs.replica import Replica
from training.sweeps.sweep import sweep


class FakeRay(types.ModuleType):
    """Runs a task when it is asked for; loses the task of the second job."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace(RayError=RuntimeError)
        self.calls: list[Any] = []
        self.most = 0

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: Any) -> None:
        self.calls.append(options)

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, work: Callable[[Any], Any]) -> Any:
        return types.SimpleNamespace(remote=lambda shared, job: (work, shared, job))

    def put(self, shared: Any) -> Any:
        return shared

    def wait(self, running: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(running))
        return running[-num_returns:], running[:-num_returns]

    def get(self, task: tuple[Callable[..., Any], Any, Any]) -> Any:
        work, shared, job = task
        if job == 1:
            raise RuntimeError("the node died")
        return work(shared, job)


@pytest.mark.parametrize("address", ["", "10.0.0.1:6379"])
def test_ray_is_given_as_many_tasks_as_there_is_room_for(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_ADDRESS", address)
    ends = dict(backends.on_ray(lambda job: 10 * job, iter(range(5)), 0))
    assert str(ends.pop(1)) == "the node died"
    assert ends == {0: 0, 2: 20, 3: 30, 4: 40}
    assert ray.most == 2
    assert ray.calls[0].get("address") == ("auto" if address else None)
    assert ray.calls[1:] == ["shutdown"]


def test_threads_take_jobs_as_there_is_room() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(5):
            taken.append(job)
            yield job

    ends = backends.in_threads(lambda job: 10 * job, jobs(), 2)
    job, result = next(ends)
    assert result == 10 * job
    assert taken == [0, 1]
    assert {job, *(each for each, _ in ends)} == set(range(5))


class FakeJoblib(types.ModuleType):
    """Works on two jobs at once, and loses all processes where one of them is job 1."""

    def __init__(self) -> None:
        super().__init__("joblib")
        self.options: dict[str, Any] = {}

    def Parallel(self, at_once: int, **options: Any) -> Any:  # noqa: N802
        self.options = options
        return self.run

    def delayed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (work, arguments)

    def run(self, calls: Iterator[Any]) -> Iterator[Any]:
        while running := list(itertools.islice(calls, 2)):
            if any(job == 1 for _, (_, _, job) in running):
                raise BrokenProcessPool("killed")
            for work, arguments in running:
                yield work(*arguments)


def test_lost_processes_do_not_lose_the_jobs_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = FakeJoblib()
    monkeypatch.setitem(sys.modules, "joblib", joblib)
    ends = list(backends.in_processes(lambda job: 10 * job, iter(range(4)), 2))
    assert [(job, str(result)) for job, result in ends] == [
        (0, "0"), (1, "killed"), (2, "20"), (3, "30"),
    ]  # fmt: skip
    assert joblib.options["pre_dispatch"] == 2


def test_a_lost_task_is_a_failed_trial(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(work: Any, jobs: Iterator[Any], at_once: int) -> Any:
        for job in jobs:
            yield job, RuntimeError("the node died") if job.trial == 0 else work(job)

    monkeypatch.setitem(backends.BACKENDS, "threads", lose)  # type: ignore[arg-type]
    found = sweep(tiny(), {"seed": [1, 2]}, tmp_path / "sweep")
    assert [row["status"] for row in found.rows] == ["failed", "finished"]
    assert found.rows[0]["error"] == "RuntimeError: the node died"


@pytest.mark.parametrize("backend", ["joblib", "ray"])
def test_a_backend_that_is_not_installed(
    backend: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(ResultsError, match=r"needs \w+: pip install 'karma-envs\[distributed\]'"):
        sweep(tiny(), {"seed": [1, 2]}, tmp_path / "sweep", backend=backend)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="backend = 'slurm' is not allowed; allowed: threads, joblib, ray"):
        sweep(tiny(), {"seed": [1, 2]}, tmp_path / "sweep", backend="slurm")


def test_a_run_can_be_told_to_stop(tiny: Tiny, tmp_path: Path) -> None:
    """By an event that whoever gave it may share; signals are then not the run's business."""
    stop, handlers = threading.Event(), []

    def observer(replica: Replica, rate: float) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))
        if replica.epoch == 3:
            stop.set()

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        train(tiny(), tmp_path / "run", observer=observer, stop=stop)
    assert handlers == [before] * 3

    def fail(replica: Replica, rate: float) -> None:
        raise ConnectionAbortedError

    stop.clear()
    with pytest.raises(ConnectionAbortedError):
        train(tiny(replicas=2), tmp_path / "failing", observer=fail, stop=stop)
    assert not stop.is_set()
