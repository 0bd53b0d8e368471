"""The auction for N to infinity, from the same rules that the simulation plays by.

Source: Guo, Hu, Xu, Zhang 2019, *Learning Mean-Field Games*, NeurIPS, sections 2 and 6.

A bidder's M - 1 rivals are drawn independently from the population, so it meets the others only through
the distribution of bids L. With F its distribution function, a bid a wins at a price p < a with probability
F(p)^(M-1) - F(p-1)^(M-1). All in all it wins with probability

    sum over j = 0 … M-1 of F(a)^j F(a-1)^(M-1-j) / M,

which is what the uniform choice among equals comes to; the rest of it is won at the price a.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.games.auction.kernels import budget_of_winner, reward_of_winner
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.numerics.compile import kernel

if TYPE_CHECKING:
    from karma_envs.games.auction.config import AuctionConfig


@kernel
def _tabulate_win(mean_value, overbid_penalty, reward, after):
    """What winning brings and leaves, for every budget and price.

    Args:
        mean_value: of what winning is worth, which no bidder knows before.
        overbid_penalty: rho.
        reward: ``float64[S, A]``, written: expected reward by (budget, price).
        after: ``float64[S, A, S]``, written: 1 where the budget then is.
    """
    after[:] = 0.0
    for budget in range(reward.shape[0]):
        for price in range(reward.shape[1]):
            reward[budget, price] = reward_of_winner(mean_value, price, budget, overbid_penalty)
            after[budget, price, budget_of_winner(budget, price)] = 1.0


class AuctionMeanField(FiniteMeanFieldModel):
    """The mean-field model of a repeated auction. The statistic is the distribution of bids L.

    Args:
        config: configuration of the game; n_agents is not used.
        n_types: how many types of equal mass to make of the one that there is.
    """

    def __init__(self, config: AuctionConfig, n_types: int = 1) -> None:
        self.config = config
        n_budgets, n_bids = config.budget_max + 1, config.bid_max + 1
        self.masses = np.full(n_types, 1.0 / n_types)
        self.discounts = np.full(n_types, config.discount)
        self.legal_actions = np.ones((n_budgets, n_bids), np.bool_)
        self.initial_mean_field = np.full((n_types, n_budgets), 1.0 / n_budgets)
        self._reward = np.empty((n_budgets, n_bids))
        won = np.empty((n_budgets, n_bids, n_budgets))
        _tabulate_win(config.mean_value, config.overbid_penalty, self._reward, won)
        refill = np.zeros((n_budgets, n_budgets))
        budgets = np.arange(n_budgets)
        refill[budgets, budgets] += 1 - config.refill_probability
        refill[budgets, np.minimum(budgets + 1, config.budget_max)] += config.refill_probability
        self._after_win, self._after_loss = won @ refill, refill

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.config.axes

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        return {"bid": np.arange(self.n_actions)}

    def rates(self, statistic: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The chance to win, and the price that winning comes to on average."""
        win = self.win_probabilities(statistic)
        rates = {"win": win.sum(axis=1), "payment": win @ np.arange(self.n_actions)}
        shape = self.n_types, self.n_states, self.n_actions
        return {name: np.broadcast_to(rate, shape) for name, rate in rates.items()}

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        bids = np.einsum("t,tx,txa->a", self.masses, mean_field, policy)
        return np.asarray(bids / bids.sum())  # so that rounding of the mass is not carried on

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        win = self.win_probabilities(statistic)
        reward = self._reward @ win.T
        kernel_ = np.einsum("ap,spy->say", win, self._after_win)
        kernel_ += (1 - win.sum(axis=1))[:, None] * self._after_loss[:, None]
        n_types = self.n_types
        return DecisionProblem(
            np.repeat(reward[None], n_types, axis=0), np.repeat(kernel_[None], n_types, axis=0)
        )

    def win_probabilities(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chance to win with a bid at a price, ``float64[bids, prices]``."""
        n_bids, rivals = len(statistic), self.config.n_bidders - 1
        up_to = np.cumsum(statistic)
        below = np.append(0.0, up_to[:-1])
        # Above all rivals: the price is the highest of theirs; nothing where there are none.
        win = np.tril(np.broadcast_to(np.diff(up_to**rivals, prepend=0.0), (n_bids, n_bids)), -1)
        # Ties: the sum of the module's docstring less F(a-1)^(M-1), such that no term is negative.
        powers = np.arange(rivals + 1)[:, None]
        tied = below ** (rivals - powers) * (up_to**powers - below**powers)
        win[np.diag_indices(n_bids)] = tied.sum(axis=0) / (rivals + 1)
        win[0, 0] += rivals == 0  # alone, even the lowest bid wins
        return win
