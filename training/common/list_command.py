"""``karma-envs list``: what there is to choose from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from agents.learners import learners, targets
from agents.learners.tabular.grouping import GROUPINGS
from agents.planners import study as planners
from agents.solvers import methods
from karma_envs import names
from karma_envs.mechanisms import FAMILIES, rules
from karma_envs.registry import game_class
from training.common.console import console
from training.common.flags import first_line

COMMAND = "list"


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        COMMAND, help="list games, presets, metrics, baselines, rules, learners, solvers and planners"
    )
    command.add_argument("game", nargs="?", metavar="GAME", help="only this game, also module:Class")
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    for game in names() if options.game is None else [options.game]:
        described = game_class(game, "game")
        console.print(Text.assemble((game, "bold"), f"  {first_line(game)}"))
        console.print(f"  presets: {', '.join(described.presets) or 'none'}")
        console.print(f"  metrics: {', '.join(metric.name for metric in described.metrics)}")
        console.print(f"  baselines: {', '.join(described.baselines)}")
    if options.game is not None:
        return
    kinds: dict[str, Iterable[str]] = {
        family: [
            name + (f" ({', '.join(rule.aliases)})" if rule.aliases else "")
            for name, rule in rules(family).items()
        ]
        for family in FAMILIES
    }
    kinds |= {"learners": learners(), "algorithms": targets(), "groupings": GROUPINGS, "solvers": methods()}
    kinds["planners"] = planners.methods()
    for kind, all_names in kinds.items():
        console.print(Text.assemble((kind, "bold"), f": {', '.join(all_names)}"))
