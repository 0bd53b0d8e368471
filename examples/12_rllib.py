"""Train RLlib's PPO, which learns from masks which bids karma allows, and measure it like any other policy.

Needs the extra ``rllib``. All agents share one network. Some 30 seconds on a core, a part of which Ray takes
to start; more ``--steps`` (agent-steps) come closer to the equilibrium.
"""

import argparse
import sys

import numpy as np

try:
    import torch
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module import RLModuleSpec
    from ray.tune.registry import register_env
except ImportError as error:
    sys.exit(f"this example needs Ray RLlib: pip install 'karma-envs[rllib]' ({error})")

import agents
import karma_envs
from karma_envs.baselines import baseline_policy
from training.evaluation.play import measure
from training.integrations.rllib import (
    DiscountedPPOLearner,
    MaskedPPOModule,
    PopulationMultiAgentEnv,
    distil,
    local_ray,
)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=40_000)
options = parser.parse_args()

torch.set_num_threads(1)  # the network is so small that more threads only wait for each other
settings = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}
register_env("karma", PopulationMultiAgentEnv)
samples = 800  # agent-steps before each update
updates = max(1, options.steps // samples)

with local_ray():  # quiet, and stopped at the end; on a cluster call ray.init() instead
    config = (
        PPOConfig()
        # An episode for each update, so that RLlib reports its mean reward at once.
        .environment("karma", env_config={"game": "matching", "max_cycles": samples // 10, **settings})
        .env_runners(num_env_runners=0)  # play in this process
        .multi_agent(policies={"all"}, policy_mapping_fn=lambda *_, **__: "all", count_steps_by="agent_steps")
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=MaskedPPOModule,
                model_config={"fcnet_hiddens": [64, 64], "vf_share_layers": False},
            )
        )
        .learners(learner_class=DiscountedPPOLearner)
        .training(
            gamma=settings["discount"],  # the game's own
            lambda_=0.9,
            train_batch_size_per_learner=samples,
            minibatch_size=samples // 4,
            num_epochs=10,
            lr=[[0, 1e-3], [options.steps // 10, 0.0]],  # in steps of all ten agents
            clip_param=0.2,
            use_kl_loss=False,
            entropy_coeff=0.03,  # equilibria are mixed; without it bids freeze too early
        )
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    rewards: list[float] = []  # of each update's episode
    for update in range(1, updates + 1):
        rewards.append(algorithm.train()["env_runners"]["episode_return_mean"] / samples)
        if update % max(1, updates // 5) == 0:
            print(
                f"agent-step {update * samples:6d}   mean reward since the last line {np.mean(rewards):.3f}"
            )
            rewards.clear()
    game = karma_envs.make("matching", **settings)
    learned = distil(algorithm.get_module("all"), game).policy
    algorithm.stop()

random = agents.TabularPolicy(karma_envs.baselines.random(game))
for name, played, policy in (
    ("PPO", learned, learned),
    ("random", baseline_policy("random", game), random),
):
    efficiency = measure(game, played, n_steps=10_000, seed=1)["efficiency"]
    result = agents.exploitability(game.mean_field(), policy)
    gain = f"{result.normalised:.3f} ({result.meaning.of})"
    print(f"{name:8s} efficiency {efficiency}   normalised exploitability {gain}")
