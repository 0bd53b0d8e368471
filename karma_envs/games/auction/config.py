"""Configuration of the repeated auction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from karma_envs.axes import Axis
from karma_envs.config import Config, is_list, real, refusal, whole
from karma_envs.game import LARGEST_RETURN

PRESETS: Mapping[str, Mapping[str, Any]] = {"pairs": {"n_bidders": 2}}
"""Named configurations, as the fields they change."""

TRAINED_WITH: Mapping[str, Mapping[str, Any]] = {
    "": {"algorithm": "q_learning", "rationality": 4.0, "exploration": 0.0, "n_steps": 200_000}
}
"""How the smoothed equilibrium is learned: softmax(4 Q*), which explores by itself; see ``trained_with``."""

_LARGEST = 1000  # budgets and bids, which number the rows and columns of tables
_MOST_VALUES = 1000


@dataclass(frozen=True)
class AuctionConfig(Config):
    """Configuration of the repeated auction; the defaults are the instance whose equilibrium is known.

    Attributes:
        n_agents: N, number of agents, at least n_bidders; those left over when N is divided by it sit out.
        budget_max: S, the budget up to which agents are refilled.
        bid_max: A, the highest bid; bids may exceed the budget.
        n_bidders: M, bidders of one auction, from 1 (who gets everything for nothing) to 1000.
        values: what winning may be worth, all equally likely; each from 0 to 1e27 (1 - discount).
        overbid_penalty: rho, what a winner suffers besides for each unit that it cannot pay; from 0 to 1e6.
        refill_probability: with which a budget below budget_max gains a unit at the end of a step; rounded
            to a multiple of 2**-32.
        discount: discount factor gamma in [0, 1).

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 1000
    budget_max: int = 9
    bid_max: int = 9
    n_bidders: int = 5
    values: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)
    overbid_penalty: float = 0.2
    refill_probability: float = 0.5
    discount: float = 0.8

    def __post_init__(self) -> None:
        self._set(
            n_bidders=whole("n_bidders", self.n_bidders, 1, 1000),
            budget_max=whole("budget_max", self.budget_max, 1, _LARGEST),
            bid_max=whole("bid_max", self.bid_max, 1, _LARGEST),
            overbid_penalty=real("overbid_penalty", self.overbid_penalty, 0, 1e6),
            refill_probability=real("refill_probability", self.refill_probability, 0, 1),
            discount=real("discount", self.discount, 0, 1, open_high=True),
        )
        self._set(
            n_agents=whole("n_agents", self.n_agents, self.n_bidders, 10**8),
            values=_checked_values(self.values, self.discount),
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What an observation is made of: the budget."""
        return (Axis("budget", tuple(range(self.budget_max + 1))),)

    @property
    def mean_value(self) -> float:
        """What winning is worth on average."""
        return sum(self.values) / len(self.values)

    @property
    def highest_price(self) -> int:
        """The most that a winner may have to pay: nothing where it bids alone."""
        return self.bid_max if self.n_bidders > 1 else 0


def _checked_values(values: object, discount: float) -> tuple[float, ...]:
    """The field ``values``: numbers whose discounted sum single precision holds."""
    if not is_list(values) or not 1 <= len(values) <= _MOST_VALUES:
        raise refusal("values", values, f"a list of 1 to {_MOST_VALUES} numbers")
    highest = LARGEST_RETURN * (1 - discount)
    return tuple(real(f"values[{index}]", value, 0, highest) for index, value in enumerate(values))
