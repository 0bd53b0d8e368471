"""One agent learns in a population that plays a fixed policy, through Gymnasium's usual interface.

Plain Q-learning in a few lines, against 19 agents that bid in proportion to their urgency.
"""

import gymnasium as gym
import numpy as np

import karma_envs  # noqa: F401  (registers the environment)

KARMA_MAX, DISCOUNT, STEPS = 10, 0.98, 60_000


def state_of(observation: np.ndarray) -> tuple[int, int]:
    """Urgency (0 low, 1 high) and karma."""
    return int(observation[0] == 1), round(observation[1] * KARMA_MAX)


def mean_reward(env: gym.Env, bid_of: np.ndarray, steps: int = 10_000) -> tuple[float, float]:
    """Mean reward of a table of bids ``[urgency, karma]``, and its standard error (20 batches)."""
    rewards = np.empty(steps)
    observation, _ = env.reset(seed=1)
    for step in range(steps):
        observation, rewards[step], *_ = env.step(bid_of[state_of(observation)])
    batches = rewards.reshape(20, -1).mean(axis=1)
    return float(batches.mean()), float(batches.std(ddof=1) / np.sqrt(20))


def learn(env: gym.Env, rng: np.random.Generator) -> np.ndarray:
    """The bids ``[urgency, karma]`` that Q-learning finds."""
    q = np.zeros((2, KARMA_MAX + 1, KARMA_MAX + 1))
    visits = np.zeros_like(q)
    legal = np.tri(KARMA_MAX + 1, dtype=bool)  # [karma, bid]
    observation, info = env.reset(seed=0)
    for _ in range(STEPS):
        state = state_of(observation)
        if rng.random() < 0.2:
            bid = rng.choice(np.flatnonzero(info["action_mask"]))
        else:
            bid = np.argmax(np.where(legal[state[1]], q[state], -np.inf))
        observation, reward, _, _, info = env.step(bid)
        following = state_of(observation)
        goal = reward + DISCOUNT * q[following][legal[following[1]]].max()
        visits[*state, bid] += 1
        q[*state, bid] += (goal - q[*state, bid]) / visits[*state, bid] ** 0.6
    return np.argmax(np.where(legal, q, -np.inf), axis=2)


env = gym.make(
    "karma_envs/Matching-v0",
    population="proportional",
    n_agents=20,
    karma_max=KARMA_MAX,
    karma_mean=KARMA_MAX / 2,
    max_cycles=STEPS,
)
karma = np.arange(KARMA_MAX + 1)
bids = {
    "never bidding": np.stack([0 * karma, 0 * karma]),
    "like the others": np.stack([np.rint(karma / 5).astype(int), karma]),
    "learned": learn(env, np.random.default_rng(0)),
}
for name, table in bids.items():
    value, error = mean_reward(env, table)
    print(f"{name:16s} mean reward {value:.3f} ± {error:.3f}")
print("karma            ", *(f"{k:2d}" for k in karma))
for urgency, row in zip((1, 5), bids["learned"]):
    print(f"bid at urgency {urgency} ", *(f"{bid:2d}" for bid in row))
