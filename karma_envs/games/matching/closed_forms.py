"""Efficiencies of the matching game without karma, in closed form: what karma is compared with.

Two agents are matched at random and the loser pays its urgency, so the efficiency per agent and step is
minus half the mean urgency of losers. Sources: Thesis, section 6.1.2 (DICT, COIN, TURN); the formulas
are ours. They hold in the stationary state of the urgencies.

Each function takes the agents' types and N; with N = None it gives the limit for N to infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from karma_envs.karma.urgency import AgentType, type_counts


def dict_efficiency(types: Sequence[AgentType], n_agents: int | None = None) -> float:
    """The benevolent dictator: the less urgent of two loses, -E[min(u, u')] / 2.

    No allocation does better, as what the urgencies of a pair are does not depend on past
    allocations: an upper bound of the efficiency with karma too.

    Args:
        types: the agents' types.
        n_agents: N; the two agents of a pair are drawn without replacement.

    Raises:
        ConfigError: when a type would get no agent of ``n_agents``.
    """
    lower = np.array(
        [
            [
                one.stationary_urgency
                @ np.minimum.outer(one.urgencies, other.urgencies)
                @ other.stationary_urgency
                for other in types
            ]
            for one in types
        ]
    )
    shares = _shares(types, n_agents)
    pairs = np.outer(shares, shares)
    if n_agents is not None:
        pairs = (n_agents * pairs - np.diag(shares)) / (n_agents - 1)
    return -float((pairs * lower).sum()) / 2


def coin_efficiency(types: Sequence[AgentType], n_agents: int | None = None) -> float:
    """A fair coin: everyone loses half of the time, -E[u] / 2; arguments as above."""
    return -float(_shares(types, n_agents) @ [one.mean_urgency for one in types]) / 2


def turn_efficiency(types: Sequence[AgentType], n_agents: int | None = None) -> float:
    """Taking turns: as the coin; past accesses do not depend on urgencies, and all lose equally often."""
    return coin_efficiency(types, n_agents)


EFFICIENCIES: Mapping[str, Callable[[Sequence[AgentType], int | None], float]] = {
    "benevolent_dictator": dict_efficiency,
    "coin_toss": coin_efficiency,
    "turn_taking": turn_efficiency,
}
"""By the name of the allocation."""


def _shares(types: Sequence[AgentType], n_agents: int | None) -> NDArray[np.float64]:
    """Shares of the types in the limit, or as N agents can have them; sum 1."""
    weights = [one.share for one in types] if n_agents is None else type_counts(types, n_agents)
    return np.asarray(weights, np.float64) / np.sum(weights)
