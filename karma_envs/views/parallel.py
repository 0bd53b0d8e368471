"""The population as a PettingZoo ParallelEnv: all agents act at once, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.utils import seeding
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from karma_envs.actions import IllegalActionError, as_action
from karma_envs.views.population import Observation, PopulationView, SomeGame

Infos = dict[str, dict[str, Any]]


class PopulationParallelEnv(PopulationView, ParallelEnv[str, Any, Any]):  # type: ignore[misc]
    """All agents of a game act at once; for the arguments see :class:`PopulationView`.

    Agents are named ``player_000`` … with as many digits as needed, in alphabetical order. All of
    them play from ``reset`` until the end of the game or the horizon. Every step gives new dicts in agent
    order, of new arrays.

    Attributes:
        possible_agents: the names.
        agents: the same during an episode, empty after it.
        state_space: the space of :meth:`state`, all agents' observations in a row.
    """

    def __init__(self, game: SomeGame, **kwargs: Any) -> None:
        super().__init__(game, **kwargs)
        n_agents = self.game.n_agents
        digits = max(3, len(str(n_agents - 1)))
        self._index = {f"player_{agent:0{digits}d}": agent for agent in range(n_agents)}
        self._names = tuple(self._index)
        self.possible_agents = list(self._names)
        self.agents: list[str] = []
        own = self.game.observation_space
        low, high = np.tile(own.low, n_agents), np.tile(own.high, n_agents)
        self.state_space = Box(low, high, dtype=np.float32)
        self._observation_spaces: dict[str, Space[Any]] = {}
        self._action_spaces: dict[str, Space[Any]] = {}
        self._np_random: np.random.Generator | None = None

    def observation_space(self, agent: str) -> Space[Any]:
        """The observation space of one agent, its own object; the same one each time."""
        if agent not in self._observation_spaces:
            self._check_name(agent)
            self._observation_spaces[agent] = self._new_observation_space()
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """The action space of one agent, its own object; the same one each time."""
        if agent not in self._action_spaces:
            self._check_name(agent)
            self._action_spaces[agent] = self._new_action_space()
        return self._action_spaces[agent]

    @property
    def observation_spaces(self) -> dict[str, Space[Any]]:
        """All observation spaces by agent, those of :meth:`observation_space`; the same dict each time."""
        if len(self._observation_spaces) < len(self._names):
            self._observation_spaces = {agent: self.observation_space(agent) for agent in self._names}
        return self._observation_spaces

    @property
    def action_spaces(self) -> dict[str, Space[Any]]:
        """All action spaces by agent, those of :meth:`action_space`; the same dict each time."""
        if len(self._action_spaces) < len(self._names):
            self._action_spaces = {agent: self.action_space(agent) for agent in self._names}
        return self._action_spaces

    @property
    def np_random(self) -> np.random.Generator:
        """The random generator that episodes begin with, a new one if there was no reset; not a game's own.

        Wrappers draw from it, and so change the episodes after this one.
        """
        if self._np_random is None:
            self._np_random, _ = seeding.np_random()
        return self._np_random

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], Infos]:
        """Begin an episode.

        Args:
            seed: makes the random generator; None goes on with the one there is.
            options: not used.

        Returns:
            observations and infos by agent.
        """
        if seed is not None:
            self._np_random, _ = seeding.np_random(seed)
        self._begin(self.np_random)
        self.agents = list(self._names)
        if self.render_mode == "human":
            self.render()
        return self._observed()

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """One step; after the end of an episode, with no actions, five empty dicts.

        Args:
            actions: an action for every agent, in any order; where actions are numbered a whole number.

        Returns:
            observations, rewards, terminations, truncations and infos by agent.

        Raises:
            IllegalActionError: when actions are missing or of another kind or shape; if strict, for an
                illegal one.
            RuntimeError: for actions before reset or after the end of an episode.
        """
        if not self.agents:
            if actions or self._steps < 0:
                raise RuntimeError("no episode is going on: call reset() first")
            return {}, {}, {}, {}, {}
        rewards, illegal = self._advance(self._ordered(actions))
        observations, infos = self._observed()
        if illegal is not None:
            for agent in np.flatnonzero(illegal):
                infos[self._names[agent]]["illegal_action"] = True
        over, truncated = self.game.is_over, self._at_horizon
        if over or truncated:
            self.agents = []
        if truncated:
            for info in infos.values():
                info["TimeLimit.truncated"] = True
        if self.render_mode == "human":
            self.render()
        return (
            observations,
            dict(zip(self._names, rewards.tolist())),
            dict.fromkeys(self._names, over),
            dict.fromkeys(self._names, truncated),
            infos,
        )

    def check_action(self, agent: str, action: Any) -> Any:
        """One agent's action as an int or array, refused as a step would refuse it; never changes anything.

        Raises:
            IllegalActionError: when it is no action; if strict, when it is illegal now.
        """
        value = as_action(action, self.game.action_space)
        self.check_actions(np.array([value]), np.array([self._index[agent]]))
        return value

    def state(self) -> NDArray[np.float32]:
        """All agents' observations in a row, ``float32[N * d]``; a new array."""
        self._require_begun()
        return self.game.observations().ravel()

    def _observed(self) -> tuple[dict[str, Observation], Infos]:
        """Observations and infos by agent; each agent's arrays are rows of a new array."""
        rows, masks = list(self.game.observations()), self.game.action_mask()
        infos: Infos = {name: {} for name in self._names}
        if masks is None:
            return dict(zip(self._names, rows)), infos
        if self._with_mask:
            pairs = [{"observation": row, "action_mask": mask} for row, mask in zip(rows, list(masks))]
            return dict(zip(self._names, pairs)), infos
        for info, mask in zip(infos.values(), list(masks)):
            info["action_mask"] = mask
        return dict(zip(self._names, rows)), infos

    def _ordered(self, actions: Mapping[str, Any]) -> NDArray[Any]:
        """Actions by name as one array in agent order."""
        try:
            values = [actions[name] for name in self._names]
        except KeyError as error:
            raise IllegalActionError(f"there is no action for agent {error}") from None
        if len(actions) != len(values):
            unknown = next(name for name in actions if name not in self._index)
            raise IllegalActionError(f"there is an action for {unknown!r}, which is no agent")
        return self.game.actions_of(values)

    def _check_name(self, agent: str) -> None:
        if agent not in self._index:
            raise KeyError(f"there is no agent {agent!r}; agents: {self._names[0]} … {self._names[-1]}")
