"""Configuration of the matching game and the Thesis' variations of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, real, refuse, whole
from karma_envs.mechanisms import Rule, resolve
from karma_envs.urgency import AgentType, type_counts

Given = str | Rule | Callable[..., Any]


@dataclass(frozen=True)
class MatchingConfig(Config):
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
        redistribution: who shares the surplus: uniform, uniform_to_active, none, tax(rate=0.05), or
            a rule of your own.

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
    allocation: Given = "highest_bid"
    payment: Given = "pay_bid_to_peer"
    redistribution: Given = "uniform"

    def __post_init__(self) -> None:
        self._set(
            n_agents=whole("n_agents", self.n_agents, 2, 10**8),
            karma_max=whole("karma_max", self.karma_max, 1, 1000),
            types=_types(self.types),
        )
        self._set(karma_mean=real("karma_mean", self.karma_mean, 0, self.karma_max))
        if abs(self.total_karma - self.n_agents * self.karma_mean) > 1e-6:
            raise refuse(
                "karma_mean",
                self.karma_mean,
                f"a mean with a whole total; {self.n_agents} agents have {self.n_agents * self.karma_mean:g}",
            )
        one = AgentType(1.0, self.discount, self.urgencies, self.urgency_transition)
        self._set(urgencies=one.urgencies, urgency_transition=one.urgency_transition, discount=one.discount)
        for name in ("urgencies", "urgency_transition", "discount") if self.types else ():
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise refuse(
                    name, getattr(self, name), "its default where types are given; set it in each type"
                )
        type_counts(self.agent_types, self.n_agents)
        if len(self.agent_types) > 255 or self.n_observations > 65535:
            raise refuse(
                "types", f"{len(self.agent_types)} types", "at most 255 types and 65535 observations"
            )
        self._set(initial_karma=self._checked_initial_karma())
        for family in ("allocation", "payment", "redistribution"):
            self._set(**{family: _canonical(family, getattr(self, family))})

    @property
    def agent_types(self) -> tuple[AgentType, ...]:
        """The types, also where the short form for one type was used."""
        return self.types or (AgentType(1.0, self.discount, self.urgencies, self.urgency_transition),)

    @property
    def total_karma(self) -> int:
        """Karma in the population, conserved for ever."""
        return round(self.n_agents * self.karma_mean)

    @property
    def n_urgencies(self) -> int:
        """Urgency values of the type that has most."""
        return max(len(agent_type.urgencies) for agent_type in self.agent_types)

    @property
    def n_observations(self) -> int:
        """Number of tabular observations, urgency_index * (karma_max + 1) + karma."""
        return self.n_urgencies * (self.karma_max + 1)

    def rule(self, family: str) -> Rule:
        """The rule of a family."""
        return resolve(family, getattr(self, family))

    def initial_distribution(self) -> NDArray[np.float64] | None:
        """Probabilities of 0 … karma_max at the start; None where everyone gets the mean."""
        if self.initial_karma == "equal":
            return None
        if self.initial_karma == "uniform":
            span = min(self.karma_mean, self.karma_max - self.karma_mean)
            karma = np.arange(self.karma_max + 1)
            inside = np.abs(karma - self.karma_mean) <= span + 1e-9
            return np.asarray(inside / inside.sum(), np.float64)
        return np.asarray(self.initial_karma, np.float64)

    def _checked_initial_karma(self) -> str | tuple[float, ...]:
        given, n = self.initial_karma, self.karma_max + 1
        allowed = f"equal, uniform, or {n} probabilities of 0 … {n - 1} with mean {self.karma_mean:g}"
        if isinstance(given, str):
            if given not in ("equal", "uniform"):
                raise refuse("initial_karma", given, allowed)
            return given
        if not isinstance(given, (Sequence, np.ndarray)) or len(given) != n:
            raise refuse("initial_karma", given, allowed)
        values = tuple(real(f"initial_karma[{index}]", p, 0, 1) for index, p in enumerate(given))
        mean = float(np.arange(n) @ np.array(values))
        if abs(sum(values) - 1) > 1e-9 or abs(mean - self.karma_mean) > 1e-6:
            raise refuse(
                "initial_karma", values, f"{allowed}; the sum is {sum(values):.10g}, the mean {mean:.10g}"
            )
        return values


def _canonical(family: str, given: Given) -> Given:
    """A rule in its one spelling; functions and rules of the user's stay what they are."""
    rule = resolve(family, given)
    return str(rule) if isinstance(given, str) else given


def _types(given: Any) -> tuple[AgentType, ...]:
    if not isinstance(given, (Sequence, np.ndarray)) or isinstance(given, str):
        raise refuse("types", given, "a list of agent types")
    types = []
    for index, item in enumerate(given):
        if isinstance(item, AgentType):
            types.append(item)
        elif isinstance(item, Mapping):
            types.append(AgentType.from_dict(item))
        else:
            raise refuse(
                f"types[{index}]", item, f"an AgentType or its fields: {', '.join(AgentType.field_names())}"
            )
    return tuple(types)


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
