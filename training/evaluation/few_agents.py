"""Policies of few agents, evaluated in the game of N itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators import FiniteExploitability, average_policy, finite_exploitability
from agents.evaluators.few_agents.finite_exploitability import joint_model_of, kinds_of
from agents.policies.tabular import TabularPolicy
from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame
from karma_envs.meaning import ANY, ESTIMATED_LOWER_BOUND, LOWER_BOUND, Meaning

_MOST_KINDS = 3
"""Of agents that play otherwise, as exact evaluation of as many takes minutes with more."""

OWN = "the agents' own policies, without exploration"
OF_AVERAGES = "the average policy of each type, without exploration"


def meaning_among_few(game: FiniteGame) -> Meaning:
    """Which exploitability the lower bound is of that :func:`among_few` tells of a game."""
    exact = _is_small(game, game.type_of_agent)
    return Meaning(game.n_agents, LOWER_BOUND if exact else ESTIMATED_LOWER_BOUND, ANY)


def _is_small(game: FiniteGame, kind_of_agent: NDArray[Any]) -> bool:
    """Whether a game whose agents are of such kinds can be evaluated exactly."""
    try:
        joint_model_of(game, kind_of_agent.astype(np.int64)).check_size()
    except ConfigError:
        return False
    return True


def among_few(
    game: FiniteGame, policy: TabularPolicy, *, upper: bool = True
) -> tuple[FiniteExploitability, str]:
    """What one of N agents gains by leaving what was learned.

    Args:
        game: the game.
        policy: what the agents play.
        upper: whether to seek an upper bound, too.

    Returns:
        the bounds, and what they are of: the agents' own policies, or the average policy of each type (in a
        city of agents of a type with the same trips) where more than three agents play otherwise, or are too
        many for an exact evaluation.

    Raises:
        ConfigError: for a game whose few agents cannot be evaluated.
    """
    policy = policy.fitted_to(game)
    kinds = kinds_of(game, policy)[0]
    if len(np.unique(kinds)) <= _MOST_KINDS and _is_small(game, kinds):
        return finite_exploitability(game, policy, upper=upper), OWN
    averaged = TabularPolicy(average_policy(policy, game.kind_of_agent).probabilities)
    return finite_exploitability(game, averaged, upper=upper), OF_AVERAGES
