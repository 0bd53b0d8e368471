"""Four agents bid karma for a resource, step by step, through PettingZoo's parallel interface.

Each agent sees its urgency (here 0.2 for 1, 1 for 5) and its karma (as a share of the most it can
hold); ``infos[agent]["action_mask"]`` marks the bids that its karma allows.
"""

import numpy as np

from karma_envs import matching_v0

env = matching_v0.parallel_env(n_agents=4, max_cycles=3)
rng = np.random.default_rng(0)
observations, infos = env.reset(seed=0)
while env.agents:
    bids = {}
    for agent in env.agents:
        urgency, _ = observations[agent]
        affordable = np.flatnonzero(infos[agent]["action_mask"])
        # A simple strategy: up to half of one's karma when it is urgent, next to nothing otherwise.
        considered = affordable[: (len(affordable) + 1) // 2 if urgency == 1 else 2]
        bids[agent] = int(rng.choice(considered))
    before = observations
    observations, rewards, _, truncations, infos = env.step(bids)
    for agent, bid in bids.items():
        urgency, karma = before[agent] * (5, 20)
        result = "gets it" if rewards[agent] == 0 else f"loses {-rewards[agent]:.0f}"
        print(f"{agent}: urgency {urgency:.0f}, karma {karma:2.0f}, bids {bid:2d}, {result}")
    print("the episode ends" if all(truncations.values()) else "--")
