"""Small cities by hand, and what the rules speak of, read from a city's observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.network import RoadNetwork


def roads(
    lanes: Sequence[tuple[int, int]],
    paths: Sequence[Sequence[int]],
    capacity: int | Sequence[int] = 1,
    weights: Sequence[float] | None = None,
) -> RoadNetwork:
    """A network by hand; without weights all paths are equally likely."""
    graph = nx.DiGraph()
    for index, lane in enumerate(lanes):
        graph.add_edge(*lane, lane=index)
    return RoadNetwork(
        graph=graph,
        lanes=tuple(lanes),
        paths=tuple(tuple(path) for path in paths),
        weights=np.full(len(paths), 1 / len(paths)) if weights is None else np.array(weights),
        capacity=np.broadcast_to(np.asarray(capacity, np.int64), len(lanes)),
    )


def new_game(seed: int = 0, network: RoadNetwork | None = None, **fields: Any) -> GridCityGame:
    if network is not None:
        fields["network"] = lambda n_agents: network
    game = GridCityGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def one_lane(n_agents: int, capacity: int = 1, **fields: Any) -> GridCityGame:
    """Everyone wants the same lane all the time and has 5 karma, of 10 at most."""
    defaults: dict[str, Any] = {"karma_max": 10, "karma_mean": 5, "dormant_probability": 0}
    network = roads([(0, 1)], [(0,)], capacity)
    return new_game(n_agents=n_agents, network=network, **{**defaults, **fields})


class Situation(NamedTuple):
    """Where everyone is, read from tabular observations as the game's docstring defines them."""

    dormant: NDArray[np.bool_]
    slot: NDArray[np.int64]  # -1 if dormant, like z and urgency
    z: NDArray[np.int64]
    urgency: NDArray[np.float64]  # the value; 0 if dormant
    karma: NDArray[np.int64]


def situation(game: GridCityGame) -> Situation:
    config = game.config
    place, karma = np.divmod(game.observation_index(), config.karma_max + 1)
    dormant = place == 0
    rest, index = np.divmod(place - 1, config.n_urgencies)
    slot, z = np.divmod(rest, game.network.longest)
    types = [config.agent_types[kind] for kind in game.type_of_agent]
    urgency = [0.0 if dormant[i] else types[i].urgencies[index[i]] for i in range(game.n_agents)]
    return Situation(dormant, np.where(dormant, -1, slot), np.where(dormant, -1, z), np.array(urgency), karma)


def path_of(game: GridCityGame, agent: int, slot: int) -> tuple[int, ...]:
    return game.network.paths[game.paths_of_agent[agent, slot]]


FIELDS: dict[str, Any] = {"n_agents": 40, "rows": 2, "columns": 3}

CROSSING = roads(
    [(0, 1), (1, 2), (2, 3), (4, 1), (1, 4)], [(0, 1, 2), (3, 1), (0, 4), (1,)], capacity=(2, 1, 1, 3, 1)
)
