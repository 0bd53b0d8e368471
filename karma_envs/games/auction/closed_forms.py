"""What is known of the auction without solving it: oracles for its simulation and its model.

The formulas are ours; they follow from order statistics and from detailed balance. They hold for any number
of agents, as bids that are all alike make prices that do not depend on who meets whom.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.auction.config import AuctionConfig


def mean_price(bids: NDArray[np.float64], n_bidders: int) -> float:
    """The mean price of an auction whose bids are drawn independently from a distribution.

    The price, the second-highest bid, is at least p unless all bids are below p, or all but one:
    E[price] = sum over p >= 1 of 1 - F(p-1)^M - M F(p-1)^(M-1) (1 - F(p-1)).

    Args:
        bids: L, ``float64[bid_max + 1]``.
        n_bidders: M.
    """
    below = np.cumsum(bids)[:-1]
    one_above = n_bidders * below ** (n_bidders - 1) * (1 - below)
    return float((1 - below**n_bidders - one_above).sum())


def highest_efficiency(config: AuctionConfig) -> float:
    """The mean reward per agent and auction where nobody bids, E[v] / M; no other bids bring more.

    Somebody wins every auction, what that is worth depends on nobody's bid, and prices are lost.
    """
    return config.mean_value / config.n_bidders


def budgets_where_all_bid_one(config: AuctionConfig) -> NDArray[np.float64]:
    """The distribution of budgets in the long run where everyone always bids 1, ``float64[budget_max + 1]``.

    One of M bidders pays 1 before the refill, which comes with probability q. So a budget s > 0 rises
    with probability (1 - 1/M) q, if it is not full, and falls with probability (1 - q) / M; from 0 it rises
    with probability q, as who cannot pay has nothing to lose. Between neighbours the flows are equal.

    Args:
        config: with at least two bidders, and a refill_probability below 1.
    """
    chance, refill = 1 / config.n_bidders, config.refill_probability
    rises = np.full(config.budget_max, (1 - chance) * refill)
    rises[0] = refill
    weights = np.cumprod(np.append(1.0, rises / ((1 - refill) * chance)))
    return np.asarray(weights / weights.sum())


def efficiency_where_all_bid_one(config: AuctionConfig) -> float:
    """The mean reward per agent and auction in the long run where everyone always bids 1.

    Winners pay 1; those of budget 0 owe 1 and suffer the penalty: (E[v] - 1 - (1 + rho) P(s = 0)) / M.
    Arguments as above.
    """
    broke = float(budgets_where_all_bid_one(config)[0])
    return (config.mean_value - 1 - (1 + config.overbid_penalty) * broke) / config.n_bidders


def highest_price_worth_paying(config: AuctionConfig) -> NDArray[np.int64]:
    """The highest price at which winning gains something on average, by budget, ``int64[budget_max + 1]``.

    Each unit of the price costs 1, and each beyond the budget 1 + rho more. An agent that does not look ahead
    (discount 0) does best to bid this price, or one more: either wins wherever winning gains, and which is
    better depends on how ties fall. -1 where winning gains nothing even for nothing; at most bid_max.
    """
    budget = np.arange(config.budget_max + 1)[:, None]
    price = np.arange(config.bid_max + 1)
    gain = config.mean_value - price - (1 + config.overbid_penalty) * np.maximum(price - budget, 0)
    return np.asarray((gain > 0).sum(axis=1) - 1, np.int64)
