"""What the benchmark compares: functions that train a policy. A new one is a function with a decorator.

An algorithm is ``train(game, budget, seed)``: it may play ``game``, or games of its own like it, for at
most ``budget`` agent-steps in all, and returns the policy of all agents without exploration: anything with
``thresholds`` and ``row_of_agent``, such as a :class:`agents.TabularPolicy`. One that takes fewer
agent-steps returns :class:`Trained`. Hyperparameters are fixed for all tasks and stand in the docstring.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from agents.learners import TabularConfig, TabularLearner
from agents.solvers import solve
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError, choice, refusal
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.plugins import import_named
from karma_envs.tabulated import tabulated
from training.common.trainers import Trainer, docstring_of, trainers
from training.runs.config import TrainConfig
from training.runs.replica import room_for_epoch, run_epoch


@dataclass(frozen=True)
class Trained:
    """A policy, and the agent-steps it took, where that is not the whole budget."""

    policy: SamplingPolicy
    agent_steps: int


Train = Callable[[PopulationGame, int, int], SamplingPolicy | Trained]
"""``train(game, budget, seed)``."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm by name.

    Attributes:
        name: as on the command line.
        train: the function.
        extra: the extra that brings what it needs; empty if it needs none.
        needs: names under which packages are imported that must be installed.
    """

    name: str
    train: Train
    extra: str = ""
    needs: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The first line of the function's docstring."""
        line = (self.train.__doc__ or "").strip().partition("\n")[0]
        return "".join(each for each in line if each.isprintable())


_OURS: dict[str, Algorithm] = {}


def _algorithm(train: Train) -> Train:
    name = getattr(train, "__name__", "").replace("_", "-")
    _OURS[name] = Algorithm(name, train)
    return train


@cache
def algorithms() -> Mapping[str, Algorithm]:
    """The built-in algorithms by name: those of this module, then those of the trainers of others."""
    integrated = (
        _integrated(trainer, name, path)
        for trainer in trainers()
        for name, path in trainer.algorithms.items()
    )
    return {**_OURS, **{algorithm.name: algorithm for algorithm in integrated}}


def _integrated(trainer: Trainer, name: str, path: str) -> Algorithm:
    """``module:function`` of :mod:`training.integrations`; its package is imported only when it trains."""

    def train(game: PopulationGame, budget: int, seed: int) -> SamplingPolicy | Trained:
        module, _, function = path.partition(":")
        integration = importlib.import_module(f"training.integrations.{module}")
        trained: SamplingPolicy | Trained = getattr(integration, function)(game, budget, seed)
        return trained

    train.__doc__ = docstring_of(path)
    return Algorithm(name, train, trainer.extra, trainer.imports)


def find(name: str) -> Algorithm:
    """A built-in algorithm, or ``module:function``; modules of the working directory are found too.

    Raises:
        ConfigError: when there is none, or a package that it needs is missing.
    """
    if ":" not in name:
        found = algorithms()[choice("algo", name, (*algorithms(), "module:function"))]
        missing = [package for package in found.needs if importlib.util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"algo {name} needs {', '.join(missing)}: pip install 'karma-envs[{found.extra}]'"
            )
        return found
    train = import_named("algo", name, "module:function that can be imported")
    if not callable(train):
        raise refusal("algo", name, "a function train(game, budget, seed)")
    return Algorithm(name, train)


@_algorithm
def random(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Every legal action with the same probability; no training."""
    return Trained(baseline_policy("random", game), 0)


@_algorithm
def bid_all(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Always bid all karma; no training."""
    return Trained(baseline_policy("bid_all", game), 0)


@_algorithm
def proportional(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Bid the share of karma that urgency is of the greatest; no training."""
    return Trained(baseline_policy("proportional", game), 0)


@_algorithm
def equilibrium(game: PopulationGame, budget: int, seed: int) -> Trained:
    """The mean-field equilibrium, by homotopy to 1e-10; no play, only games with a mean-field model."""
    model = game.mean_field()
    if model is None:
        raise refusal("algo", "equilibrium", "tasks whose game has a mean-field model")
    return Trained(solve(model).policy.for_agents(game.type_of_agent), 0)


@_algorithm
def independent_q(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Q-learning, a table per agent.

    Otherwise as :func:`sarsa`.
    """
    return _tabular(game, budget, seed, algorithm="q_learning")


@_algorithm
def sarsa(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Epsilon-SARSA, a table per agent, as in the Thesis (Algorithm 1).

    Matching: alpha = 0.01, softmax(beta Q) with beta = 1000, epsilon = 0.05, an update every 1000 steps,
    Q_0 = 0 (section 6.1.1). City: beta = 10, an update every 100 steps (section 6.2).
    """
    return _tabular(game, budget, seed)


@_algorithm
def centralised(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Epsilon-SARSA, a table per type, learned from one of its agents (Thesis, Algorithm 2).

    Otherwise as :func:`sarsa`.
    """
    return _tabular(game, budget, seed, grouping="per_type")


@_algorithm
def pooled(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Epsilon-SARSA, a table per type, learned from all its agents.

    Otherwise as :func:`sarsa`.
    """
    return _tabular(game, budget, seed, grouping="pooled")


def _tabular(game: PopulationGame, budget: int, seed: int, **learner: Any) -> Trained:
    """A learner of :mod:`agents.learners` as the game's source trains it, but for ``learner``."""
    source = game.trained_with.get("", {})
    known = {name: value for name, value in source.items() if name in TabularConfig.field_names()}
    config = TabularConfig.from_dict({**known, **learner})
    epoch_length = min(source.get("epoch_length", TrainConfig.epoch_length), budget // game.n_agents)
    if epoch_length < 1:
        raise refusal("budget", budget, f"at least a step of {game.n_agents} agents")
    n_epochs = budget // (game.n_agents * epoch_length)
    played = tabulated(game, config.cells)
    played.reset(np.random.default_rng([seed, 0]))
    tables = TabularLearner(played, config, np.random.default_rng([seed, 1]))
    room = room_for_epoch(played, epoch_length)
    for epoch in range(n_epochs):
        run_epoch(played, tables, epoch_length, room, progress=epoch / n_epochs)
    return Trained(played.acting(tables.learned_policy()), n_epochs * epoch_length * game.n_agents)
