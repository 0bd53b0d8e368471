"""Stable-Baselines3 and sb3-contrib: populations as their vector environments, their models as policies.

One model is the policy of all agents (parameters are shared), or of those of one type::

    env = PopulationVecEnv("matching", n_agents=100)
    model = MaskablePPO("MlpPolicy", env, gamma=0.98, n_steps=64, batch_size=1600).learn(1_000_000)
    policy_of(model, env.game)  # for games, evaluators and figures: a TabularPolicy where a game has tables

Types have discount factors of their own, so a model for each type is trained on an environment of
its own, in turn, while the other types play what their models were::

    envs = [PopulationVecEnv(game, agent_type=each, **config) for each in range(n_types)]
    models = [MaskablePPO("MlpPolicy", env, gamma=...) for env in envs]
    for _ in range(rounds):
        played = policy_of(models, envs[0].game)
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
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from karma_envs.actions import as_actions
from karma_envs.baselines import baseline_policy
from karma_envs.config import refusal, whole
from karma_envs.numerics.random import new_streams
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.population import CopiedWhole, SomeGame
from karma_envs.views.vector import PopulationVectorEnv
from training.common.trainers import Trainer
from training.integrations.sb3_policies import action_probabilities as action_probabilities
from training.integrations.sb3_policies import distil as distil
from training.integrations.sb3_policies import policy_of as policy_of

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
    learns="PPO, MaskablePPO, DQN, A2C, SAC",
    legal_actions="MaskablePPO",
    continuous="yes",
    types="a model each, in turn",
)


class PopulationVecEnv(CopiedWhole, VecEnv):
    """A game's population, or several side by side, as a vector environment: one sub-environment per agent.

    Observations, rewards and masks are the game's arrays, new in every step; there are no dicts by
    agent. At the end of a game, and at the horizon of one without, all are done at once, ``infos[i]`` has
    ``terminal_observation``, at the horizon ``TimeLimit.truncated`` too, and the next episode begins;
    otherwise infos are empty. An illegal action is played as in all views; if strict, it is refused before
    any population has stepped. MaskablePPO finds the masks of numbered actions by itself; where actions are
    not numbered there are none. Copies are as those of all views.

    A copy is seeded with the seed of its first agent; then it plays the same trajectory as
    :class:`karma_envs.views.vector.PopulationVectorEnv` with that seed.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.
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
        game: SomeGame,
        *,
        copies: int = 1,
        agent_type: int | None = None,
        others: Any = "random",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("observation", "flat") != "flat":
            raise refusal("observation", kwargs["observation"], "flat; masks are asked for by action_masks")
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
        numbered = self.game.action_space
        self._legal = (
            np.zeros((self.num_envs, int(numbered.n)), np.bool_) if isinstance(numbered, Discrete) else None
        )
        self._actions: NDArray[Any] | None = None

    def set_others(self, policy: Any) -> None:
        """Change what agents of other types play.

        Args:
            policy: the name of one of the game's baselines, or a policy that fits the game; what it does for
                those that learn is not used.

        Raises:
            ConfigError: when there is no such baseline.
            PolicyError: when the policy does not fit the game.
        """
        self._others = (
            baseline_policy(policy, self.game) if isinstance(policy, str) else self.game.fitted(policy)
        )

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
        """Take ``actions`` ``[num_envs, ...]`` for the next :meth:`step_wait`.

        Raises:
            IllegalActionError: when they are not that many actions; if strict, for an illegal one.
            RuntimeError: before the first reset.
        """
        chosen = as_actions(actions, self.num_envs, self.game.action_space)
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
            rows, earned, terminated, truncated, about = copy.step(self._completed(number, actions[here]))
            rows = rows[self._chosen]
            rewards[here] = earned[self._chosen]
            if "illegal_action" in about:
                self.illegal[here] = about["illegal_action"][self._chosen]
            if terminated[0] or truncated[0]:  # all agents' episodes end at once
                dones[here] = True
                last = {"TimeLimit.truncated": True} if truncated[0] else {}
                for info, row in zip(infos[here], rows):
                    info.update(last, terminal_observation=row)
                rows = self._begin(number)
            else:
                self._keep_masks(here, about)
            observations.append(rows)
        return _joined(observations), rewards, dones, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Legal actions now, ``bool[num_envs, n_actions]``; a new array.

        Raises:
            ConfigError: where actions are not numbered.
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
        """Whether sub-environments have an attribute: those of the population, and perhaps masks."""
        if attr_name == "action_masks":
            return self._legal is not None
        return hasattr(self._copies[0], attr_name)

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
        results = {
            copy: getattr(copy, method_name)(*method_args, **method_kwargs)
            for copy in dict.fromkeys(concerned)
        }
        return [results[copy] for copy in concerned]

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
        self._keep_masks(here, infos)
        return np.asarray(observations[self._chosen])

    def _keep_masks(self, here: slice, infos: dict[str, Any]) -> None:
        """Take down which actions are legal now for the agents of a copy."""
        if self._legal is not None:
            self._legal[here] = infos["action_mask"][self._chosen]

    def _completed(self, number: int, actions: NDArray[Any]) -> NDArray[Any]:
        """Actions of those who learn as ``[N, ...]``, with what the others play."""
        if len(actions) == self.game.n_agents:
            return actions
        everyone = self._copies[number].game.sample(self._others, self._streams[number])
        everyone[self.agents] = actions
        return everyone

    @property
    def _masks(self) -> NDArray[np.bool_]:
        """Legal actions now, once there was a reset."""
        if self._legal is None:
            raise refusal("game", self.game.name, "a game with numbered actions, for there to be masks")
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


def supersuit_vec_env(game: SomeGame, *, copies: int = 1, **kwargs: Any) -> VecEnv:
    """The same by way of PettingZoo and SuperSuit, for comparison and for SuperSuit's wrappers.

    Much slower than :class:`PopulationVecEnv`, as every step goes through dicts by agent, and without
    masks, so not for MaskablePPO. SuperSuit's wrapper has no ``seed``, which models with a seed call;
    it is added here, and takes effect with the next reset.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.
        copies: how many independent populations.
        **kwargs: the arguments of all views; with several copies not ``strict``, as SuperSuit steps one after
            the other, so that a refusal would come when some have stepped.

    Raises:
        ConfigError: for an argument that is not allowed.
    """
    import supersuit

    if whole("copies", copies, 1) > 1 and kwargs.get("strict"):
        raise refusal("strict", kwargs["strict"], "False with several copies; PopulationVecEnv takes both")
    agents = supersuit.pettingzoo_env_to_vec_env_v1(PopulationParallelEnv(game, **kwargs))
    env: VecEnv = supersuit.concat_vec_envs_v1(agents, copies, num_cpus=1, base_class="stable_baselines3")
    populations: Any = env
    populations.seed = lambda seed=None: populations.venv.reset(seed=seed)
    return env
