"""The ``karma-envs`` command."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from agents.learners import LearnerConfig
from karma_envs import __version__, names
from karma_envs.config import Config, ConfigError
from karma_envs.registry import game_class
from training import evaluate as evaluation
from training import results
from training.config import TrainConfig, descriptions, load_layer, parse_yaml, to_yaml
from training.results import ResultsError, Run
from training.train import Interrupted, Replica, train

console = Console(highlight=False)
_EPILOG = """\
values are written as in YAML: 3.2e7, true, null, 1,9 or [1, 9] for lists, and
--types '[{share: 1, discount: 0.7}, {share: 1, discount: 0.9}]' for agent types.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 on success, 1 on an error, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.action(options)
    except (ConfigError, ResultsError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"karma-envs: {error}", markup=False, soft_wrap=True)
        return 1
    except Interrupted as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 130
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="karma-envs", description="Karma economies: train, evaluate and plot population games."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    for name, action, text in (
        ("train", _train, "train a population; results go to a folder, a table and figures"),
        ("show-config", _show_config, "print the whole configuration that train would use, as YAML"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        games = command.add_subparsers(title="games", required=True, metavar="GAME")
        for game in names():
            one = games.add_parser(
                game,
                help=_first_line(game),
                description=_first_line(game),
                epilog=_EPILOG,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                argument_default=argparse.SUPPRESS,
            )
            one.set_defaults(action=action, game=game)
            _add_train_flags(one, game)

    command = commands.add_parser("evaluate", help="measure a finished run beside baselines")
    command.add_argument("run", metavar="RUN", help="folder of the run")
    command.add_argument("--n-steps", type=_value, default=10_000, help="steps to measure (default 10000)")
    command.add_argument("--burn-in", type=_value, default=1000, help="steps before that (default 1000)")
    command.add_argument("--seed", type=_value, default=1, help="seed of the evaluation (default 1)")
    command.add_argument(
        "--exploration", type=_value, default=None, help="epsilon of the exploring row (default: the run's)"
    )
    command.set_defaults(action=_evaluate)

    command = commands.add_parser("plot", help="draw the figures of a finished run")
    command.add_argument("run", metavar="RUN", help="folder of the run")
    command.add_argument(
        "--formats", default="png,pdf", help="file endings, separated by commas (default png,pdf)"
    )
    command.set_defaults(action=_plot)

    command = commands.add_parser("list", help="list games, presets, rules, baselines and learners")
    command.set_defaults(action=_list)
    return parser


def _first_line(game: str) -> str:
    module = sys.modules[game_class(game).__module__]
    return (module.__doc__ or "").splitlines()[0]


def _value(text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _list_value(text: str) -> Any:
    value = _value(text)
    return _value(f"[{text}]") if isinstance(value, str) and "," in text else value


# What argparse takes for a negative number, not an option: with exponents too.
_NEGATIVE_NUMBER = re.compile(r"^-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


def _add_train_flags(parser: argparse.ArgumentParser, game: str) -> None:
    found = game_class(game)
    presets = ", ".join(found.presets)
    parser._negative_number_matcher = _NEGATIVE_NUMBER
    parser.add_argument("--preset", metavar="NAME", help=f"start from a named configuration: {presets}")
    parser.add_argument("--config", metavar="FILE", help="YAML file with any of the fields below")
    parser.add_argument("--folder", metavar="DIR", help="where results go (default runs/<game>-<number>)")
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run; takes no other flags")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")
    for title, config_class in (
        ("the game", found.config_class),
        ("the learner", LearnerConfig),
        ("the run", TrainConfig),
    ):
        _add_fields(parser.add_argument_group(title), config_class)


def _add_fields(group: Any, config_class: type[Config]) -> None:
    meanings = descriptions(config_class)
    for item in dataclasses.fields(config_class):
        if item.name in ("game", "game_config", "learner"):
            continue
        is_list = isinstance(item.default, tuple) or item.name in ("urgency_transition", "initial_karma")
        shown = ",".join(map(str, item.default)) if isinstance(item.default, tuple) else item.default
        shown = "none" if shown in ("", None) else shown
        group.add_argument(
            "--" + item.name.replace("_", "-"),
            dest=f"field:{item.name}",
            type=_list_value if is_list else _value,
            metavar="VALUE",
            help=f"{meanings[item.name].rstrip('.')} (default {shown})".replace("%", "%%"),
        )


def _config(options: argparse.Namespace) -> TrainConfig:
    flags = {
        name.removeprefix("field:"): value
        for name, value in vars(options).items()
        if name.startswith("field:")
    }
    layers = [load_layer(options.config)] if "config" in options else []
    return TrainConfig.from_flat(options.game, getattr(options, "preset", None), *layers, flags)


def _show_config(options: argparse.Namespace) -> None:
    print(to_yaml(_config(options)), end="")


def _train(options: argparse.Namespace) -> None:
    if "resume" in options:
        given = sorted(set(vars(options)) - {"action", "game", "resume", "quiet", "no_figures"})
        if given:
            raise ConfigError(
                f"--resume goes on with the run's own configuration; leave out {_flag_of(given[0])}"
            )
        config, folder = Run.open(options.resume).config, options.resume
        if config.game != options.game:
            raise ConfigError(f"{folder} is a run of {config.game}, not of {options.game}")
    else:
        config, folder = _config(options), getattr(options, "folder", None)
    started = time.perf_counter()
    with _Bar(config, enabled="quiet" not in options) as bar:
        run = train(config, folder, resume="resume" in options, observer=bar)
    console.print(
        f"trained in {time.perf_counter() - started:.1f} s; results are in {run.folder}", markup=False
    )
    _report(run, evaluation.evaluate(run))
    if "no_figures" not in options:
        _draw(run, ("png", "pdf"))


def _flag_of(destination: str) -> str:
    return "--" + destination.removeprefix("field:").replace("_", "-")


class _Bar:
    """A progress bar per run: rate over all replicas, latest efficiency, policy change."""

    def __init__(self, config: TrainConfig, *, enabled: bool) -> None:
        self._config = config
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[state]}"),
            console=console,
            refresh_per_second=4,
            disable=not enabled,
        )
        self._lock = threading.Lock()
        self._task = TaskID(0)
        self._done = 0
        self._since = (0.0, 0)
        self._resumed: dict[int, int] = {}

    def __enter__(self) -> _Bar:
        self._progress.start()
        total = self._config.n_epochs * self._config.replicas
        self._task = self._progress.add_task(
            "compiling", total=total, state="(the first time takes a minute)"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, replica: Replica, rate: float) -> None:
        with self._lock:
            if replica.number not in self._resumed:
                self._resumed[replica.number] = replica.epoch - 1
                self._done += replica.epoch - 1
            self._done += 1
            now = time.perf_counter()
            then, done_then = self._since
            if now - then < 0.25 and self._done < self._config.n_epochs * self._config.replicas:
                return
            self._since = (now, self._done)
            per_epoch = self._config.epoch_length * replica.game.n_agents
            speed = (self._done - done_then) * per_epoch / (now - then) if then else rate
            state = f"{speed / 1e6:.1f} M agent-steps/s"
            if replica.rows:
                latest = replica.rows[-1]
                state += (
                    f" · efficiency {latest['efficiency']:.4f}"
                    f" · policy change {latest['policy_change_max']:.2f}"
                )
            self._progress.update(self._task, completed=self._done, description="training", state=state)


def _report(run: Run, found: Sequence[evaluation.Evaluation]) -> None:
    """Print a table of evaluations and keep it beside the run."""
    results.write_table(run.folder / "evaluation.csv", [item.to_row() for item in found])
    spread = "over seeds" if found[0].seeds > 1 else "within the run"
    table = Table(
        title=f"{found[0].steps} steps, {found[0].seeds} seed(s); in brackets the standard error "
        f"{spread}, in units of the last digit",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("played", no_wrap=True)
    columns = ("efficiency", "access_fairness", "reward_fairness")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for item in found:
        table.add_row(item.name, *(getattr(item.summary, name).concise() for name in columns))
    console.print(table)


def _evaluate(options: argparse.Namespace) -> None:
    run = Run.open(options.run)
    _report(
        run,
        evaluation.evaluate(
            run,
            n_steps=options.n_steps,
            burn_in=options.burn_in,
            seed=options.seed,
            exploration=options.exploration,
        ),
    )


def _plot(options: argparse.Namespace) -> None:
    _draw(Run.open(options.run), tuple(options.formats.split(",")))


def _draw(run: Run, formats: tuple[str, ...]) -> None:
    from training import plots

    for path in plots.plot(run, formats):
        console.print(str(path), markup=False)


def _list(options: argparse.Namespace) -> None:
    from agents.learners import targets
    from agents.learners.grouping import GROUPINGS
    from karma_envs.baselines import BASELINES
    from karma_envs.mechanisms import FAMILIES, rules

    for game in names():
        console.print(f"[bold]{game}[/bold]  {_first_line(game)}")
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


if __name__ == "__main__":
    sys.exit(main())
