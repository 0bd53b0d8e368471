"""Figure 2: firms learn where demand will be by actor–critic play, T = 30, N = 200.

From five starts, with a cost of moving and, from the first of them, without. What is learned is compared with
the equilibrium that dynamic programming on a grid gives, and with firms that always go where demand is
highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents import solve
from agents.learners.actor_critic import ActorCriticConfig
from karma_envs import make
from karma_envs.game import PopulationGame
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.numbers import points, row_of
from training.reproduction.shared_runs import kept_run
from training.runs.config import TrainConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EPISODES = {"quick": 100, "full": 2000}
_LONGER = {"start-3": 2}
"""How many times as many episodes from where learning is slower."""
_LEARNER = ActorCriticConfig(
    actor_learning_rate=1e-2,
    critic_learning_rate=1e-2,
    learning_rate_left=0.02,
    action_variance=0.05,
    action_variance_final=0.002,
    trace_decay=1.0,
    critic_steps=1,
    device="cpu",
)
_FREE = "start-1, free"
_COSTLY = tuple(f"start-{number}" for number in range(1, 6))
_CASES = {start: (start, 2.0) for start in _COSTLY} | {_FREE: ("start-1", 0.0)}
_PLAYED = 10
_EARLY, _LATE = 5, 15
_QUANTITIES = (
    "short_of_equilibrium",
    "learned",
    "learned_with_noise",
    "equilibrium",
    "tracking",
    "beats_tracking",
    "early_rewards",
    "late_rewards",
    "pays_then_sells",
    "distance_to_demand",
)


def _played(game: PopulationGame, policy: Any, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rewards ``[T]`` and places ``[T + 1, 2]``, means over firms and episodes."""
    game = game.fresh()
    game.reset(np.random.default_rng([seed, 7]))
    episodes = [game.rollout(policy, game.length or 1) for _ in range(_PLAYED)]
    rewards = np.mean([each.rewards.mean(axis=1) for each in episodes], axis=0)
    places = np.mean([each.observations[..., :2].mean(axis=1) for each in episodes], axis=0)
    return np.asarray(rewards, np.float64), np.asarray(places, np.float64)


def _rows_of(case: str, scale: str, seed: int) -> list[Row]:
    """Train, play what was learned and what it is compared with, and tell."""
    preset, cost = _CASES[case]
    config = TrainConfig.from_flat(
        "supply",
        preset,
        {
            "learner": {"kind": "actor_critic", **_LEARNER.to_dict()},
            "movement_cost": cost,
            "n_steps": 30 * _EPISODES[scale] * _LONGER.get(case, 1),
            "epoch_length": 30,
            "seed": seed,
            "records": 100,
        },
    )
    run = kept_run(config, f"many-many-fig-2-{scale}-{case.replace(', ', '-')}-{seed}")
    game: Any = make("supply", preset=preset, movement_cost=cost)
    discounts = game.discounts[0] ** np.arange(game.length)
    rewards, places = _played(run.game(), run.policy.greedy(), seed)
    noisy, _ = _played(run.game(), run.policy, seed)
    equilibrium, best_places = _played(game, solve(game).policy, seed)
    tracking, _ = _played(game, game.baselines["tracking"](game), seed)
    # a place is reached, and demand met, by the step before it is observed
    distance = np.linalg.norm(places[1:] - game.peaks, axis=1)
    learned, best = float(discounts @ rewards), float(discounts @ equilibrium)
    tracked, early, late = discounts @ tracking, rewards[:_EARLY].mean(), rewards[_LATE:].mean()
    summary = row_of(
        _QUANTITIES,
        case,
        short_of_equilibrium=max(0.0, 1 - learned / best),
        learned=learned,
        learned_with_noise=float(discounts @ noisy),
        equilibrium=best,
        tracking=float(tracked),
        beats_tracking=float(learned > tracked),
        early_rewards=float(early),
        late_rewards=float(late),
        pays_then_sells=float(early < 0 < late),
        distance_to_demand=float(distance[2:].mean()),
    )
    curves = {
        f"rewards, {case}": (np.arange(1, len(rewards) + 1), rewards),
        f"path, {case}": places.T,
        f"equilibrium's rewards, {case}": (np.arange(1, len(rewards) + 1), equilibrium),
        f"equilibrium's path, {case}": best_places.T,
        f"demand, {case}": game.peaks.T,
    }
    return [
        summary,
        *(
            row_of(_QUANTITIES, name, number, float(x), float(y))
            for name, (xs, ys) in curves.items()
            for number, (x, y) in enumerate(zip(xs, ys))
        ),
    ]


def _run(scale: str, seed: int) -> list[Row]:
    return [row for case in _CASES for row in _rows_of(case, scale, seed)]


def _figure(rows: Sequence[Row]) -> Figure:
    """Paths of the firms' mean place, and rewards within an episode."""
    figure, (paths, rewards) = new_figure(8.0, 3.6, 2)
    seed = rows[0]["seed"]
    paths.plot(*points(rows, "demand, start-1", seed), color="black")
    for colour, case in zip(COLOURS, _CASES):
        style: dict[str, Any] = {"color": colour, "linestyle": "--" if case.endswith("free") else "-"}
        paths.plot(*points(rows, f"path, {case}", seed), **style, label=case)
        paths.plot(*points(rows, f"equilibrium's path, {case}", seed), color=colour, linestyle=":")
        rewards.plot(*points(rows, f"rewards, {case}", seed), **style, label=case)
        rewards.plot(*points(rows, f"equilibrium's rewards, {case}", seed), color=colour, linestyle=":")
    paths.set(title="a) paths (black: demand, dotted: equilibrium)", aspect="equal")
    rewards.axhline(0, color="0.6", linewidth=0.8)
    rewards.set(title="b) rewards within an episode", xlabel="step", ylabel="mean reward")
    rewards.legend(fontsize="small", ncols=2, loc="center", bbox_to_anchor=(0.5, 0.74))
    return figure


_SHORT = "at most 5 % less than firms get who play what dynamic programming on a grid comes to"

EXPERIMENT = Experiment(
    name="many-many-fig-2",
    title="Supply with uncertain demand by actor–critic play",
    source="Mguni, Jennings, Munoz de Cote 2018, Figure 2, whose path of demand is in the figure only",
    run=_run,
    figures={"figure_2": _figure},
    published=(
        *(Published(case, "short_of_equilibrium", 0.0, 0.05, _SHORT) for case in _CASES),
        Published("start-1", "pays_then_sells", 1.0, 0.5, "as the text tells of firms far from demand"),
        *(Published(case, "beats_tracking", 1.0, 0.5, "as the text tells") for case in _COSTLY),
        Published(_FREE, "distance_to_demand", 0.0, 0.1, "a fifth of the scale at which demand falls"),
    ),
    notes=(
        "Totals are discounted and means over the N = 200 firms and 10 episodes. `learned` plays the actor's "
        "means, `learned_with_noise` the actor as it ended. `equilibrium` is that of `agents.solve`, played "
        "by the same firms. `early_rewards` are means over the first 5 steps, `late_rewards` from step 16. "
        "From the first start, far from where demand is and will be, firms first pay, then sell. From the "
        "second they pay for two steps, in equilibrium as learned; from the others nobody pays in "
        "equilibrium, since there is demand where they start. `distance_to_demand` is that of the firms' "
        "mean place from where demand is highest, from the third step on: without a cost firms are where "
        "demand is. The game's path of demand, its height and the scale of moves are ours.\n\n"
        "Differences from the source: one actor for all firms; its variance falls from .05 to .002 "
        "(source .1), since with a cost of moving of 2 noise of variance .1 costs .2 a step, which is more "
        "than an equilibrium pays; advantages are of whole episodes, TD(1); learning rates fall from 1e-2 to "
        "2e-4 (source 1e-3); 2000 episodes, and 4000 from the third start, where learning is slower and 2000 "
        "come to 94.6 % of the equilibrium."
    ),
)
