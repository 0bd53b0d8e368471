"""What the benchmark compares: functions that train a policy. A new one is a function with a decorator.

An algorithm is ``train(game, budget, seed)``: it may play ``game``, or games of its own like it, for at
most ``budget`` agent-steps in all, and returns the policy of all agents without exploration: anything with
``thresholds`` and ``row_of_agent``, such as a :class:`agents.TabularPolicy`. One that takes fewer
agent-steps returns :class:`Trained`. Hyperparameters are fixed for all tasks and stand in the docstring.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.learners import TabularConfig, TabularLearner
from agents.solvers import solve
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError, choice, refuse
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.plugins import import_named
from karma_envs.tabulated import tabulated
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
        needs: packages that must be installed.
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


ALGORITHMS: dict[str, Algorithm] = {}
"""The built-in algorithms by name."""


def _algorithm(extra: str = "", *needs: str) -> Callable[[Train], Train]:
    def enter(train: Train) -> Train:
        name = getattr(train, "__name__", "").replace("_", "-")
        ALGORITHMS[name] = Algorithm(name, train, extra, needs)
        return train

    return enter


def find(name: str) -> Algorithm:
    """A built-in algorithm, or ``module:function``; modules of the working directory are found too.

    Raises:
        ConfigError: when there is none, or a package that it needs is missing.
    """
    if ":" not in name:
        found = ALGORITHMS[choice("algo", name, (*ALGORITHMS, "module:function"))]
        missing = [package for package in found.needs if importlib.util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"algo {name} needs {', '.join(missing)}: pip install 'karma-envs[{found.extra}]'"
            )
        return found
    train = import_named("algo", name, "module:function that can be imported")
    if not callable(train):
        raise refuse("algo", name, "a function train(game, budget, seed)")
    return Algorithm(name, train)


@_algorithm()
def random(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Every legal action with the same probability; no training."""
    return Trained(baseline_policy("random", game), 0)


@_algorithm()
def bid_all(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Always bid all karma; no training."""
    return Trained(baseline_policy("bid_all", game), 0)


@_algorithm()
def proportional(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Bid the share of karma that urgency is of the greatest; no training."""
    return Trained(baseline_policy("proportional", game), 0)


@_algorithm()
def equilibrium(game: PopulationGame, budget: int, seed: int) -> Trained:
    """The mean-field equilibrium, by homotopy to 1e-10; no play, only games with a mean-field model."""
    model = game.mean_field()
    if model is None:
        raise refuse("algo", "equilibrium", "tasks whose game has a mean-field model")
    return Trained(solve(model).policy.for_agents(game.type_of_agent), 0)


@_algorithm()
def independent_q(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Q-learning, a table per agent.

    Otherwise as :func:`sarsa`.
    """
    return _tabular(game, budget, seed, algorithm="q_learning")


@_algorithm()
def sarsa(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Epsilon-SARSA, a table per agent, as in the Thesis (Algorithm 1).

    Matching: alpha = 0.01, softmax(beta Q) with beta = 1000, epsilon = 0.05, an update every 1000 steps,
    Q_0 = 0 (section 6.1.1). City: beta = 10, an update every 100 steps (section 6.2).
    """
    return _tabular(game, budget, seed)


@_algorithm()
def centralised(game: PopulationGame, budget: int, seed: int) -> Trained:
    """Epsilon-SARSA, a table per type, learned from one of its agents (Thesis, Algorithm 2).

    Otherwise as :func:`sarsa`.
    """
    return _tabular(game, budget, seed, grouping="per_type")


@_algorithm()
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
        raise refuse("budget", budget, f"at least a step of {game.n_agents} agents")
    n_epochs = budget // (game.n_agents * epoch_length)
    played = tabulated(game, config.cells)
    played.reset(np.random.default_rng([seed, 0]))
    tables = TabularLearner(played, config, np.random.default_rng([seed, 1]))
    room = room_for_epoch(played, epoch_length)
    for epoch in range(n_epochs):
        run_epoch(played, tables, epoch_length, room, progress=epoch / n_epochs)
    return Trained(played.acting(tables.learned_policy()), n_epochs * epoch_length * game.n_agents)


def _integrated(path: str, game: PopulationGame, budget: int, seed: int) -> Trained:
    """What ``module:function`` of :mod:`training.integrations` trains; only then its package is imported."""
    module, _, function = path.partition(":")
    train: Callable[[PopulationGame, int, int], Trained] = getattr(
        importlib.import_module(f"training.integrations.{module}"), function
    )
    return train(game, budget, seed)


@_algorithm("sb3", "stable_baselines3")
def ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO of Stable-Baselines3, a network per type; at most 10^7 agent-steps, as it is slow.

    Two layers of 64; returns normalised; gamma the game's; lambda 0.9; 3200 samples, or 32 steps if those
    are more, before each update; minibatches of 800 at most; learning rate from 1e-3 to 0 in 20 stages;
    entropy coefficient 0.03.
    """
    return _integrated("sb3_algorithms:ppo", game, budget, seed)


@_algorithm("sb3", "stable_baselines3", "sb3_contrib")
def maskable_ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO that knows which actions are legal, of sb3-contrib; at most 10^7 agent-steps.

    Otherwise as :func:`ppo`.
    """
    return _integrated("sb3_algorithms:maskable_ppo", game, budget, seed)


@_algorithm("sb3", "stable_baselines3")
def dqn(game: PopulationGame, budget: int, seed: int) -> Trained:
    """DQN of Stable-Baselines3, a network per type; at most 10^7 agent-steps, as it is slow.

    Two layers of 64; returns normalised; gamma the game's; buffer of 10^5, of which a tenth, or of the
    budget if that is less, before learning starts; batches of 256; 4 updates every 4 steps; target network
    every 2000 agent-steps; learning rate from 1e-3 to 0 in 20 stages; epsilon 0.1.
    """
    return _integrated("sb3_algorithms:dqn", game, budget, seed)


@_algorithm("torch", "torch")
def single_file_ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO in one file, a masked network for all agents (training.integrations.single_file_ppo)."""
    return _integrated("single_file_ppo:train", game, budget, seed)


@_algorithm("rllib", "ray")
def rllib_ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO of RLlib, a masked network per type (training.integrations.rllib)."""
    return _integrated("rllib:train", game, budget, seed)


@_algorithm("torchrl", "torchrl")
def torchrl_ippo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO of TorchRL, a masked network per type (training.integrations.torchrl)."""
    return _integrated("torchrl:train", game, budget, seed)


@_algorithm("benchmarl", "benchmarl")
def benchmarl_ippo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """IPPO of BenchMARL, a masked network per type, of one discount (training.integrations.benchmarl)."""
    return _integrated("benchmarl:train", game, budget, seed)


@_algorithm("agilerl", "agilerl")
def agilerl_ippo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """IPPO of AgileRL, a network for all agents (training.integrations.agilerl)."""
    return _integrated("agilerl:train", game, budget, seed)


@_algorithm("tianshou", "tianshou")
def tianshou_dqn(game: PopulationGame, budget: int, seed: int) -> Trained:
    """DQN of Tianshou, one learner among others who play what it was (training.integrations.tianshou)."""
    return _integrated("tianshou:train", game, budget, seed)
