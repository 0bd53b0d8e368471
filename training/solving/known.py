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
    """The policy of an equilibrium of the mean field, a row per type; nothing where there is no table."""
    own = game_class(game)(game_config)
    found = None if own.mean_field() is None else solve(own)
    return (found.policy,) if isinstance(found, TabularEquilibrium) and found.converged else ()
