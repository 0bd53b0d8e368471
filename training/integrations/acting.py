"""Models of other packages as policies of games without tables: they are asked in every step.

Where a game has tables, a model is better made one, see :mod:`training.integrations.distillation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from karma_envs.actions import action_limits
from karma_envs.game import PolicyError, PopulationGame
from karma_envs.numerics.random import next_below

_SEEDS = 2**32 - 1


class ActingPolicy:
    """What models do, as the policy of all agents of a game: ``game.rollout(policy, 100)``.

    Args:
        models: one for each type.
        game: the game; only its types and its actions' shape are read.
        actions: what a model does in n observations ``float32[n, d]``: ``[n, ...]``, of the shape of the
            game's actions. What it draws it draws from PyTorch's own generator, which is seeded for the call.
    """

    def __init__(
        self,
        models: Sequence[Any],
        game: PopulationGame,
        actions: Callable[[Any, NDArray[np.float32]], NDArray[Any]],
    ) -> None:
        self._models, self._types, self._actions = models, game.type_of_agent, actions
        lowest, _ = action_limits(game.action_space)
        self._room = np.zeros((game.n_agents, *np.shape(lowest)), game.action_space.dtype)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """See :class:`karma_envs.game.Policy`; PyTorch's generators are afterwards as they were before.

        Raises:
            PolicyError: for another number of agents.
        """
        if len(observations) != len(self._types):
            raise PolicyError(f"this policy is for {len(self._types)} agents, not {len(observations)}")
        taken = self._room.copy()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(next_below(streams, 0, _SEEDS))
            for agent_type, model in enumerate(self._models):
                members = self._types == agent_type
                if members.any():
                    taken[members] = self._actions(model, observations[members])
        return taken
