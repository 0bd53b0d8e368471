"""The ``karma-envs`` command. A sub-command is a file in ``training/commands``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from rich.console import Console

from karma_envs import __version__
from karma_envs.config import ConfigError
from training import commands
from training.progress import console
from training.results import ResultsError
from training.train import Interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 on success, 1 on an error, 130 after Ctrl-C.

    An action may return another one: ``solve`` and ``theory`` give 3 where results lack what was asked for.
    """
    options = _parser().parse_args(arguments)
    try:
        status = options.action(options)
    except (ConfigError, ResultsError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"karma-envs: {error}", markup=False, soft_wrap=True)
        return 1
    except Interrupted as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 130
    except KeyboardInterrupt:
        return 130
    return int(status or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="karma-envs", description="Karma economies: train, solve, evaluate and plot population games."
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"{commands.__name__}.{module.name}").add(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
