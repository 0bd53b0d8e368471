"""``karma-envs reproduce``: make published tables and figures anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from karma_envs.config import choice, whole
from training.common.console import console, print_table
from training.common.flags import docs_folder, value
from training.reproduction.experiment import experiments
from training.reproduction.reproduce import SCALES, reproduce, summary_line

_RESULTS = "docs/results"

COMMAND = "reproduce"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "make a published table or figure anew; 'reproduce list' tells which there are"
    command = subparsers.add_parser(COMMAND, help=text, description=text.capitalize() + ".")
    command.add_argument(
        "experiments", metavar="NAME", nargs="+", help="experiments, list to see them, or all to run them all"
    )
    command.add_argument("--scale", choices=SCALES, default="quick", help="quick (minutes) or full")
    command.add_argument("--seeds", type=value, default=3, help="independent repetitions (default 3)")
    command.add_argument(
        "--folder", help=f"where results go (default {_RESULTS} in a checkout of karma-envs)", metavar="DIR"
    )
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    if options.experiments == ["list"]:
        for experiment in experiments().values():
            about = f"  {experiment.title} ({experiment.source})"
            console.print(Text.assemble((experiment.name, "bold"), about))
        return
    names = list(experiments()) if options.experiments == ["all"] else options.experiments
    for name in names:
        choice("experiment", name, experiments())
    options.folder = docs_folder("--folder", options.folder, _RESULTS)
    for name in names:
        _reproduce(name, options)


def _reproduce(name: str, options: argparse.Namespace) -> None:
    with console.status("starting") as status:
        found = reproduce(
            name,
            scale=options.scale,
            seeds=whole("seeds", options.seeds, 1, 10_000),
            folder=Path(options.folder),
            observer=lambda text: status.update(f"{name}: {text}"),
        )
    if found:
        table = Table(title=name, title_justify="left", box=box.SIMPLE_HEAD)
        for heading in ("what", "published", "ours", "tolerance", "verdict"):
            table.add_column(heading)
        for item in found:
            table.add_row(*summary_line(item).values())
        print_table(table)
    console.print(f"results are in {Path(options.folder) / f'{name}-{options.scale}'}")
