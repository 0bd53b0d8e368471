"""The Q tables of a game: how large they are, and whether they can hold its returns."""

from __future__ import annotations

import numpy as np

from agents.learners.tabular.config import TabularConfig
from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame
from karma_envs.game import LARGEST_RETURN, PopulationGame
from karma_envs.numerics.sampling import padded_width

_LANES = 8  # of a vector register of float32


def q_width(n_actions: int) -> int:
    """Length of a row of Q: the actions, padded to whole vector registers."""
    return -(-n_actions // _LANES) * _LANES


def table_memory(game: FiniteGame, config: TabularConfig) -> tuple[int, str]:
    """Bytes of the Q tables and the policies of a game's learner, and how many of which size in words."""
    n_rows = game.n_agents if config.grouping == "independent" else len(game.discounts)
    bytes_per_observation = 4 * q_width(game.n_actions) + 2 * padded_width(game.n_actions)
    words = f"{n_rows:,} table(s) of {game.n_observations:,} observations and {game.n_actions:,} actions"
    return n_rows * game.n_observations * bytes_per_observation, words


def check_returns(game: PopulationGame) -> None:
    """Refuse a game whose returns do not fit in single precision, in which Q is learned.

    Raises:
        ConfigError: saying how large returns are, and how large they may be.
    """
    reward = max(abs(bound) for bound in game.reward_bounds)
    for discount in game.discounts:
        away_from_one = float(np.float32(1) - np.float32(discount))
        if game.length is not None:  # a payoff counts for no more steps than there are
            away_from_one = max(away_from_one, 1 / game.length)
        if reward > LARGEST_RETURN * away_from_one:
            raise ConfigError(
                f"{game.name} cannot be learned: rewards up to {reward:g} and discount {discount!s} make "
                f"returns max|r| / (1 - discount) = {reward / away_from_one if away_from_one else np.inf:g} "
                f"in single precision; allowed: {LARGEST_RETURN:g}"
            )
