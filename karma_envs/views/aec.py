"""The population as a PettingZoo AECEnv: agents act one after the other, and the step follows the last."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Space
from numpy.typing import NDArray
from pettingzoo import AECEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from karma_envs.game import PopulationGame
from karma_envs.views.parallel import Infos, PopulationParallelEnv
from karma_envs.views.population import CopiedWhole, Observation, SomeGame


class PopulationAECEnv(CopiedWhole, AECEnv[str, Any, Any]):  # type: ignore[misc]
    """The population in turns; for the arguments see :class:`karma_envs.views.population.PopulationView`.

    Nobody sees the actions of those before it in the same step: observations change, and rewards
    come, once all have acted. An action that is refused is refused in its agent's own turn, which goes on.
    Copies are as those of all views.

    Attributes:
        parallel_env: the parallel environment that is played.
        possible_agents: the names, in the order of turns.
        agents: those that have not left; all leave, one after the other, after the episode.
        agent_selection: whose turn it is.
    """

    agent_selection: str

    def __init__(self, game: SomeGame, **kwargs: Any) -> None:
        super().__init__()
        self.parallel_env = PopulationParallelEnv(game, **kwargs)
        self.metadata = self.parallel_env.metadata
        self.possible_agents = self.parallel_env.possible_agents
        self.state_space = self.parallel_env.state_space

    @property
    def game(self) -> PopulationGame:
        """The game."""
        return self.parallel_env.game

    @property
    def max_cycles(self) -> int:
        """The horizon; may be set."""
        return self.parallel_env.max_cycles

    @max_cycles.setter
    def max_cycles(self, max_cycles: int) -> None:
        self.parallel_env.max_cycles = max_cycles

    @property
    def render_mode(self) -> str | None:
        """``human``, ``rgb_array`` or None; may be set."""
        return self.parallel_env.render_mode

    @render_mode.setter
    def render_mode(self, render_mode: str | None) -> None:
        self.parallel_env.render_mode = render_mode

    @property
    def observation_spaces(self) -> dict[str, Space[Any]]:
        """All observation spaces by agent."""
        return self.parallel_env.observation_spaces

    @property
    def action_spaces(self) -> dict[str, Space[Any]]:
        """All action spaces by agent."""
        return self.parallel_env.action_spaces

    @property
    def np_random(self) -> np.random.Generator:
        """The random generator that episodes begin with."""
        return self.parallel_env.np_random

    def observation_space(self, agent: str) -> Space[Any]:
        """The observation space of one agent."""
        return self.parallel_env.observation_space(agent)

    def action_space(self, agent: str) -> Space[Any]:
        """The action space of one agent."""
        return self.parallel_env.action_space(agent)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode.

        Args:
            seed: makes the random generator; None goes on with the one there is.
            options: not used.
        """
        observations, infos = self.parallel_env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        nobody = dict.fromkeys(self.agents, False)
        self._take(observations, dict.fromkeys(self.agents, 0.0), nobody, dict(nobody), infos)

    def step(self, action: Any) -> None:
        """The turn of ``agent_selection``; after the last turn, the step of all.

        Args:
            action: of the agent's action space; None for an agent whose episode is over.

        Raises:
            IllegalActionError: when it is no action; if strict, when it is illegal. It is still the turn of
                the same agent then.
        """
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._actions[agent] = self.parallel_env.check_action(agent, action)
        if len(self._actions) == len(self.possible_agents):
            self._take(*self.parallel_env.step(self._actions))
            return
        if len(self._actions) == 1:
            self._clear_rewards()
        self._cumulative_rewards[agent] = 0.0
        self.agent_selection = self.possible_agents[len(self._actions)]

    def observe(self, agent: str) -> Observation:
        """What an agent observes."""
        return self._observations[agent]

    def state(self) -> NDArray[np.float32]:
        """All agents' observations in a row, ``float32[N * d]``; a new array."""
        return self.parallel_env.state()

    def render(self) -> Any:
        """The last step as a picture, see :class:`karma_envs.views.population.PopulationView`."""
        return self.parallel_env.render()

    def close(self) -> None:
        """Close the window."""
        self.parallel_env.close()

    def _take(
        self,
        observations: dict[str, Observation],
        rewards: dict[str, float],
        terminations: dict[str, bool],
        truncations: dict[str, bool],
        infos: Infos,
    ) -> None:
        """Hold what a step of all has given; it is the turn of the first again."""
        self._observations, self.infos = observations, infos
        self.rewards, self._cumulative_rewards = rewards, dict(rewards)
        self.terminations, self.truncations = terminations, truncations
        self._actions: dict[str, Any] = {}
        self._skip_agent_selection: str | None = None
        self.agent_selection = self.possible_agents[0]


class _InOrder(CopiedWhole, OrderEnforcingWrapper):  # type: ignore[misc]
    """PettingZoo's check that calls come in a sensible order, around copies and horizon as they should be."""

    @property
    def max_cycles(self) -> int:
        return int(self.env.max_cycles)

    @max_cycles.setter
    def max_cycles(self, max_cycles: int) -> None:
        self.env.max_cycles = max_cycles

    def __str__(self) -> str:
        return str(self.env)


def raw_env(game: SomeGame, **kwargs: Any) -> PopulationAECEnv:
    """The population in turns, without wrappers."""
    return PopulationAECEnv(game, **kwargs)


def env(game: SomeGame, **kwargs: Any) -> AECEnv[str, Any, Any]:
    """The same with PettingZoo's check that calls come in a sensible order."""
    return _InOrder(raw_env(game, **kwargs))
