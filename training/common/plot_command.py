"""``karma-envs plot``: draw the figures of a finished run, a solution, theory or a sweep."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from karma_envs.plugins import defined_in
from training.common.console import console
from training.common.figures import require_matplotlib
from training.common.trust import add_trust

COMMAND = "plot"


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(COMMAND, help="draw the figures of what a folder holds")
    command.add_argument("run", metavar="RUN", help="folder of a finished run, a solution, theory or a sweep")
    command.add_argument(
        "--formats", default="png,pdf", help="file endings, separated by commas (default png,pdf)"
    )
    add_trust(command)
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    draw(Path(options.run), tuple(options.formats.split(",")), trust=options.trust)


def draw(folder: Path, formats: tuple[str, ...], *, trust: bool = False) -> None:
    """Draw the figures and print where they are."""
    for path in drawn(folder, formats, trust=trust):
        console.print(str(path))


def drawn(folder: Path, formats: tuple[str, ...], *, trust: bool = False) -> list[Path]:
    """Draw the figures of whatever room of ``training`` made the folder; where they are."""
    require_matplotlib()
    rooms = defined_in("training", "FOLDER", modules="figures").values()
    marked = [room for room in rooms if room.marker is not None and (folder / room.marker).is_file()]
    room = marked[0] if marked else next(room for room in rooms if room.marker is None)
    written: list[Path] = room.draw(folder, formats, trust)
    return written
