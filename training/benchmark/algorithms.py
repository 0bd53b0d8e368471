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

from agents.learners import TabularConfig, kind_of
from agents.learners.actor_critic import ActorCriticConfig
from agents.solvers import solve
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError, choice, refusal
from karma_envs.finite import FiniteGame, SamplingPolicy
from karma_envs.game import PopulationGame
from training.benchmark.task import Contender, own_function
from training.common.trainers import Trainer, docstring_of, trainers
from training.evaluation.play import as_played
from training.runs.config import TrainConfig
from training.runs.replica import room_for_epoch, run_epoch


@dataclass(frozen=True)
class Trained:
    """A policy, and the agent-steps it took, where that is not the whole budget."""

    policy: Any
    agent_steps: int


Train = Callable[[PopulationGame, int, int], SamplingPolicy | Trained]
"""``train(game, budget, seed)``."""

ARGUMENTS = ("game", "budget", "seed")


@dataclass(frozen=True)
class Algorithm(Contender):
    """An algorithm that learns a policy, by name.

    Attributes:
        name: as on the command line.
        function: ``train(game, budget, seed)``.
        extra: the extra that brings what it needs; empty if it needs none.
        needs: names under which packages are imported that must be installed.
    """

    extra: str = ""
    needs: tuple[str, ...] = ()

    @property
    def train(self) -> Train:
        """The function."""
        return self.function


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
    if ":" in name:
        return Algorithm(name, own_function(name, "train", ARGUMENTS))
    algorithm = algorithms()[choice("algo", name, (*algorithms(), "module:function"))]
    missing = [package for package in algorithm.needs if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"algo {name} needs {', '.join(missing)}: pip install 'karma-envs[{algorithm.extra}]'"
        )
    return algorithm


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
    """The mean-field equilibrium by the game's own solver; no play, only games with a mean-field model."""
    if game.mean_field() is None:
        raise refusal("algo", "equilibrium", "tasks whose game has a mean-field model")
    return Trained(as_played(game, solve(game).policy), 0)


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


@_algorithm
def actor_critic(game: PopulationGame, budget: int, seed: int) -> Trained:
    """An actor and a critic of all agents, of ours: Gaussian policies; games of continuous actions, PyTorch.

    As the game's source trains it where that is by actor and critic; otherwise an actor's step after 10
    steps of each agent, and two step sizes of 1e-3 that fall to a tenth.
    """
    source = game.trained_with.get("", {}) if game.learner == "actor_critic" else {}
    own = {"epoch_length": 10, "learning_rate_left": 0.1, **source}
    return _learned(game, budget, seed, ActorCriticConfig, {**own, "observe_time": False})


@_algorithm
def spsa(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Simultaneous perturbation of a game's family of policies; games that name one, or have tables.

    Populations and trajectories of 1000 agents, 200 steps each, common random numbers, a perturbation of
    .05, Adam with .01; as many iterations as the budget has room for, at most 200.
    """
    n_steps = game.length if game.length is not None else 200
    # An iteration moves a population once, of a team twice, and plays two trajectories.
    per_iteration = 1000 * n_steps * (4 if game.cooperative else 3)
    iterations = min(budget // per_iteration, 200)
    if iterations < 1:
        raise refusal("budget", budget, f"at least an iteration's {per_iteration} agent-steps")
    learned = solve(
        game,
        "spsa",
        iterations=iterations,
        population_steps=n_steps,
        horizon=n_steps,
        n_agents=1000,
        perturbation=0.05,
        common_random_numbers=True,
        seed=seed,
    )
    assert learned.trace is not None
    return Trained(as_played(game, learned.policy), int(learned.trace.samples[-1]))


def _tabular(game: PopulationGame, budget: int, seed: int, **learner: Any) -> Trained:
    """The tabular learner as the game's source trains it, but for ``learner``."""
    source = game.trained_with.get("", {}) if game.learner == "tabular" else {}
    return _learned(game, budget, seed, TabularConfig, {**source, **learner})


def _learned(
    game: PopulationGame, budget: int, seed: int, config_class: type[Any], fields: Mapping[str, Any]
) -> Trained:
    """What a learner of :mod:`agents.learners` learns, in epochs as long as ``fields`` say, if they do."""
    known = {name: value for name, value in fields.items() if name in config_class.field_names()}
    config = config_class.from_dict(known)
    epoch_length = min(fields.get("epoch_length", TrainConfig.epoch_length), budget // game.n_agents)
    if epoch_length < 1:
        raise refusal("budget", budget, f"at least a step of {game.n_agents} agents")
    n_epochs = budget // (game.n_agents * epoch_length)
    kind = kind_of(config)
    played = kind.prepare(game, config)
    kind.check(played)
    trained = kind.prepare(kind.in_training(game, config), config)
    trained.reset(np.random.default_rng([seed, 0]))
    learner = kind.learner_class(trained, config, np.random.default_rng([seed, 1]))
    room = room_for_epoch(trained, epoch_length)
    for epoch in range(n_epochs):
        run_epoch(trained, learner, epoch_length, room, progress=epoch / n_epochs)
    policy = learner.learned_policy()
    if isinstance(played, FiniteGame):
        policy = played.acting(policy)
    return Trained(policy, n_epochs * epoch_length * game.n_agents)
