"""``karma-envs plot``: draw the figures of a finished run or of a solution."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.progress import console
from training.results import Run
from training.solution import Solution


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser("plot", help="draw the figures of a finished run or a solution")
    command.add_argument("run", metavar="RUN", help="folder of the run")
    command.add_argument(
        "--formats", default="png,pdf", help="file endings, separated by commas (default png,pdf)"
    )
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    draw(Path(options.run), tuple(options.formats.split(",")))


def draw(folder: Path, formats: tuple[str, ...]) -> None:
    """Draw the figures and print where they are."""
    from training.plots.run import plot
    from training.plots.solution import plot_solution

    is_solution = (folder / "equilibrium.json").is_file()
    paths = plot_solution(Solution.open(folder), formats) if is_solution else plot(Run.open(folder), formats)
    for path in paths:
        console.print(str(path), markup=False)
