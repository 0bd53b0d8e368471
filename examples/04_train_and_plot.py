"""Train the default game's population and draw its figures, as ``karma-envs train`` does.

With the default number of steps the population has only begun to learn; ``--n-steps 2000000`` brings it
close to the published outcome.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from agents.learners import TabularConfig
from karma_envs.axes import by_axes
from training import TrainConfig, train
from training.runs.evaluate import evaluate
from training.runs.figures import plot

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--n-steps", type=int, default=300_000)
parser.add_argument("--folder", type=Path, help="where results go (default: a temporary folder)")
options = parser.parse_args()
folder = options.folder or Path(tempfile.mkdtemp(prefix="karma-envs-")) / "run"

config = TrainConfig(
    learner=TabularConfig(algorithm="q_learning", initial_q=-50), n_steps=options.n_steps, records=10
)
run = train(config, folder)
for row in run.metrics:
    print(f"step {row['step']:8d}   efficiency while learning {row['efficiency']:.4f}")

bids = by_axes(run.policy.mean_actions().mean(axis=0), run.game().axes)  # [urgency, karma]
print("\nmean bids of the learned policies")
print("karma     ", *(f"{karma:4d}" for karma in range(0, 21, 4)))
for urgency, row in zip((1, 5), bids):
    print(f"urgency {urgency} ", *(f"{bid:4.1f}" for bid in row[::4]))
assert np.all(bids <= np.arange(21))

print()
for item in evaluate(run):
    print(f"{item.name:24s} efficiency {item.summary['efficiency']}")
print()
for path in plot(run, ("png",)):
    print(path)
