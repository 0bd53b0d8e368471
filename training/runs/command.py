"""``karma-envs train``: train a population, then print a table and draw figures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from karma_envs.config import ConfigError, refusal
from training.common.console import console
from training.common.flags import add_games, flag_of, layers
from training.common.plot_command import drawn
from training.common.trust import add_trust
from training.runs.config import TrainConfig
from training.runs.evaluate import evaluate, tables
from training.runs.evaluate_command import keep_evaluation, report
from training.runs.folder import Run
from training.runs.progress import TrainingBar
from training.runs.train import train

COMMAND = "train"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "train a population; results go to a folder, a table and figures"
    command = subparsers.add_parser(COMMAND, help=text, description=text.capitalize() + ".")
    add_games(command, _run, TrainConfig, _add_how)


def _add_how(parser: argparse.ArgumentParser) -> None:
    """Flags that say how to train, not what."""
    parser.add_argument("--folder", metavar="DIR", help="where results go (default runs/<game>-<number>)")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with an interrupted run, or, with --n-steps, with a finished one; takes no other "
        "flags of the configuration. More steps need a constant learning rate",
    )
    add_trust(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="write the metrics for TensorBoard, too: tensorboard --logdir runs",
    )
    parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")


def _run(options: argparse.Namespace) -> None:
    if "resume" in options:
        how = {"action", "game", "resume", "quiet", "no_figures", "tensorboard", "trust", "field:n_steps"}
        given = sorted(set(vars(options)) - how)
        if given:
            raise ConfigError(
                f"--resume goes on with the run's own configuration; leave out {flag_of(given[0])}"
            )
        config, folder = Run.open(options.resume, trust=options.trust).config, options.resume
        if config.game != options.game:
            raise ConfigError(f"{folder} is a run of {config.game}, not of {options.game}")
        if "field:n_steps" in options:
            longer = config.replace(n_steps=vars(options)["field:n_steps"])
            if longer.n_steps < config.n_steps:
                raise refusal("n_steps", longer.n_steps, f"{config.n_steps}, as many as the run has, or more")
            config = longer
    else:
        config = TrainConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options))
        folder = getattr(options, "folder", None)
    started = time.perf_counter()
    with TrainingBar(config, enabled="quiet" not in options) as bar:
        run = train(
            config, folder, resume="resume" in options, observer=bar, tensorboard="tensorboard" in options
        )
    seconds = time.perf_counter() - started
    found = evaluate(run)
    paths: list[Path] = []
    try:  # first what is kept: nobody may be reading what is printed
        keep_evaluation(run, found, tables(run))
        if "no_figures" not in options:
            paths = drawn(run.folder, ("png", "pdf"), trust=True)
    finally:
        console.print(f"trained in {seconds:.1f} s; results are in {run.folder}")
        report(run, found)
    for path in paths:
        console.print(str(path))
