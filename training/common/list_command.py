"""``karma-envs list``: what there is to choose from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from agents.learners import targets
from agents.learners.tabular.grouping import GROUPINGS
from agents.solvers import methods
from karma_envs import names
from karma_envs.baselines import BASELINES
from karma_envs.mechanisms import FAMILIES, rules
from karma_envs.registry import game_class
from training.common.console import console
from training.common.flags import first_line

COMMAND = "list"


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        COMMAND, help="list games, presets, rules, learners, baselines and solvers"
    )
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    for game in names():
        console.print(Text.assemble((game, "bold"), f"  {first_line(game)}"))
        console.print(f"  presets: {', '.join(game_class(game).presets)}")
    kinds: dict[str, Iterable[str]] = {
        family: [
            name + (f" ({', '.join(rule.aliases)})" if rule.aliases else "")
            for name, rule in rules(family).items()
        ]
        for family in FAMILIES
    }
    kinds |= {"algorithms": targets(), "groupings": GROUPINGS, "baselines": BASELINES, "solvers": methods()}
    for kind, all_names in kinds.items():
        console.print(Text.assemble((kind, "bold"), f": {', '.join(all_names)}"))
