"""Train BenchMARL's IPPO, one masked network for all agents, and measure it like any other policy.

Needs the extra ``benchmarl``, in an environment of its own: it needs an older TorchRL. Some 20 seconds
of training on one core in a game of ten agents; ``--steps 100000`` (agent-steps) comes close to the
equilibrium.
"""

import argparse
import logging
import sys

try:
    from training.integrations.benchmarl import KarmaTask, train
except ImportError as error:
    sys.exit(f"this example needs BenchMARL: pip install 'karma-envs[benchmarl]' ({error})")

from torchrl.envs import check_env_specs

import agents
import karma_envs
from karma_envs.baselines import baseline_policy
from training.evaluation.play import measure

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000)
options = parser.parse_args()
logging.getLogger("torchrl").setLevel(logging.WARNING)  # it reports every check that succeeds

print("tasks:", ", ".join(task.name for task in KarmaTask))
small = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}
task = KarmaTask.MATCHING.get_task(small)  # what any experiment of BenchMARL takes
env = task.get_env_fun(num_envs=1, continuous_actions=False, seed=0, device="cpu")()
check_env_specs(env)  # raises if data are not what the environment says they are
print(f"groups: {', '.join(task.group_map(env))}; state: {tuple(task.state_spec(env)['state'].shape)}")

game = karma_envs.make("matching", **small)
trained = train(game, budget=options.steps, seed=0)
print(f"trained for {trained.agent_steps} agent-steps")

random = agents.TabularPolicy(karma_envs.baselines.random(game))
for name, policy in {"BenchMARL": trained.policy, "random": baseline_policy("random", game)}.items():
    print(f"{name:10s} efficiency {measure(game, policy, n_steps=10_000, seed=1)['efficiency']}")
for name, policy in {"BenchMARL": trained.policy, "random": random}.items():
    result = agents.exploitability(game.mean_field(), policy)
    print(f"{name:10s} normalised exploitability {result.normalised:.3f} ({result.meaning.of})")
