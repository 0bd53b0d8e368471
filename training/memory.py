"""How much memory training and solving take, told before they begin: tables are most of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.registry import game_class
from karma_envs.sampling import padded_width

if TYPE_CHECKING:
    from training.config import TrainConfig

_GIB = 2**30
_BYTES_PER_AGENT = 100  # of a game: its state, what is known of each agent, a few steps of a buffer
_Q_LANES = 8  # rows of Q are padded to so many
_KERNELS = 6  # of a mean-field model, and what is as large, that any solver has at once
_CGROUP = Path("/sys/fs/cgroup")


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
    game = game_class(config.game)(config.game_config)
    rows = n_agents if config.learner.grouping == "independent" else len(game.discounts)
    q, thresholds = 4 * (-(-game.n_actions // _Q_LANES) * _Q_LANES), 2 * padded_width(game.n_actions)
    saving = min(config.threads or os.cpu_count() or 1, config.replicas)  # a checkpoint is made of copies
    tables = rows * game.n_observations * (q + thresholds) * (config.replicas + saving)
    words += f" with {rows:,} table(s) of {game.n_observations:,} observations and {game.n_actions:,} actions"
    return population + tables, words


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
            f"about {total / _GIB:.1f} GiB of memory are needed and {there / _GIB:.1f} GiB are there: "
            f"{several}{words} ({most / _GIB:.1f} GiB); fewer n_agents, replicas or karma, or grouping = "
            "per_type or pooled, need less"
        )


def check_model_memory(game: PopulationGame) -> None:
    """Refuse a game whose mean-field model needs more memory than there is, whatever is done with it.

    Some solvers need more still. A game without a model needs nothing.

    Raises:
        ConfigError: with the numbers.
    """
    if type(game).mean_field is PopulationGame.mean_field:
        return
    n_types, n_observations, n_actions = len(game.discounts), game.n_observations, game.n_actions
    needed, there = _KERNELS * 8 * n_types * n_observations**2 * n_actions, available_bytes()
    if there is not None and needed > there:
        raise ConfigError(
            f"at least {needed / _GIB:.1f} GiB of memory are needed and {there / _GIB:.1f} GiB are there: a "
            f"mean field of {n_types:,} type(s) with {n_observations:,} states and {n_actions:,} actions; "
            "fewer karma_max or urgencies need less"
        )


def memory_kind(config: TrainConfig) -> str:
    """The same for configurations that need the same, so that a sweep's games are made once."""
    parts = (
        config.game,
        config.game_config.to_dict(),
        config.learner.grouping,
        config.replicas,
        config.threads,
    )
    return json.dumps(parts)


def available_bytes() -> int | None:
    """Memory that a process can still have: of the machine, of its control group, by its own limit.

    None where the system does not say.
    """
    limits = [limit for limit in (_of_machine(), _of_group(), _of_process()) if limit is not None]
    return min(limits, default=None)


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known = dict(line.split(":", 1) for line in lines)
        return int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        pass
    try:  # macOS and others tell only how much there is in all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_group() -> int | None:
    """What a container may still take; files that are cached count as free."""
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        parts = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        cached = int(parts[parts.index("inactive_file") + 1])
        return max(0, limit - used + cached)
    except (OSError, ValueError, IndexError):
        return None


def _of_process() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
