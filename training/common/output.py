"""Standard output as commands use it: whatever a terminal or a reader is like, no work is lost for it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO


class _Output:
    """A stream that shows what it can.

    Characters that its encoding lacks become ``?``. Once nobody reads any more, as in
    ``karma-envs list | head -1``, the rest is dropped, and the command does its work to the end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if (getattr(self._stream, "errors", None) or "strict") == "strict":
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            text = text.encode(encoding, "replace").decode(encoding)
        self._while_read(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._while_read(self._stream.flush)

    def _while_read(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def patient_output() -> Iterator[None]:
    """Standard output and error show what they can, and are written out at the end."""
    out, err = (stream and _Output(stream) for stream in (sys.stdout, sys.stderr))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            for stream in (out, err):
                with contextlib.suppress(OSError):  # of a full disk; the command has said so
                    if stream:
                        stream.flush()
