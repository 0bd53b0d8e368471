"""What a stretch of the auction came to, and what is measured of it: prices besides rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.outcome import EFFICIENCY, REWARD_FAIRNESS, Metric, Outcome, total


@dataclass(frozen=True)
class AuctionOutcome(Outcome):
    """Totals of a stretch of play of the auction; ``counted`` are the auctions that agents bid in.

    Attributes:
        wins: ``int64[N]``, auctions that each agent won.
        prices: ``int64[N]``, the sum of their prices, whether or not it could pay them.
    """

    wins: NDArray[np.int64] = total()
    prices: NDArray[np.int64] = total()

    @property
    def mean_price(self) -> float:
        """Of all auctions, the seller's mean revenue; NaN if there was none."""
        n_auctions = int(self.wins.sum())
        return float(self.prices.sum()) / n_auctions if n_auctions else float("nan")

    def complaint(self) -> str | None:
        """What cannot be in these totals, for the checks of games; None where nothing is wrong."""
        return "more wins than auctions" if (self.wins > self.counted).any() else super().complaint()


MEAN_PRICE = Metric(
    "mean_price",
    "mean price",
    lambda outcome: outcome.mean_price,
    "mean second-highest bid of an auction: what the seller is owed",
    more_is_better=False,
)

AUCTION_METRICS = (EFFICIENCY, MEAN_PRICE, REWARD_FAIRNESS)
"""What is measured of the auction, in the order of reports."""
