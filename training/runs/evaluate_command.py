"""``karma-envs evaluate``: measure a finished run beside baselines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from karma_envs.config import whole
from karma_envs.outcome import Estimate, headlines
from training.common.console import console, print_table
from training.common.errors import ResultsError
from training.common.figures import require_matplotlib, save_figures
from training.common.flags import value
from training.common.folders import PATIENCE_SECONDS, owned, writing
from training.common.tables import Row, write_table
from training.common.trust import add_trust
from training.evaluation.play import Evaluation, Summary
from training.runs.evaluate import evaluate, tables
from training.runs.exploitability import (
    KINDS,
    RunExploitability,
    keep_exploitability,
    run_exploitability,
)
from training.runs.exploitability_figure import exploitability_figure
from training.runs.folder import Run

_MOST_TYPES = 4
"""Types that the table shows of all that is compared; of more, those of what was learned."""

COMMAND = "evaluate"


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(COMMAND, help="measure a finished run beside baselines")
    command.add_argument("run", metavar="RUN", help="folder of the run")
    command.add_argument("--n-steps", type=value, default=10_000, help="steps to measure (default 10000)")
    command.add_argument("--burn-in", type=value, default=1000, help="steps before that (default 1000)")
    command.add_argument("--seed", type=value, default=1, help="seed of the evaluation (default 1)")
    command.add_argument(
        "--exploration", type=value, default=None, help="epsilon of the exploring row (default: the run's)"
    )
    command.add_argument(
        "--exploitability",
        choices=("none", *KINDS),
        default="none",
        help="how far from an equilibrium instead: exact (in the mean field), finite (bounds in the game of "
        "N agents, exact for few), played (by how often bids win in play; cities), parallel (Algorithm 3, "
        "all agents at once), single (Algorithm 4, one agent at a time) or simulated (play against what the "
        "population makes; games with a statistic) (default none)",
    )
    command.add_argument(
        "--agents", type=value, default=5, help="agents that --exploitability single evaluates (default 5)"
    )
    command.add_argument(
        "--policies",
        choices=("types", "agents"),
        default="types",
        help="whose policies policy-<replica>.csv lists: the mean over each type's agents, or every agent's "
        "(default types)",
    )
    add_trust(command)
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    run = Run.open(options.run, trust=options.trust)
    if options.exploitability != "none":
        _report_exploitability(run, options)
        return
    found = evaluate(
        run,
        n_steps=options.n_steps,
        burn_in=options.burn_in,
        seed=options.seed,
        exploration=options.exploration,
    )
    by_agent = options.policies == "agents"
    parts = tables(run, n_steps=options.n_steps, seed=options.seed, by_agent=by_agent)
    _is_kept(lambda: keep_evaluation(run, found, parts))
    report(run, found)


def _is_kept(keep: Callable[[], None]) -> bool:
    """Write results, or say that they are only printed, where the run's folder takes no files."""
    try:
        keep()
    except ResultsError as error:
        console.print(f"what follows is not kept: {error}")
        return False
    return True


def keep_evaluation(run: Run, found: Sequence[Evaluation], parts: Mapping[str, Sequence[Row]]) -> None:
    """Write what was measured beside the run.

    Args:
        run: the run.
        found: of the policies.
        parts: what happens to each agent, and on each lane, and the policies, see
            :func:`training.runs.evaluate.tables`.

    Raises:
        ResultsError: when the folder takes no files, or is in use.
    """
    with writing(run.folder), owned(run.folder, seconds=PATIENCE_SECONDS):
        write_table(run.folder / "evaluation.csv", [item.to_row() for item in found])
        if rows := [row for item in found for row in item.type_rows()]:
            write_table(run.folder / "evaluation-types.csv", rows)
        for name, part in parts.items():
            write_table(run.folder / f"{name}.csv", part)


def _report_exploitability(run: Run, options: argparse.Namespace) -> None:
    seed, kind = whole("seed", options.seed, 0), options.exploitability
    with console.status(f"evaluating ({kind})"):
        found = run_exploitability(
            run, kind, n_agents=whole("agents", options.agents, 1), seed=seed, keep=False
        )
    is_kept = _is_kept(lambda: keep_exploitability(run, found))
    print_table(exploitability_table(found))
    if is_kept and found[0].agents:  # figures are drawn from what is kept
        require_matplotlib()
        drawn = {f"exploitability_{kind}": lambda: exploitability_figure(run, kind)}
        with writing(run.folder):
            paths = save_figures(run.folder, drawn, ("png", "pdf"))
        for path in paths:
            console.print(str(path))


def exploitability_table(found: Sequence[RunExploitability]) -> Table:
    """How exploitable the replicas of a run are, under a title that says which exploitability it is."""
    columns: dict[str, list[Estimate | None]] = {
        "payoff J": [item.payoff for item in found],
        f"gain: {found[0].meaning.certainty}": [item.greedy for item in found],
        "over |J|": [item.greedy_normalised for item in found],
        "upper bound": [item.upper for item in found],
        "upper / |J|": [item.upper_normalised for item in found],
        "equilibrium's gain": [item.to_equilibrium for item in found],
    }
    shown = {name: column for name, column in columns.items() if any(column)}
    title = found[0].said
    if any(np.isfinite(each.standard_error) for column in shown.values() for each in column if each):
        title += "; in brackets the standard error, in units of the last digit"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("replica", *shown):
        table.add_column(heading, justify="right")
    for row, item in enumerate(found):
        cells = (column[row] for column in shown.values())
        table.add_row(str(item.replica), *("" if each is None else each.concise() for each in cells))
    return table


def report(run: Run, found: Sequence[Evaluation]) -> None:
    """Print a table of evaluations, with the metrics of each type if there are several."""
    spread = "over seeds" if found[0].seeds > 1 else "within the run"
    table = Table(
        title=f"{found[0].steps} steps, {found[0].seeds} seed(s); fairness depends on how many steps; in "
        f"brackets the standard error {spread}, in units of the last digit",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("played", no_wrap=True)
    shown = headlines(found[0].metrics)
    for metric in shown:
        table.add_column(metric.title, justify="right", no_wrap=True)

    def cells(summary: Summary) -> list[str]:
        return [summary[metric.name].concise() for metric in shown]

    for number, item in enumerate(found):
        table.add_row(item.name, *cells(item.summary))
        if len(item.by_type) <= _MOST_TYPES or number == 0:
            for name, summary in item.by_type.items():
                table.add_row(f"  {name}", *cells(summary))
    print_table(table)
    if found[0].by_type:
        console.print(
            "of a type: mean reward of its agents, and fairness among them; everything of all types is in "
            "evaluation-types.csv"
        )
