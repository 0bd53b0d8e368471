"""``karma-envs solve``: find a stationary equilibrium of a game's mean-field limit."""

from __future__ import annotations

import argparse
from typing import Any

from agents.solvers import Step
from training.commands.plot import draw
from training.flags import add_games, layers
from training.progress import console
from training.solution import SolveConfig, solve_to_folder


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "find an equilibrium of the mean-field limit; results go to a folder, with figures"
    command = subparsers.add_parser("solve", help=text, description=text.capitalize() + ".")
    for parser in add_games(command, _run, {"the solver": SolveConfig}):
        parser.add_argument(
            "--folder", metavar="DIR", help="where results go (default runs/<game>-equilibrium-<number>)"
        )
        parser.add_argument("--quiet", action="store_true", help="do not show the solver's steps")
        parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")


def _run(options: argparse.Namespace) -> None:
    config = SolveConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options))
    with console.status("compiling (the first time takes a minute)") as status:

        def show(step: Step) -> None:
            status.update(
                f"step {step.iteration} · normalised exploitability {step.exploitability_normalised:.1e} · "
                f"efficiency {step.efficiency:.4f}"
            )

        solution, found = solve_to_folder(
            config, getattr(options, "folder", None), None if "quiet" in options else show
        )
    logit = config.rationality is not None or config.exploration > 0
    if found.converged:
        kind = "logit equilibrium" if logit else "equilibrium"
        console.print(f"{kind} found by {found.method} in {found.seconds:.1f} s")
    else:
        console.print(
            f"no equilibrium within the tolerance {found.tolerance:g} was found by {found.method} in "
            f"{found.seconds:.1f} s; this is the best policy it came across"
        )
    console.print(
        f"efficiency {found.efficiency:.6f}\n"
        f"exploitability {found.exploitability:.3e} (exact; any stationary deviation of one agent), "
        f"normalised {found.exploitability_normalised:.3e}\n"
        f"results are in {solution.folder}",
        markup=False,
    )
    if "no_figures" not in options:
        draw(solution.folder, ("png", "pdf"))
