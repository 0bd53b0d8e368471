"""``karma-envs solve``: find a stationary equilibrium of a game's mean-field limit."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from agents.evaluators import FiniteExploitability
from agents.solvers import Equilibrium, Step
from agents.solvers.continuation.search import Found
from agents.solvers.sensitivity.branch import End
from karma_envs.config import ConfigError
from karma_envs.finite import as_finite
from training.common.console import console, print_table
from training.common.flags import add_games, layers
from training.common.plot_command import draw
from training.common.tables import read_table
from training.solving.config import SolveConfig
from training.solving.search import TABLE, search_to_folder
from training.solving.sensitivity import SENSITIVITY, sensitivity_to_folder
from training.solving.solution import Solution, solve_to_folder

NOT_FOUND = 3
"""Exit status where no equilibrium within the tolerance was found; the results are written all the same."""

_INTERRUPTED = 130

_DESCRIPTION = """\
Find an equilibrium of the mean-field limit, or with --finite of the game of so few agents as it is configured
for; --certify bounds what one agent gains by leaving the mean field's equilibrium in the game of N agents.
Results go to a folder, with figures. The exit status is 3 where none was found within the tolerance, or none
whose population is at rest; the best policy is written all the same. Ctrl-C ends the solver with the best
policy until then.
"""

COMMAND = "solve"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "find an equilibrium, in the mean field or among few agents; results go to a folder, with figures"
    command = subparsers.add_parser(COMMAND, help=text, description=_DESCRIPTION)
    add_games(command, _run, SolveConfig, _add_how)


def _add_how(parser: argparse.ArgumentParser) -> None:
    """Flags that say what is shown and written."""
    parser.add_argument(
        "--folder", metavar="DIR", help="where results go (default runs/<game>-equilibrium-<number>)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not show the solver's steps")
    parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")


def _run(options: argparse.Namespace) -> int:
    config = SolveConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options))
    population = f"{config.make_game().n_agents} agents" if config.finite else "mean field"
    with console.status("compiling (the first time takes a minute)") as status:

        def show(step: Step) -> None:
            status.update(f"{step}, {population}")

        solution, found = solve_to_folder(
            config, getattr(options, "folder", None), None if "quiet" in options else show
        )
    _report(solution, found)
    if found.interrupted:
        console.print(f"figures: karma-envs plot {solution.folder}")
        return _INTERRUPTED
    if config.search:
        _search(solution, quiet="quiet" in options)
    if config.sensitivity_parameters != () and found.converged:
        _sensitivity(solution, found)
    if "no_figures" not in options:
        draw(solution.folder, ("png", "pdf"), trust=True)  # of what the user named just now
    return 0 if found.converged else NOT_FOUND


def _report(solution: Solution, found: Equilibrium) -> None:
    """Print what was found."""
    logit = solution.config.rationality is not None or solution.config.exploration > 0
    kind = "logit equilibrium" if logit else "equilibrium"
    if found.sought != "equilibrium":
        kind = f"{found.sought}, which is no equilibrium,"
    by = f"by {found.method} in {found.seconds:.1f} s"
    best = "this is the best policy it came across"
    if found.converged:
        said = f"{kind} found {by}"
    elif found.interrupted:
        said = f"interrupted: no {kind} found yet {by}; {best}"
    elif not found.at_rest:
        said = (
            f"no {kind} was found {by}: the population is not at rest (a step changes its mean field by up "
            f"to {found.stationary_residual:.1e}); {best}"
        )
    elif found.reason:
        said = f"no {kind} was found {by}: {found.reason}; {best}"
    else:
        said = f"no {kind} within the tolerance {found.tolerance:g} was found {by}; {best}"
    fairness = ", ".join(
        f"of {name.removesuffix('_fairness')} {value:z.4f}"
        for name, value in reversed(solution.numbers.items())
        if name.endswith("_fairness") and value is not None
    )
    in_the_long_run = f"\nfairness in the long run, in which luck evens out: {fairness}" if fairness else ""
    statistic = "".join(
        f"{name.replace('_', ' ')} {value:.10g}\n" for name, value in solution.numbers["statistic"].items()
    )
    console.print(
        f"{said}\n{statistic}"
        f"efficiency {found.efficiency:.6f}; payoff {found.payoff:.6g}, discounted\n"
        f"exploitability {found.exploitability:.3e}, over |J| {found.exploitability_normalised:.3e} "
        f"({found.meaning}){in_the_long_run}",
    )
    if (price := solution.price_of_anarchy) is not None:
        console.print(f"price of anarchy {price:.4f}: what agents lose, over what they lose under DICT")
    if found.certificate is not None:
        _certificate(found.certificate)
    if len(solution.types) > 1:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for key in solution.types[0]:
            table.add_column(key.replace("_", " "), justify="right", no_wrap=True)
        for row in solution.types:
            table.add_row(*(f"{value:.4g}" for value in row.values()))
        console.print(table)
    console.print(f"results are in {solution.folder}")


def _certificate(certificate: FiniteExploitability) -> None:
    """Print what one agent may gain in the game of N agents."""
    title = (
        f"what one of {certificate.n_agents} agents gains by leaving the policy, in the game of so many; "
        f"payoff {certificate.payoff:.6g}, efficiency {certificate.efficiency:.6f}"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "gain", "over |J|", "± standard error", "deviations"):
        table.add_column(heading, no_wrap=True)
    size = abs(certificate.payoff) or 1.0
    bounds = (
        (certificate.meaning_lower, certificate.lower, certificate.standard_error),
        (certificate.meaning_upper, certificate.upper, 0.0),
    )
    for meaning, gain, error in bounds:
        if gain is not None:
            of_gain = (f"{gain:.6g}", f"{gain / size:.2%}", f"{error:.2g}" if error else "exact")
            table.add_row(meaning.certainty, *of_gain, meaning.deviations)
    print_table(table)
    console.print(certificate.method)


def _sensitivity(solution: Solution, found: Equilibrium) -> None:
    """Differentiate the equilibrium and print a table."""
    try:
        result = sensitivity_to_folder(solution, found)
    except ConfigError as error:
        console.print(f"no derivatives: {error}")
        return
    table = Table(
        title=f"derivatives of this equilibrium of the mean field, {result.seconds:.2g} s",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    moving = np.flatnonzero(np.nan_to_num(result.derivatives, nan=1.0).any(axis=1))
    table.add_column("parameter", no_wrap=True)
    for name in ("value", *(result.outputs[row].replace("_", " ") for row in moving), "holds from", "to"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, name in enumerate(result.parameters):
        slopes = (f"{result.derivatives[row, number]:.4g}" for row in moving)
        ends = (_end(end) for end in (result.branches[number].low, result.branches[number].high))
        table.add_row(name, f"{result.values[number]:.6g}", *slopes, *ends)
    print_table(table)
    console.print(
        "per unit of the parameter, as long as the same actions are played; *: there the branch of\n"
        "equilibria turns back. What happens at the ends, elasticities and more: "
        f"{solution.folder / SENSITIVITY}"
    )


def _end(end: End) -> str:
    return "–" if not np.isfinite(end.value) else f"{end.value:.6g}{'*' if end.turns else ''}"


def _search(solution: Solution, *, quiet: bool) -> None:
    """Look for several equilibria and print a table of them."""
    starts = solution.config.search
    known: set[float] = set()
    done = -1  # the first attempt is the homotopy
    with console.status("searching for further equilibria; Ctrl-C keeps those found so far") as status:

        def show(origin: str, found: tuple[Found, ...]) -> None:
            nonlocal done
            done += 1
            known.update(round(one.efficiency, 7) for one in found)
            status.update(
                f"start {done} of {starts} · about {len(known)} equilibria so far; Ctrl-C keeps them"
            )

        report = search_to_folder(solution, None if quiet else show)
    ended = "interrupted after" if report.interrupted else "search of"
    title = f"{ended} {report.attempts} attempts, {report.seconds:.0f} s; there may be others"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    rows = read_table(solution.folder / TABLE)
    quantities = as_finite(solution.game()).observation_values()
    for key in rows[0] if rows else ():
        table.add_column(_heading(key, quantities), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(key, value) for key, value in row.items()))
    if not rows:
        console.print(f"{title}; none was found")
    else:
        print_table(table)
        console.print(
            f"exploit.: over |J| ({solution.meaning}); n: times found; dist: of the policy from the first, "
            "in L1, mean over agents (0 … 2)\n"
            f"this table is in {solution.folder / TABLE}, the policies beside it",
        )


def _heading(key: str, quantities: Iterable[str]) -> str:
    """A column of the table of equilibria, in few letters.

    Args:
        key: the column in the file, such as mean_bid_urgency_5.
        quantities: what observations are made of; their first letters stand for them, as in "bid u=5".
    """
    short = {
        "number": "no",
        "exploitability_normalised": "exploit.",
        "times_found": "n",
        "first_found_by": "first by",
        "distance_to_first": "dist",
    }
    if key in short:
        return short[key]
    if key.endswith("_std"):
        return key.replace("_std", " sd")
    for name in quantities:
        key = key.replace(f"_{name}_", f"_{name[0]}=")
    return key.removeprefix("mean_").replace("_", " ")


def _cell(key: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.5f}" if key == "efficiency" else f"{value:.0e}" if "exploit" in key else f"{value:.3f}"
