"""Models of Stable-Baselines3 as policies: tables where a game has them, else what they do in every step."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from training.integrations.acting import ActingPolicy
from training.integrations.distillation import (
    Distilled,
    as_played,
    network_of,
    one_for_each_type,
    tabulate,
)
from training.integrations.sb3_observations import as_seen


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
    asked = _asked(model)
    seen = as_seen(model, observations, legal)
    masks = {"action_masks": legal} if "action_masks" in signature(asked).parameters else {}
    if asked == model.predict:
        actions, _ = model.predict(seen, deterministic=True, **masks)
        chosen = np.eye(legal.shape[1])[actions]
    else:
        model.policy.set_training_mode(False)
        with torch.no_grad():
            distribution = asked(model.policy.obs_to_tensor(seen)[0], **masks).distribution
        chosen = distribution.probs.cpu().numpy().astype(np.float64)
    return as_played(chosen, legal)


def _asked(model: Any) -> Any:
    """What tells what a model does: its policy's ``get_distribution``, or its ``predict`` if there is none.

    Raises:
        ConfigError: for a model with memory.
    """
    asked = getattr(getattr(model, "policy", None), "get_distribution", model.predict)
    if "lstm_states" in signature(asked).parameters:
        raise refusal("model", type(model).__name__, "a model without memory")
    return asked


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


def policy_of(model: Any, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Any:
    """A model as the policy of a game: a table where it has tables, see :func:`distil`, else as it acts.

    A model acts by the distribution it has (PPO, A2C), or else as it does without exploration (DQN, SAC, TD3,
    DDPG).

    Args:
        model: as in :func:`distil`.
        game: the game; it is not touched.
        n_steps: for :func:`distil`.
        seed: for :func:`distil`.

    Returns:
        what ``game.rollout`` takes.

    Raises:
        ConfigError: as in :func:`distil`.
        ValueError: as in :func:`distil`.
    """
    if isinstance(game, FiniteGame):
        return distil(model, game, n_steps=n_steps, seed=seed).policy
    models = one_for_each_type("model", model, game)
    zeros = np.zeros((1, *game.observation_space.shape), np.float32)
    for each in models:  # may be refused, before anybody plays
        _asked(each)
        as_seen(each, zeros)
    return ActingPolicy(models, game, _actions)


def _actions(model: Any, observations: NDArray[np.float32]) -> NDArray[Any]:
    """What a model does in n observations ``float32[n, d]``, drawn from the distribution it has."""
    drawn = _asked(model) != model.predict
    actions, _ = model.predict(as_seen(model, observations), deterministic=not drawn)
    return np.asarray(actions)
