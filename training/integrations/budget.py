"""What the ``train`` functions of this folder share: how a budget is spent, and how PyTorch is set up."""

from __future__ import annotations

import numpy as np
import torch

from karma_envs.config import refusal
from karma_envs.game import PopulationGame


def spend(
    game: PopulationGame,
    budget: int,
    *,
    most: int = 10**7,
    samples: int = 3200,
    least_steps: int = 32,
    updates: int = 30,
) -> tuple[int, int]:
    """How long to play before each update, and how many updates there are, so that a budget is not exceeded.

    Args:
        game: the game.
        budget: agent-steps in all.
        most: agent-steps that are spent at most, however large the budget.
        samples: agent-steps before an update, if these are not fewer than ``least_steps`` of all agents.
        least_steps: of all agents before an update.
        updates: where the budget is small there are fewer samples before each, so that there are so many.

    Returns:
        steps of all agents before each update, 1 or more, and the number of updates.

    Raises:
        ConfigError: when the budget is less than a step of all agents.
    """
    in_all = min(budget, most) // game.n_agents
    if in_all < 1:
        raise refusal("budget", budget, f"at least a step of {game.n_agents} agents")
    steps = max(1, min(max(least_steps, samples // game.n_agents), in_all // updates))
    return steps, in_all // steps


def prepare_torch(seed: int) -> None:
    """Seed the generators of PyTorch and NumPy that belong to nobody, and let PyTorch use one thread.

    Networks here are so small that more threads only wait for each other.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (by which packages of others shuffle and explore)
