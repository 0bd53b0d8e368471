"""One learner in a population as a Gymnasium Env: the others play a given policy."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.config import whole
from karma_envs.game import PopulationGame, SamplingPolicy
from karma_envs.numerics.random import new_streams
from karma_envs.numerics.sampling import sample_actions
from karma_envs.views.population import GymnasiumView, Observation, as_action


class SingleAgentEnv(GymnasiumView, gymnasium.Env[Any, Any]):
    """One agent of a game learns, the others are part of its world.

    Infos have the same keys in every step and at the reset: ``illegal_action`` and
    ``TimeLimit.truncated``, which are bools, and, if observations are flat, ``action_mask``.
    ``gymnasium.make(..., max_episode_steps=)`` is a limit of Gymnasium's own on top of ``max_cycles``: the
    shorter of the two counts.

    Args:
        game: a game's name in the registry, or a game's class.
        learner: the agent that acts, 0 … N-1.
        population: what the others play: the name of a baseline (random, bid_all, bid_nothing,
            proportional), or a tabular policy for N agents, or for one, which then all play. The
            learner's own row is not used.
        **kwargs: the arguments of all views, see
            :class:`karma_envs.views.population.PopulationView`.

    Raises:
        ConfigError: for an argument that is not allowed.
        PolicyError: when the policy does not fit the game.
    """

    def __init__(
        self,
        game: str | type[PopulationGame],
        *,
        learner: int = 0,
        population: str | SamplingPolicy = "random",
        **kwargs: Any,
    ) -> None:
        super().__init__(game, **kwargs)
        self.observation_space = self._new_observation_space()
        self.action_space = self._new_action_space()
        self._learner = whole("learner", learner, 0, self.game.n_agents - 1)
        self._population = self._played(population)
        self._streams = np.zeros(1, np.uint64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: makes the random generator; None goes on with the one there is.
            options: not used.

        Returns:
            the learner's observation and info.
        """
        super().reset(seed=seed)
        self._begin(self.np_random)
        self._streams = new_streams(self.np_random, 1)
        if self.render_mode == "human":
            self.render()
        return self._observed()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of the population, in which the learner takes ``action``.

        Returns:
            the learner's observation, reward, termination (never), truncation and info.

        Raises:
            IllegalActionError: when the action is not a whole number; if strict, when it is illegal.
        """
        self._require_begun()
        chosen = as_action(action)
        actions, streams = np.empty(self.game.n_agents, np.int64), self._streams.copy()
        sample_actions(*self._population, self.game.observation_index(), streams, 0, actions)
        actions[self._learner] = chosen
        rewards, illegal = self._advance(actions)
        self._streams = streams  # only now: a refused action changes nothing
        observation, info = self._observed()
        info["illegal_action"] = illegal is not None
        info["TimeLimit.truncated"] = truncated = self._at_horizon
        if self.render_mode == "human":
            self.render()
        return observation, float(rewards[self._learner]), False, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """The learner's legal actions, ``bool[n_actions]``, as sb3-contrib's MaskablePPO asks for them.

        Raises:
            RuntimeError: before the first reset.
        """
        self._require_begun()
        return np.asarray(self.game.action_mask()[self._learner], np.bool_)

    def _observed(self) -> tuple[Observation, dict[str, Any]]:
        observation = self.game.observations()[self._learner].copy()
        mask = self.game.action_mask()[self._learner].copy()
        info: dict[str, Any] = {"illegal_action": False, "TimeLimit.truncated": False}
        if self._with_mask:
            return {"observation": observation, "action_mask": mask}, info
        info["action_mask"] = mask
        return observation, info

    def _played(self, population: str | SamplingPolicy) -> PlayedPolicy:
        """The policy as tables for N agents, checked."""
        if isinstance(population, str):
            return baseline_policy(population, self.game)
        thresholds, rows = population.thresholds, population.row_of_agent
        if len(thresholds) == 1 and len(rows) == 1:
            rows = np.zeros(self.game.n_agents, np.int32)
        policy = PlayedPolicy(thresholds, rows)
        self.game.check_policy(policy)
        return policy
