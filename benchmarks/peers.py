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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PEERS = ("karma-game-library==1.0.2", "mfglib==0.3.0", "torch==2.13.0")
LEVELS = (1e-1, 1e-2, 1e-3, 1e-10)
CAP, MEAN, URGENCIES, DISCOUNT = 20, 10, (1.0, 5.0), 0.98
HORIZON = 100
MEMORY = 8 * 2**30
"""Bytes that a solver may use, lest one takes the machine along."""

Trace = list[tuple[float, int, float]]
"""CPU seconds, iterations, normalised exploitability."""

ARITHMETIC = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


# --- the solvers: each yields the policy [1, X, A] it begins with, and one per iteration ------------


class Moves:
    """What a pair's contest does to one's karma, as tables for NumPy or PyTorch.

    The peers ask for the probabilities of the next state, and how they are computed is up to the user:
    here by two products of matrices, so that what is measured is the peer and not this benchmark.
    """

    def __init__(self, array: Callable[[Any], Any]) -> None:
        import numpy as np

        n = CAP + 1
        outcome = np.zeros((n, n, n, 2, n))  # [other's bid, karma, bid, lost or won, karma after payment]
        for other in range(n):
            for karma in range(n):
                for action in range(n):
                    bid = min(action, karma)
                    won = 0.5 if bid == other else float(bid > other)
                    outcome[other, karma, action, 1, karma - bid] += won
                    outcome[other, karma, action, 0, karma + min(other, CAP - karma)] += 1 - won
        offers = np.arange(n + 1)
        after = np.minimum(np.arange(n) + offers[:, None], CAP)
        self.outcome = array(outcome.reshape(n, -1))
        self.shared = array(np.eye(n)[after])
        self.taken = array((after - np.arange(n)).astype(float))
        self.karma = array(np.arange(n, dtype=float))
        self.folded = array(
            np.eye(n)[np.minimum(np.arange(n), np.arange(n)[:, None])]
        )  # [karma, action, bid]

    def bids(self, joint: Any) -> Any:
        """The distribution of bids in a population ``[K, A]``."""
        return joint.reshape(-1) @ self.folded.reshape(-1, CAP + 1)

    def lost(self, joint: Any) -> Any:
        """P(lost | karma, bid), ``[K, A]``, among a population ``[K, A]``."""
        bids = self.bids(joint)
        return 1 - self.folded @ (bids.cumsum(0) - bids / 2)

    def __call__(self, joint: Any) -> Any:
        """P(lost or won, next karma | karma, bid), ``[K, A, 2, K]``, among a population ``[K, A]``."""
        n = CAP + 1
        moves = (self.bids(joint) @ self.outcome).reshape(n, n, 2, n)
        before_sharing = (joint.reshape(-1) @ moves.reshape(n * n, 2 * n)).reshape(2, n).sum(0)
        surplus = joint.sum(1) @ self.karma - before_sharing @ self.karma
        taken = self.taken @ before_sharing
        whole = min(max(int((taken <= surplus).sum()) - 1, 0), CAP - 1)
        part = (surplus - taken[whole]) / (taken[whole + 1] - taken[whole])
        return moves @ ((1 - part) * self.shared[whole] + part * self.shared[whole + 1])


def karma_game_library(
    hyper_lambda: float, hyper_dt: float, hyper_nu: float, threshold: float
) -> Iterator[Any]:
    """Elokda's dynamics as the package runs them, with the karma and the bids that there are held fixed."""
    import karma_game_library as peer
    import numpy as np

    moves = Moves(np.asarray)
    parameters = peer.GameParameters(
        num_agents=2,
        num_participants=2,
        num_types=1,
        num_urgencies=len(URGENCIES),
        num_outcomes=2,
        num_average_karma=MEAN,
        map_type_temp_preference={0: DISCOUNT},
        lst_init_types=[0, 0],
        lst_init_urgencies=[0, 1],
        lst_init_karmas=[MEAN, MEAN],
        func_cost=lambda urgency, outcome: 0.0 if outcome else URGENCIES[urgency],
        func_outcome=peer.templates.outcome.highest_bid,
        func_payment=peer.templates.payment.highest_bid_to_peer,
        func_urgency_transition=peer.templates.urgency_transition.random,
        func_overflow_distribution=peer.templates.overflow_distribution.none,
        func_karma_redistribution=peer.templates.karma_redistribution.none,
    )
    # The cap: states and actions of the right number, and thresholds for more that are never reached.
    parameters._num_state_karmas = parameters._num_actions = CAP + 1
    parameters._set_state_karmas = parameters._set_actions = np.arange(CAP + 1)
    parameters._creation_thr_state = parameters._creation_thr_action = math.inf
    policy, state = peer.Policy(parameters), peer.StateDistribution(parameters)
    known: list[Any] = [None, None]  # the bids that the table of moves is for, and the table

    def transition(
        following: int,
        karma: int,
        action: int,
        outcome: int,
        dist: Any,
        prob: Any,
        _: Any,
        gamma: Any,
        v: Any,
    ) -> float:
        if known[0] is not v:
            known[:] = v, moves((dist[..., None] * prob).sum(axis=(0, 1)))
        chance = gamma[outcome][action]
        return known[1][karma, action, outcome, following] / chance if chance else 0.0

    optimizer = peer.Optimizer(
        parameters,
        hyper_lambda,
        hyper_dt,
        hyper_nu,
        peer.templates.p_outcome.highest_bid,
        transition,
        peer.templates.p_urgency_transition.random,
    )
    optimizer._hyper_infinite_horizon_reward_convergence_threshold = threshold
    while True:
        yield policy.prob_matrix.reshape(1, -1, CAP + 1)
        optimizer.compute_iteration(state, policy)


def mfglib_environment(horizon: int) -> Any:
    """The game with a horizon: an agent survives a step with probability gamma, and the dead stay dead.

    That is the discount. Bids above one's karma count as all of it.
    """
    import torch
    from mfglib.env import Environment

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    n, n_urgencies = CAP + 1, len(URGENCIES)
    moves = Moves(lambda table: torch.as_tensor(table))
    urgencies = torch.tensor(URGENCIES)
    living = n_urgencies * n

    def population(L: Any) -> Any:
        alive = L[:living].reshape(n_urgencies, n, n).sum(0)
        return alive / alive.sum()

    def reward(env: Any, t: int, L: Any) -> Any:
        losses = -(urgencies[:, None, None] * moves.lost(population(L))).reshape(living, n)
        return torch.cat([losses, torch.zeros(1, n)])

    def transition(env: Any, t: int, L: Any) -> Any:
        karma = moves(population(L)).sum(2).permute(2, 0, 1)  # [next, karma, action]
        kernel = DISCOUNT / n_urgencies * karma.repeat(n_urgencies, n_urgencies, 1)
        dying = torch.full((1, living, n), 1 - DISCOUNT)
        dead = torch.zeros(living + 1, 1, n)
        dead[-1] = 1.0
        return torch.cat([torch.cat([kernel, dying]), dead], dim=1)

    start = torch.zeros(living + 1)
    start[MEAN:living:n] = 1 / n_urgencies
    return Environment(
        T=horizon,
        S=(living + 1,),
        A=(n,),
        mu0=start,
        r_max=max(URGENCIES),
        reward_fn=reward,
        transition_fn=transition,
    )


def stationary_part(policy: Any, horizon: int) -> Any:
    """The policy in the middle, far from the start and from the end; bids above one's karma folded."""
    import numpy as np

    n = CAP + 1
    middle = np.asarray(policy[horizon // 2][:-1].detach()).reshape(-1, n, n)
    folded = np.eye(n)[np.minimum(np.arange(n), np.arange(n)[:, None])]
    return np.einsum("uka,kab->ukb", middle, folded).reshape(1, -1, n)


def mfglib(algorithm: str, horizon: int = HORIZON, **options: Any) -> Iterator[Any]:
    """An iterative algorithm of mfglib, without the exploitability that its ``solve`` computes."""
    import mfglib.alg
    import torch

    environment = mfglib_environment(horizon)
    solver = getattr(mfglib.alg, algorithm)(**options)
    shape = (horizon + 1, *environment.S, *environment.A)
    state = solver.init_state(environment, torch.full(shape, 1 / environment.n_actions))
    while True:
        yield stationary_part(state.pi, horizon)
        state = solver.step_next_state(state, None, None)


def mfglib_omo(horizon: int, **options: Any) -> Iterator[Any]:
    """MF-OMO, which has no step of its own to call: one step of its optimiser, anew two, four and so on."""
    import mfglib.alg

    environment = mfglib_environment(horizon)
    for doublings in itertools.count():
        policies, _, _ = mfglib.alg.MFOMO(**options).solve(
            environment, max_iter=2**doublings, atol=None, rtol=None
        )
        yield stationary_part(policies[-1], horizon)


SOLVERS: dict[str, tuple[str, Callable[[], Iterator[Any]]]] = {
    "karma-game-library": (
        "lambda = 1000, dt = 1, nu = .4, values to within a sum of 1",
        lambda: karma_game_library(1000.0, 1.0, 0.4, 1.0),
    ),
    "mfglib FictitiousPlay": ("alpha = 0: 1/n", lambda: mfglib("FictitiousPlay")),
    "mfglib OnlineMirrorDescent": ("alpha = 5", lambda: mfglib("OnlineMirrorDescent", alpha=5.0)),
    "mfglib PriorDescent": ("eta = .1, n_inner = 1", lambda: mfglib("PriorDescent", eta=0.1, n_inner=1)),
    "mfglib PriorDescent, horizon 40": (
        "eta = .3, n_inner = 1",
        lambda: mfglib("PriorDescent", 40, eta=0.3, n_inner=1),
    ),
    "mfglib MFOMO, horizon 20": ("defaults", lambda: mfglib_omo(20)),
}
OURS = {"homotopy": "defaults", "fictitious_play": "defaults"}


def model() -> Any:
    """The mean-field model that judges."""
    import karma_envs

    return karma_envs.make(
        "matching", karma_max=CAP, karma_mean=MEAN, urgencies=URGENCIES, discount=DISCOUNT
    ).mean_field()


def check_moves() -> None:
    """The probabilities that the peers get are those of this package's model."""
    import numpy as np

    judge, n = model(), CAP + 1
    policy = (judge.legal_actions / judge.legal_actions.sum(axis=1, keepdims=True))[None]
    mean_field = np.random.default_rng(0).dirichlet(np.ones(judge.n_states))[None]
    expected = judge.environment(judge.statistic(mean_field, policy))
    moves, legal = Moves(np.asarray), judge.legal_actions[:n]
    joint = (mean_field[..., None] * policy).reshape(-1, n, n).sum(axis=0)
    kernel = expected.kernel.reshape(-1, n, n, len(URGENCIES), n)[0].sum(axis=2)
    np.testing.assert_allclose(moves(joint).sum(axis=2)[legal], kernel[legal], atol=1e-12)
    lost = -expected.reward.reshape(-1, n, n)[0] / URGENCIES[0]
    np.testing.assert_allclose(moves.lost(joint)[legal], lost[legal], atol=1e-12)


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
