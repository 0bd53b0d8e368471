"""Tianshou in a population: a best response by its own trainer, then a policy that all agents play.

Needs the extra ``tianshou``. First one DQN learner finds out how to bid among 9 agents who bid in proportion
to their urgency. Then learners in turn answer those before them (fictitious play), until all can play what
was learned. Half a minute on one core.
"""

import argparse
import sys

try:
    from tianshou.algorithm import DQN
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.trainer import OffPolicyTrainerParams
    from tianshou.utils.net.common import Net
except ImportError as error:
    sys.exit(f"this example needs Tianshou: pip install 'karma-envs[tianshou]' ({error})")
import numpy as np
import torch

import agents
import karma_envs
from agents.evaluators import deviation_gain
from karma_envs.axes import by_axes
from karma_envs.baselines import baseline_policy
from training.evaluation.play import measure
from training.integrations.tianshou import distil, learner_env, train

SIZES = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000, help="agent-steps of the second part")
options = parser.parse_args()
game = karma_envs.make("matching", **SIZES)

torch.set_num_threads(1)  # the network is so small that more threads only wait for each other
torch.manual_seed(0)
np.random.seed(0)  # noqa: NPY002  (which Tianshou explores by)
env = learner_env("matching", population="proportional", **SIZES)
space, actions = env.observation_space["obs"], env.action_space
policy = DiscreteQLearningPolicy(
    model=Net(state_shape=space.shape, action_shape=actions.n, hidden_sizes=[64, 64]),
    action_space=actions,
    eps_training=0.2,
)
algorithm = DQN(
    policy=policy,
    optim=AdamOptimizerFactory(lr=1e-3),
    gamma=0.9,  # the game's own
    target_update_freq=50,
)
envs = DummyVectorEnv([lambda: learner_env("matching", population="proportional", **SIZES)] * 4)
envs.seed(0)
collector = Collector(policy, envs, VectorReplayBuffer(10_000, 4), exploration_noise=True)
algorithm.run_training(
    OffPolicyTrainerParams(
        training_collector=collector,
        max_epochs=1,
        epoch_num_steps=3000,
        collection_step_num_env_steps=4,
        update_step_num_gradient_steps_per_sample=0.5,
        batch_size=256,
        verbose=False,
        show_progress=False,
    )
)

response = distil(policy, game).policy.probabilities[0]
others = agents.TabularPolicy(karma_envs.baselines.proportional(game)).for_agents(game.type_of_agent)
print(f"among proportional bidders DQN gains {deviation_gain(game, others, 0, response).gain}")
bids = by_axes(response @ game.action_features["bid"], game.axes)  # [urgency, karma]
for urgency, row in zip((1, 5), bids):
    print(f"its bids at urgency {urgency} with karma 0 … 6:", *(f"{bid:.0f}" for bid in row))

trained = train(game, options.steps, seed=0)
for name, played in {"all DQN": trained.policy, "random": baseline_policy("random", game)}.items():
    print(f"{name:8s} efficiency {measure(game, played, n_steps=10_000, seed=1)['efficiency']}")
