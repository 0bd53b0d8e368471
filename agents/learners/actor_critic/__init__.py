"""Actor–critic fictitious play: Gaussian policies for games whose observations and actions are boxes.

The networks are in PyTorch, which is imported when a learner is made; what was learned is played without.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from agents.learners.actor_critic.config import ActorCriticConfig
from agents.learners.learner import Learner, LearnerKind
from karma_envs.config import refusal
from karma_envs.exchangeable import ExchangeableGame
from karma_envs.game import PopulationGame
from karma_envs.timed import TimedGame

__all__ = ["LEARNER", "ActorCriticConfig"]


def _prepare(game: PopulationGame, config: ActorCriticConfig) -> PopulationGame:
    """The game, with the time among what is observed where there are several steps and an end."""
    several = game.length is not None and game.length > 1
    return TimedGame(game) if several and config.observe_time else game


def _in_training(game: PopulationGame, config: ActorCriticConfig) -> PopulationGame:
    """The game of agents who meet their belief, where the configuration asks for it.

    Raises:
        ConfigError: for a game without a statistic.
    """
    if config.belief_exponent is None:
        return game
    if not isinstance(game, ExchangeableGame):
        raise refusal(
            "belief_exponent", config.belief_exponent, f"none: the game {game.name} has no statistic"
        )
    return game.believing(config.belief_exponent, rate=config.belief_rate)


def _check(game: PopulationGame) -> None:
    """Refuse what cannot be learned so.

    Raises:
        ConfigError: for a game without boxes, or of several types, or where PyTorch is missing.
    """
    spaces = game.observation_space, game.action_space
    if not all(isinstance(space, Box) for space in spaces):
        raise refusal(
            "learner.kind", "actor_critic", f"a learner of numbered actions, such as tabular, in {game.name}"
        )
    if len(game.discounts) > 1:
        raise refusal(
            "learner.kind", "actor_critic", f"a learner of several types, such as tabular, in {game.name}"
        )
    try:
        importlib.import_module("torch")
    except ImportError:
        allowed = "one that needs no PyTorch, such as tabular; or pip install 'karma-envs[torch]'"
        raise refusal("learner.kind", "actor_critic", allowed) from None


def _learner(game: PopulationGame, config: ActorCriticConfig, rng: np.random.Generator) -> Learner:
    """The learner of a game that can be learned so."""
    _check(game)
    from agents.learners.actor_critic.learner import ActorCriticLearner

    return ActorCriticLearner(game, config, rng)


def _memory(game: Any, config: ActorCriticConfig) -> tuple[int, str]:
    """Bytes of the networks with their optimisers, and of what they are in words."""
    d, k, hidden = game.observation_space.shape[0], game.action_space.shape[0], config.hidden_units
    weights = 2 * (d + hidden + 2) * hidden + (k + 1) * (hidden + 1)
    return 4 * 4 * weights, f"two networks of {weights:,} weights"


LEARNER = LearnerKind(
    "actor_critic",
    ActorCriticConfig,
    _learner,
    prepare=_prepare,
    in_training=_in_training,
    check=_check,
    sizes=("hidden_units", "observe_time"),
    memory=_memory,
)
