"""How lucky, average and unlucky agents bid in the large-population model (Thesis, Figure 6.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.luck import luck

if TYPE_CHECKING:
    from karma_envs.games.grid_city import GridCityGame
    from karma_envs.games.grid_city.mean_field.lanes import LaneField

_NEVER = 1e-12  # a share of steps that no agent of such luck spends there


def bids_by_luck(
    game: GridCityGame,
    kind_of_agent: NDArray[np.int64],
    lanes: LaneField,
    mean_field: NDArray[np.float64],
    policy: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Mean bids of agents by luck, urgency and karma, over all lanes of all their paths as they are visited.

    Args:
        game: the city.
        kind_of_agent: ``int64[N]``, row of what follows that an agent is of.
        lanes: what happens at the lanes.
        mean_field: mu, ``float64[G, X]``.
        policy: ``float64[G, X, A]``.

    Returns:
        columns of equal lengths: ``luck``; ``urgency``, where types have urgencies of their own the mean over
        agents of their first, their second and so on; ``karma``; ``share``, of their steps that agents of
        such luck spend there; and ``mean_bid``, NaN where they never are.
    """
    groups = luck(game.network, game.paths_of_agent, lanes).groups
    n_karma = game.config.karma_max + 1
    karma = np.arange(game.n_observations) % n_karma
    bids = mean_field * (policy @ game.bid_of_action)
    urgencies = [game.config.agent_types[kind].urgencies for kind in game.type_of_agent]
    rows = []
    for name, agents in groups.items():
        if not len(agents):
            continue
        weights = np.bincount(kind_of_agent[agents], minlength=len(mean_field)) / len(agents)
        share_of_state, bid_of_state = weights @ mean_field, weights @ bids
        for level in range(int(game.urgency_of_observation.max()) + 1):
            urgent = game.urgency_of_observation == level
            having = [urgencies[agent][level] for agent in agents if level < len(urgencies[agent])]
            if not having:
                continue
            shares, sums = (
                np.bincount(karma[urgent], weights=values[urgent], minlength=n_karma)
                for values in (share_of_state, bid_of_state)
            )
            means = np.where(shares > _NEVER, sums / np.maximum(shares, _NEVER), np.nan)
            rows += [
                (name, float(np.mean(having)), held, shares[held], means[held]) for held in range(n_karma)
            ]
    names = ("luck", "urgency", "karma", "share", "mean_bid")
    return {name: np.array(column) for name, column in zip(names, zip(*rows))}
