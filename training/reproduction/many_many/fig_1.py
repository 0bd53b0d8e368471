"""Figure 1: agents learn to spread over a desirable region by actor–critic play, one shot, N = 1000.

A run is 2000 episodes of one step; after each the critic and the actor do one step of Adam. Agents start at
places of a normal distribution around (1, 0). What is learned is compared with the equilibrium, which is
known exactly (water-filling): the mean square distance of agents from the peak, and for two peaks the share
of agents on the left one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.learners.actor_critic import ActorCriticConfig
from agents.policies import GaussianPolicy
from karma_envs.games.spatial_congestion import SpatialCongestionGame
from karma_envs.games.spatial_congestion.closed_forms import peak_spread
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of
from training.reproduction.shared_runs import kept_run
from training.runs.config import TrainConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AVERSIONS = (1.0, 1.5, 2.0, 2.5, 3.0)
_EPISODES = {"quick": 400, "full": 2000}
_AGENTS = {"quick": 400, "full": 1000}
_LEARNER = ActorCriticConfig(actor_learning_rate=3e-4, critic_steps=1, device="cpu")
_PLAYED, _SHOWN = 40, 400
_BIMODAL = SpatialCongestionGame.presets["bimodal"]
_QUANTITIES = (
    "mean_square_distance",
    "standard_error",
    "equilibrium",
    "of_means_alone",
    "left_share",
    "reward",
    "movement",
)


@dataclass(frozen=True)
class _Case:
    """What is learned.

    Attributes:
        name: of the rows.
        game: fields of the game.
        learner: fields of the learner that differ from the others'.
        aversion: alpha, where there is one peak, whose equilibrium has a closed form.
    """

    name: str
    game: dict[str, Any]
    learner: dict[str, Any] = field(default_factory=dict)
    aversion: float | None = None


def _of_aversion(aversion: float, suffix: str = "", **learner: Any) -> _Case:
    return _Case(f"alpha {aversion:g}{suffix}", {"crowd_aversion": aversion}, learner, aversion)


_TWO_PEAKS = _Case("two peaks", dict(_BIMODAL))
_ANNEALED = [
    _of_aversion(1.0, ", variance to .005", action_variance_final=0.005),
    _Case("two peaks, variance to .005", dict(_BIMODAL), {"action_variance_final": 0.005}),
]
_BELIEVING = _of_aversion(1.0, ", beliefs at n^-0.85", belief_exponent=0.85, actor_learning_rate=1e-4)
_CASES = [*map(_of_aversion, _AVERSIONS), _TWO_PEAKS, *_ANNEALED, _BELIEVING]


def _places(game: SpatialCongestionGame, policy: GaussianPolicy, seed: int) -> NDArray[np.float64]:
    """``[episodes, N, 2]``: where agents end who play a policy."""
    game.reset(np.random.default_rng([seed, 7]))
    episodes = []
    for _ in range(_PLAYED):
        game.rollout(policy, 1)
        episodes.append(game.states["position"].copy())
    return np.array(episodes)


def _distances(places: NDArray[np.float64], peaks: Any) -> NDArray[np.float64]:
    """``[episodes]``: mean square distances of agents from the middle of the peaks."""
    return np.asarray(((places - np.mean(peaks, axis=0)) ** 2).sum(axis=2).mean(axis=1))


def _rows_of(case: _Case, scale: str, seed: int) -> list[Row]:
    """Train, play what was learned, and tell."""
    config = TrainConfig(
        game="spatial_congestion",
        game_config={"n_agents": _AGENTS[scale], **case.game},
        learner=_LEARNER.replace(**case.learner),
        n_steps=_EPISODES[scale],
        epoch_length=1,
        seed=seed,
        records=100,
    )
    slug = case.name.replace(" ", "-").replace(",", "")
    run = kept_run(config, f"many-many-fig-1-{scale}-{slug}-{seed}")
    game, policy = SpatialCongestionGame(config.game_config), run.policy
    places = _places(game, policy, seed)
    distances = _distances(places, config.game_config.peaks)
    outcome = game.outcome()
    means = _distances(_places(game, policy.greedy(), seed), config.game_config.peaks)
    records = run.metrics
    late = [(row["mean_x"], row["mean_y"]) for row in records[len(records) // 2 :]]
    summary = row_of(
        _QUANTITIES,
        case.name,
        mean_square_distance=float(distances.mean()),
        standard_error=float(distances.std(ddof=1) / np.sqrt(len(distances))),
        equilibrium=peak_spread(case.aversion) if case.aversion else np.nan,
        of_means_alone=float(means.mean()),
        left_share=float((places[..., 0] < np.mean(config.game_config.peaks, axis=0)[0]).mean()),
        reward=float(outcome.rewards.mean() / outcome.steps),
        movement=float(np.sqrt(np.var(late, axis=0).sum())),
    )
    curve = [
        row_of(_QUANTITIES, f"reward, {case.name}", number, row["step"], row["efficiency"])
        for number, row in enumerate(records)
    ]
    agents = [
        row_of(_QUANTITIES, f"agents, {case.name}", number, float(x), float(y))
        for number, (x, y) in enumerate(places[-1, :_SHOWN])
    ]
    return [summary, *curve, *agents]


def _run(scale: str, seed: int) -> list[Row]:
    return [row for case in _CASES for row in _rows_of(case, scale, seed)]


def _figure(rows: Sequence[Row]) -> Figure:
    """Rewards over episodes; where agents end, for three aversions; and with two peaks."""
    figure, (rewards, spread, two) = new_figure(10.0, 3.2, 3)
    seed = rows[0]["seed"]
    for colour, aversion in zip(COLOURS, _AVERSIONS):
        x, y = points(rows, f"reward, alpha {aversion:g}", seed)
        rewards.plot(x, y, color=colour, label=rf"$\alpha$ = {aversion:g}")
    rewards.set(xlabel="episode", ylabel="mean reward", title="a) rewards while learning")
    rewards.legend(ncols=2, fontsize="small")
    for colour, aversion in zip(COLOURS, (3.0, 2.0, 1.0)):
        x, y = points(rows, f"agents, alpha {aversion:g}", seed)
        spread.plot(x, y, ".", color=colour, markersize=3, label=rf"$\alpha$ = {aversion:g}")
    spread.set(title="b) where agents end", xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    spread.legend(fontsize="small", loc="upper left")
    for colour, case in zip(COLOURS, (_TWO_PEAKS, _ANNEALED[1])):
        x, y = points(rows, f"agents, {case.name}", seed)
        two.plot(x, y, ".", color=colour, markersize=3, label=case.name)
    peaks = np.array(_BIMODAL["peaks"])
    two.plot(*peaks.T, "k+", markersize=10)
    two.set(title="c) two peaks (+)", xlim=(-2.5, 1.5), ylim=(-2, 2), aspect="equal")
    two.legend(fontsize="small", loc="upper left")
    return figure


_NEAR = "a tenth: the estimated density is too smooth by .02 in E|x|^2, and the actor's noise is .2 of it"

EXPERIMENT = Experiment(
    name="many-many-fig-1",
    title="Spatial congestion by actor–critic play",
    source="Mguni, Jennings, Munoz de Cote 2018, Figure 1; the equilibrium's numbers are exact",
    run=_run,
    figures={"figure_1": _figure},
    published=(
        *(
            Published(
                f"alpha {aversion:g}",
                "mean_square_distance",
                round(peak_spread(aversion), 4),
                round(peak_spread(aversion) / 10, 4),
                _NEAR,
            )
            for aversion in _AVERSIONS
        ),
        *(
            Published(case.name, "left_share", 0.5, 0.05, "half the mass is on each peak in equilibrium")
            for case in (_TWO_PEAKS, _ANNEALED[1])
        ),
    ),
    notes=(
        "`mean_square_distance` is E|x - mu|^2 of the N agents who play the learned Gaussian, over 40 "
        "episodes (of N = 1000 one episode alone has a standard error of 3 %), `equilibrium` the exact "
        "number, `of_means_alone` the part that the actor's means have without its noise: the actor's "
        "variance, .1 per axis as in the source, is .2 of the whole, so that around one peak with alpha = 1 "
        "nearly all of the spread is the noise, and agents who learn among others' noise need no more. Such "
        "populations are 2 to 8 % wider than in equilibrium. With the variance brought down to .005 during "
        "the run the means themselves disperse, and end 6 % nearer to each other than in equilibrium: the "
        "density is estimated with bandwidth .1, which adds .02 to the E|x|^2 that agents see.\n\n"
        "Differences from the source: one actor for all agents; the actor's learning rate is 3e-4 (source "
        "1e-4) and the critic's 1e-3; agents meet the population's own density. `movement` is the standard "
        "deviation of the population's mean place over the second half of the run. In the last row agents "
        "meet beliefs that move at n^-0.85, more and more slowly than the actor, whose rate is 1e-4, as "
        "the source's theory has it: rewards are nearly flat around the equilibrium, so that best responses "
        "are hardly determined, and the population's mean place moves three times as much."
    ),
)
