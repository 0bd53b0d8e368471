"""Karma economies and large-population games: environments for learning and for mean-field analysis.

``make(name, **config)`` gives a game on arrays. ``from karma_envs import matching_v0`` or ``from
karma_envs.matching_v0 import parallel_env`` (and likewise for every other game) gives its PettingZoo
environments; ``gymnasium.make("karma_envs/Matching-v0")`` its view for a single learner, and
``gymnasium.make_vec`` the whole population. Importing this package registers these names, and loads a game,
numba or matplotlib only when they are used.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from karma_envs.moved import find_old_names
from karma_envs.registry import make, names, register
from karma_envs.views import module_name, module_of
from karma_envs.views.registration import register_environments

__version__ = "0.1.0"
__all__ = ["__version__", "make", "names", "register"]

find_old_names()
register_environments()


def _versions() -> dict[str, str]:
    """The modules of games' environments, such as ``matching_v0``, by name."""
    return {module_name(name): name for name in names()}


def __getattr__(name: str) -> Any:
    """Submodules, and for each game the module of its PettingZoo environments, when first used."""
    if name in (versions := _versions()):
        return module_of(versions[name])
    if name in {module.name for module in pkgutil.iter_modules(__path__)}:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_versions(), *(module.name for module in pkgutil.iter_modules(__path__))})
