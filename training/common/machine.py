"""The memory of this machine, and whether a mean-field model fits into it."""

from __future__ import annotations

import os
from pathlib import Path

from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame

GIB = 2**30

_KERNELS = 6  # of a mean-field model, and what is as large, that any solver has at once
_CGROUP = Path("/sys/fs/cgroup")


def check_model_memory(game: PopulationGame) -> None:
    """Refuse a game whose mean-field model needs more memory than there is, whatever is done with it.

    Some solvers need more still. A game without a model, or whose model has no tables, needs nothing.

    Raises:
        ConfigError: with the numbers.
    """
    if type(game).mean_field is PopulationGame.mean_field or not isinstance(game, FiniteGame):
        return
    n_types, n_observations, n_actions = len(game.discounts), game.n_observations, game.n_actions
    needed, there = _KERNELS * 8 * game.table_size, available_bytes()
    if there is not None and needed > there:
        raise ConfigError(
            f"at least {needed / GIB:.1f} GiB of memory are needed and {there / GIB:.1f} GiB are there: a "
            f"mean field of {n_types:,} type(s) with {n_observations:,} states and {n_actions:,} actions; "
            "fewer karma_max or urgencies need less"
        )


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
