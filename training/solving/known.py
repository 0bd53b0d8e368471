"""Equilibria that are known, or soon found."""

from __future__ import annotations

from functools import lru_cache

from agents import solve
from agents.policies.tabular import TabularPolicy
from agents.solvers import TabularEquilibrium
from karma_envs.config import Config
from karma_envs.registry import game_class


@lru_cache(maxsize=8)  # replicas of a run ask for the same; a sweep has many configurations
def equilibrium_policies(game: str, game_config: Config) -> tuple[TabularPolicy, ...]:
    """The policy of an equilibrium of the mean field, a row per type.

    Nothing where there is no table, and where the model has a type for each kind of agents, as that of the
    city: to find such an equilibrium takes minutes.
    """
    own = game_class(game)(game_config)
    model = own.mean_field()
    if model is None or len(model.masses) > len(own.discounts):
        return ()
    found = solve(own)
    return (found.policy,) if isinstance(found, TabularEquilibrium) and found.converged else ()
