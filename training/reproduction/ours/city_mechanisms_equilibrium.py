"""The city's equilibria under several mechanisms: is what is good for learners good for the selfish?

What a planner chooses for learners (planner-city) may only be what they learn sooner. Here each mechanism is
solved for in the city's large-population model, and N agents play what it comes to. On fixed paths: the model
of a city of this size with a choice of routes is too large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.solvers import solve
from karma_envs.games.grid_city import GridCityGame
from karma_envs.jobs import in_threads
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.outcome_figure import MEASURES, outcome_figure
from training.reproduction.reproduce import announcer
from training.reproduction.thesis.city_training import play_city

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CITY: Mapping[str, Mapping[str, Any]] = {"quick": {"n_agents": 100, "rows": 2, "columns": 2}, "full": {}}
_TOLERANCE = {"quick": 5e-3, "full": 3e-3}
_THESIS, _BY_LANE = "uniform, karma 9", "by lane, karma 3"
_MECHANISMS: Mapping[str, Mapping[str, Any]] = {
    _THESIS: {},
    "uniform, karma 3": {"karma_mean": 3},
    "by lane, karma 9": {"redistribution": "by_resource"},
    _BY_LANE: {"redistribution": "by_resource", "karma_mean": 3},
    "congestion tax, karma 9": {"redistribution": "congestion_tax"},
}
_GAIN = f"{_BY_LANE}, over {_THESIS}"
_AT_ONCE = 2

_row = partial(row_of, (*MEASURES, "efficiency_model", "exploitability_model", "mean_bid", "seconds"))


def _measured(scale: str, seed: int, case: str) -> Row:
    """A mechanism's equilibrium, in the model and as it is played."""
    game = GridCityGame(path_seed=seed, **_CITY[scale], **_MECHANISMS[case])
    solved = solve(game, tolerance=_TOLERANCE[scale])
    if not solved.converged:
        raise RuntimeError(f"{case}: {solved.reason or 'the solver came to no equilibrium'}")
    play = play_city(game, solved.policy.fitted_to(game), seed)
    bidding = np.ones(game.n_observations, bool)
    bidding[: game.config.karma_max + 1] = False  # dormant
    announcer()(f"{case}: {solved.efficiency:.4f}")
    return (
        _row(case)
        | play.social_outcome()
        | {
            "efficiency_model": solved.efficiency,
            "exploitability_model": solved.exploitability_normalised,
            "mean_bid": play.mean_bid(np.arange(game.n_agents), bidding),
            "seconds": solved.seconds,
        }
    )


def _run(scale: str, seed: int) -> list[Row]:
    ends = in_threads(partial(_measured, scale, seed), iter(_MECHANISMS), _AT_ONCE)
    by_case = dict(ends)
    gains = {
        name: by_case[_BY_LANE][name] - by_case[_THESIS][name] for name in (*MEASURES, "efficiency_model")
    }
    return [*(by_case[case] for case in _MECHANISMS), _row(_GAIN) | gains]


def _figure(rows: Sequence[Row]) -> Figure:
    """The mechanisms' outcomes, without the row of differences."""
    return outcome_figure([row for row in rows if row["case"] != _GAIN])


EXPERIMENT = Experiment(
    name="city-mechanisms-equilibrium",
    title="The city's equilibria under other redistributions and amounts of karma",
    source="ours, after the future work of Vaishampayan 2024, section 6.2",
    run=_run,
    figures={"fairness_and_efficiency": _figure},
    published=tuple(
        Published(_GAIN, name, 0.5, 0.5, "above 0: better than the Thesis' mechanism, in equilibrium, too")
        for name in MEASURES
    ),
    notes=(
        "The Thesis' city of 1000 agents on fixed paths (at quick scale 100 agents on 2x2), a cap of 14. "
        "Equilibria are those that the solver comes to, within .3 % (.5 %) of what an agent gets; "
        "there may be others. Efficiency and fairness are of 1000 agents who play them, 10,000 steps after "
        "1000, the dormant included; `efficiency_model` is the large-population model's own, `mean_bid` over "
        "all steps in which there is something to bid for. The last row is the difference of two."
    ),
    meanings={"exploitability_model": Meaning(None, EXACT, STATIONARY, "large-population model")},
)
