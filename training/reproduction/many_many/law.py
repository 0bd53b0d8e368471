"""Theorem 3: how fast the game of N agents comes to its mean-field limit.

All N agents play the equilibrium of infinitely many. What they get on average, J_N, is compared with what an
agent gets of it among infinitely many, J_MF. The two are played with the same random numbers, so that the
difference is that of the statistics met: the population's own, and the equilibrium's, which stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents import solve
from karma_envs import make
from karma_envs.exchangeable import ExchangeableGame
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import row_of
from training.reproduction.reproduce import announcer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AGENTS = {"quick": (10, 100, 1000), "full": (10, 32, 100, 320, 1000, 3200, 10_000)}
_SHARE_OF_RUNS = {"quick": 0.4, "full": 1.0}
_SMOOTH = "at most -.4 is asked for; -1 is the rate where payoffs are smooth in a mean"
_PARTS = 20  # of the runs, which the jackknife leaves out in turn
_COLUMNS = (
    *("gap", "gap_error", "distance", "distance_error"),
    *("slope", "slope_error", "distance_slope", "distance_slope_error", "payoff", "payoff_errors_off"),
)


def _flow(game: ExchangeableGame) -> NDArray[np.float64]:
    """How far a population's statistic in a step is from the equilibrium's; 0 on average, as it is a mean."""
    assert game.last_step is not None
    states, actions, given, _ = game.last_step
    return np.asarray(game.statistic(states, actions) - given)


def _arrived(game: ExchangeableGame) -> NDArray[np.float64]:
    """Share of the agents who have arrived by the equilibrium's start of the meeting, less the quorum."""
    scene = game.scene()
    return np.array([np.mean(scene["arrivals"] <= scene["start_time"]) - scene["quorum"]])


@dataclass(frozen=True)
class _Case:
    """A game that is played.

    Attributes:
        fields: of its configuration.
        runs: with each number of agents, at the full scale.
        n_steps: steps whose discounted rewards are added up.
        burn_in: steps before, until the population is at rest.
        discount: of rewards.
        chance: of agents against the equilibrium's statistic, after a step: numbers that are 0 on average,
            by which the statistic of a population is off, to first order.
        by_step: whether these numbers are taken of each step, or as a discounted sum.
    """

    runs: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    n_steps: int = 1
    burn_in: int = 0
    discount: float = 1.0
    chance: Callable[[ExchangeableGame], NDArray[np.float64]] = _flow
    by_step: bool = True


_CASES: Mapping[str, _Case] = {
    "lq_regulator": _Case(
        200,
        {"target": (0.5,), "length": 10, "target_coupling": 0.5, "dynamics_coupling": 0.1},
        n_steps=10,
        discount=0.99,
    ),
    "meeting_time": _Case(3000, chance=_arrived),
    "malware": _Case(150, n_steps=60, burn_in=40, discount=0.9, by_step=False),
}


@dataclass(frozen=True)
class _Played:
    """Runs with one number of agents.

    Attributes:
        n_agents: N.
        differences: ``float64[runs]``, of mean payoffs in the game of N and against the statistic.
        chances: ``float64[runs, k]``, 0 on average.
        distances: ``float64[runs]``, mean over agents of the absolute difference of their payoffs.
        payoffs: ``float64[runs]``, mean payoffs against the statistic.
    """

    n_agents: int
    differences: NDArray[np.float64]
    chances: NDArray[np.float64]
    distances: NDArray[np.float64]
    payoffs: NDArray[np.float64]

    def without(self, part: int) -> _Played:
        """All runs but one of the parts that the jackknife leaves out."""
        left = np.arange(len(self.differences)) % _PARTS != part
        columns = (self.differences, self.chances, self.distances, self.payoffs)
        return _Played(self.n_agents, *(column[left] for column in columns))

    def gap(self) -> tuple[float, float]:
        """J_N - J_MF and its standard error.

        What the differences owe to chance is taken out by regression: to first order a population's payoff
        is off in proportion to its statistic, which is off by as much on either side (a control variate).
        """
        design = np.hstack([np.ones((len(self.chances), 1)), self.chances])
        coefficients = np.linalg.lstsq(design, self.differences, rcond=None)[0]
        residuals = self.differences - design @ coefficients
        variance = (residuals**2).sum() / (len(design) - design.shape[1])
        return float(coefficients[0]), float(np.sqrt(variance / len(design)))

    def distance(self) -> tuple[float, float]:
        """E|payoff of an agent among N - among infinitely many| and its standard error."""
        return _mean(self.distances)


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _play(name: str, case: _Case, n_agents: int, n_runs: int, seed: int) -> _Played:
    """Play the equilibrium in the game of N, and with the same random numbers against its statistic."""
    game = make(name, n_agents=n_agents, **case.fields)
    assert isinstance(game, ExchangeableGame)
    equilibrium = solve(game)
    alone = game.against(equilibrium.statistic)
    differences, distances, payoffs = np.empty((3, n_runs))
    chances = []
    for run in range(n_runs):
        for each in (game, alone):
            each.reset(np.random.default_rng([seed, n_agents, run]))
        together, _ = _payoffs(game, equilibrium.policy, case)
        apart, off = _payoffs(alone, equilibrium.policy, case)
        differences[run], distances[run] = (together - apart).mean(), np.abs(together - apart).mean()
        payoffs[run] = apart.mean()
        chances.append(off.ravel() if case.by_step else off.sum(axis=0))
    return _Played(n_agents, differences, np.array(chances), distances, payoffs)


def _payoffs(
    game: ExchangeableGame, policy: Any, case: _Case
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Discounted payoffs of agents, ``float64[N]``; against a statistic also chance, ``float64[T, k]``."""
    for _ in range(case.burn_in):
        game.step(game.sample(policy, game.policy_streams))
    payoffs, chances = np.zeros(game.n_agents), []
    for step in range(case.n_steps):
        weight = case.discount**step
        payoffs += weight * game.step(game.sample(policy, game.policy_streams))
        if game.given_statistic is not None:
            chances.append(weight * case.chance(game))
    return payoffs, np.array(chances)


Measure = Callable[[_Played], tuple[float, float]]


def _slope(played: Sequence[_Played], measure: Measure) -> tuple[float, float]:
    """Of the logarithm of a measure over that of N, and its standard error by a jackknife over runs."""

    def fitted(runs: Sequence[_Played]) -> float:
        sizes, errors = np.abs(np.array([measure(each) for each in runs])).T
        # what is known badly counts little; what is known very well no more than others
        weights = sizes / np.maximum(errors, 1e-2 * sizes)
        return float(np.polyfit(np.log([each.n_agents for each in runs]), np.log(sizes), 1, w=weights)[0])

    parts = np.array([fitted([each.without(part) for each in played]) for part in range(_PARTS)])
    error = np.sqrt((_PARTS - 1) / _PARTS * ((parts - parts.mean()) ** 2).sum())
    return fitted(played), float(error)


def _payoff_of_the_limit(name: str, case: _Case) -> float:
    """J_MF of the steps that are played, of theory."""
    equilibrium = solve(make(name, **case.fields))
    if case.burn_in == 0:
        return equilibrium.payoff
    return equilibrium.efficiency * float((case.discount ** np.arange(case.n_steps)).sum())


def _by_number(name: str) -> str:
    """The case of the points of a game's curves."""
    return f"{name} by N"


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for name, case in _CASES.items():
        played = []
        for n_agents in _AGENTS[scale]:
            announcer()(f"{name}, {n_agents} agents")
            played.append(_play(name, case, n_agents, round(_SHARE_OF_RUNS[scale] * case.runs), seed))
        for point, each in enumerate(played):
            (gap, gap_error), (distance, distance_error) = each.gap(), each.distance()
            row = row_of(_COLUMNS, _by_number(name), point, each.n_agents, gap=abs(gap), gap_error=gap_error)
            rows.append({**row, "distance": distance, "distance_error": distance_error})
        slope, distance_slope = _slope(played, _Played.gap), _slope(played, _Played.distance)
        payoff, error = _mean(played[-1].payoffs)
        summary: Row = {
            **{column: rows[-1][column] for column in _COLUMNS[:4]},
            "slope": slope[0],
            "slope_error": slope[1],
            "distance_slope": distance_slope[0],
            "distance_slope_error": distance_slope[1],
            "payoff": payoff,
            "payoff_errors_off": (payoff - _payoff_of_the_limit(name, case)) / error,
        }
        rows.append({**row_of(_COLUMNS, name), **summary})
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(7.6, 3.2, 2)
    seed = rows[0]["seed"]
    for colour, name in zip(COLOURS, _CASES):
        curve = [row for row in rows if row["case"] == _by_number(name) and row["seed"] == seed]
        numbers = [row["x"] for row in curve]
        for panel, quantity in zip(axes, ("gap", "distance")):
            sizes, errors = ([row[column] for row in curve] for column in (quantity, f"{quantity}_error"))
            label = name.replace("_", " ")
            panel.errorbar(numbers, sizes, errors, fmt="o-", color=colour, markersize=3, label=label)
    counts = [row["x"] for row in rows if row["point"] >= 0]
    ends = np.array([min(counts), max(counts)])
    for panel, power, label in zip(axes, (-1.0, -0.5), ("1/N", "1/√N")):
        guide = panel.get_ylim()[1] * (ends / ends[0]) ** power
        panel.plot(ends, guide, color="0.5", linestyle="--", linewidth=1, label=label)
        panel.set(xscale="log", yscale="log", xlabel="agents N")
        panel.legend(loc="lower left")
    axes[0].set_ylabel("|J_N − J_MF|")
    axes[1].set_ylabel("difference for an agent")
    return figure


EXPERIMENT = Experiment(
    name="many-many-law",
    title="The game of N agents comes to its mean-field limit like 1/√N or faster",
    source="Mguni, Jennings, Munoz de Cote 2018, Theorem 3",
    run=_run,
    figures={"law": _figure},
    published=(
        *(Published(name, "slope", -1.0, 0.6, _SMOOTH) for name in _CASES),
        *(Published(name, "distance_slope", -0.5, 0.1, "the rate of the theorem") for name in _CASES),
    ),
    notes=(
        "All agents play the equilibrium of infinitely many. `slope` is that of log |J_N - J_MF| over log "
        "N, with J the expected payoff; the theorem bounds it by -1/2, and where payoffs are smooth in a "
        "mean over agents it is -1, as only the mean square of chance remains. `distance slope` is that "
        "of the mean absolute difference of an agent's payoff in the two games with the same random "
        "numbers: the size of chance itself. Errors are by jackknife over runs. `gap` and `distance` are "
        "those of the most agents. `payoff` is J against the equilibrium's statistic, `payoff errors off` "
        "its distance from theory in standard errors. What J_N - J_MF owes to chance of first order is "
        "taken out by control variates, whose mean is 0; else it would be hidden at N = 10^4. "
        "lq_regulator is played for 10 steps with both couplings, meeting_time once, malware at rest for "
        "60 discounted steps."
    ),
)
