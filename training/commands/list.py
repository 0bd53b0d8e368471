"""``karma-envs list``: what there is to choose from."""

from __future__ import annotations

import argparse
from typing import Any

from agents.learners import targets
from agents.learners.grouping import GROUPINGS
from agents.solvers import methods
from karma_envs import names
from karma_envs.baselines import BASELINES
from karma_envs.mechanisms import FAMILIES, rules
from karma_envs.registry import game_class
from training.flags import first_line
from training.progress import console


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        "list", help="list games, presets, rules, learners, baselines and solvers"
    )
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    for game in names():
        console.print(f"[bold]{game}[/bold]  {first_line(game)}")
        console.print(f"  presets: {', '.join(game_class(game).presets)}", soft_wrap=True)
    for family in FAMILIES:
        shown = [
            name + (f" ({', '.join(rule.aliases)})" if rule.aliases else "")
            for name, rule in rules(family).items()
        ]
        console.print(f"[bold]{family}[/bold]: {', '.join(shown)}", soft_wrap=True)
    console.print(f"[bold]algorithms[/bold]: {', '.join(targets())}")
    console.print(f"[bold]groupings[/bold]: {', '.join(GROUPINGS)}")
    console.print(f"[bold]baselines[/bold]: {', '.join(BASELINES)}")
    console.print(f"[bold]solvers[/bold]: {', '.join(methods())}")
