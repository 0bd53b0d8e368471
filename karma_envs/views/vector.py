"""The population as a Gymnasium VectorEnv: one sub-environment per agent, in arrays, without names.

``gymnasium.make_vec("karma_envs/Matching-v0", num_envs=4)`` is one population of four agents, of which each
is a sub-environment. Four populations, in each of which one agent learns among others who play a policy, are
``make_vec("karma_envs/Matching-v0", num_envs=4, vectorization_mode="sync", population="proportional")``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from karma_envs.config import refusal, whole
from karma_envs.views.population import GymnasiumView, Observation, PopulationView, SomeGame


class PopulationVectorEnv(GymnasiumView, VectorEnv[Any, Any, NDArray[Any]]):
    """All agents of a game as the sub-environments of one vector.

    Sub-environments are not independent copies: they are the agents of one population, who all act, so
    that there is no ``population`` to play against. At the end of the game all are terminated, at the horizon
    of one without an end all are truncated, and the step after that begins the next episode (autoreset mode
    NEXT_STEP): its actions are not looked at, its rewards are 0.

    Args:
        game: a game's name in the registry, or a game's class.
        num_envs: number of agents, not of populations; 1, which is what ``gymnasium.make_vec`` gives if it is
            not told, stands for the configuration's ``n_agents``.
        max_episode_steps: Gymnasium's name for ``max_cycles``, over which it has precedence.
        autoreset_mode: ``AutoresetMode.NEXT_STEP`` (or its value ``NextStep``); there is no other.
        **kwargs: the arguments of all views, see
            :class:`karma_envs.views.population.PopulationView`.
    """

    metadata = {**PopulationView.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        game: SomeGame,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        if autoreset_mode not in (AutoresetMode.NEXT_STEP, AutoresetMode.NEXT_STEP.value):
            allowed = "AutoresetMode.NEXT_STEP: the step after the horizon begins the next episode"
            raise refusal("autoreset_mode", autoreset_mode, allowed)
        if whole("num_envs", num_envs, 1) > 1:
            kwargs.setdefault("n_agents", num_envs)
        if num_envs not in (1, n_agents := kwargs.get("n_agents")):
            raise refusal("num_envs", num_envs, f"1, or n_agents, which is {n_agents}")
        if max_episode_steps is not None:
            kwargs["max_cycles"] = max_episode_steps
        super().__init__(game, **kwargs)
        self.num_envs = self.game.n_agents
        self.single_observation_space = self._new_observation_space()
        self.single_action_space = self._new_action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._autoreset = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: makes the random generator; None goes on with the one there is.
            options: not used.

        Returns:
            observations ``[N, …]`` and infos.
        """
        super().reset(seed=seed)
        self._begin(self.np_random)
        self._autoreset = False
        if self.render_mode == "human":
            self.render()
        return self._observed()

    def step(
        self, actions: Any
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One step with ``actions`` ``[N, ...]``.

        Returns:
            new arrays: observations, rewards ``float64[N]``, terminations and truncations
            ``bool[N]``; and infos, where ``_key`` tells which agents ``key`` is for.

        Raises:
            IllegalActionError: when they are not N actions; if strict, for an illegal one.
        """
        n_agents, over, truncated = self.num_envs, False, False
        if self._autoreset:
            observations, infos = self.reset()
            rewards = np.zeros(n_agents)
        else:
            earned, illegal = self._advance(self.game.actions_of(actions))
            rewards = earned.astype(np.float64)
            observations, infos = self._observed()
            if illegal is not None:
                infos["illegal_action"], infos["_illegal_action"] = illegal, illegal.copy()
            over, truncated = self.game.is_over, self._at_horizon
            self._autoreset = over or truncated
            if truncated:
                infos["TimeLimit.truncated"] = np.ones(n_agents, np.bool_)
                infos["_TimeLimit.truncated"] = np.ones(n_agents, np.bool_)
            if self.render_mode == "human":
                self.render()
        return (
            observations,
            rewards,
            np.ones(n_agents, np.bool_) if over else np.zeros(n_agents, np.bool_),
            np.ones(n_agents, np.bool_) if truncated else np.zeros(n_agents, np.bool_),
            infos,
        )

    def render(self) -> tuple[Any, ...] | None:
        """One picture of the whole population if ``render_mode`` is ``rgb_array``, for every agent the same.

        Gymnasium's ``RecordVideo`` puts all of them side by side unless ``record_first_only=True``.
        """
        picture = super().render()
        return None if picture is None else (picture,) * self.num_envs

    def close_extras(self, **kwargs: Any) -> None:
        """Close the window."""
        PopulationView.close(self)

    def close(self, **kwargs: Any) -> None:
        """Close the window; further calls do nothing."""
        VectorEnv.close(self, **kwargs)

    def _observed(self) -> tuple[Observation, dict[str, Any]]:
        observations, masks = self.game.observations(), self.game.action_mask()
        if masks is None:
            return observations, {}
        if self._with_mask:
            return {"observation": observations, "action_mask": masks}, {}
        return observations, {"action_mask": masks, "_action_mask": np.ones(self.num_envs, np.bool_)}
