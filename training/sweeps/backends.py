"""Where the jobs of a sweep run: in threads, in joblib's processes or as Ray's tasks.

A backend takes jobs one by one, as there is room, and yields each with its result as results come.
``work`` and the jobs must be picklable. ``at_once`` is how many to work on; 0: one per core, with Ray
of the whole cluster.
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
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from training.common.errors import ResultsError
from training.common.workers import in_threads

Ends = Generator[tuple[Any, Any], None, None]
"""Jobs and their results; an exception in a result's place where the process or machine was lost."""

Backend = Callable[[Callable[[Any], Any], Iterator[Any], int], Ends]


def in_processes(work: Callable[[Any], Any], jobs: Iterator[Any], at_once: int) -> Ends:
    """In joblib's processes on this machine."""
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
    running: list[Any] = []

    def calls() -> Iterator[Any]:
        for job in jobs:
            running.append(job)
            yield joblib.delayed(_with_job)(work, job)

    while True:
        try:
            for job, result in pool(calls()):
                running.remove(job)
                yield job, result
            return
        except BrokenProcessPool as error:  # a process was killed; the others end with it
            yield from ((job, error) for job in running)
            running.clear()


def _with_job(work: Callable[[Any], Any], job: Any) -> tuple[Any, Any]:
    return job, work(job)


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
    ours, quiet = not ray.is_initialized(), {"log_to_driver": False, "logging_level": "WARNING"}
    if ours and os.environ.get("RAY_ADDRESS"):
        ray.init(address="auto", **quiet)
    elif ours:
        ray.init(num_cpus=at_once or None, include_dashboard=False, **quiet)
    task = ray.remote(work)
    running: dict[Any, Any] = {}
    try:
        while True:
            most = at_once or int(ray.cluster_resources().get("CPU", 1))
            room = itertools.islice(jobs, max(0, most - len(running)))
            running |= {task.remote(job): job for job in room}
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            try:
                result = ray.get(done[0])
            except ray.exceptions.RayError as error:
                result = error
            yield running.pop(done[0]), result
    finally:
        if ours:
            ray.shutdown()


BACKENDS: Mapping[str, Backend] = {"threads": in_threads, "joblib": in_processes, "ray": on_ray}
"""By name."""


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
