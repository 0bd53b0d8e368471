"""The whole population in arrays, through Gymnasium's vector interface: one sub-environment per agent."""

import time

import gymnasium as gym
import numpy as np

import karma_envs  # noqa: F401  (registers the environment)

N_AGENTS, STEPS = 1000, 1000

envs = gym.make_vec(
    "karma_envs/Matching-v0",
    num_envs=N_AGENTS,  # the agents of one population, not so many populations
    vectorization_mode="vector_entry_point",
    max_episode_steps=STEPS,
)
rng = np.random.default_rng(0)
strategies = {
    "random bids": lambda urgency, karma: rng.integers(0, karma + 1),
    "up to 6 when urgent": lambda urgency, karma: np.where(urgency == 1, np.minimum(karma, 6), 0),
}
for name, bids_of in strategies.items():
    observations, _ = envs.reset(seed=0)
    total = 0.0
    start = time.perf_counter()
    for _ in range(STEPS):
        karma = np.rint(20 * observations[:, 1]).astype(int)
        bids = bids_of(observations[:, 0], karma)
        observations, rewards, _, truncations, _ = envs.step(bids)
        total += rewards.sum()
    rate = STEPS * N_AGENTS / (time.perf_counter() - start) / 1e6
    assert truncations.all()
    mean = total / STEPS / N_AGENTS
    print(f"{name:20s} mean reward {mean:.4f}   ({rate:.1f} million agent-steps per second)")
print("at best -1.0 (the more urgent agent always wins), by chance -1.5")
envs.close()
