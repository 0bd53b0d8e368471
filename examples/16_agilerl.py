"""Train one network for the whole population by AgileRL's IPPO, and measure it like any other policy.

Needs the extra ``agilerl``. A few seconds of training on one core, after the many packages that AgileRL
imports; ``--steps 100000`` (agent-steps) does better.
"""

import argparse
import sys

try:
    from training.integrations.agilerl import train
except ImportError as error:
    sys.exit(f"this example needs AgileRL: pip install 'karma-envs[agilerl]' ({error})")

import karma_envs
from karma_envs.axes import by_axes
from karma_envs.baselines import baseline_policy
from training.evaluation.play import measure

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000)
options = parser.parse_args()

game = karma_envs.make("matching", n_agents=10, karma_max=6, karma_mean=3, discount=0.9)
trained = train(game, options.steps, seed=0)

bids = by_axes(trained.policy.mean_actions()[0], game.axes)  # [urgency, karma]
for urgency, row in zip((1, 5), bids):
    print(f"mean bids at urgency {urgency} with karma 0 … 6:", *(f"{bid:.1f}" for bid in row))
for name, policy in {"IPPO": trained.policy, "random": baseline_policy("random", game)}.items():
    print(f"{name:8s} efficiency {measure(game, policy, n_steps=10_000, seed=1)['efficiency']}")
