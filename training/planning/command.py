"""``karma-envs design``: search for a mechanism by what selfish agents make of it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from agents.planners import Design, Trial
from karma_envs import names
from karma_envs.config import ConfigError
from karma_envs.outcome import Estimate
from training.common.backends import BACKENDS
from training.common.console import console, print_table
from training.common.flags import Parser, add_games, layers, value
from training.common.plot_command import draw
from training.common.trust import add_trust, resuming
from training.common.workers import Interrupted
from training.planning.config import DesignConfig
from training.planning.folder import Plan, read_design
from training.planning.plan import design_to_folder

COMMAND = "design"

_MOST_ROWS = 20
_BEST_ROWS = 5

_USAGE = """karma-envs design (GAME | CONFIG.yaml) --over NAME=RANGE [--over ...] [--objective ...] [FLAG ...]
       karma-envs design --resume DIR [--budget N]"""

_EXAMPLES = """\
examples:
  Which mean karma is most efficient, by the equilibrium of many agents?
    karma-envs design matching --over karma_mean=2:18 --objective efficiency --budget 20 --folder runs/karma

  A front between two objectives; a tax of either rate, in place of the game's redistribution:
    karma-envs design matching --over payment=pbp,pbs --over tax.rate=0:0.5 \\
        --objective efficiency --objective reward_fairness --budget 60 --folder runs/front

  Only what is acceptable, by orders of magnitude, less of something, a weighted sum:
    karma-envs design matching --over discount=.5:.99 --limit 'efficiency>=-1.5' --objective -payoff
    karma-envs design matching --over tax.rate=.001:.5:log --objective 'efficiency+0.5*reward_fairness'

  By what agents learn in the game of so many, three times each; two mechanisms at once:
    karma-envs design city --preset small --over redistribution=uniform,by_resource --inner train \\
        --seeds 3 --workers 2 --objective efficiency --objective reward_fairness --folder runs/city

  From a file, which names the game and anything else, here with another road network:
    karma-envs design design.yaml --network my_roads.yaml --folder runs/mine

A range LOW:HIGH is of whole numbers where the field is one; so is karma_mean=2:18:whole, as N agents have a
whole number of units, whereas in the limit of many the mean may be any. A parameter of a rule is
redistribution.rate where the game has that rule, or tax.rate, which puts the rule in its place. Rules of your
own are module:name: --over payment=pbp,mine:rule. The mechanism as it is is tried first, and marked.

Ctrl-C keeps the trials that have ended; --resume, or the same command again, goes on with the same study,
and --budget may be greater then. DIR/trials.csv has a row for each trial, DIR/figures the front, how it was
found, and what each parameter does; karma-envs plot DIR draws them anew, also meanwhile.

"""


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "search for a mechanism by what selfish agents make of it; a table, a Pareto front and figures"
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
        help="go on with the design in a folder; takes no game and none of its flags",
    )
    command.add_argument(
        "--budget", type=value, metavar="N", help="with --resume: trials in all, if other than before"
    )
    _add_how(command)
    add_trust(command)
    command.add_argument(
        "game",
        nargs=argparse.REMAINDER,
        metavar="GAME",
        help=f"{', '.join(names())}, or a YAML file with game: NAME; then flags: "
        "karma-envs design GAME --help lists them",
    )
    command.set_defaults(action=_run)


def _add_how(parser: argparse.ArgumentParser) -> None:
    """Flags that say how a search is made and shown, not which."""
    parser.add_argument(
        "--backend",
        choices=list(BACKENDS),
        help="where trials are made: threads of this process, joblib (processes) or ray (tasks on the "
        "cluster that RAY_ADDRESS names, or else on this machine) (default threads)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")


def _add_what(parser: argparse.ArgumentParser) -> None:
    """Flags of one game that are no fields."""
    parser.add_argument(
        "--folder", metavar="DIR", help="where results go (default runs/<game>-design-<number>)"
    )
    _add_how(parser)
    parser.epilog = _EXAMPLES + (parser.epilog or "")


def _parser() -> argparse.ArgumentParser:
    """A sub-command per game. It is not part of the command's own parser, as a file may stand for a game."""
    parser = Parser(prog="karma-envs design")
    add_games(parser, _run, DesignConfig, _add_what)
    return parser


def _run(options: argparse.Namespace) -> None:
    arguments = vars(options).pop("game")
    folder: str | None
    if "resume" in options:
        if arguments:
            raise ConfigError(
                f"--resume goes on with the design's own configuration; leave out {arguments[0]}"
            )
        folder, config = options.resume, read_design(Path(options.resume), trust=options.trust)
        if "budget" in options:
            config = config.replace(budget=options.budget)
    else:
        if "budget" in options:
            arguments = [*arguments, "--budget", str(options.budget)]
        options = _parser().parse_args(arguments, options)
        folder = getattr(options, "folder", None)
        config = DesignConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options))
    with _DesignBar(config.budget, enabled="quiet" not in options) as bar:
        plan = design_to_folder(config, folder, backend=getattr(options, "backend", "threads"), observer=bar)
    report(plan)
    if plan.design.complete and "no_figures" not in options:
        draw(plan.folder, ("png", "pdf"))
    if plan.design.interrupted:
        raise Interrupted(
            f"interrupted after {len(plan.design.trials)} of {config.budget} trials; "
            f"{resuming(COMMAND, plan.folder, config.to_dict())}"
        )


class _DesignBar:
    """A progress bar over trials: the best so far, and how many are on the front.

    Args:
        budget: trials in all.
        enabled: whether there is a bar at all.
    """

    def __init__(self, budget: int, *, enabled: bool) -> None:
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
        self._task = self._bar.add_task("", total=budget, state="the mechanism as it is")

    def __enter__(self) -> _DesignBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, design: Design) -> None:
        """Show how far the study is."""
        self._bar.update(self._task, completed=len(design.trials), state=state_of(design))


def state_of(design: Design) -> str:
    """How a study stands, in a line."""
    failed = len(design.trials) - len(design.complete)
    parts = [f"{failed} failed"] if failed else []
    front = design.front
    if not front:
        parts.append("none acceptable yet")
    elif len(design.study.objectives) > 1:
        bests = [
            f"{each.name} {max(map(each.gain, [t.values for t in front])) * (1 if each.maximise else -1):.4f}"
            for each in design.study.objectives
        ]
        parts.append(f"front of {len(front)}: up to {', '.join(bests)}")
    else:
        parts.append(f"best {design.study.objectives[0].name} {design.value(front[0]):.4f}")
    return " · ".join(parts)


def report(plan: Plan) -> None:
    """Print the front, or the best trials, and the mechanism as it is beside them."""
    design = plan.design
    several = len(design.study.objectives) > 1
    shown = design.front if several else _best(design)
    failed = len(design.trials) - len(design.complete)
    said = f"{len(design.trials)} trials" + (f", {failed} failed" if failed else "")
    what = f"Pareto front of {len(shown)} of {said}" if several else f"the best of {said}"
    errors = any(trial.standard_errors for trial in shown)
    title = f"{what}{'; in brackets the standard error in units of the last digit' if errors else ''}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    numbers = _columns(design, shown)
    for name in ("trial", *design.study.space.names, *(name.replace("_", " ") for name in numbers)):
        table.add_column(name, justify="right", no_wrap=True)
    if plan.as_it_is is not None:
        own = (_short(plan.own_values.get(name, "")) for name in design.study.space.names)
        table.add_row("as it is", *own, *_cells(design, plan.as_it_is, numbers))
    for trial in shown[:_MOST_ROWS]:
        point = (_short(trial.point.get(name, "")) for name in design.study.space.names)
        table.add_row(str(trial.number), *point, *_cells(design, trial, numbers))
    if shown:
        print_table(table)
    else:
        console.print(
            f"{said}, none within the limits {', '.join(each.name for each in design.study.limits)}"
        )
    if len(shown) > _MOST_ROWS:
        console.print(f"and {len(shown) - _MOST_ROWS} others")
    for name, meaning in design.meanings.items():
        if name in numbers:
            console.print(f"{name.replace('_', ' ')}: {meaning}")
    if plan.as_it_is is None:
        console.print("the mechanism as it is could not be evaluated")
    for reason in dict.fromkeys(trial.notes for trial in design.trials if not trial.complete):
        count = sum(trial.notes == reason for trial in design.trials)
        console.print(f"{count} failed: {reason}")
    if any(trial.standard_errors for trial in shown):
        console.print("the best of many estimates is better than it will prove: evaluate it anew to know")
    console.print(f"all trials are in {plan.folder / 'trials.csv'}")


def _best(design: Design) -> tuple[Trial, ...]:
    """Some acceptable trials, the best first by the first objective."""
    acceptable = [trial for trial in design.trials if design.study.is_acceptable(trial)]
    return tuple(sorted(acceptable, key=lambda trial: -design.study.gains(trial)[0])[:_BEST_ROWS])


def _columns(design: Design, shown: Sequence[Trial]) -> list[str]:
    """Objectives, what limits are of, and an exploitability if one is measured."""
    names = [each.name for each in design.study.objectives]
    measured = shown[0].values if shown else {}
    names += [each.measure for each in design.study.limits]
    names += [name for name in design.meanings if name in measured]
    return list(dict.fromkeys(names))


def _cells(design: Design, trial: Trial, columns: Sequence[str]) -> list[str]:
    """Numbers of a trial with their standard errors."""
    cells = []
    for name in columns:
        objective = next((each for each in design.study.objectives if each.name == name), None)
        if objective is not None:
            error = objective.standard_error(trial.values, trial.standard_errors)
            number = objective.value(trial.values)
        else:
            number, error = trial.values[name], trial.standard_errors.get(name, math.nan)
        small = name in design.meanings and abs(number) < 1e-3
        cells.append(f"{number:.1e}" if small else Estimate(round(number, 4) + 0.0, error).concise())
    return cells


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
