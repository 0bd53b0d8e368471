"""``karma-envs reproduce``: make published tables and figures anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from karma_envs.config import whole
from training.experiments.experiment import SCALES, experiments, reproduce, summary_line
from training.flags import value
from training.progress import console


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "make a published table or figure anew; 'reproduce list' tells which there are"
    command = subparsers.add_parser("reproduce", help=text, description=text.capitalize() + ".")
    command.add_argument("experiment", metavar="NAME", help="an experiment, or list")
    command.add_argument("--scale", choices=SCALES, default="quick", help="quick (minutes) or full")
    command.add_argument("--seeds", type=value, default=3, help="independent repetitions (default 3)")
    command.add_argument("--folder", default="docs/results", help="where results go (default docs/results)")
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    if options.experiment == "list":
        for experiment in experiments().values():
            console.print(f"[bold]{experiment.name}[/bold]  {experiment.title} ({experiment.source})")
        return
    with console.status("starting") as status:
        found = reproduce(
            options.experiment,
            scale=options.scale,
            seeds=whole("seeds", options.seeds, 1, 10_000),
            folder=Path(options.folder),
            observer=lambda text: status.update(f"{options.experiment}: {text}"),
        )
    table = Table(title=options.experiment, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("what", "published", "ours", "tolerance", "verdict"):
        table.add_column(heading)
    for item in found:
        table.add_row(*summary_line(item).values())
    console.print(table)
    path = Path(options.folder) / f"{options.experiment}-{options.scale}"
    console.print(f"results are in {path}", markup=False)
