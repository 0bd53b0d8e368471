"""Configuration of the congested grid city and the Thesis' variations of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from karma_envs.config import real, refuse, whole
from karma_envs.karma import Given, KarmaConfig
from karma_envs.urgency import AgentType

if TYPE_CHECKING:
    from karma_envs.games.grid_city.network import RoadNetwork


@dataclass(frozen=True)
class GridCityConfig(KarmaConfig):
    """Configuration of the congested grid city; the defaults are the Thesis' (section 6.2).

    Attributes:
        n_agents: N, number of agents.
        types: agent types; empty for one type with the three fields below.
        urgencies: urgency values U of the one type.
        urgency_transition: probabilities of the urgencies of a trip, drawn anew for each trip; None for
            all equally likely. Here and in types: one row, as trips are not chained.
        discount: discount factor gamma of the one type.
        karma_max: k_max, the most karma an agent can hold.
        karma_mean: mean karma of the population; times n_agents it must be whole.
        initial_karma: equal (everyone the mean), uniform (the widest uniform distribution with that
            mean), or probabilities of 0 … karma_max with that mean; totals are made exact by
            moving single units between random agents.
        rows: rows of inner nodes of the grid, at least 1.
        columns: columns of inner nodes, at least 1; rows * columns must be at least 2.
        capacity: how many agents may enter a lane in a step: one number for all lanes, or one for each;
            None for three quarters of n_agents spread over the lanes, rounded down, but at least 1.
        network: grid, or a network of your own: a function that is given n_agents and returns a
            RoadNetwork, or its name as module:function. Then rows, columns and capacity must stay at
            their defaults.
        paths_per_agent: how many paths each agent has besides the dormant one.
        path_seed: seed of the draw of everyone's paths. The population is part of the game, so a reset
            does not draw other paths.
        dormant_probability: chance that an agent that has arrived, or was dormant, is dormant next.
        allocation: who enters a lane: highest_bid, dict, coin, turn, or a rule of your own.
        redistribution: who shares what winners paid: uniform (dormant agents too), uniform_to_active
            (not to dormant ones), none, tax(rate=0.05), or a rule of your own.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 1000
    types: tuple[AgentType, ...] = ()
    urgencies: tuple[float, ...] = (1.0, 5.0)
    urgency_transition: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = None
    discount: float = 0.98
    karma_max: int = 14
    karma_mean: float = 9.0
    initial_karma: str | tuple[float, ...] = "equal"
    rows: int = 4
    columns: int = 4
    capacity: int | tuple[int, ...] | None = None
    network: str | Callable[[int], RoadNetwork] = "grid"
    paths_per_agent: int = 2
    path_seed: int = 0
    dormant_probability: float = 0.1
    allocation: Given = "highest_bid"
    redistribution: Given = "uniform"

    def __post_init__(self) -> None:
        self._check_population(1, ("allocation", "redistribution"))
        for agent_type in self.agent_types:
            chain = agent_type.urgency_transition
            if chain is not None and not isinstance(chain[0], float):
                allowed = "one row of probabilities, or None: every trip's urgency is drawn anew"
                raise refuse("urgency_transition", chain, allowed)
        self._set(
            rows=whole("rows", self.rows, 1, 100),
            columns=whole("columns", self.columns, 1, 100),
            capacity=_capacity(self.capacity),
            paths_per_agent=whole("paths_per_agent", self.paths_per_agent, 1, 65535),
            path_seed=whole("path_seed", self.path_seed, 0, 2**63 - 1),
            dormant_probability=real("dormant_probability", self.dormant_probability, 0, 1),
        )
        if self.rows * self.columns < 2:
            raise refuse("rows", self.rows, "a grid of at least 2 inner nodes, rows * columns")
        named = isinstance(self.network, str) and (self.network == "grid" or ":" in self.network)
        if not named and not callable(self.network):
            raise refuse("network", self.network, "grid, module:function, or a function of n_agents")
        for name in ("rows", "columns", "capacity") if self.network != "grid" else ():
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise refuse(name, getattr(self, name), "its default where network is not grid")


def _capacity(given: Any) -> int | tuple[int, ...] | None:
    if given is None:
        return None
    if isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, (str, bytes)):
        return tuple(whole(f"capacity[{lane}]", value, 1, 10**8) for lane, value in enumerate(given))
    return whole("capacity", given, 1, 10**8)


PRESETS: dict[str, dict[str, Any]] = {
    "thesis": {},
    "small": {"n_agents": 100, "rows": 2, "columns": 2},
    "dict": {"allocation": "benevolent_dictator"},
    "coin": {"allocation": "coin_toss"},
    "turn": {"allocation": "turn_taking"},
}
"""The Thesis' setting (section 6.2), a small city, and the Thesis' city without karma (as in Table 6.3)."""
