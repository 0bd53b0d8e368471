"""``karma-envs sweep``: the same training run over a grid of values, then a table and figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from karma_envs import names
from karma_envs.config import ConfigError
from karma_envs.outcome import Metric, headlines
from karma_envs.registry import game_class
from training.common.backends import BACKENDS
from training.common.console import console, print_table
from training.common.errors import ResultsError
from training.common.flags import Parser, add_games, flag_of, layers, value
from training.common.plain_yaml import parse_yaml
from training.common.tables import Row
from training.common.trust import add_trust
from training.runs.config import TrainConfig
from training.sweeps.config import SweepConfig, as_text
from training.sweeps.folder import Sweep, estimate_in
from training.sweeps.sweep import LEARNED_STEPS, Progress, sweep

_MOST_ROWS = 30
_WIDEST_VALUE = 40  # letters; longer ones take several lines

_USAGE = """karma-envs sweep (GAME | CONFIG.yaml) --over FIELD=VALUES [--over ...] --folder DIR [FLAG ...]
       karma-envs sweep --resume DIR [--backend NAME] [--jobs N]"""

_EXAMPLES = """\
examples:
  With which step size do agents learn most? Four replicas each, for standard errors:
    karma-envs sweep matching --n-steps 1e6 --replicas 4 --over learning_rate=.01,.05,.1 \\
        --folder runs/step-size

  All combinations of fields of the game, the learner and the run; the last varies fastest:
    karma-envs sweep matching --over karma_mean=5,7,9 --over payment=pbp,pbs --folder runs/payments

  Values that are lists are written in brackets, those with a comma also in quotes:
    karma-envs sweep matching --over 'urgencies=[1,5],[1,9]' --folder runs/urgencies
    karma-envs sweep city --over "redistribution='congestion_tax(rate=0.1, threshold=2)',uniform" \\
        --folder runs/taxes

  From a file, which names the game, such as the one in a run's folder; with other seeds:
    karma-envs sweep runs/matching-001/config.yaml --over seed=1,2,3 --folder runs/seeds

  In processes, eight at once, or on a Ray cluster whose machines share the folder:
    karma-envs sweep city --preset small --over discount=.9,.98 --backend joblib --jobs 8 --folder runs/city
    RAY_ADDRESS=10.0.0.1:6379 karma-envs sweep --resume runs/city --backend ray

Ctrl-C ends the epochs that run, writes checkpoints and stops; --resume, or the same command again, goes on
with the same results to the bit, keeps finished trials and tries failed ones again. A sweep in the
background, or on a cluster, stops when a file named stop appears in DIR.

DIR/trials.csv has a row per trial: the swept values; train_...: the end of training, mean over the last
tenth of records; the others: the learned policies without exploration, with standard errors ..._se.
DIR/trial-000 and so on are runs, for karma-envs evaluate and plot.

"""

COMMAND = "sweep"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "train over a grid of values, on all cores or a cluster; results go to a table and figures"
    command = subparsers.add_parser(
        COMMAND,
        help=text,
        description=text.capitalize() + ".",
        usage=_USAGE,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    command.add_argument(
        "--resume",
        metavar="DIR",
        help="go on with the sweep in a folder; takes no game and none of its flags",
    )
    _add_how(command)
    command.add_argument(
        "game",
        nargs=argparse.REMAINDER,
        metavar="GAME",
        help=f"{', '.join(names())}, or a YAML file with game: NAME; then flags, "
        "all those of train: karma-envs sweep GAME --help lists them",
    )
    command.set_defaults(action=_run)


def _add_how(parser: argparse.ArgumentParser) -> None:
    """Flags that say how to run a sweep, not which."""
    parser.add_argument(
        "--backend",
        choices=list(BACKENDS),
        help="where trials run: threads of this process, joblib (processes) or ray (tasks on the cluster "
        "that RAY_ADDRESS names, or else on this machine) (default threads)",
    )
    parser.add_argument(
        "--jobs", type=value, metavar="N", help="trials at once; 0 for one per core (default 0)"
    )
    add_trust(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")


def _run(options: argparse.Namespace) -> None:
    arguments = vars(options).pop("game")
    if "resume" in options:
        if arguments:
            raise ConfigError(
                f"--resume goes on with the sweep's own configuration; leave out {arguments[0]}"
            )
        folder, config = Path(options.resume), Sweep.open(options.resume, options.trust).config
    else:
        options = _parser().parse_args(arguments, options)
        folder, config = Path(options.folder), _config(options)
    metric = game_class(config.base.game).metrics[0]
    with SweepBar(metric, enabled="quiet" not in options) as bar:
        found = sweep(
            config.base,
            config.over,
            folder,
            backend=getattr(options, "backend", "threads"),
            jobs=getattr(options, "jobs", 0),
            observer=bar,
        )
    paths: list[Path] = []
    nothing = ""
    try:
        if "no_figures" not in options:  # first what is kept: nobody may be reading what is printed
            from training.sweeps.figures import NothingToDrawError, plot_sweep

            try:
                paths = plot_sweep(found)
            except NothingToDrawError as error:
                nothing = f"no figures: {error}"
    finally:
        report(found)
    for text in (nothing, *map(str, paths)):
        if text:
            console.print(text)
    if found.failed:
        numbers = ", ".join(str(row["trial"]) for row in found.failed)
        raise ResultsError(
            f"{len(found.failed)} of {len(found.trials)} trials failed: {numbers}; "
            f"to try them again: karma-envs sweep --resume {found.folder}"
        )


def _parser() -> argparse.ArgumentParser:
    """A sub-command per game. It is not part of the command's own parser, as a file may stand for a game."""
    parser = Parser(prog="karma-envs sweep")
    add_games(parser, _run, TrainConfig, _add_what)
    return parser


def _add_what(parser: argparse.ArgumentParser) -> None:
    """Flags of one game: what is swept, and where results go."""
    parser.add_argument(
        "--over",
        metavar="FIELD=VALUES",
        type=_field_and_values,
        action="append",
        required=True,
        help="a field that is swept and its values, separated by commas; may be repeated",
    )
    parser.add_argument("--folder", metavar="DIR", required=True, help="where results go")
    _add_how(parser)
    parser.epilog = _EXAMPLES + (parser.epilog or "")


def _field_and_values(text: str) -> tuple[str, list[Any]]:
    """``karma_mean=5,7`` or ``karma_mean=[5,7]``; lists of lists: ``urgencies=[1,5],[1,9]``."""
    name, separator, values = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=VALUES, such as karma_mean=5,7,9")
    try:
        found = parse_yaml(values)
    except ValueError:  # several lists
        found = None
    return name.replace("-", "_"), found if isinstance(found, list) else value(f"[{values}]")


def _config(options: argparse.Namespace) -> SweepConfig:
    """What is swept, and around what."""
    over: dict[str, list[Any]] = {}
    for name, values in options.over:
        if name in over:
            raise ConfigError(f"--over {name} is given twice; write all its values in one")
        if f"field:{name}" in options:
            raise ConfigError(f"{name} is swept; leave out {flag_of(name)}")
        over[name] = values
    return SweepConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options), over=over)


class SweepBar:
    """A progress bar over trials: how many run, and what the last one has learned.

    Args:
        metric: what is shown of it.
        enabled: whether there is a bar at all.
    """

    def __init__(self, metric: Metric, *, enabled: bool) -> None:
        self._metric = metric
        self._bar = Bar(
            TextColumn("trials"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[state]}"),
            console=console,
            refresh_per_second=4,
            disable=not enabled,
        )

    def __enter__(self) -> SweepBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Show how far the sweep is."""
        state, last = f"{progress.running} running", progress.last
        if last is not None and last["status"] == "missing":
            state += " · stopping"
        elif last is not None:
            value = last[self._metric.name]
            learned = "" if value is None else f", {self._metric.title} {value:.4f}"
            state += f" · trial {last['trial']} {last['status']}{learned}"
        if not self._bar.tasks:
            self._bar.add_task("", total=progress.trials, completed=progress.ended, state=state)
        self._bar.update(self._bar.task_ids[0], completed=progress.ended, state=state)


def report(found: Sweep) -> None:
    """Print the finished trials, best first, and the errors of those that failed."""
    finished = found.best_first
    if finished:
        spread = "over replicas" if found.config.base.replicas > 1 else "within the run"
        table = Table(
            title=f"learned policies without exploration over {LEARNED_STEPS} steps, best first; in brackets "
            f"the standard error {spread}, in units of the last digit",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for name in ("trial", *found.config.over):
            table.add_column(name, justify="right", overflow="fold", min_width=_column_width(found, name))
        shown = headlines(found.metrics)
        for metric in shown:
            table.add_column(metric.title, justify="right", no_wrap=True)
        for row in finished[:_MOST_ROWS]:
            table.add_row(
                str(row["trial"]),
                *(str(as_text(row[name])) for name in found.config.over),
                *(estimate_in(row, metric).concise() for metric in shown),
            )
        print_table(table)
        if len(finished) > _MOST_ROWS:
            console.print(f"and {len(finished) - _MOST_ROWS} others")
    for row in found.failed:
        console.print(_failure(row))
    console.print(f"all trials are in {found.folder / 'trials.csv'}")


def _column_width(found: Sweep, name: str) -> int:
    """Letters of a swept field's column: all of its values on one line, unless they are long."""
    values = found.config.over.get(name, [len(found.trials)])
    return max(len(name), min(_WIDEST_VALUE, max(len(str(as_text(value))) for value in values)))


def _failure(row: Row) -> str:
    return f"trial {row['trial']} failed: {row['error']}"
