"""A road network from TNTP files: where it is congested, and what karma and a choice of routes change."""

from __future__ import annotations

import numpy as np

import karma_envs
from karma_envs.baselines import baseline_policy

STEPS = 2000

# The town that comes with the package; write network="yours_net.tntp" for one of yours, with
# yours_trips.tntp (demand) and yours_node.tntp (coordinates) beside it, or network="yours.graphml".
# Few trips have several paths that are equally short; k_shortest gives every trip three to choose from.
for route_choice, k_shortest in (("none", None), ("node", 3)):
    for allocation, bids in (
        ("coin", "bid_nothing"),
        ("highest_bid", "proportional"),
        ("dict", "bid_nothing"),
    ):
        town = karma_envs.make(
            "grid_city", "town", allocation=allocation, route_choice=route_choice, k_shortest=k_shortest
        )
        town.reset(np.random.default_rng(0))
        town.rollout(baseline_policy(bids, town), STEPS)
        found = town.outcome()
        unfairness = np.std(found.rewards / STEPS)
        print(
            f"routes {route_choice:5} {allocation:12} {bids:13} efficiency {found.efficiency:.3f}, "
            f"rewards differ by {unfairness:.3f}"
        )

lanes, network = town.lane_outcome(), town.network
print(f"\n{len(network.lanes)} lanes, {len(network.paths)} paths; where agents wait longest:")
for lane in np.argsort(-lanes.mean_wait)[:3]:
    start, end = network.lanes[lane]
    print(f"from {start} to {end}: {lanes.mean_wait[lane]:.1f} steps, capacity {network.capacity[lane]}")
