"""Where jobs are worked on, by name: in threads, in joblib's processes or as Ray's tasks.

See :data:`karma_envs.jobs.Backend`: with processes and Ray ``work`` and the jobs must be picklable.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from karma_envs.jobs import Backend, Ends, in_threads
from training.common.errors import ResultsError


def in_processes(work: Callable[[Any], Any], jobs: Iterator[Any], at_once: int) -> Ends:
    """In joblib's processes on this machine.

    Where one of them is killed all end with it. Which job it was shows when those that were worked on are
    done again, one at a time: only a job that is lost then, too, counts as lost.
    """
    joblib = require("joblib")
    at_once = at_once or os.cpu_count() or 1
    pool = joblib.Parallel(
        at_once,
        backend="loky",
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch=at_once,
        initializer=_prepare_worker,
        initargs=(os.getpid(),),
    )
    running: dict[int, Any] = {}

    def calls() -> Iterator[Any]:
        for number, job in enumerate(jobs):
            running[number] = job
            yield joblib.delayed(_numbered)(work, number, job)

    while True:
        try:
            for number, result in pool(calls()):
                yield running.pop(number), result
            return
        except BrokenProcessPool:
            again = list(running.values())
            running.clear()
        for job in again:
            try:
                ((_, result),) = pool(iter([joblib.delayed(_numbered)(work, 0, job)]))
            except BrokenProcessPool as error:
                result = error
            yield job, result


def _numbered(work: Callable[[Any], Any], number: int, job: Any) -> tuple[int, Any]:
    return number, work(job)


def _prepare_worker(parent: int) -> None:
    """Leave Ctrl-C to the process that began, and end with it.

    A terminal sends Ctrl-C to all processes; the one that began tells the others by a file. If it is
    killed, nobody takes what a worker finds, and the worker would keep the trial's folder.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def on_ray(work: Callable[[Any], Any], jobs: Iterator[Any], at_once: int) -> Ends:
    """As tasks of one core each, on the cluster that RAY_ADDRESS names or else on this machine.

    All machines need this package, and the folder of results under the same path.
    """
    ray = require("ray")
    with _ray_running(at_once):
        task, shared = ray.remote(_worked), ray.put(work)
        running: dict[Any, Any] = {}
        while True:
            most = at_once or int(ray.cluster_resources().get("CPU", 1))
            room = itertools.islice(jobs, max(0, most - len(running)))
            running |= {task.remote(shared, job): job for job in room}
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            try:
                result = ray.get(done[0])
            except ray.exceptions.RayError as error:
                result = error
            yield running.pop(done[0]), result


def _worked(work: Callable[[Any], Any], job: Any) -> Any:
    return work(job)


@contextlib.contextmanager
def _ray_running(at_once: int) -> Iterator[None]:
    """Ray, begun and ended here unless it runs already."""
    ray = require("ray")
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "WARNING"}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(address="auto", **quiet)
    else:
        ray.init(num_cpus=at_once or None, include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


BACKENDS: Mapping[str, Backend] = {"threads": in_threads, "joblib": in_processes, "ray": on_ray}
"""By name."""


@contextlib.contextmanager
def ready(name: str, at_once: int) -> Iterator[Backend]:
    """A backend that is used several times, for which Ray is begun once.

    Raises:
        ResultsError: when it is not installed.
    """
    if name != "threads":
        require(name)
    with _ray_running(at_once) if name == "ray" else contextlib.nullcontext():
        yield BACKENDS[name]


def require(backend: str) -> Any:
    """The package that a backend is named after.

    Raises:
        ResultsError: when it is not installed, saying what to install.
    """
    try:
        return importlib.import_module(backend)
    except ImportError as error:
        raise ResultsError(
            f"the backend {backend} needs {backend}: pip install 'karma-envs[distributed]'"
        ) from error


_LOOK_SECONDS = 0.2


class StopFile(threading.Event):
    """An event for all processes, on whatever machine: it is set once a file is there."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._looked = path, -math.inf

    def set(self) -> None:
        """Tell everyone to stop."""
        with contextlib.suppress(OSError):  # at least this process stops
            self._path.touch()
        super().set()

    def is_set(self) -> bool:
        """Whether to stop; looks for the file now and then."""
        now = time.monotonic()
        if not super().is_set() and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if self._path.exists():
                super().set()
        return super().is_set()
