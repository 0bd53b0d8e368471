"""Fluctuations of the naive algorithm in the repeated auction: 30 sample paths of |L_k - L_{k+1}|.

Source: R. Xu, RLChina 2020, "Failure of the naive algorithm", and Guo, Hu, Xu, Zhang 2019, Figure 1. A path
begins with a random policy; its best responses are exact, or learned by 10^4 sweeps of Q-learning. Beside the
naive algorithm's argmax-e the softmax with c = 4 from the same starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.solvers.three_step.inner import Exact, QLearning
from agents.solvers.three_step.rounds import rounds
from agents.solvers.three_step.smoothing import SMOOTHINGS
from agents.solvers.three_step.three_step import FOLLOWING, TabularMap
from karma_envs.mean_field import as_finite_model
from karma_envs.registry import make
from training.common.figures import COLOURS, legend_above, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.reproduce import announcer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PATHS = {"quick": 5, "full": 30}
_ROUNDS = 50
_SETTLED = 10  # rounds, after which a path has left its start
_SWEEPS = {"quick": 1000, "full": 10_000}
_RATIONALITY = 4.0
_CASES = {
    "naive, exact": ("argmax_e", False),
    "naive, Q-learning": ("argmax_e", True),
    "softmax, exact": ("boltzmann", False),
    "softmax, Q-learning": ("boltzmann", True),
}
_NUMBERS = ("path", "linf", "settled_l1", "least_l1", "greatest_l1", "settled_linf", "paths")


def _path(smoothing: str, inner: Exact | QLearning, rng: np.random.Generator) -> NDArray[np.float64]:
    """|L_k - L_{k+1}| in l_1 and in l_inf, ``float64[2, rounds]``, from a random policy."""
    model = as_finite_model(make("auction").mean_field())  # type: ignore[arg-type]
    world = TabularMap(model, inner.start(), SMOOTHINGS[smoothing], _RATIONALITY, FOLLOWING["step"])
    start = world.start(rng.dirichlet(np.ones(model.n_actions), (model.n_types, model.n_states)))
    every_round = itertools.islice(rounds(world.respond, world.follow, start), _ROUNDS)
    changes = [np.abs(one.after - one.before) for one in every_round]
    return np.array([[change.sum() for change in changes], [change.max() for change in changes]])


def _curve(case: str) -> str:
    return f"{case}, by round"


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    announce = announcer()
    for case, (smoothing, learned) in _CASES.items():
        paths = []
        for path in range(_PATHS[scale]):
            announce(f"{case}: path {path + 1} of {_PATHS[scale]}")
            rng = np.random.default_rng([seed, path])
            inner = QLearning(sweeps=_SWEEPS[scale], seed=int(rng.integers(2**31))) if learned else Exact()
            paths.append(_path(smoothing, inner, rng))
            if learned:  # what the figure shows
                rows += [
                    row_of(_NUMBERS, _curve(case), number, float(number), l1, path=path, linf=linf)
                    for number, (l1, linf) in enumerate(paths[-1].T.tolist())
                ]
        settled_l1, settled_linf = np.array(paths)[:, :, _SETTLED:].swapaxes(0, 1)
        summary = {
            "settled_l1": settled_l1.mean(),
            "least_l1": settled_l1.min(),
            "greatest_l1": settled_l1.max(),
            "settled_linf": settled_linf.mean(),
            "paths": len(paths),
        }
        rows.append(row_of(_NUMBERS, case) | {name: float(value) for name, value in summary.items()})
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(8.4, 3.2, 2)
    first = rows[0]["seed"]
    for case, colour in zip(_CASES, COLOURS):
        if not _CASES[case][1]:
            continue
        points = [row for row in rows if row["case"] == _curve(case) and row["seed"] == first]
        for panel, quantity in zip(axes, ("linf", "y")):
            for path in sorted({row["path"] for row in points}):
                own = [row for row in points if row["path"] == path]
                panel.plot(
                    [row["x"] for row in own], [row[quantity] for row in own], color=colour, linewidth=0.6,
                    alpha=0.6, label=case.partition(",")[0] if path == 0 else None,
                )  # fmt: skip
    for panel, norm in zip(axes, (r"\infty", "1")):
        panel.set(xlabel="round k", ylabel=rf"$|L_k - L_{{k+1}}|_{{{norm}}}$", ylim=(0, None))
    legend_above(axes[1])
    return figure


EXPERIMENT = Experiment(
    name="slides-fluctuation",
    title="Fluctuations of the naive algorithm, 30 sample paths",
    source="Xu 2020, “Failure of the naive algorithm”; the auction is ours after Guo, Hu, Xu, Zhang 2019",
    run=_run,
    figures={"fluctuation": _figure},
    published=(
        *(
            Published("naive, exact", quantity, 2.0, 1e-9, "populations in turn without a bid in common")
            for quantity in ("settled_l1", "least_l1")
        ),
        Published("softmax, exact", "settled_l1", 0.0, 0.02, "smoothed it converges by a factor a round"),
    ),
    notes=(
        "`settled_l1`, `settled_linf`: means over all paths and rounds 10 to 49 of |L_k - L_{k+1}|; least "
        "and greatest of the same. The source prints curves and no numbers; that the naive algorithm never "
        "settles, with a change of 2 in l_1 in every round, is what our instance of its auction must show. "
        "Where all bid alike several bids are equally good: argmax-e takes all of them, and a learned Q one "
        "of them by chance, so that with Q-learning populations may have bids in common and the change is at "
        "times below 2. The figure has the paths of the first seed, with Q-learning, naive and smoothed."
    ),
)
