"""Work in threads, and how a terminal stops it: the first Ctrl-C gently, the second at once."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import FrameType, TracebackType
from typing import Any

_LOOK_SECONDS = 1.0  # where a wait cannot be interrupted, Ctrl-C is seen so late
_BURST_SECONDS = 1.0  # who is impatient presses several times
_INTERRUPTED = 130  # the exit status after Ctrl-C


class Interrupted(RuntimeError):  # noqa: N818
    """The run was stopped by the user; what was done is in its checkpoint."""


@contextlib.contextmanager
def stop_on_signal(stop: threading.Event) -> Iterator[threading.Event]:
    """Let the first Ctrl-C (or SIGTERM) set an event; the second raises KeyboardInterrupt.

    Those that follow it within a second mean the same, and interrupt no clearing up, which may go on after
    the block. Only the main thread can listen: in others nothing sets the event.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    presses: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        presses.append(time.monotonic())
        if len(presses) == 1:
            stop.set()
        elif len(presses) == 2:
            raise KeyboardInterrupt

    def calm(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - presses[1] > _BURST_SECONDS:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if len(presses) < 2 else calm)


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


def in_threads(
    work: Callable[[Any], Any], jobs: Iterator[Any], at_once: int
) -> Generator[tuple[Any, Any], None, None]:
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


def _leave() -> None:
    """End the program where threads still compute that nobody waits for.

    The interpreter is not taken down under them: their kernels would read memory that it gives back.
    """
    if _Threads.running:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed
                stream.flush()
        os._exit(_INTERRUPTED)
