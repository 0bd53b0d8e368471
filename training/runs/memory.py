"""How much memory training takes, told before it begins: the tables of what is learned are most of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from agents.learners import kind_of
from karma_envs.config import ConfigError
from training.common.machine import GIB, available_bytes
from training.runs.config import TrainConfig

_BYTES_PER_AGENT = 100  # of a game: its state, what is known of each agent, a few steps of a buffer


def training_bytes(config: TrainConfig) -> tuple[int, str]:
    """About how much memory a run takes, and what takes it, in words.

    All replicas are in memory at once; one at a time is copied for its checkpoint, of those that are
    worked on.
    """
    n_agents = config.game_config.n_agents
    population = config.replicas * n_agents * _BYTES_PER_AGENT
    words = f"{config.replicas:,} replica(s) of {n_agents:,} agents"
    if population > (available_bytes() or sys.maxsize):
        return population, words
    learned, of_what = kind_of(config.learner).memory(config.make_game(), config.learner)
    saving = min(config.threads or os.cpu_count() or 1, config.replicas)  # a checkpoint is made of copies
    return population + learned * (config.replicas + saving), words + (of_what and f" with {of_what}")


def check_memory(configs: Sequence[TrainConfig], at_once: int = 1) -> None:
    """Refuse runs that need more memory than there is.

    Where a system does not say how much there is, all are let pass.

    Args:
        configs: of the runs.
        at_once: how many are trained at once.

    Raises:
        ConfigError: with the numbers.
    """
    there = available_bytes()
    if there is None or not configs:
        return
    kinds = {memory_kind(config): config for config in configs} if len(configs) > 1 else {"": configs[0]}
    known = {kind: training_bytes(config) for kind, config in kinds.items()}
    needs = [known[memory_kind(config) if len(configs) > 1 else ""] for config in configs]
    needs = sorted(needs, reverse=True)[:at_once]
    total, (most, words) = sum(need for need, _ in needs), needs[0]
    if total > there:
        several = f"{len(needs)} runs at once, the largest of " if len(needs) > 1 else ""
        raise ConfigError(
            f"about {total / GIB:.1f} GiB of memory are needed and {there / GIB:.1f} GiB are there: "
            f"{several}{words} ({most / GIB:.1f} GiB); fewer n_agents, replicas or karma, or grouping = "
            "per_type or pooled, need less"
        )


def memory_kind(config: TrainConfig) -> str:
    """The same for configurations that need the same, so that a sweep's games are made once."""
    kind = kind_of(config.learner)
    sizes = [getattr(config.learner, name) for name in kind.sizes]
    game = config.game, config.game_config.to_dict()
    return json.dumps((*game, kind.name, sizes, config.replicas, config.threads))
