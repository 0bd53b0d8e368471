"""BenchMARL: every game as a task of its kind, its experiments' policies as tables, and its IPPO.

A task's configuration is the arguments of all views; numbered actions are masked, and there is a state::

    task = KarmaTask.MATCHING.get_task({"n_agents": 100, "max_cycles": 100})
    experiment = Experiment(task, MappoConfig.get_from_yaml(), MlpConfig.get_from_yaml(), seed=0, config=...)
    experiment.run()
    policy_of_experiment(experiment, karma_envs.make("matching", n_agents=100))  # a TabularPolicy

A game that is not in the registry is ``KarmaClass("MINE", {...}, game=MyGame)``.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from gymnasium.spaces import Box
from tensordict import TensorDictBase, unravel_key
from tensordict.nn import TensorDictModuleBase
from torchrl.envs import Compose, EnvBase, RewardScaling, Transform, TransformedEnv

import karma_envs
from karma_envs.config import refusal
from karma_envs.finite import as_finite
from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.population import SomeGame
from training.benchmark.algorithms import Trained
from training.common.trainers import Trainer
from training.integrations.budget import prepare_torch, spend
from training.integrations.distillation import Distilled
from training.integrations.torchrl import distil, policy_of, torchrl_env

with warnings.catch_warnings():  # TorchRL deprecates a class that it derives others from
    warnings.filterwarnings("ignore", "Creating .*WeightUpdater", DeprecationWarning)
    from benchmarl.algorithms import IppoConfig
    from benchmarl.environments import PettingZooClass, Task
    from benchmarl.experiment import Callback, Experiment, ExperimentConfig
    from benchmarl.models import MlpConfig

TRAINER = Trainer(
    title="BenchMARL",
    extra="benchmarl",
    packages=("benchmarl", "torchrl", "tensordict", "torch"),
    constraints="constraints/benchmarl.txt",
    example="14_benchmarl",
    algorithms={"benchmarl-ippo": "benchmarl:train"},
    learns="IPPO, MAPPO, IQL, QMIX",
    legal_actions="yes",
    continuous="yes",
    types="a group each, of one discount",
)

_EPOCHS, _BATCH, _RATE = 10, 800, 1e-3


class KarmaClass(PettingZooClass):  # type: ignore[misc]
    """A game as a task, by way of PettingZoo and :func:`training.integrations.torchrl.torchrl_env`.

    Agents of one type are a group. Environments that BenchMARL makes side by side have different seeds,
    unless they are in different processes (``parallel_collection``).

    Args:
        name: a game's name in the registry, in capitals; any name if there is a ``game``.
        config: the arguments of all views, see :class:`karma_envs.views.population.PopulationView`. They
            are checked when an environment is made.
        game: a game's class, or a game.
    """

    def __init__(self, name: str, config: dict[str, Any] | None = None, game: SomeGame | None = None) -> None:
        super().__init__(name, config)
        self.game = name.lower() if game is None else game

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], EnvBase]:
        """What makes an environment; each call takes the next seed."""
        seeds = itertools.repeat(None) if seed is None else iter(range(seed, sys.maxsize))
        return lambda: torchrl_env(
            self.game, return_state=True, seed=next(seeds), device=device, **self.config
        )

    @cached_property
    def _is_continuous(self) -> bool:
        return isinstance(PopulationParallelEnv(self.game, **self.config).game.action_space, Box)

    def supports_continuous_actions(self) -> bool:
        """Whether the game's actions are a box."""
        return self._is_continuous

    def supports_discrete_actions(self) -> bool:
        """Whether the game's actions are numbered; they are masked."""
        return not self._is_continuous

    def has_state(self) -> bool:
        """Yes: all agents' observations in a row."""
        return True

    def has_render(self, env: EnvBase) -> bool:
        """Whether the configuration has ``render_mode`` ``rgb_array``."""
        return bool(self.config.get("render_mode") == "rgb_array")

    def max_steps(self, env: EnvBase) -> int:
        """The horizon, ``max_cycles``."""
        return int(env.max_cycles)

    @staticmethod
    def env_name() -> str:
        """The name in reports: ``karma_envs``."""
        return "karma_envs"


class _RegistryTask(Task):  # type: ignore[misc]
    @staticmethod
    def associated_class() -> type[KarmaClass]:
        return KarmaClass

    def get_task(self, config: dict[str, Any] | None = None) -> KarmaClass:
        """The game of this name; without ``config`` as it is by default, not from a file."""
        return KarmaClass(self.name, config)


KarmaTask: Any = _RegistryTask("KarmaTask", [name.upper() for name in karma_envs.names()], module=__name__)
"""The tasks: a member for each game of the registry, such as ``KarmaTask.GRID_CITY``."""


def distil_experiment(
    experiment: Experiment, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0
) -> Distilled:
    """An experiment's policies, without exploration, as a table, which games play and evaluators take.

    Args:
        experiment: of a task of ours, with any algorithm that shares parameters (IPPO, MAPPO, IQL, QMIX …)
            and a model of an agent's own observation, without memory.
        game: the task's game; it is not touched.
        n_steps: how long to play, several times over, to see what agents observe.
        seed: of all random draws.

    Raises:
        ConfigError: for an experiment in which agents of one type are not alike, or do not see the game's
            observations, as with a task of your own that has ObservationNorm among its transforms.
        ValueError: when there is no such table, see :func:`training.integrations.distillation.tabulate`.
    """
    return distil(_actors_of(experiment), game, n_steps=n_steps, seed=seed)


def policy_of_experiment(
    experiment: Experiment, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0
) -> Any:
    """An experiment's policies as that of a game: a table where it has tables, else what they draw.

    Args:
        experiment: as in :func:`distil_experiment`.
        game: the task's game; it is not touched.
        n_steps: for :func:`distil_experiment`.
        seed: for :func:`distil_experiment`.

    Returns:
        what ``game.rollout`` takes.

    Raises:
        ConfigError: as in :func:`distil_experiment`.
        ValueError: as in :func:`distil_experiment`.
    """
    return policy_of(_actors_of(experiment), game, n_steps=n_steps, seed=seed)


def _actors_of(experiment: Experiment) -> dict[str, TensorDictModuleBase]:
    """The actor of each group, if agents of one type are alike and see the game's observations."""
    if not experiment.config.share_policy_params:
        raise refusal("share_policy_params", False, "True: all agents of a type are to be alike")
    if experiment.algorithm.has_rnn:
        raise refusal("model", experiment.model_name, "a model without memory")
    _check_transforms(experiment)
    return {group: experiment.algorithm.get_policy_for_loss(group) for group in experiment.group_map}


def _check_transforms(experiment: Experiment) -> None:
    """Refuse what changes observations before the policy sees them."""
    observations = {(group, "observation") for group in experiment.group_map}
    env = experiment.test_env
    while isinstance(env, TransformedEnv):
        for transform in env.transform if isinstance(env.transform, Compose) else [env.transform]:
            if observations & set(map(unravel_key, transform.in_keys)):
                name = type(transform).__name__
                raise refusal(
                    "experiment", f"one with {name}", "one whose policies see the game's observations"
                )
        env = env.base_env


def train(game: PopulationGame, budget: int, seed: int) -> Trained:
    """IPPO of BenchMARL, a masked network per type, of one discount; at most 10^7 agent-steps, as it is slow.

    Two layers of 64 for actor and critic each; gamma the game's, rewards times 1 - gamma; lambda 0.9; 3200
    samples, or 32 steps if those are more, before each update, fewer if there were less than 30 updates; 10
    epochs of minibatches of whole steps, 800 samples at most; advantages normalised by agent; Adam, learning
    rate from 1e-3 to 0; clipping at 0.2, gradients at 0.5; entropy coefficient 0.03, value coefficient 0.5.

    Raises:
        ConfigError: for a game without tables; when the budget is less than a step, or types differ in their
            discount factors, as an experiment has only one.
    """
    game = as_finite(game)
    if len(discounts := set(game.discounts.tolist())) > 1:
        raise refusal(
            "game", f"types with discounts {sorted(discounts)}", "one discount factor for all types"
        )
    steps, updates = spend(game, budget)
    prepare_torch(seed)
    logging.getLogger("torchrl").setLevel(logging.WARNING)  # it reports the storage it makes
    algorithm = IppoConfig.get_from_yaml()
    algorithm.entropy_coef, algorithm.critic_coef, algorithm.lmbda = 0.03, 0.5, 0.9
    model = MlpConfig(num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.Tanh)
    config = ExperimentConfig.get_from_yaml()
    config.gamma, config.lr, config.clip_grad_val = float(game.discounts[0]), _RATE, 0.5
    config.max_n_frames, config.max_n_iters = None, updates
    config.on_policy_n_envs_per_worker, config.on_policy_collected_frames_per_batch = 1, steps
    config.on_policy_n_minibatch_iters = _EPOCHS
    config.on_policy_minibatch_size = min(steps, max(1, _BATCH // game.n_agents))
    config.evaluation, config.create_json, config.loggers = False, False, []
    task = _Scaled(game.name.upper(), {}, game)
    with (
        tempfile.TemporaryDirectory() as folder,  # it always keeps its configuration
        contextlib.redirect_stderr(io.StringIO()),  # its progress bar cannot be turned off
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "No episode terminated", UserWarning)  # none is meant to
        warnings.filterwarnings("ignore", "size_average and reduce args", UserWarning)  # TorchRL's
        warnings.filterwarnings("ignore", "SyncDataCollector has been deprecated", DeprecationWarning)
        config.save_folder = folder
        experiment = Experiment(task, algorithm, model, seed, config, callbacks=[_Tuned()])
        experiment.run()
    distilled = distil_experiment(experiment, game, seed=seed)
    return Trained(distilled.policy, experiment.total_frames * game.n_agents)


class _Scaled(KarmaClass):
    """Rewards times 1 - gamma, so that returns are of order 1."""

    def get_env_transforms(self, env: EnvBase) -> list[Transform]:
        rewards = [(group, "reward") for group in self.group_map(env)]
        return [RewardScaling(0, 1 - float(env.game.discounts[0]), in_keys=rewards)]


class _Tuned(Callback):  # type: ignore[misc]
    """What IPPO's configuration has no fields for: normalised advantages and a falling learning rate."""

    def on_setup(self) -> None:
        for loss in self.experiment.losses.values():
            loss.normalize_advantage = True
            loss.normalize_advantage_exclude_dims = (-2,)  # the agents

    def on_train_end(self, training_td: TensorDictBase, group: str) -> None:
        done = (self.experiment.n_iters_performed + 1) / self.experiment.config.max_n_iters
        for optimiser in self.experiment.optimizers[group].values():
            for parameters in optimiser.param_groups:
                parameters["lr"] = _RATE * (1 - done)
