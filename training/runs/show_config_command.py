"""``karma-envs show-config``: the whole configuration that ``train`` would use."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from training.common.config import to_yaml
from training.common.flags import add_games, layers
from training.common.plain_yaml import dump_yaml
from training.runs.config import TrainConfig

COMMAND = "show-config"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "print the whole configuration that train would use, as YAML"
    command = subparsers.add_parser(COMMAND, help=text, description=text.capitalize() + ".")
    add_games(command, _run, TrainConfig)


def _run(options: argparse.Namespace) -> None:
    config = TrainConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options))
    text = to_yaml(config)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = dump_yaml(config.to_dict(), escape=True)
    print(text, end="")
