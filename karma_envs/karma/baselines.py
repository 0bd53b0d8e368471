"""Simple policies of karma games, as tables of what is bid.

Each gives probabilities ``float64[rows, observations, actions]``: one row that everyone plays, or one per
agent type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.game import Baseline

if TYPE_CHECKING:
    from karma_envs.karma.game import KarmaGame

Bids = Callable[["KarmaGame[Any]"], NDArray[np.float64]]
"""A function of a game that gives such a table."""


def bid_all(game: KarmaGame[Any]) -> NDArray[np.float64]:
    """Every agent bids as much as it may."""
    return _bidding(np.where(game.legal_actions, game.bid_of_action, 0).max(axis=1), game)


def bid_nothing(game: KarmaGame[Any]) -> NDArray[np.float64]:
    """No agent bids anything."""
    return _bidding(np.zeros(game.n_observations, np.int64), game)


def proportional(game: KarmaGame[Any]) -> NDArray[np.float64]:
    """Bid urgency's share of one's karma, which reports one's need truthfully."""
    return _bidding(game.bid_of_action[game.truthful_actions()], game)


def _bidding(bids: NDArray[np.int64], game: KarmaGame[Any]) -> NDArray[np.float64]:
    """Bid ``bids[..., observations]``; of the legal actions that do, each with the same probability."""
    chosen = game.legal_actions & (game.bid_of_action == np.atleast_2d(bids)[..., None])
    return np.asarray(chosen / chosen.sum(axis=2, keepdims=True), np.float64)


def _played(bids: Bids) -> Baseline:
    """The baseline that plays a table."""
    return lambda game: game.policy_of(bids(game))


KARMA_BASELINES: Mapping[str, Baseline] = {
    bids.__name__: _played(bids) for bids in (bid_all, bid_nothing, proportional)
}
"""Baselines of karma games by name, besides those of every game."""
