"""Small networks for choices of routes, their lanes and paths spelled by the letters of nodes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np

from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.network import RoadNetwork

CHOICES = ("trip", "node")


def roads(lanes: Sequence[str], paths: Sequence[str], capacity: int = 1) -> RoadNetwork:
    """A network of nodes a, b, c …, its paths as the nodes they visit."""
    graph = nx.DiGraph()
    for index, lane in enumerate(lanes):
        graph.add_edge(*lane, lane=index)
    number = {lane: index for index, lane in enumerate(lanes)}
    return RoadNetwork(
        graph=graph,
        lanes=tuple((lane[0], lane[1]) for lane in lanes),
        paths=tuple(tuple(number[a + b] for a, b in itertools.pairwise(path)) for path in paths),
        weights=np.full(len(paths), 1 / len(paths)),
        capacity=np.full(len(lanes), capacity),
    )


DIAMOND = roads(["ab", "bd", "ac", "cd"], ["abd", "acd"])
CROSSING = roads(["sa", "am", "mc", "ct", "sb", "bm", "md", "dt"], ["samct", "sbmdt"])
"""Two paths that cross in m; the ways from a to d and from b to c are no paths."""


def new_game(network: RoadNetwork | None = None, seed: int = 0, **fields: Any) -> GridCityGame:
    if network is not None:
        fields["network"] = lambda n_agents: network
    game = GridCityGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game
