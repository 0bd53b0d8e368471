"""A page for every game: what theory says of it, what play makes of that, and what learning comes to.

Of a game with a mean-field model three things are put beside each other: the equilibrium of infinitely many
agents, as :func:`agents.solve` finds it; the same policy played by the N agents of the game; and what agents
learn from play who know nothing. Of a cooperative game the planner's optimum takes the place of the
equilibrium. Of each the mean reward of an agent in a step is told, the statistic that the population makes,
where its numbers have names, and what a best response would gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from agents import solve
from agents.policies.tabular import TabularPolicy
from karma_envs import make, names
from karma_envs.game import PopulationGame
from karma_envs.outcome import EFFICIENCY, summarise
from karma_envs.registry import game_class
from training.benchmark.measure import gain_of_deviating
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.evaluation.play import play
from training.reproduction.experiment import Experiment, Published
from training.reproduction.shared_runs import kept_run
from training.runs.config import TrainConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEPS = {"quick": 2000, "full": 20_000}
"""Steps that a policy is measured for, by scale."""

_EPOCHS = {"quick": 40, "full": None}
"""Epochs of training, by scale; None: as the game's source trains it."""

_THEORY, _SIMULATED, _LEARNED = "theory", "simulated", "learned"


class _Learned(NamedTuple):
    """A policy that was learned, and the game that plays it."""

    game: PopulationGame
    policy: Any


_METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {}
"""Games whose agents learn by a method of :func:`agents.solve` that learns from play, with its options; all
others are trained as ``karma-envs train`` does."""


def _learn(name: str, scale: str, seed: int) -> _Learned:
    """Learn in a game, from play alone."""
    if name in _METHODS:
        game = make(name)
        method, options = _METHODS[name]
        return _Learned(game, _as_played(game, solve(game, method, seed=seed, **options).policy))
    config = TrainConfig.from_flat(name, None, {"seed": seed})
    if (epochs := _EPOCHS[scale]) is not None:
        config = config.replace(n_steps=min(config.n_epochs, epochs) * config.epoch_length)
    run = kept_run(config, f"agreement-{name}-{scale}-{seed}")
    return _Learned(run.game(), run.policy)


def _as_played(game: PopulationGame, policy: Any) -> Any:
    """A solver's policy as all agents play it: of a table with a row per type, the row of each."""
    return policy.for_agents(game.type_of_agent) if isinstance(policy, TabularPolicy) else policy


def _row(case: str, game: PopulationGame, policy: Any, scale: str, seed: int, reward: float) -> Row:
    """What a policy comes to that all agents of a game play.

    Args:
        case: the row's.
        game: in which it is played.
        policy: of all its agents.
        scale: how long.
        seed: of what is drawn.
        reward: what theory says.
    """
    played = play(game, policy, n_steps=_STEPS[scale], burn_in=_STEPS[scale] // 10, seed=[seed, len(case)])
    mean = summarise(played, (EFFICIENCY,))[EFFICIENCY.name]
    gain = gain_of_deviating(game, policy)
    return {
        "case": case,
        "reward": mean.value,
        "reward_se": mean.standard_error,
        "off_theory": mean.value / reward - 1 if reward else mean.value,
        "exploitability": float("nan") if gain is None else gain.normalised,
    }


def _run(name: str, scale: str, seed: int) -> list[Row]:
    game = make(name)
    equilibrium = solve(game)
    reward = equilibrium.efficiency
    theory: Row = {
        "case": _THEORY,
        "reward": reward,
        "reward_se": 0.0,
        "off_theory": 0.0,
        "exploitability": equilibrium.exploitability_normalised,
    }
    policy = _as_played(game, equilibrium.policy)
    learned = _learn(name, scale, seed)
    return [
        theory,
        _row(_SIMULATED, game, policy, scale, seed, reward),
        _row(_LEARNED, learned.game, learned.policy, scale, seed, reward),
    ]


def _figure(name: str, rows: Sequence[Row]) -> Figure:
    """The mean reward and what a best response gains, of each; points are seeds, bars two standard errors."""
    figure, (rewards, gains) = new_figure(7.0, 2.8, 2)
    cases = (_THEORY, _SIMULATED, _LEARNED)
    for place, case in enumerate(cases):
        chosen = [row for row in rows if row["case"] == case]
        places = place + np.linspace(-0.1, 0.1, len(chosen)) if len(chosen) > 1 else np.array([place])
        errors = [2 * row["reward_se"] for row in chosen]
        rewards.errorbar(
            places, [row["reward"] for row in chosen], errors, fmt="o", markersize=3, color=COLOURS[place]
        )
        gains.plot(places, [row["exploitability"] for row in chosen], "o", markersize=3, color=COLOURS[place])
    rewards.axhline(rows[0]["reward"], color="0.6", linewidth=0.8, zorder=0)
    rewards.set(ylabel="reward per agent and step")
    gains.set(ylabel="gain of a best response, over |J|")
    for panel in (rewards, gains):
        panel.set_xticks(range(len(cases)), cases)
        panel.set_xlim(-0.5, len(cases) - 0.5)
    figure.suptitle(name.replace("_", " "))
    return figure


def _experiment(name: str) -> Experiment:
    return Experiment(
        name=f"agreement-{name.replace('_', '-')}",
        title=f"{name}: theory, simulation and learning",
        source="ours; what theory says is in the docstring of the game",
        run=partial(_run, name),
        figures={"agreement": partial(_figure, name)},
        published=(
            Published(_SIMULATED, "off_theory", 0.0, 0.02, "N agents differ from infinitely many"),
            Published(_LEARNED, "exploitability", 0.0, 0.05, "who learns from finitely many steps errs"),
        ),
        notes=(
            "`off theory` is the mean reward over that of theory, less 1. Exploitability is exact where the "
            "game has tables, and by play where it has none; then that of an equilibrium is 0 but for noise."
        ),
    )


EXPERIMENTS = tuple(
    _experiment(name) for name in names() if game_class(name).mean_field is not PopulationGame.mean_field
)
"""One for each game that has a mean-field model."""
