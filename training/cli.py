"""The ``karma-envs`` command. Each room of ``training`` has its own, in files that end in ``command.py``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from rich.console import Console

from karma_envs import __version__
from karma_envs.config import ConfigError
from karma_envs.plugins import defined_in
from training.common.console import console
from training.common.errors import ResultsError
from training.common.flags import Parser
from training.common.notices import notices
from training.common.output import patient_output
from training.common.workers import Interrupted

_EPILOG = """\
exit status:
  0    done
  1    refused, or failed: a line on standard error says what
  2    the command line is not understood
  3    solve and theory: done, but not what was asked for, such as an equilibrium within the tolerance
  130  stopped by Ctrl-C: what is done is kept

A command whose output nobody reads any more, as in karma-envs list | head -1, works to its end.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is as ``karma-envs --help`` says."""
    with patient_output():
        try:
            options = _parser().parse_args(arguments)
            with notices():
                status = options.action(options) or 0
            print(end="", flush=True)  # a full disk is an error of the command
            return int(status)
        except (ConfigError, ResultsError, OSError) as error:
            errors = Console(stderr=True, highlight=False, emoji=False)
            errors.print(f"karma-envs: {error}", markup=False, soft_wrap=True)
            return 1
        except Interrupted as error:
            console.print(str(error))
            return 130
        except KeyboardInterrupt:
            return 130


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="karma-envs",
        description="Karma economies: train, solve, evaluate and plot population games.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    commands = defined_in("training", "COMMAND", modules="*command")
    for module in sorted(commands, key=commands.__getitem__):
        importlib.import_module(module).add(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
