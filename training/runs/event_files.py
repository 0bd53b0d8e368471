"""What a run records, for TensorBoard: event files of the metrics, beside the run.

They are made from the run's own records, and made anew when a run goes on: a point that a killed session
had shown and that its checkpoint does not hold is not there twice.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.common.errors import ResultsError
from training.common.tables import Row
from training.runs.replica import Replica

FOLDER = "tensorboard"
"""Where the event files are in a run's folder, in a folder for each replica."""

_NOT_A_CURVE = ("replica", "step", "window")


def require_tensorboard() -> None:
    """Raise a ResultsError that says what to install where TensorBoard is missing."""
    try:
        importlib.import_module("tensorboard")
    except ImportError as error:
        raise ResultsError("event files need TensorBoard: pip install 'karma-envs[tensorboard]'") from error


class EventFiles:
    """An observer of training that writes event files, and a context that closes them.

    Args:
        folder: of the run.
        replicas: all of its replicas; what they have recorded so far is written at once.

    Raises:
        ResultsError: where TensorBoard is missing.
        OSError: where the folder takes no files.
    """

    def __init__(self, folder: Path, replicas: Sequence[Replica]) -> None:
        require_tensorboard()
        self._curves = {replica.number: _Curves(folder, replica) for replica in replicas}

    def __enter__(self) -> EventFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for curves in self._curves.values():
            curves.close()

    def __call__(self, replica: Replica, rate: float) -> None:
        """Write what a replica has recorded since the last call; ``rate`` is not used."""
        self._curves[replica.number].write(replica)


class _Curves:
    """The event file of a replica."""

    def __init__(self, folder: Path, replica: Replica) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        path = folder / FOLDER / f"replica-{replica.number}"
        for old in path.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer: Any = EventFileWriter(str(path))
        self._written = {"training": 0, "monitor": 0}
        self.write(replica)

    def write(self, replica: Replica) -> None:
        """Add the records that are new."""
        new = False
        for title, rows in (("training", replica.rows), ("monitor", replica.monitor_rows)):
            for row in rows[self._written[title] :]:
                self._writer.add_event(_event(title, row))
                new = True
            self._written[title] = len(rows)
        if new:
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _event(title: str, row: Row) -> Any:
    """A point of each curve."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [
        Summary.Value(tag=f"{title}/{name}", simple_value=value)
        for name, value in row.items()
        if name not in _NOT_A_CURVE
    ]
    return Event(wall_time=time.time(), step=row["step"], summary=Summary(value=values))
