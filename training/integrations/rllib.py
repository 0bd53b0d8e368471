"""Ray RLlib: populations as its multi-agent environments, its modules as policies.

A module is the policy of all agents, or of those of one type::

    config = (
        PPOConfig()
        .environment(PopulationMultiAgentEnv, env_config={"game": "matching", "n_agents": 100})
        .multi_agent(policies={"all"}, policy_mapping_fn=lambda *_, **__: "all", count_steps_by="agent_steps")
        .rl_module(rl_module_spec=RLModuleSpec(module_class=MaskedPPOModule))
        .learners(learner_class=DiscountedPPOLearner)
        .training(gamma=0.98, train_batch_size_per_learner=3200, minibatch_size=800)
    )
    with local_ray():
        algorithm = config.build_algo()
        algorithm.train()
        policy_of(algorithm.get_module("all"), game)  # a TabularPolicy, for games, evaluators and figures

Of RLlib 2.60: ``minibatch_size`` is in agent-steps, but batches are in steps of all agents unless
``count_steps_by="agent_steps"``; its own learner of PPO ignores a ``gamma`` that only one module has.
For algorithms that know no masks there is its ``ParallelPettingZooEnv(matching_v0.parallel_env())``.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import torch
from gymnasium.spaces import Dict
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.connectors.learner import GeneralAdvantageEstimation
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from karma_envs.config import choice, refusal, whole
from karma_envs.finite import as_finite
from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.population import CopiedWhole
from training.benchmark.algorithms import Trained
from training.common.trainers import Trainer
from training.integrations.budget import prepare_torch, spend
from training.integrations.masks import observation_with_mask
from training.integrations.rllib_policies import action_probabilities as action_probabilities
from training.integrations.rllib_policies import distil as distil
from training.integrations.rllib_policies import policy_of as policy_of

TRAINER = Trainer(
    title="RLlib",
    extra="rllib",
    packages=("ray", "torch"),
    constraints="constraints/rllib.txt",
    example="12_rllib",
    algorithms={"rllib-ppo": "rllib:train"},
    learns="PPO",
    legal_actions="yes",
    continuous="yes",
    types="a module each",
)

_MOST_AGENT_STEPS = 10**6
_MINIBATCHES = 4


class PopulationMultiAgentEnv(CopiedWhole, MultiAgentEnv):  # type: ignore[misc]
    """A game's population as RLlib's environment, made from one dict, as RLlib makes environments.

    Trajectories, illegal actions and how episodes end are those of
    :class:`karma_envs.views.parallel.PopulationParallelEnv`. Agents are numbers, 0 … N-1, as in the game's
    arrays: RLlib goes through sets of them, whose order would differ from process to process for names, and
    with it what a seed gives. An observation is a dict with the keys that RLlib's modules for masks ask
    for: ``observations`` (``float32[d]``) and ``action_mask`` (``int8[n_actions]``); in a game without
    tables, where all actions are legal, it is the former alone, for RLlib's own modules.

    Args:
        config: ``game`` and the arguments of all views, see
            :class:`karma_envs.views.population.PopulationView`; observations always have the mask, where
            there is one.

    Attributes:
        game: the game.
        possible_agents: the agents.
        agents: the same, always.

    Raises:
        ConfigError: for an argument that is not allowed.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        if "game" not in config:
            raise refusal("env_config", dict(config), "a dict with game, a name or a class")
        kind = observation_with_mask(config["game"])
        choice("observation", config.get("observation", kind), (kind,))
        self._env = PopulationParallelEnv(**{**config, "observation": kind})
        self.game = self._env.game
        self._names = dict(enumerate(self._env.possible_agents))
        self.possible_agents, self.agents = list(self._names), list(self._names)
        super().__init__()
        self.metadata, self.render_mode = dict(self._env.metadata), self._env.render_mode
        spaces = {agent: self._env.observation_space(name) for agent, name in self._names.items()}
        self.observation_spaces = {
            agent: Dict(_renamed(space)) if isinstance(space, Dict) else space
            for agent, space in spaces.items()
        }
        self.action_spaces = {agent: self._env.action_space(name) for agent, name in self._names.items()}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[int, Any], dict[int, Any]]:
        """Begin an episode.

        Args:
            seed: makes the random generator; None goes on with the one there is.
            options: not used.

        Returns:
            observations and infos by agent.
        """
        observations, infos = self._env.reset(seed=seed, options=options)
        return dict(enumerate(map(_renamed, observations.values()))), _numbered(infos)

    def step(
        self, action_dict: Mapping[int, Any]
    ) -> tuple[dict[int, Any], dict[int, float], dict[Any, bool], dict[Any, bool], dict[int, Any]]:
        """One step.

        Args:
            action_dict: an action for every agent, in any order.

        Returns:
            observations, rewards, terminations, truncations and infos by agent; terminations and
            truncations have ``__all__`` as well.

        Raises:
            IllegalActionError: when actions are missing or of another kind; if strict, for an illegal one.
            RuntimeError: for actions before reset or after the end of an episode.
        """
        actions: dict[Any, Any] = {
            self._names.get(agent, agent): action for agent, action in action_dict.items()
        }
        observations, rewards, terminations, truncations, infos = self._env.step(actions)
        return (
            dict(enumerate(map(_renamed, observations.values()))),
            _numbered(rewards),
            {**_numbered(terminations), "__all__": all(terminations.values())},
            {**_numbered(truncations), "__all__": all(truncations.values())},
            _numbered(infos),
        )

    def render(self) -> Any:
        """The last step as a picture, see :class:`karma_envs.views.population.PopulationView`."""
        return self._env.render()

    def close(self) -> None:
        """Close the window."""
        self._env.close()


def _numbered(by_name: dict[str, Any]) -> dict[Any, Any]:
    return dict(enumerate(by_name.values()))


def _renamed(observation: Any) -> Any:
    """An observation, or its space, with RLlib's keys, if it holds a mask."""
    if not isinstance(observation, (dict, Dict)):
        return observation
    return {"observations": observation["observation"], "action_mask": observation["action_mask"]}


class MaskedPPOModule(DefaultPPOTorchRLModule):  # type: ignore[misc]
    """RLlib's networks of PPO for observations with masks: illegal actions have probability 0.

    What RLlib's example ``ActionMaskingTorchRLModule`` does, which works too.

    Args:
        observation_space: a Dict of ``observations``, which the networks see, and ``action_mask``.
        **kwargs: as RLlib gives them to modules.
    """

    def __init__(self, *, observation_space: Dict, **kwargs: Any) -> None:
        super().__init__(observation_space=observation_space["observations"], **kwargs)
        self.observation_space = observation_space

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return _masked(super()._forward(_unmasked(batch), **kwargs), batch)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return _masked(super()._forward_train(_unmasked(batch), **kwargs), batch)

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """Estimated values of a batch's observations, ``float32[n]``; RLlib calls it."""
        values: torch.Tensor = super().compute_values(_unmasked(batch), embeddings)
        return values


def _unmasked(batch: dict[str, Any]) -> dict[str, Any]:
    return {**batch, Columns.OBS: batch[Columns.OBS]["observations"]}


def _masked(output: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    logits, illegal = output[Columns.ACTION_DIST_INPUTS], batch[Columns.OBS]["action_mask"] == 0
    return {**output, Columns.ACTION_DIST_INPUTS: logits.masked_fill(illegal, torch.finfo(logits.dtype).min)}


class DiscountedPPOLearner(PPOTorchLearner):  # type: ignore[misc]
    """RLlib's PPO, but each module's advantages are of its own ``gamma``, and of normalised returns.

    A module's ``gamma`` is set by ``algorithm_config_overrides_per_module``. A normalised return is
    (1 - gamma) times the sum of discounted rewards: on the scale of rewards whatever gamma is, as networks
    and RLlib's clipping of the value loss need it. Rewards that RLlib reports are not changed.
    """

    def build(self) -> None:
        """Build the learner; RLlib calls it."""
        super().build()
        gammas = {name: self.config.get_config_for_module(name).gamma for name in self.config.policies}
        self._learner_connector.remove(GeneralAdvantageEstimation)
        self._learner_connector.append(_AdvantagesByModule(gammas, self.config.lambda_))


class _AdvantagesByModule(GeneralAdvantageEstimation):  # type: ignore[misc]
    """Generalised advantage estimation, of one module after the other."""

    def __init__(self, gammas: Mapping[str, float], lambda_: float) -> None:
        super().__init__(gamma=None, lambda_=lambda_)
        self._gammas = gammas

    def __call__(self, *, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        for name, columns in batch.items():
            self.gamma = self._gammas[name]
            columns[Columns.REWARDS] = columns[Columns.REWARDS] * (1 - self.gamma)
            super().__call__(batch={name: columns}, **kwargs)  # writes into columns
        return batch


@contextmanager
def local_ray(n_cpus: int = 1) -> Iterator[None]:
    """Ray on this machine, without dashboard and quiet, stopped at the end; or the Ray that runs already.

    Quiet: of the logs of Ray and RLlib only errors are shown. The files of a session are removed after it.

    Args:
        n_cpus: how many CPUs Ray may use for processes besides this one.

    Raises:
        ConfigError: for an argument that is not allowed.
    """
    whole("n_cpus", n_cpus, 1)
    if ray.is_initialized():
        yield
        return
    loggers = [logging.getLogger(name) for name in ("ray", "ray.rllib")]
    levels = [logger.level for logger in loggers]
    # As Ray does on macOS, whatever TMPDIR says: paths of sockets have at most 107 bytes.
    short = Path(os.sep, "tmp")
    folder = tempfile.mkdtemp(prefix="ray-", dir=short if short.is_dir() else None)
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        ray.init(
            address="local",
            num_cpus=n_cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
        yield
    finally:
        ray.shutdown()
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        shutil.rmtree(folder, ignore_errors=True)


def train(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO of RLlib, a masked network per type, all types at once; at most 10^6 agent-steps, as it is slow.

    Two layers of 64, for actor and critic each; gamma the game's; lambda 0.9; 3200 samples, or 32 steps if
    those are more, before each update, fewer if there were less than 30 updates; 10 epochs of four
    minibatches; clipping at 0.2; learning rate from 1e-3 to 0; entropy coefficient 0.03. The same seed gives
    the same policy.

    Args:
        game: the game; it is not touched.
        budget: the most agent-steps to train for.
        seed: of all random draws, 0 or more.

    Raises:
        ConfigError: for a game without tables; for a budget below one step of all agents.
    """
    game = as_finite(game)
    steps, updates = spend(game, budget, most=_MOST_AGENT_STEPS)
    prepare_torch(seed)
    deterministic = torch.are_deterministic_algorithms_enabled()
    with local_ray(), warnings.catch_warnings():
        config = _ppo(game, steps, updates, seed)
        warnings.filterwarnings(
            "ignore", ".*Overriding environment rllib-multi-agent-env-v0"
        )  # trained before
        algorithm = config.build_algo()
        try:
            for _ in range(updates):
                algorithm.train()
            modules = [algorithm.get_module(name) for name in config.policies]
        finally:
            algorithm.stop()
            shutil.rmtree(algorithm.logdir, ignore_errors=True)
            torch.use_deterministic_algorithms(deterministic)  # seeding it has turned them on
    return Trained(distil(modules, game, seed=seed).policy, updates * steps * game.n_agents)


def _ppo(game: PopulationGame, steps: int, updates: int, seed: int) -> PPOConfig:
    """The configuration of :func:`train`."""
    types = game.type_of_agent.tolist()
    discounts = {f"type_{number}": float(discount) for number, discount in enumerate(game.discounts)}
    samples = steps * game.n_agents
    return (
        PPOConfig()
        .environment(PopulationMultiAgentEnv, env_config={"game": game})
        .env_runners(num_env_runners=0)
        .multi_agent(
            policies=list(discounts),
            policy_mapping_fn=lambda agent, *_, **__: f"type_{types[agent]}",
            count_steps_by="agent_steps",
        )
        .rl_module(
            algorithm_config_overrides_per_module={
                name: PPOConfig.overrides(gamma=discount) for name, discount in discounts.items()
            },
            rl_module_spec=RLModuleSpec(
                module_class=MaskedPPOModule,
                model_config={"fcnet_hiddens": [64, 64], "vf_share_layers": False},
            ),
        )
        .learners(learner_class=DiscountedPPOLearner)
        .training(
            train_batch_size_per_learner=samples,
            minibatch_size=max(1, samples // _MINIBATCHES),
            num_epochs=10,
            lr=[[0, 1e-3], [steps * updates, 0.0]],
            lambda_=0.9,
            clip_param=0.2,
            use_kl_loss=False,
            vf_loss_coeff=0.5,
            entropy_coeff=0.03,
        )
        .debugging(seed=seed)
    )
