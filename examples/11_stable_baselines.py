"""Train one Stable-Baselines3 model for the whole population, and measure it like any other policy.

Needs the extras ``sb3`` and ``plot``. MaskablePPO of sb3-contrib knows which bids karma allows; plain PPO,
taken where that is missing, does not, and its bids above karma count as all karma. Some 20 seconds of
training on one core; ``--steps 3000000`` (agent-steps) comes close to the equilibrium. The figure shows its
bids beside the equilibrium's.
"""

import argparse
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecNormalize
except ImportError as error:
    sys.exit(f"this example needs Stable-Baselines3: pip install 'karma-envs[sb3,plot]' ({error})")
try:
    from sb3_contrib import MaskablePPO as Algorithm
except ImportError:
    Algorithm = PPO

import agents
import karma_envs
from karma_envs.axes import by_axes
from karma_envs.baselines import baseline_policy
from training.common.figures import save_figures
from training.common.policy_figures import policies_beside
from training.evaluation.play import measure
from training.integrations.sb3 import PopulationVecEnv, distil

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200_000)
parser.add_argument("--folder", type=Path, help="where the figure goes (default: a temporary folder)")
options = parser.parse_args()

torch.set_num_threads(1)  # the network is so small that more threads only wait for each other
env = PopulationVecEnv("matching", n_agents=100)
game, discount = env.game, float(env.game.discounts[0])
model = Algorithm(
    "MlpPolicy",
    VecNormalize(env, norm_obs=False, gamma=discount),  # returns are near -50: brings rewards to scale
    gamma=discount,  # the game's own
    gae_lambda=0.9,
    n_steps=32,  # of 100 agents: 3200 samples before each update
    batch_size=800,
    learning_rate=lambda remaining: 1e-3 * remaining,
    ent_coef=0.03,  # equilibria are mixed; without it bids freeze too early
    seed=0,
    device="cpu",
)
model.learn(options.steps)

found = distil(model, game)
print(f"{Algorithm.__name__}: {found.share_visited:.0%} of the table is the network's own")
bids = by_axes(found.policy.mean_actions()[0], game.axes)  # [urgency, karma]
for urgency, row in zip((1, 5), bids):
    print(f"mean bids at urgency {urgency} with karma 0, 4 … 20:", *(f"{bid:4.1f}" for bid in row[::4]))

played = {Algorithm.__name__: (game, found.policy), "random": (game, baseline_policy("random", game))}
played |= game.references()  # allocations that need no karma
for name, (where, policy) in played.items():
    print(f"{name:12s} efficiency {measure(where, policy, n_steps=10_000, seed=1)['efficiency']}")

model_of_many, tables = game.mean_field(), {Algorithm.__name__: found.policy}
tables["random"] = agents.TabularPolicy(karma_envs.baselines.random(game))
tables["equilibrium"] = agents.solve(model_of_many).policy
for name, policy in tables.items():
    result = agents.exploitability(model_of_many, policy)
    print(f"{name:12s} normalised exploitability {result.normalised:.3f} ({result.meaning.of})")

folder = options.folder or Path(tempfile.mkdtemp(prefix="karma-envs-"))
folder.mkdir(parents=True, exist_ok=True)
for path in save_figures(folder, {"bids": lambda: policies_beside(game, tables)}, ("png",)):
    print(path)
