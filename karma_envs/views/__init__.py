"""Views of a population game for PettingZoo and Gymnasium.

Each view works for any :class:`karma_envs.game.PopulationGame`, takes the same arguments (see
:class:`karma_envs.views.population.PopulationView`), and gives the same trajectory for the same seed
and actions.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from karma_envs.registry import version_of

if TYPE_CHECKING:
    from pettingzoo import AECEnv, ParallelEnv


class GameViews(ModuleType):
    """The PettingZoo environments of one game, as a module with the names that PettingZoo's modules have.

    Args:
        game: the game's name in the registry.

    Attributes:
        game: the same.
    """

    def __init__(self, game: str) -> None:
        name = f"karma_envs.{module_name(game)}"
        super().__init__(name, f"The PettingZoo environments of the game {game}.")
        self.__spec__ = ModuleSpec(name, None)
        self.game = game

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)

    def parallel_env(self, **kwargs: Any) -> ParallelEnv[str, Any, Any]:
        """All agents act at once, by name; see :class:`karma_envs.views.parallel.PopulationParallelEnv`."""
        from karma_envs.views.parallel import PopulationParallelEnv

        return PopulationParallelEnv(self.game, **kwargs)

    def env(self, **kwargs: Any) -> AECEnv[str, Any, Any]:
        """Agents act one after the other, with the usual wrappers; see :func:`karma_envs.views.aec.env`."""
        from karma_envs.views import aec

        return aec.env(self.game, **kwargs)

    def raw_env(self, **kwargs: Any) -> AECEnv[str, Any, Any]:
        """The same without wrappers; see :func:`karma_envs.views.aec.raw_env`."""
        from karma_envs.views import aec

        return aec.raw_env(self.game, **kwargs)


def module_name(game: str) -> str:
    """The name of a game's environments, such as ``matching_v0``, in the version that the game has now."""
    return f"{game}_v{version_of(game)}"


def module_of(game: str) -> GameViews:
    """The module ``karma_envs.<game>_v<version>`` of a game, which can be imported from then on."""
    module = GameViews(game)
    added = sys.modules.setdefault(module.__name__, module)
    assert isinstance(added, GameViews)
    return added
