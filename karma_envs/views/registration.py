"""Registration of every game's environments with Gymnasium and, where it has a registry, PettingZoo."""

from __future__ import annotations

import gymnasium

from karma_envs.registry import names, title_of, version_of
from karma_envs.views import module_of

NAMESPACE = "karma_envs"

_SINGLE_AGENT = "karma_envs.views.single_agent:SingleAgentEnv"
_VECTOR = "karma_envs.views.vector:PopulationVectorEnv"
_PETTINGZOO = {
    "parallel": "karma_envs.views.parallel:PopulationParallelEnv",
    "aec": "karma_envs.views.aec:env",
}


def register_environments() -> None:
    """Register the environments of all games that are not registered yet.

    With Gymnasium ``karma_envs/Matching-v0``: ``make`` gives one learner in a population, and ``make_vec``
    the population, of whose agents each is a sub-environment: ``num_envs`` counts the agents of one
    population. Several populations with a learner in each are its modes ``sync`` and ``async``. Processes
    that did not import this package, such as those that are spawned, know the id as
    ``karma_envs:karma_envs/Matching-v0``. With PettingZoo (since 1.27) ``karma_envs/matching_v0``. Entry
    points are named, not imported.

    No limit of steps is registered, as Gymnasium would wrap a second one around the horizon of the
    environment's own; ``env.spec.max_episode_steps`` of one that was made is that horizon.

    The modules ``karma_envs.matching_v0`` have no files: from here on they can be imported all the same.
    """
    for name in names():
        register_game(name)


def register_game(name: str) -> None:
    """Register the environments of one game, unless they are."""
    module_of(name)
    version, arguments = version_of(name), {"game": name}
    identifier = f"{NAMESPACE}/{title_of(name)}-v{version}"
    if identifier not in gymnasium.registry:
        gymnasium.register(identifier, _SINGLE_AGENT, vector_entry_point=_VECTOR, kwargs=arguments)
    try:
        from pettingzoo import aec_registry, parallel_registry, register
    except ImportError:  # before 1.27
        return
    registered = {"parallel": parallel_registry, "aec": aec_registry}
    for kind, entry_point in _PETTINGZOO.items():
        if f"{NAMESPACE}/{name}-v{version}" not in registered[kind]:
            register(kind, f"{NAMESPACE}/{name}_v{version}", entry_point, kwargs=arguments)
