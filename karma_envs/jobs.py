"""Jobs that are worked on at once, wherever that is: what a backend is, and those of this process."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any

_LOOK_SECONDS = 1.0  # where a wait cannot be interrupted, Ctrl-C is seen so late
_INTERRUPTED = 130  # the exit status after Ctrl-C

Ends = Generator[tuple[Any, Any], None, None]
"""Jobs and their results; an exception in a result's place where the process or machine was lost."""

Backend = Callable[[Callable[[Any], Any], Iterator[Any], int], Ends]
"""Where jobs are worked on: of ``work``, what is done with a job, ``jobs`` and ``at_once``.

It takes jobs one by one, as there is room, and yields each with its result as results come. ``at_once`` is
how many to work on; 0: one per core, of a cluster all of it. For other processes ``work`` and the jobs must
be picklable.
"""


def in_turn(work: Callable[[Any], Any], jobs: Iterator[Any], at_once: int) -> Ends:
    """One after another in this thread, however many are asked for; an error of a job is raised here."""
    for job in jobs:
        yield job, work(job)


def in_threads(work: Callable[[Any], Any], jobs: Iterator[Any], at_once: int) -> Ends:
    """Jobs and their results as they end, in threads of this process: kernels release the GIL.

    An error of a job is raised here, once the jobs that run have ended.

    Args:
        work: what to do with a job.
        jobs: taken one by one, as there is room.
        at_once: how many to work on; 0 for one per core.
    """
    at_once = at_once or os.cpu_count() or 1
    with _Threads() as threads:
        running: dict[Future[Any], Any] = {}
        while True:
            room = itertools.islice(jobs, at_once - len(running))
            running |= {threads.submit(work, job): job for job in room}
            if not running:
                return
            done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for each in done:
                yield running.pop(each), each.result()


class _Threads:
    """Threads that end with the program, so that a long epoch does not keep it from ending."""

    running: set[threading.Thread] = set()  # of all, to know at the end of the program

    def __init__(self) -> None:
        self._futures: list[Future[Any]] = []

    def submit(self, work: Callable[[Any], Any], job: Any) -> Future[Any]:
        """Begin with a job in a thread of its own."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(work(job))
            except BaseException as error:
                future.set_exception(error)
            finally:
                self.running.discard(threading.current_thread())

        thread = threading.Thread(target=run, daemon=True)
        self.running.add(thread)
        self._futures = [each for each in self._futures if not each.done()] + [future]
        thread.start()
        return future

    def __enter__(self) -> _Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for all to end; not after a second Ctrl-C."""
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            wait(self._futures)
        else:
            atexit.register(_leave)


def _leave() -> None:
    """End the program where threads still compute that nobody waits for.

    The interpreter is not taken down under them: their kernels would read memory that it gives back.
    """
    if _Threads.running:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed
                stream.flush()
        os._exit(_INTERRUPTED)
