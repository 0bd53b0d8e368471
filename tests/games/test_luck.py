"""Lucky and unlucky agents, on a network that can be worked out by hand."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from karma_envs.games.grid_city import LaneOutcome
from karma_envs.games.grid_city.luck import luck
from karma_envs.games.grid_city.network import road_network

# Lanes 0: a-b, 1: b-c, 2: b-d; paths a-c (lanes 0 and 1), a-d (0 and 2), b-c (1), b-d (2).
GRAPH = nx.DiGraph([("a", "b"), ("b", "c"), ("b", "d")])
NETWORK = road_network(GRAPH, capacity=1, pairs=[("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")])
LANES = LaneOutcome(
    steps=100, attempts=np.array([40, 150, 0]), entries=np.array([40, 50, 0]), bids=np.array([80, 450, 0])
)


def test_waits_are_attempts_over_entries_less_one() -> None:
    np.testing.assert_allclose(LANES.mean_wait, [0, 2, 0])


def test_paths_are_congested_above_the_median_trip() -> None:
    """Waits by path: 2, 0, 2, 0; with equal weights the median is 0, so the two through lane 1 are."""
    found = luck(NETWORK, np.array([[0, 2], [1, 3], [0, 1], [3, 2]]), LANES)
    np.testing.assert_allclose(found.waits, [[2, 2], [0, 0], [2, 0], [0, 2]])
    assert {name: list(agents) for name, agents in found.groups.items()} == {
        "lucky": [1],
        "average": [2, 3],
        "unlucky": [0],
    }
    assert list(found.names) == ["unlucky", "lucky", "average", "average"]
    assert found.examples == {"lucky": 1, "average": 2, "unlucky": 0}


def test_the_median_is_over_trips_not_over_paths() -> None:
    """Where nearly all trips take the congested lane, its wait is the median, and nobody is above it."""
    demand = {("a", "c"): 90.0, ("a", "d"): 5.0, ("b", "d"): 5.0}
    network = road_network(GRAPH, capacity=1, demand=demand)
    found = luck(network, np.array([[0], [1]]), LANES)
    assert not found.is_congested.any()
    assert found.waits.ravel() == pytest.approx([2, 0])
