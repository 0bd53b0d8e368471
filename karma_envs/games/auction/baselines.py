"""Simple policies of the auction: everyone bids one amount, which may depend on the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from karma_envs.finite import PlayedPolicy
from karma_envs.game import Baseline
from karma_envs.games.auction.closed_forms import highest_price_worth_paying

if TYPE_CHECKING:
    from karma_envs.games.auction import AuctionGame


def bid_nothing(game: AuctionGame) -> PlayedPolicy:
    """Bid 0, which is best for all together: somebody wins, and nobody pays."""
    return _bidding(0, game)


def bid_budget(game: AuctionGame) -> PlayedPolicy:
    """Bid all that one has, as far as bids go."""
    return _bidding(np.minimum(np.arange(game.n_observations), game.config.bid_max), game)


def bid_worth(game: AuctionGame) -> PlayedPolicy:
    """Bid the highest price at which winning gains something on average, as if there were no tomorrow."""
    return _bidding(np.maximum(highest_price_worth_paying(game.config), 0), game)


def _bidding(bids: ArrayLike, game: AuctionGame) -> PlayedPolicy:
    """The policy of certain bids, one for each budget or the same for all."""
    of_budget = np.broadcast_to(bids, game.n_observations)
    return game.policy_of(np.eye(game.n_actions)[of_budget][None])


AUCTION_BASELINES: Mapping[str, Baseline] = {
    baseline.__name__: baseline for baseline in (bid_nothing, bid_budget, bid_worth)
}
"""Baselines of the auction by name, besides those of every game."""
