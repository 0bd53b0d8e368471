"""How a terminal stops work: the first Ctrl-C gently, the second at once."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

_BURST_SECONDS = 1.0  # who is impatient presses several times


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
