"""``karma-envs plot``: draw the figures of a finished run, of a solution or of theory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.common.trust import add_trust
from training.runs.folder import Run
from training.runs.progress import console
from training.solving.solution import Solution
from training.theory.tools import Theory


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("plot", help="draw the figures of what a folder holds")
    command.add_argument("run", metavar="RUN", help="folder of a finished run, a solution or of theory")
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
    """Draw the figures; where they are."""
    from training.runs.figures import plot
    from training.solving.figures import plot_solution
    from training.theory.figures import plot_theory

    if (folder / "equilibrium.json").is_file():
        return plot_solution(Solution.open(folder, trust), formats)
    if (folder / "theory.json").is_file():
        return plot_theory(Theory.open(folder, trust), formats)
    return plot(Run.open(folder, trust), formats)
