"""Train the population with PPO that is one file, and measure what it learned like any other policy.

Needs the extra ``torch``. The file is ``training/integrations/single_file_ppo.py``: copy it, change it, and
measure yours the same way. Some 20 seconds of training on one core; ``--steps 3000000`` (agent-steps) comes
twice as close to the equilibrium.
"""

import argparse
import sys
import time

try:
    from training.integrations.single_file_ppo import train
except ImportError as error:
    sys.exit(f"this example needs torch: pip install 'karma-envs[torch]' ({error})")

import agents
import karma_envs
from karma_envs.axes import by_axes
from training.evaluation.play import measure

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=400_000)
options = parser.parse_args()

game = karma_envs.make("matching", n_agents=100)
start = time.perf_counter()
trained = train(game, options.steps, seed=0)
rate = trained.agent_steps / (time.perf_counter() - start)
print(f"{trained.agent_steps} agent-steps, {rate:.0f} per second")

bids = by_axes(trained.policy.mean_actions()[0], game.axes)  # [urgency, karma]
for urgency, row in zip((1, 5), bids):
    print(f"mean bids at urgency {urgency} with karma 0, 4 … 20:", *(f"{bid:4.1f}" for bid in row[::4]))

random = agents.TabularPolicy(karma_envs.baselines.random(game))
equilibrium = agents.solve(game.mean_field()).policy
for name, policy in {"PPO": trained.policy, "random": random, "equilibrium": equilibrium}.items():
    played = policy.for_agents(game.type_of_agent)
    efficiency = measure(game, played, n_steps=10_000, seed=1)["efficiency"]
    result = agents.exploitability(game.mean_field(), policy)
    gain = f"{result.normalised:.3f} ({result.meaning.of})"
    print(f"{name:12s} efficiency {efficiency}   normalised exploitability {gain}")
