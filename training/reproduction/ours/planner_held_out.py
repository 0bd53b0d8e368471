"""How soon a planner does as well as the best of a fine grid, on problems that its methods were not made on.

`planner-matching` shows one problem, on which the methods were also tried while they were being made. The
problems here were written down, with their ranges, budgets and seeds, before any of their grids was computed.
What was changed after is told in the notes. Each is of the matching
game: a tax on karma from 0 to half, and the mean karma over all of its range; the grid has its ends among its
points.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import agents
from agents.planners import Continuous, Design, MaxMin, Measure, Objective, Space, TradeOff
from agents.planners.inner.equilibrium import EXPLOITABILITY, EquilibriumInner
from agents.planners.inner.inner import Arrays
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.config import PRESETS
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from training.common.figures import COLOURS, new_panels
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of
from training.reproduction.reproduce import announcer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TAX, _MEAN = Continuous("tax.rate", 0.0, 0.5), Continuous("karma_mean", 1.0, 19.0)
_PARTS = Continuous("pay_bid_in_parts.peer_share", 0.0, 1.0)
_QUARTER = "Bayesian, a quarter"
_METHODS = {"Bayesian": "bayesian", "gradient": "gradient", "random": "random", _QUARTER: "bayesian"}
_SHARES = {"Bayesian": 10, "random": 10, "gradient": 20, _QUARTER: 4}  # the grid's evaluations, over theirs
_MISSED = ("pay society", "more rational", "Nash")  # by some seed of Bayesian search with a tenth
_FIRST_SEED = 101
_GRID, _SO_FAR = "grid", "so far"
_ROUNDING = 1e-9  # of equilibria that are solved for
_LEAST_DRAWN = 1e-5
_NUMBERS = (
    *("value", "short_of_grid", "reached", "evaluations", "evaluations_to_grid"),
    *("tax", "karma_mean", "peer_share", EXPLOITABILITY, "cpu_seconds"),
)


@dataclass(frozen=True)
class _Problem:
    """What is sought.

    Attributes:
        title: of its panel.
        game: fields of the matching game.
        objective: what is maximised.
        rationality: beta, infinite for a Nash equilibrium.
        parameters: with a range each.
        sides: points of the grid per parameter, by scale.
    """

    title: str
    game: Mapping[str, Any] = field(default_factory=dict)
    objective: Objective = field(default_factory=lambda: Measure("efficiency"))
    rationality: float = 5.0
    parameters: tuple[Continuous, ...] = (_TAX, _MEAN)
    sides: Mapping[str, int] = field(default_factory=lambda: {"quick": 6, "full": 20})

    @property
    def space(self) -> Space:
        return Space(self.parameters)

    def inner(self, *, derivatives: bool) -> EquilibriumInner:
        return EquilibriumInner(
            MatchingGame(**self.game),
            rationality=self.rationality,
            derivatives=derivatives,
            warm=bool(np.isfinite(self.rationality)),
        )

    def budget(self, method: str, scale: str) -> int:
        """Evaluations of a method; at quick scale more of a grid that is small."""
        size: int = self.sides[scale] ** len(self.parameters)
        return size // 4 if scale == "quick" else size // _SHARES[method]


_TRADE_OFF = TradeOff({"efficiency": 1.0, "reward_fairness": 1.0})
_WORSE_OFF = MaxMin(("payoff_type_0", "payoff_type_1"))
_PROBLEMS = {
    "pay society": _Problem("a) bids paid to society", {"payment": "pay_bid_to_society"}),
    "trade-off": _Problem("b) two discounts, trade-off", PRESETS["two-discounts"], _TRADE_OFF),
    "worse off": _Problem("c) two urgencies, worse off", PRESETS["two-urgencies"], _WORSE_OFF),
    "rare urgency": _Problem("d) rare high urgency", PRESETS["rare-high-urgency"]),
    "more rational": _Problem("e) more rational", rationality=50.0),
    "in parts": _Problem(
        "f) bids paid in parts", parameters=(_TAX, _MEAN, _PARTS), sides={"quick": 4, "full": 8}
    ),
    "Nash": _Problem(
        "g) Nash equilibria",
        {"karma_max": 10, "karma_mean": 5},
        rationality=np.inf,
        parameters=(_TAX, Continuous("karma_mean", 1.0, 9.0)),
    ),
}


def _grid_points(side: int, size: int) -> Iterator[NDArray[np.float64]]:
    """Coordinates of the points of a grid, to and fro, so that each is a neighbour of the one before."""
    places = np.linspace(0.0, 1.0, side)
    forth = [True] * size
    for index in np.ndindex(*(side,) * size):
        yield places[[i if way else side - 1 - i for i, way in zip(index, forth, strict=True)]]
        for axis in range(size - 1, 0, -1):  # an axis that is at its end turns back, and those behind it
            if index[axis] < side - 1:
                break
            forth[axis] = not forth[axis]


@cache
def _grid(name: str, scale: str) -> Row:
    """The grid's best, which no seed changes."""
    problem, began = _PROBLEMS[name], time.process_time()
    inner, space = problem.inner(derivatives=False), problem.space
    warm: Arrays | None = None
    row: dict[str, float] = {}
    best, count = -np.inf, 0
    for place in _grid_points(problem.sides[scale], len(problem.parameters)):
        evaluation = inner.evaluate(space.at(place), seed=0, warm=warm)
        warm, count = evaluation.warm, count + 1
        value = problem.objective.value(evaluation.values)
        if value > best:
            best = value
            row = _chosen(space.at(place), evaluation.values)
    summary = row_of(
        _NUMBERS,
        _case(name, _GRID),
        value=best,
        short_of_grid=0.0,
        reached=1.0,
        evaluations=count,
        evaluations_to_grid=count,
        cpu_seconds=time.process_time() - began,
    )
    return summary | row


def _chosen(point: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, float]:
    return {
        "tax": float(point["tax.rate"]),
        "karma_mean": float(point["karma_mean"]),
        "peer_share": float(point.get(_PARTS.name, np.nan)),
        EXPLOITABILITY: values[EXPLOITABILITY],
    }


def _case(name: str, method: str) -> str:
    return f"{name}: {method}"


def _rows(name: str, method: str, result: Design, grid: float, seconds: float) -> list[Row]:
    """A row of what a method came to, and by how much it was short of the grid after each evaluation."""
    best, after = result.best, result.best_after()
    reached = np.flatnonzero(after >= grid - _ROUNDING)
    short = np.maximum(grid - after, 0.0)
    summary = row_of(
        _NUMBERS,
        _case(name, method),
        value=result.value(best),
        short_of_grid=float(short[-1]),
        reached=float(len(reached) > 0),
        evaluations=len(result.trials),
        evaluations_to_grid=float(reached[0] + 1) if len(reached) else np.nan,
        cpu_seconds=seconds,
    ) | _chosen(best.point, best.values)
    case = f"{_case(name, method)}, {_SO_FAR}"
    return [summary, *(row_of(_NUMBERS, case, n, n + 1.0, value) for n, value in enumerate(short.tolist()))]


def _methods_of(name: str) -> list[str]:
    return [method for method in _METHODS if method != _QUARTER or name in _MISSED]


def _problem_rows(name: str, scale: str, seed: int) -> list[Row]:
    """The grid's best and what each method came to."""
    problem, grid = _PROBLEMS[name], _grid(name, scale)
    rows = [grid]
    for method in _methods_of(name):
        inner = problem.inner(derivatives=method == "gradient")
        began = time.process_time()
        result = agents.design(
            problem.space,
            inner,
            problem.objective,
            budget=problem.budget(method, scale),
            method=_METHODS[method],
            seed=_FIRST_SEED + seed,
        )
        rows += _rows(name, method, result, grid["value"], time.process_time() - began)
    return rows


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    announce = announcer()
    for name in _PROBLEMS:
        announce(name)
        rows += _problem_rows(name, scale, seed)
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    """By how much each method is short of the grid's best, by evaluations, a panel for each problem."""
    figure, panels = new_panels(len(_PROBLEMS), 2.4, 2.3)
    seeds = sorted({int(row["seed"]) for row in rows})
    for panel, (name, problem) in zip(panels, _PROBLEMS.items()):
        for method, colour in zip(_methods_of(name), COLOURS):
            for seed in seeds:
                x, short = points(rows, f"{_case(name, method)}, {_SO_FAR}", seed)
                drawn = np.maximum(short, _LEAST_DRAWN)
                panel.step(
                    x, drawn, where="post", color=colour, linewidth=1.0, label=None if seed else method
                )
        panel.set(yscale="log", ylim=(_LEAST_DRAWN * 0.8, 5.0), title=problem.title, xlabel="evaluations")
    panels[0].set(ylabel="short of the grid's best")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center")
    return figure


EXPERIMENT = Experiment(
    name="planner-held-out",
    title="A planner against fine grids, on problems that it was not made on",
    source="ours; games of Vaishampayan 2024",
    run=_run,
    figures={"evaluations": _figure},
    published=tuple(
        Published(
            _case(name, method),
            "short_of_grid",
            0.0,
            _ROUNDING,
            f"rounding: as good as the best of the grid, with {100 // _SHARES[method]} % of its evaluations",
        )
        for name in _PROBLEMS
        for method in _methods_of(name)
        if method != "random"
    ),
    notes=(
        "Logit equilibria, beta = 5 (50 where agents are more rational), each followed from that of the "
        "nearest trial, or of the neighbour on the grid; Nash equilibria solved for anew, with a cap of 10. "
        "The grid has 20 by 20 points, 8 by 8 by 8 where bids are paid in parts; Bayesian and random search "
        "have a tenth of its evaluations, ascent by derivatives a twentieth, and seeds are 101 and on. "
        "`reached` is the share of seeds that came to the grid's best, `evaluations_to_grid` after how "
        "many evaluations, of those that did. Derivatives were not expected to serve where they say "
        "nothing: by the share that is paid to peers, which matters in jumps, and at Nash equilibria, of "
        "which there may be several.\n\n"
        "Problems, ranges and seeds were written down before any of these grids was computed; what falls "
        "short is shown as it is. Where a seed of Bayesian search fell short with a tenth, all seeds had a "
        "quarter afterwards. Those with a tenth are of the search as it was before any of these problems was "
        "seen; those with a quarter of a later one, which searches around the best only where it stalls, "
        "as it is now.\n\n"
        "Ascent by derivatives was changed after: it had ended on ridges where slopes differ on the two "
        "sides. It now goes by the planes of both, a rule of the literature that was chosen by analytic "
        "functions and `planner-matching`; yet four forms of it were run here and their traces seen, so that "
        "its rows are not held out any more. Before, it had reached the grid's best in 14 of 28 runs and was "
        "short of it by .0048 on average where bids are paid to society, by .0027 where agents are more "
        "rational. What is left is peaks: ascents end on lower ones, of which the few that 20 evaluations "
        "reach may all be."
    ),
    meanings={EXPLOITABILITY: Meaning(None, EXACT, STATIONARY)},
)
