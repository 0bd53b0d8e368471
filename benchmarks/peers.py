"""Time to a given exploitability: this package's solvers and the public ones that can express the game.

    python benchmarks/peers.py [--seconds 300] [--environment DIR] [--output benchmarks/peers.md]

Makes a virtual environment with this repository, karma-game-library and mfglib (which needs PyTorch; set
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu where pip would choose a build for GPUs) and runs
each solver there, in a process of its own, on one core. The game is the default one: pay bid to peer,
U = {1, 5} equally likely, gamma = .98, karma_max 20, mean karma 10. Policies are judged by
agents.exploitability, and the time that this takes does not count. Takes about an hour.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peer_solvers import OURS, SOLVERS, check_moves, model

PEERS = ("karma-game-library==1.0.2", "mfglib==0.3.0", "torch==2.13.0")
LEVELS = (1e-1, 1e-2, 1e-3, 1e-10)
MEMORY = 8 * 2**30
"""Bytes that a solver may use, lest one takes the machine along."""

Trace = list[tuple[float, int, float]]
"""CPU seconds, iterations, normalised exploitability."""

ARITHMETIC = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


# --- one solver, in a process of its own -----------------------------------------------------------


def traced(policies: Iterator[Any], seconds: float, goal: float) -> Trace:
    """How exploitable a solver's policies are, looked at now and then, and not timed."""
    import agents

    judge, spent, trace, next_look = model(), 0.0, [], 0
    next(policies)  # imports and the making of the game do not count
    for iteration in itertools.count(1):
        began = time.process_time()
        policy = next(policies)
        spent += time.process_time() - began
        if iteration < next_look and spent <= seconds:
            continue
        next_look = iteration + max(1, iteration // 20)
        normalised = policy / policy.sum(axis=2, keepdims=True)
        trace.append((spent, iteration, agents.exploitability(judge, normalised).normalised))
        if spent > seconds or trace[-1][2] <= goal:
            break
    return trace


def timed(method: str, seconds: float) -> Trace:
    """The same for one of ours: solved anew for each level, as a user would, compiled before."""
    import agents

    judge, trace = model(), []
    agents.solve(judge, method, tolerance=0.5)
    for level in LEVELS:
        began = time.process_time()
        found = agents.solve(judge, method, tolerance=level)
        trace.append(
            (time.process_time() - began, found.history[-1].iteration, found.exploitability_normalised)
        )
        if not found.converged or trace[-1][0] > seconds:
            break
    return trace


def child(name: str, seconds: float, goal: float) -> None:
    """Run one solver and print its trace, and why it ended if it failed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    trace, error = [], ""
    check_moves()
    try:
        trace = timed(name, seconds) if name in OURS else traced(SOLVERS[name][1](), seconds, goal)
    except (MemoryError, RuntimeError) as failure:
        error = str(failure).splitlines()[0]
    versions = {what: importlib.metadata.version(what) for what in VERSIONS}
    print(json.dumps({"trace": trace, "error": error, "versions": versions}))


# --- the benchmark ----------------------------------------------------------------------------------


def environment_python(folder: Path) -> str:
    """The interpreter of the virtual environment, made if need be, with this repository as it is now."""
    python = str(folder / "bin" / "python")
    if not Path(python).exists():
        venv.create(folder, with_pip=True)
    repository = str(Path(__file__).resolve().parent.parent)
    subprocess.run([python, "-m", "pip", "install", "-q", *PEERS, repository], check=True)
    return python


def measure(python: str, name: str, seconds: float, goal: float) -> dict[str, Any]:
    """What :func:`child` says, from a process of its own."""
    command = [python, str(Path(__file__).resolve()), "--child", name]
    command += ["--seconds", str(seconds), "--goal", str(goal)]
    try:
        done = subprocess.run(
            command,
            env=os.environ | ARITHMETIC,
            timeout=4 * seconds + 120,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return {"trace": [], "error": f"nothing within {4 * seconds:.0f} s"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def time_to(trace: Trace, level: float) -> float:
    """Seconds until the exploitability was first within a level; infinite if it never was."""
    return next((spent for spent, _, reached in trace if reached <= level), math.inf)


def cell(spent: float, ours: float) -> str:
    """A time, and how many times ours it is."""
    if not math.isfinite(spent):
        return "–"
    ratio = spent / ours
    return f"{spent:.2g} s (×{ratio:.2g})" if ratio < 10 else f"{spent:.2g} s (×{ratio:,.0f})"


def report(python: str, seconds: float) -> str:
    """Measure everything, and the page about it."""
    times: dict[str, list[float]] = {}
    notes: dict[str, str] = {}
    versions: dict[str, str] = {}
    for name in (*OURS, *SOLVERS):
        first = measure(python, name, seconds, min(LEVELS))
        versions |= first.get("versions", {})
        reached = [level for level in LEVELS if math.isfinite(time_to(first["trace"], level))]
        runs = [first["trace"]]
        for _ in range(2 if reached else 0):
            runs.append(measure(python, name, seconds, min(reached))["trace"])
        times[name] = [statistics.median(time_to(run, level) for run in runs) for level in LEVELS]
        if first["trace"]:
            spent, iteration, best = min(first["trace"], key=lambda look: look[2])
            notes[name] = f"{best:.1e} after {spent:.2g} s, {iteration} iterations"
        else:
            notes[name] = first["error"]
        print(name, times[name], notes[name], file=sys.stderr)
    ours = [min(times[name][index] for name in OURS) for index in range(len(LEVELS))]
    head = ("solver", "settings", *(f"{level:.0e}" for level in LEVELS), f"best within {seconds:.0f} s")
    rows = [head]
    settings = OURS | {name: what for name, (what, _) in SOLVERS.items()}
    for name, spent in times.items():
        cells = (cell(*pair) for pair in zip(spent, ours))
        rows.append((name, settings[name], *cells, notes[name]))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    table = "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])
    told = ", ".join(f"{what} {version}" for what, version in versions.items())
    return PAGE.format(
        table=table,
        versions=told,
        python=platform.python_version(),
        date=datetime.date.today(),
        seconds=f"{seconds:.0f}",
    )


VERSIONS = ("karma-envs", "karma-game-library", "mfglib", "torch", "numpy", "numba")
PAGE = """# Time to an equilibrium, beside the public peers

The default game (pay bid to peer, U = {{1, 5}} equally likely, gamma = .98, karma_max 20, mean karma 10):
CPU seconds until the exact normalised exploitability of a solver's stationary policy is within a level; in
brackets the ratio to ours, the faster of homotopy and fictitious_play at that level. – : not within
{seconds} s.

{table}

{versions}, Python {python}, {date}. CPU time on one core, medians of 3 runs, each in a process of its own;
imports, compilation and, for the peers, the evaluation of exploitability do not count. Levels that a first
run did not reach are not tried again. Made by `python benchmarks/peers.py --seconds {seconds}`.

## How the game was put to the peers

Exploitability is always `agents.exploitability`, exact in the mean field, of the table of probabilities that
the solver holds; never its own residual. Both peers get the probabilities of the next state from the same
few matrix products, checked against this package's model to rounding.

**karma-game-library** runs the dynamics of Elokda et al. 2023 for the very game: stationary, discounted.
Its karma has no cap: it enlarges the sets of karma and of bids as they fill. The cap is forced by giving it
21 of each, thresholds for more that are never reached, and a transition that caps what the loser gets and
shares out the rest. Its loops over states are its own. Tuned by hand, in runs of half a minute: nu in .1, .2,
.4, .7, the precision of the values it iterates in 10, 1, .1 (default 1e-5, most of the time of an
iteration), dt = 1 (its default .01 moves policy and population by a hundredth), lambda = 1000. Lambda,
and the precision of the values, bound the exploitability from below.

**mfglib** solves games of finite horizon without discount. The discount is put as a probability to die, the
horizon is 100, everyone begins with karma 10, and the stationary candidate is the policy in the middle
(time 50), far from both ends. So it solves 101 stages where the others solve one; a row has horizon 40, for
which that costs less. Bids above one's karma count as all of it.
In double precision; its `solve` computes its own exploitability at every iteration, which is left out by
calling its steps one by one. Tuned by hand: OnlineMirrorDescent alpha in 1, 2, 5, 20; PriorDescent eta in
.1, .3; FictitiousPlay alpha in 0, .05. MFOMO builds dense matrices of all stages, 4,343 by 91,203 (3.2 GB)
at horizon 100, where no step of its optimiser ended within two minutes and 14 GB; so its horizon is 20. It
has no step to call: it is run anew for 1, 2, 4, … steps, which at most doubles its time; its iterations are
these runs.

Not expressed: in mfglib the infinite horizon.
"""


def main() -> None:
    """Measure everything and print or write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="most CPU time of a solver (300)")
    parser.add_argument(
        "--environment",
        type=Path,
        default=Path(tempfile.gettempdir()) / "karma-envs-peers",
        help="folder of the virtual environment, made if need be",
    )
    parser.add_argument("--output", type=Path, help="write the report here too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--goal", type=float, default=min(LEVELS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seconds, options.goal)
        return
    page = report(environment_python(options.environment), options.seconds)
    print(page)
    if options.output is not None:
        options.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
