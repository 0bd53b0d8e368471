"""One learner in a population as a Gymnasium Env: the others play a given policy."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from karma_envs.actions import as_action
from karma_envs.baselines import baseline_policy
from karma_envs.config import refusal, whole
from karma_envs.numerics.random import new_streams
from karma_envs.views.population import GymnasiumView, Observation, SomeGame


class SingleAgentEnv(GymnasiumView, gymnasium.Env[Any, Any]):
    """One agent of a game learns, the others are part of its world.

    Infos have the same keys in every step and at the reset: ``illegal_action`` and
    ``TimeLimit.truncated``, which are bools, and, if observations are flat and actions numbered,
    ``action_mask``.
    ``gymnasium.make(..., max_episode_steps=)`` is a limit of Gymnasium's own on top of ``max_cycles``: the
    shorter of the two counts.

    Args:
        game: a game's name in the registry, or a game's class.
        learner: the agent that acts, 0 … N-1.
        population: what the others play: the name of a baseline (random, bid_all, bid_nothing,
            proportional), or a policy that fits the game; a tabular one for N agents, or for one, which
            then all play. What it does for the learner is not used.
        **kwargs: the arguments of all views, see
            :class:`karma_envs.views.population.PopulationView`.

    Raises:
        ConfigError: for an argument that is not allowed.
        PolicyError: when the policy does not fit the game.
    """

    def __init__(
        self,
        game: SomeGame,
        *,
        learner: int = 0,
        population: Any = "random",
        **kwargs: Any,
    ) -> None:
        super().__init__(game, **kwargs)
        self.observation_space = self._new_observation_space()
        self.action_space = self._new_action_space()
        self._learner = whole("learner", learner, 0, self.game.n_agents - 1)
        self._population = (
            baseline_policy(population, self.game)
            if isinstance(population, str)
            else self.game.fitted(population)
        )
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
            the learner's observation, reward, termination, truncation and info.

        Raises:
            IllegalActionError: when it is no action; if strict, when it is illegal.
        """
        self._require_begun()
        chosen, streams = as_action(action, self.game.action_space), self._streams.copy()
        actions = self.game.sample(self._population, streams)
        actions[self._learner] = chosen
        rewards, illegal = self._advance(actions)
        self._streams = streams  # only now: a refused action changes nothing
        observation, info = self._observed()
        info["illegal_action"] = illegal is not None
        info["TimeLimit.truncated"] = truncated = self._at_horizon
        if self.render_mode == "human":
            self.render()
        return observation, float(rewards[self._learner]), self.game.is_over, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """The learner's legal actions, ``bool[n_actions]``, as sb3-contrib's MaskablePPO asks for them.

        Raises:
            ConfigError: where actions are not numbered.
            RuntimeError: before the first reset.
        """
        self._require_begun()
        masks = self.game.action_mask()
        if masks is None:
            raise refusal("game", self.game.name, "a game with numbered actions, for there to be a mask")
        return np.asarray(masks[self._learner], np.bool_)

    def _observed(self) -> tuple[Observation, dict[str, Any]]:
        observation = self.game.observations()[self._learner].copy()
        masks = self.game.action_mask()
        info: dict[str, Any] = {"illegal_action": False, "TimeLimit.truncated": False}
        if masks is None:
            return observation, info
        mask = masks[self._learner].copy()
        if self._with_mask:
            return {"observation": observation, "action_mask": mask}, info
        info["action_mask"] = mask
        return observation, info
