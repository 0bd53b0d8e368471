"""PPO for a whole population in one file, read from top to bottom; copy it and change what you like.

Needs nothing but torch. One network is the policy of all agents: they are the batch. Where a game has
several types, agents observe their own, so that the network can tell them apart; each counts its future by
the discount of its type. Actions are numbered, and a game may have an end. The game is
:class:`karma_envs.views.vector.PopulationVectorEnv`, which is also what Gymnasium gives::

    envs = gym.make_vec("karma_envs/Matching-v0", num_envs=1000, vectorization_mode="vector_entry_point")
    observations, infos = envs.reset(seed=0)  # float32[N, d]; infos["action_mask"] is int8[N, actions]

The training is one call; the policy that it gives is a table, which games, evaluators and figures take::

    trained = train(karma_envs.make("matching", n_agents=100), budget=1_000_000, seed=0)

Sources: J. Schulman et al., Proximal Policy Optimization Algorithms, 2017 (arXiv:1707.06347), and
High-Dimensional Continuous Control Using Generalized Advantage Estimation, 2016 (arXiv:1506.02438); the form
of the file is that of S. Huang et al., CleanRL, JMLR 23 (2022).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Categorical

from karma_envs.finite import as_finite
from karma_envs.game import PopulationGame
from karma_envs.views.vector import PopulationVectorEnv
from training.benchmark.algorithms import Trained
from training.common.trainers import Trainer
from training.integrations.budget import prepare_torch, spend
from training.integrations.distillation import tabulate

TRAINER = Trainer(
    title="PPO in one file, to copy",
    extra="torch",
    packages=("torch",),
    example="17_ppo_single_file",
    algorithms={"single-file-ppo": "single_file_ppo:train"},
    learns="PPO",
    legal_actions="yes",
    continuous="no",
    types="one network, a discount each",
)

MOST_AGENT_STEPS = 10**7
UPDATES = 50  # at least, where the budget is small
EPOCHS = 4  # over the samples of an update
MINIBATCHES = 4  # of an epoch
LEARNING_RATE = 1e-3  # falls to 0
LAMBDA = 0.9  # of the advantages
CLIP = 0.2
ENTROPY = 0.03  # equilibria are mixed; without it bids freeze too early
VALUE = 0.5  # weight of the value's loss
GRADIENT = 0.5  # largest norm


class ActorCritic(nn.Module):
    """What an agent does and expects, from what it observes.

    Args:
        n_features: d, of an observation.
        n_actions: A.
    """

    def __init__(self, n_features: int, n_actions: int) -> None:
        super().__init__()
        self.actor = layers(n_features, n_actions, gain=0.01)  # begins close to random
        self.critic = layers(n_features, 1, gain=1.0)

    def forward(self, observations: Tensor, legal: Tensor) -> tuple[Categorical, Tensor]:
        """Actions and values of n agents.

        Args:
            observations: ``float32[n, d]``.
            legal: ``bool[n, A]``; other actions have probability 0.

        Returns:
            distributions of actions, and discounted rewards to come ``float32[n]``.
        """
        logits = self.actor(observations).masked_fill(~legal, -1e8)
        return Categorical(logits=logits, validate_args=False), self.critic(observations).squeeze(1)


def layers(n_inputs: int, n_outputs: int, gain: float) -> nn.Sequential:
    """Two hidden layers of 64; ``gain`` scales the weights of the last."""
    linear = nn.Linear(n_inputs, 64), nn.Linear(64, 64), nn.Linear(64, n_outputs)
    for layer, scale in zip(linear, (2**0.5, 2**0.5, gain)):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(linear[0], nn.Tanh(), linear[1], nn.Tanh(), linear[2])


def advantages(
    rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, discounts: Tensor
) -> Tensor:
    """Generalised advantage estimates: by how much what an agent did was better than what it expected.

    After the end of a game there is no future. A truncation is no end: the future that is cut off counts by
    the value of the observation before which it was cut off. What comes after either is another episode.

    Args:
        rewards: ``float32[T, n]``.
        values: ``float32[T + 1, n]``, of the observations before each step, and after the last.
        terminated: ``bool[T, n]``, whether the game was over after the step.
        truncated: ``bool[T, n]``, whether the episode was cut off after it.
        discounts: ``float32[n]``.

    Returns:
        ``float32[T, n]``.
    """
    estimates = torch.zeros_like(rewards)
    later = torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        error = rewards[step] + discounts * ~terminated[step] * values[step + 1] - values[step]
        later = error + discounts * LAMBDA * ~(terminated[step] | truncated[step]) * later
        estimates[step] = later
    return estimates


def train(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO in one file, a masked network for all agents; at most 10^7 agent-steps.

    Two layers of 64, for actions and for values; gamma the game's; rewards scaled by 1 - gamma; lambda 0.9;
    3200 samples, or 32 steps if those are more, before each update, fewer if there were less than 50 updates;
    4 epochs of 4 minibatches; clipping at 0.2; Adam, learning rate from 1e-3 to 0; entropy coefficient 0.03;
    value coefficient 0.5; gradients of norm 0.5 at most.

    Raises:
        ConfigError: for a game without tables; when the budget is less than a step of all agents.
    """
    game = as_finite(game)
    n_agents = game.n_agents
    length, updates = spend(game, budget, most=MOST_AGENT_STEPS, updates=UPDATES)
    prepare_torch(seed)
    envs = PopulationVectorEnv(game, strict=True)  # an illegal action would be an error
    discounts = torch.tensor(game.discounts[game.type_of_agent], dtype=torch.float32)
    n_features = game.observation_space.shape[0]
    network = ActorCritic(n_features, game.n_actions)
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE, eps=1e-5)

    # What happens between two updates; observations and values also after the last step.
    observations = torch.zeros(length + 1, n_agents, n_features)
    legal = torch.zeros(length + 1, n_agents, game.n_actions, dtype=torch.bool)
    values = torch.zeros(length + 1, n_agents)
    actions = torch.zeros(length, n_agents, dtype=torch.int64)
    log_probabilities, rewards = torch.zeros(length, n_agents), torch.zeros(length, n_agents)
    terminated, truncated, played = (torch.zeros(length, n_agents, dtype=torch.bool) for _ in range(3))

    observed, infos = envs.reset(seed=seed)
    ended = np.zeros(n_agents, np.bool_)
    for update in range(updates):
        # Play.
        with torch.no_grad():
            for step in range(length + 1):
                observations[step] = torch.from_numpy(observed)
                legal[step] = torch.from_numpy(infos["action_mask"])
                chosen, values[step] = network(observations[step], legal[step])
                if step == length:
                    break
                actions[step] = chosen.sample()
                log_probabilities[step] = chosen.log_prob(actions[step])
                played[step] = torch.from_numpy(~ended)  # the step after an episode only begins the next one
                observed, earned, over, cut_off, infos = envs.step(actions[step].numpy())
                ended = over | cut_off
                rewards[step] = torch.from_numpy(earned)
                terminated[step], truncated[step] = torch.from_numpy(over), torch.from_numpy(cut_off)

        # Learn, from all agents' steps alike.
        if not played.any():  # one step, which only began an episode
            continue
        gains = advantages(rewards * (1 - discounts), values, terminated, truncated, discounts)[played]
        returns = gains + values[:-1][played]
        samples = (
            observations[:-1][played], legal[:-1][played], actions[played],
            log_probabilities[played], gains, returns,
        )  # fmt: skip
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - update / updates)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(gains)).chunk(MINIBATCHES):
                seen, allowed, taken, before, gain, goal = (each[batch] for each in samples)
                chosen, value = network(seen, allowed)
                ratio = (chosen.log_prob(taken) - before).exp()
                gain = (gain - gain.mean()) / (gain.std(correction=0) + 1e-8)
                better = torch.min(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
                loss = VALUE * (value - goal).square().mean() - better - ENTROPY * chosen.entropy().mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), GRADIENT)
                optimiser.step()

    def probabilities(
        observations: NDArray[np.float32], legal: NDArray[np.bool_], types: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        with torch.no_grad():
            chosen, _ = network(torch.from_numpy(observations), torch.from_numpy(legal))
        odds = chosen.probs.numpy().astype(np.float64)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))  # float32 sums to 1 only nearly

    return Trained(tabulate(probabilities, game, seed=seed).policy, updates * length * n_agents)
