"""Train TorchRL's PPO, one masked network for all agents, and measure it like any other policy.

Needs the extra ``torchrl``. Some 20 seconds of training on one core in a game of ten agents; ``--steps
100000`` (agent-steps) comes close to the equilibrium.
"""

import argparse
import logging
import sys

try:
    from torchrl.envs import check_env_specs
except ImportError as error:
    sys.exit(f"this example needs TorchRL: pip install 'karma-envs[torchrl]' ({error})")

import agents
import karma_envs
from karma_envs.baselines import baseline_policy
from training.evaluation.play import measure
from training.integrations.torchrl import torchrl_env, train

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000)
options = parser.parse_args()
logging.getLogger("torchrl").setLevel(logging.WARNING)  # it reports every check that succeeds

small = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}
env = torchrl_env("matching", **small, return_state=True)
check_env_specs(env)  # raises if data are not what the environment says they are
batch = env.rollout(5)  # of random legal actions
for key in ("observation", "action_mask", "action"):
    print(f"player {key:12s} {tuple(batch['player', key].shape)}")
print(f"state  {'':12s} {tuple(batch['state'].shape)}")

game = karma_envs.make("matching", **small)
trained = train(game, budget=options.steps, seed=0)
print(f"trained for {trained.agent_steps} agent-steps")

random = agents.TabularPolicy(karma_envs.baselines.random(game))
for name, policy in {"TorchRL": trained.policy, "random": baseline_policy("random", game)}.items():
    print(f"{name:8s} efficiency {measure(game, policy, n_steps=10_000, seed=1)['efficiency']}")
for name, policy in {"TorchRL": trained.policy, "random": random}.items():
    result = agents.exploitability(game.mean_field(), policy)
    print(f"{name:8s} normalised exploitability {result.normalised:.3f} ({result.meaning.of})")
