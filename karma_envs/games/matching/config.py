"""Configuration of the matching game and the Thesis' variations of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.finite import MOST_INDICES
from karma_envs.karma.config import KarmaConfig, RuleChoice
from karma_envs.karma.urgency import AgentType


@dataclass(frozen=True)
class MatchingConfig(KarmaConfig):
    """Configuration of the matching game; the defaults are the Thesis' (section 6.1.1).

    Attributes:
        n_agents: N, number of agents, at least 2; if odd, one sits out each step.
        types: agent types; empty for one type with the three fields below.
        urgencies: urgency values U of the one type.
        urgency_transition: phi of the one type, see AgentType.
        discount: discount factor gamma of the one type.
        karma_max: k_max, the most karma an agent can hold.
        karma_mean: mean karma of the population; times n_agents it must be whole.
        initial_karma: equal (everyone the mean), uniform (the widest uniform distribution with that
            mean), or probabilities of 0 … karma_max with that mean; totals are made exact by
            moving single units between random agents.
        allocation: who wins: highest_bid, dict, coin, turn, or a rule of your own.
        payment: what the winner pays: pbp, pbp_capped, pbs, second_price, or a rule of your own.
        redistribution: who shares the surplus: uniform, uniform_to_active, none, tax(rate=0.05),
            congestion_tax(rate=0.05, threshold=1) (who sits out pays), or a rule of your own.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 100
    types: tuple[AgentType, ...] = ()
    urgencies: tuple[float, ...] = (1.0, 5.0)
    urgency_transition: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = None
    discount: float = 0.98
    karma_max: int = 20
    karma_mean: float = 10.0
    initial_karma: str | tuple[float, ...] = "equal"
    allocation: RuleChoice = "highest_bid"
    payment: RuleChoice = "pay_bid_to_peer"
    redistribution: RuleChoice = "uniform"

    def __post_init__(self) -> None:
        self._check_population(2, ("allocation", "payment", "redistribution"))
        if self.rule("redistribution").by_resource:
            raise refusal(
                "redistribution",
                self.redistribution,
                "a rule that is not by resource: what a pair pays to society is not kept apart here",
            )
        if self.n_observations > MOST_INDICES:
            raise refusal(
                "karma_max",
                self.karma_max,
                f"at most {MOST_INDICES} observations; with {self.n_urgencies} urgencies there are "
                f"{self.n_observations}",
            )

    @property
    def n_observations(self) -> int:
        """Number of tabular observations, urgency_index * (karma_max + 1) + karma."""
        return self.n_urgencies * (self.karma_max + 1)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """Urgency and karma; urgency as an index where types differ in what their urgencies are."""
        urgencies = {kind.urgencies for kind in self.agent_types}
        shared = urgencies.pop() if len(urgencies) == 1 else range(self.n_urgencies)
        return Axis("urgency", tuple(shared)), Axis("karma", tuple(range(self.karma_max + 1)))


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "pbs": {"payment": "pay_bid_to_society"},
    "social-outcome": {"n_agents": 200},
    "social-outcome-pbs": {"n_agents": 200, "payment": "pay_bid_to_society"},
    "dict": {"n_agents": 200, "allocation": "benevolent_dictator"},
    "coin": {"n_agents": 200, "allocation": "coin_toss"},
    "turn": {"n_agents": 200, "allocation": "turn_taking"},
    "rare-high-urgency": {"urgencies": (1.0, 9.0), "urgency_transition": (0.75, 0.25)},
    "two-discounts": {
        "n_agents": 200,
        "types": (AgentType(100, 0.7), AgentType(100, 0.9)),
    },
    "two-urgencies": {
        "n_agents": 200,
        "types": (AgentType(100), AgentType(100, urgencies=(1.0, 5.0), urgency_transition=(0.75, 0.25))),
    },
}
"""The Thesis' settings: 6.1.1, A.8, 6.1.2 (Table 6.1), A.7, A.9–A.10, A.11–A.12.

Differences from the source: the Thesis gives only the mean urgencies 3 and 2 of ``two-urgencies``,
not the chains; here both types have U = {1, 5}, drawn anew each step, the second with P(5) = 1/4.
"""
