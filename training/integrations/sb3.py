"""Stable-Baselines3 and sb3-contrib: populations as their vector environments, their models as policies.

One model is the policy of all agents (parameters are shared), or of those of one type::

    env = PopulationVecEnv("matching", n_agents=100)
    model = MaskablePPO("MlpPolicy", env, gamma=0.98, n_steps=64, batch_size=1600).learn(1_000_000)
    distil(model, env.game).policy  # a TabularPolicy, for games, evaluators and figures

Types have discount factors of their own, so a model for each type is trained on an environment of
its own, in turn, while the other types play what their models were::

    envs = [PopulationVecEnv(game, agent_type=each, **config) for each in range(n_types)]
    models = [MaskablePPO("MlpPolicy", env, gamma=...) for env in envs]
    for _ in range(rounds):
        played = distil(models, envs[0].game).policy
        for env, model in zip(envs, models):
            env.set_others(played)
            model.learn(steps, reset_num_timesteps=False)

One agent that learns among others who play a policy is ``make_vec_env("karma_envs/Matching-v0")``; for
processes that are spawned (``vec_env_cls=SubprocVecEnv``) the id is ``"karma_envs:karma_envs/Matching-v0"``,
which makes them import this package, without which they do not know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from karma_envs.actions import as_actions
from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.config import refuse, whole
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.numerics.random import new_streams
from karma_envs.numerics.sampling import sample_actions
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.population import CopiedWhole
from karma_envs.views.vector import PopulationVectorEnv
from training.common.trainers import Trainer
from training.integrations.distillation import Distilled, as_played, network_of, tabulate
from training.integrations.sb3_observations import as_seen

TRAINER = Trainer(
    title="Stable-Baselines3",
    extra="sb3",
    packages=("stable-baselines3", "sb3-contrib", "torch"),
    example="11_stable_baselines",
    algorithms={
        "ppo": "sb3_algorithms:ppo",
        "maskable-ppo": "sb3_algorithms:maskable_ppo",
        "dqn": "sb3_algorithms:dqn",
    },
    learns="PPO, MaskablePPO, DQN, A2C",
    legal_actions="MaskablePPO",
    types="a model each, in turn",
)


class PopulationVecEnv(CopiedWhole, VecEnv):
    """A game's population, or several side by side, as a vector environment: one sub-environment per agent.

    Observations, rewards and masks are the game's arrays, new in every step; there are no dicts by
    agent. At the horizon all are truncated at once, ``infos[i]`` has ``terminal_observation`` and
    ``TimeLimit.truncated``, and the next episode begins; otherwise infos are empty. An illegal action is
    played as in all views: as the highest legal one below it; if strict, it is refused before any population
    has stepped. MaskablePPO finds the masks by itself. Copies are as those of all views.

    A copy is seeded with the seed of its first agent; then it plays the same trajectory as
    :class:`karma_envs.views.vector.PopulationVectorEnv` with that seed.

    Args:
        game: a game's name in the registry, or a game's class.
        copies: how many independent populations, one after the other in the arrays.
        agent_type: only the agents of this type are sub-environments; None for all agents.
        others: what the agents of other types play, see :meth:`set_others`.
        **kwargs: the arguments of all views, see :class:`karma_envs.views.population.PopulationView`;
            observations are always flat.

    Attributes:
        game: the first population's game.
        agents: ``int64[n]``, the agents of each population that are sub-environments.
        illegal: ``bool[num_envs]``, whose last action was illegal.

    Raises:
        ConfigError: for an argument that is not allowed.
    """

    def __init__(
        self,
        game: str | type[PopulationGame],
        *,
        copies: int = 1,
        agent_type: int | None = None,
        others: str | SamplingPolicy = "random",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("observation", "flat") != "flat":
            raise refuse("observation", kwargs["observation"], "flat; masks are asked for by action_masks")
        self._copies = [PopulationVectorEnv(game, **kwargs) for _ in range(whole("copies", copies, 1))]
        self.game = self._copies[0].game
        self.agents = np.arange(self.game.n_agents)
        if agent_type is not None:
            agent_type = whole("agent_type", agent_type, 0, len(self.game.discounts) - 1)
            self.agents = np.flatnonzero(self.game.type_of_agent == agent_type)
        self._chosen: Any = slice(None) if agent_type is None else self.agents
        self.set_others(others)
        self._streams = [np.zeros(1, np.uint64) for _ in self._copies]
        spaces = self._copies[0].single_observation_space, self._copies[0].single_action_space
        super().__init__(len(self.agents) * len(self._copies), *spaces)
        starts = range(0, self.num_envs, len(self.agents))
        self._places = [slice(start, start + len(self.agents)) for start in starts]  # of each copy's agents
        self.illegal = np.zeros(self.num_envs, np.bool_)
        self._legal = np.zeros((self.num_envs, self.game.n_actions), np.bool_)
        self._actions: NDArray[np.int64] | None = None

    def set_others(self, policy: str | SamplingPolicy) -> None:
        """Change what agents of other types play.

        Args:
            policy: the name of a baseline (random, bid_all, bid_nothing, proportional), or a tabular
                policy for all agents, of which the rows of those that learn are not used.

        Raises:
            ConfigError: when there is no such baseline.
            PolicyError: when the policy does not fit the game.
        """
        if isinstance(policy, str):
            self._others = baseline_policy(policy, self.game)
        else:
            self.game.check_policy(policy)
            self._others = PlayedPolicy(policy.thresholds, policy.row_of_agent)

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode in every copy, with the seeds and options that were set.

        Returns:
            observations ``float32[num_envs, d]``.
        """
        observations = [
            self._begin(number, self._seeds[here.start], self._options[here.start])
            for number, here in enumerate(self._places)
        ]
        self._reset_seeds()
        self._reset_options()
        self.illegal = np.zeros(self.num_envs, np.bool_)
        return _joined(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take ``actions`` ``int[num_envs]`` for the next :meth:`step_wait`.

        Raises:
            IllegalActionError: when they are not that many whole numbers; if strict, for an illegal one.
            RuntimeError: before the first reset.
        """
        chosen = as_actions(actions, self.num_envs, self.action_space)
        for copy, here in zip(self._copies, self._places):  # all, before the first one has stepped
            copy.check_actions(chosen[here], self.agents)
        self._actions = chosen

    def step_wait(self) -> VecEnvStepReturn:
        """One step.

        Returns:
            new arrays and dicts: observations ``float32[num_envs, d]``, rewards ``float32[num_envs]``,
            dones ``bool[num_envs]``, infos.
        """
        if self._actions is None:
            raise RuntimeError("there is no step to wait for: call step_async(actions) first")
        actions, self._actions = self._actions, None
        observations: list[NDArray[np.float32]] = []
        rewards = np.empty(self.num_envs, np.float32)
        dones = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self.illegal = np.zeros(self.num_envs, np.bool_)
        for number, (copy, here) in enumerate(zip(self._copies, self._places)):
            rows, earned, _, truncations, found = copy.step(self._completed(number, actions[here]))
            rows = rows[self._chosen]
            rewards[here] = earned[self._chosen]
            if "illegal_action" in found:
                self.illegal[here] = found["illegal_action"][self._chosen]
            if truncations[0]:
                dones[here] = True
                for info, row in zip(infos[here], rows):
                    info["terminal_observation"], info["TimeLimit.truncated"] = row, True
                rows = self._begin(number)
            else:
                self._legal[here] = found["action_mask"][self._chosen]
            observations.append(rows)
        return _joined(observations), rewards, dones, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Legal actions now, ``bool[num_envs, n_actions]``; a new array.

        Raises:
            RuntimeError: before the first reset.
        """
        return self._masks.copy()

    def close(self) -> None:
        """Close the windows."""
        for copy in self._copies:
            copy.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """A picture of each copy."""
        pictures = [copy.render() for copy in self._copies]
        return [None if picture is None else picture[0] for picture in pictures]

    def has_attr(self, attr_name: str) -> bool:
        """Whether sub-environments have an attribute: those of the population, and ``action_masks``."""
        return attr_name == "action_masks" or hasattr(self._copies[0], attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of sub-environments: of the population each belongs to, or ``action_masks``."""
        if attr_name == "action_masks":
            return [partial(self._mask_of, index) for index in self._get_indices(indices)]
        return [getattr(copy, attr_name) for copy in self._copies_of(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute, such as ``max_cycles``, of the populations that sub-environments belong to."""
        for copy in dict.fromkeys(self._copies_of(indices)):
            setattr(copy, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the populations that sub-environments belong to, once each.

        Returns:
            for each sub-environment what its population's call gave; of ``action_masks`` its row.
        """
        if method_name == "action_masks":
            return list(self._masks[list(self._get_indices(indices))])
        concerned = self._copies_of(indices)
        given = {
            copy: getattr(copy, method_name)(*method_args, **method_kwargs)
            for copy in dict.fromkeys(concerned)
        }
        return [given[copy] for copy in concerned]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """No sub-environment is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def _begin(
        self, number: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """A new episode of a copy; its observations."""
        copy, here = self._copies[number], self._places[number]
        observations, infos = copy.reset(seed=seed, options=options)
        if len(self.agents) < self.game.n_agents:
            self._streams[number] = new_streams(copy.np_random, 1)
        self._legal[here] = infos["action_mask"][self._chosen]
        return np.asarray(observations[self._chosen])

    def _completed(self, number: int, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Actions of those who learn as ``int64[N]``, with what the others play."""
        if len(actions) == self.game.n_agents:
            return actions
        everyone = np.empty(self.game.n_agents, np.int64)
        now = self._copies[number].game.observation_index()
        sample_actions(*self._others, now, self._streams[number], 0, everyone)
        everyone[self.agents] = actions
        return everyone

    @property
    def _masks(self) -> NDArray[np.bool_]:
        """Legal actions now, once there was a reset."""
        if not self._legal.any():  # action 0 always is
            raise RuntimeError("the environment has not begun: call reset() first")
        return self._legal

    def _copies_of(self, indices: VecEnvIndices) -> list[PopulationVectorEnv]:
        """The copy that each sub-environment belongs to."""
        return [self._copies[index // len(self.agents)] for index in self._get_indices(indices)]

    def _mask_of(self, index: int) -> NDArray[np.bool_]:
        return np.array(self._masks[index])


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def supersuit_vec_env(game: str | type[PopulationGame], *, copies: int = 1, **kwargs: Any) -> VecEnv:
    """The same by way of PettingZoo and SuperSuit, for comparison and for SuperSuit's wrappers.

    Much slower than :class:`PopulationVecEnv`, as every step goes through dicts by agent, and without
    masks, so not for MaskablePPO. SuperSuit's wrapper has no ``seed``, which models with a seed call;
    it is added here, and takes effect with the next reset.

    Args:
        game: a game's name in the registry, or a game's class.
        copies: how many independent populations.
        **kwargs: the arguments of all views; with several copies not ``strict``, as SuperSuit steps one after
            the other, so that a refusal would come when some have stepped.

    Raises:
        ConfigError: for an argument that is not allowed.
    """
    import supersuit

    if whole("copies", copies, 1) > 1 and kwargs.get("strict"):
        raise refuse("strict", kwargs["strict"], "False with several copies; PopulationVecEnv takes both")
    agents = supersuit.pettingzoo_env_to_vec_env_v1(PopulationParallelEnv(game, **kwargs))
    env: VecEnv = supersuit.concat_vec_envs_v1(agents, copies, num_cpus=1, base_class="stable_baselines3")
    populations: Any = env
    populations.seed = lambda seed=None: populations.venv.reset(seed=seed)
    return env


def action_probabilities(
    model: Any, observations: NDArray[np.float32], legal: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What a model does: the distribution it has (PPO, A2C, MaskablePPO), or its greedy action (DQN).

    Illegal actions of a model that knows no masks are played as the highest legal ones below them, see
    :func:`training.integrations.distillation.as_played`.

    Args:
        model: a Stable-Baselines3 model, or anything with its ``predict``.
        observations: ``float32[n, d]``, as the game gives them; the model sees them as in its environment,
            normalised where that has VecNormalize.
        legal: ``bool[n, actions]``.

    Returns:
        ``float64[n, actions]``: exactly 0 where illegal, rows sum to 1.

    Raises:
        ConfigError: for a model with memory, and for one of which it is not known what it sees, see
            :func:`training.integrations.sb3_observations.as_seen`.
    """
    policy = getattr(model, "policy", None)
    ask = getattr(policy, "get_distribution", None)
    parameters = signature(ask or model.predict).parameters
    if "lstm_states" in parameters:
        raise refuse("model", type(model).__name__, "a model without memory")
    seen = as_seen(model, observations, legal)
    masks = {"action_masks": legal} if "action_masks" in parameters else {}
    if policy is not None and ask is not None:
        policy.set_training_mode(False)
        with torch.no_grad():
            chosen = ask(policy.obs_to_tensor(seen)[0], **masks).distribution.probs
        chosen = chosen.cpu().numpy().astype(np.float64)
    else:
        actions, _ = model.predict(seen, deterministic=True, **masks)
        chosen = np.eye(legal.shape[1])[actions]
    return as_played(chosen, legal)


def distil(model: Any, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Distilled:
    """A model's policy as a table, which games play and evaluators take: ``distil(model, game).policy``.

    Args:
        model: what :func:`action_probabilities` takes; or a sequence of such, one for each type. One that was
            trained with VecNormalize must be loaded with it: ``PPO.load(path, env=VecNormalize.load(...))``.
        game: the game; it is not touched. It need not have as many agents as the one trained in.
        n_steps: how long to play, several times over, to see what agents observe.
        seed: of all random draws.

    Raises:
        ConfigError: when there is neither one model nor one for each type; for a model with memory, or of
            which it is not known what it sees.
        ValueError: when there is no such table, see :func:`training.integrations.distillation.tabulate`.
    """
    network = network_of("model", model, game, action_probabilities)
    return tabulate(network, game, n_steps=n_steps, seed=seed)
