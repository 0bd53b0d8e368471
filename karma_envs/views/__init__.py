"""Views of a population game for PettingZoo and Gymnasium.

Each view works for any :class:`karma_envs.game.PopulationGame`, takes the same arguments (see
:class:`karma_envs.views.population.PopulationView`), and gives the same trajectory for the same seed
and actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pettingzoo import AECEnv, ParallelEnv

VERSION = 0
"""Version of the environments' ids; raised when a change alters trajectories."""


@dataclass(frozen=True)
class GameViews:
    """The PettingZoo environments of one game, with the names that PettingZoo's modules have.

    Attributes:
        game: the game's name in the registry.
    """

    game: str

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
