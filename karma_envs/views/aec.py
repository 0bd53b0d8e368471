"""The population as a PettingZoo AECEnv: agents act one after the other, and the step follows the last."""

from __future__ import annotations

from typing import Any

from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec_wrapper
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv


def raw_env(game: str | type[PopulationGame], **kwargs: Any) -> AECEnv[str, Any, Any]:
    """The population in turns, without wrappers; for the arguments see :class:`PopulationView`.

    Nobody sees the actions of those before it in the same step: observations change, and rewards
    come, once all have acted. ``unwrapped`` is the parallel environment that is played.
    """
    return parallel_to_aec_wrapper(PopulationParallelEnv(game, **kwargs))


def env(game: str | type[PopulationGame], **kwargs: Any) -> AECEnv[str, Any, Any]:
    """The same with PettingZoo's check that calls come in a sensible order."""
    return OrderEnforcingWrapper(raw_env(game, **kwargs))
