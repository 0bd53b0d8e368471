"""A meta-agent that moves a crowd to where it is wanted: what Figures 1 and 2 share.

The source gives neither the desirability, nor the densities that are wanted, nor the terms of its series.
Chosen here: 2000 agents in the square [-2, 2]^2, around the middle of which places are desirable; Gaussian
densities of variance .1 on the x axis; a series of degree 2, without the terms that are odd in y, as the game
and what is wanted are symmetric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agents.planners import Continuous, Space, design
from agents.planners.inner.crowd import CrowdInner
from karma_envs.crowds.mean_field import CrowdMeanField
from karma_envs.crowds.policy import DispersalPolicy
from karma_envs.crowds.water_filling import potential, water_filling
from karma_envs.games.spatial_congestion import SpatialCongestionGame
from training.common.figures import COLOURS
from training.common.tables import Row
from training.reproduction.numbers import points, row_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAME: Mapping[str, Any] = {"n_agents": 2000, "region": ((-2.0, 2.0), (-2.0, 2.0)), "grid_cells": 50}
EVALUATIONS = {"quick": 20, "full": 60}
PLAYS = {"quick": 4, "full": 20}
QUANTITIES = (
    *("kl", "kl_error", "kl_in_the_limit", "of_the_initial", "over_the_best", "evaluations_to_5_percent"),
    *("welfare", "welfare_error", "incentive", "incentive_error", "gain", "gain_in_errors", "potential_lost"),
)
_SHOWN = 300
_LARGEST = 0.4
_NONE, _FOUND, _BEST, _EXACT = "no meta-agent", "meta-agent", "best of the series", "exact incentive"


def trajectory_rows(
    targets: tuple[tuple[float, float, float], ...], terms: Sequence[str], scale: str, seed: int
) -> list[Row]:
    """What a meta-agent comes to that wants densities, without it, and at best."""
    game = {**GAME, "length": len(targets)}
    inner = CrowdInner(game=game, targets=targets, plays=PLAYS[scale])
    space, limit = inner.space(_LARGEST, terms), inner.replace(plays=0)
    result = design(space, inner, "-log_kl", budget=EVALUATIONS[scale], seed=seed)
    found = result.best.point
    best = best_of_series(limit, space, "log_kl", found, maximise=False)
    weights: dict[str, Mapping[str, Any]] = {_NONE: {}, _FOUND: found, _BEST: best}
    in_limit = {name: limit.evaluate(dict(w), seed=0, warm=None).values["kl"] for name, w in weights.items()}
    rows = []
    curve = np.exp(result.best_after())
    to_5_percent = np.nonzero(curve <= 0.05 * in_limit[_NONE])[0]
    for name, chosen in weights.items():
        # Played anew: the best of many looks better than it is.
        played = inner.evaluate(dict(chosen), seed=seed + 1000, warm=None)
        rows.append(
            row_of(
                QUANTITIES,
                name,
                kl=played.values["kl"],
                kl_error=played.standard_errors["kl"],
                kl_in_the_limit=in_limit[name],
                of_the_initial=in_limit[name] / in_limit[_NONE],
                over_the_best=in_limit[name] / in_limit[_BEST],
                evaluations_to_5_percent=float(to_5_percent[0] + 1)
                if name == _FOUND and len(to_5_percent)
                else np.nan,
                welfare=played.values["welfare"],
                welfare_error=played.standard_errors["welfare"],
                incentive=played.values["incentive"],
                incentive_error=played.standard_errors["incentive"],
            )
        )
    rows.append(_exact(inner))
    rows += [row_of(QUANTITIES, "best so far", n, n + 1, kl) for n, kl in enumerate(curve.tolist())]
    rows += [
        row_of(QUANTITIES, "evaluations", trial.number, trial.number + 1, trial.values["kl"])
        for trial in result.complete
    ]
    incentives = {_NONE: inner.series, _FOUND: inner.incentive(found)}
    for name, series in incentives.items():
        plan = CrowdMeanField(SpatialCongestionGame(inner.game), series).water_filling().plan
        rows += _agents(inner, plan, name, seed)
    return rows + _agents(inner, inner.wanted, "wanted", seed)


def best_of_series(
    limit: CrowdInner, space: Space, measure: str, start: Mapping[str, Any], *, maximise: bool
) -> dict[str, float]:
    """The best weights for infinitely many agents, by exact derivatives, from several starts."""
    sign, names = -1.0 if maximise else 1.0, space.names
    bounds = [(each.low, each.high) for each in space.parameters if isinstance(each, Continuous)]

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        point = dict(zip(names, weights.tolist(), strict=True))
        told = limit.evaluate(point, seed=0, warm=None)
        assert told.derivatives is not None
        slopes = np.array([told.derivatives[measure][name] for name in names])
        return sign * told.values[measure], sign * slopes

    starts = [np.array([float(start.get(name, 0.0)) for name in names])]
    for strength in (0.1, 0.2):
        drawn = {"x^2": -strength, "y^2": -strength, "x t": strength}
        starts.append(np.array([drawn.get(name, 0.0) for name in names]))
    ends = [minimize(objective, each, jac=True, bounds=bounds, method="L-BFGS-B") for each in starts]
    best = min(ends, key=lambda end: float(end.fun))
    return dict(zip(names, best.x.tolist(), strict=True))


def _exact(inner: CrowdInner) -> Row:
    """The equilibrium under the exact incentive, and by how much other densities have less potential."""
    config, incentives = inner.game, inner.exact_incentive()
    area, alpha = config.grid.cell_area, config.crowd_aversion
    fields = SpatialCongestionGame(config).desirabilities()
    divergence, lost = 0.0, np.inf
    for field, incentive, wanted in zip(fields, incentives, inner.wanted, strict=True):
        density = water_filling(field, area, alpha, incentive)[0]
        somebody = density > 0
        divergence += area * float((density[somebody] * np.log(density[somebody] / wanted[somebody])).sum())
        greatest = potential(density, field, area, alpha, incentive)
        others = (water_filling(field, area, alpha)[0], np.full(len(field), 1 / (area * len(field))))
        less = [greatest - potential(other, field, area, alpha, incentive) for other in others]
        lost = min(lost, *less)
    return row_of(
        QUANTITIES, _EXACT, kl_in_the_limit=divergence, of_the_initial=0.0, potential_lost=float(lost)
    )


def _agents(inner: CrowdInner, plan: NDArray[np.float64], name: str, seed: int) -> list[Row]:
    """Some agents of densities: points of a figure."""
    rows: list[Row] = []
    for step, density in enumerate(plan):
        policy = DispersalPolicy(density[None], inner.game.grid)
        streams = np.array([seed + step], np.uint64)
        places = policy.act(np.zeros((_SHOWN, 2), np.float32), streams)
        case = f"agents, {name}, step {step}"
        rows += [row_of(QUANTITIES, case, n, float(x), float(y)) for n, (x, y) in enumerate(places)]
    return rows


def draw_agents(axes: Axes, rows: Sequence[Row], name: str, step: int, colour: str, title: str) -> None:
    """Where agents are."""
    x, y = points(rows, f"agents, {name}, step {step}", rows[0]["seed"])
    axes.plot(x, y, ".", color=colour, markersize=2)
    axes.set(title=title, xlim=(-2, 2), ylim=(-2, 2), aspect="equal")


def draw_divergence(axes: Axes, rows: Sequence[Row]) -> None:
    """KL over evaluations: all of the first seed, and the best so far of every seed."""
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    x, y = points(rows, "evaluations", seeds[0])
    axes.plot(x, y, ".", color="0.7", markersize=4, label="evaluations, first seed")
    for number, seed in enumerate(seeds):
        x, y = points(rows, "best so far", seed)
        axes.plot(
            x, y, color=COLOURS[0], alpha=1 if not number else 0.5, label=None if number else "meta-agent"
        )
    for name, style, colour in ((_NONE, "--", "0.3"), (_BEST, ":", COLOURS[2])):
        kl = np.mean([row["kl"] for row in rows if row["case"] == name])
        axes.axhline(kl, linestyle=style, color=colour, label=name)
    axes.set(yscale="log", xlabel="evaluation", ylabel="KL(D || D*)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize="small")
