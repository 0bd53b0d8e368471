"""Modules of RLlib as policies: tables where a game has them, else what they do in every step."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Dict, Space
from numpy.typing import NDArray
from ray.rllib.core.columns import Columns
from ray.rllib.utils.spaces.space_utils import unsquash_action

from karma_envs.config import refusal
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from training.integrations.acting import ActingPolicy
from training.integrations.distillation import Distilled, network_of, one_for_each_type, tabulate


def action_probabilities(
    module: Any, observations: NDArray[np.float32], legal: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What a module does when it explores, as it did in training.

    Args:
        module: an RLModule for masks whose outputs are the logits of actions, as those of PPO are.
        observations: ``float32[n, d]``.
        legal: ``bool[n, actions]``.

    Returns:
        ``float64[n, actions]``: exactly 0 where illegal, rows sum to 1.

    Raises:
        ConfigError: for a module without masks or without logits.
    """
    if not isinstance(module.observation_space, Dict):
        raise refusal("module", type(module).__name__, "a module for observations with masks")
    mask = torch.as_tensor(legal.astype(np.int8))
    batch = {Columns.OBS: {"observations": torch.as_tensor(observations), "action_mask": mask}}
    with torch.no_grad():
        output = module.forward_exploration(batch)
    if Columns.ACTION_DIST_INPUTS not in output:
        raise refusal("module", type(module).__name__, "a module that gives logits of actions")
    return np.asarray(torch.softmax(output[Columns.ACTION_DIST_INPUTS].double(), dim=1).cpu().numpy())


def distil(module: Any, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Distilled:
    """A module's policy as a table, which games play and evaluators take: ``distil(module, game).policy``.

    Args:
        module: what :func:`action_probabilities` takes; or a sequence of such, one for each type. It must
            have seen the game's own observations: what connectors made of them is no part of it, and only
            told by its observation space, if they change that (RLlib's MeanStdFilter does not take masks).
        game: the game; it is not touched. It need not have as many agents as the one trained in.
        n_steps: how long to play, several times over, to see what agents observe.
        seed: of all random draws.

    Raises:
        ConfigError: when there is neither one module nor one for each type; for one that sees something else
            than the game's observations.
        ValueError: when there is no such table, see :func:`training.integrations.distillation.tabulate`.
    """
    for each in one_for_each_type("module", module, game):
        if isinstance(each.observation_space, Dict):  # others are refused as they have no mask
            _check(each, game)
    network = network_of("module", module, game, action_probabilities)
    return tabulate(network, game, n_steps=n_steps, seed=seed)


def policy_of(module: Any, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Any:
    """A module as the policy of a game: a table where it has tables, see :func:`distil`, else as it acts.

    Args:
        module: as in :func:`distil`; in a game without tables an RLModule for its observations. Actions in a
            box are what RLlib makes of a module's, as it does unless ``normalize_actions`` is False: -1 … 1
            are brought to the ends of the box.
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
        return distil(module, game, n_steps=n_steps, seed=seed).policy
    modules = one_for_each_type("module", module, game)
    for each in modules:
        _check(each, game)
    return ActingPolicy(modules, game, partial(_actions, game.action_space))


def _check(module: Any, game: PopulationGame) -> None:
    """Refuse a module that sees something else than a game's observations."""
    own, space = game.observation_space, module.observation_space
    space = space["observations"] if isinstance(space, Dict) else space
    if space != own:
        seen = f"{type(module).__name__} that sees {space}"
        raise refusal("module", seen, f"one that sees the game's {own}, which no connector has changed")


def _actions(space: Space[Any], module: Any, observations: NDArray[np.float32]) -> NDArray[Any]:
    """What a module does in n observations ``float32[n, d]`` when it explores, as the environment gets it."""
    with torch.no_grad():
        output = module.forward_exploration({Columns.OBS: torch.as_tensor(observations)})
    distribution = module.get_exploration_action_dist_cls().from_logits(output[Columns.ACTION_DIST_INPUTS])
    return np.asarray(unsquash_action(distribution.sample().cpu().numpy(), space))
