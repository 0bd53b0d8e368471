"""How fast populations feed trainers: Stable-Baselines3 on arrays and by SuperSuit, and PPO in one file.

    python benchmarks/trainers.py [--output benchmarks/trainers.md]

Takes about three minutes. Rates are agent-steps per second of CPU time, so that other load matters little.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from speed import Rows, cpu_model, markdown
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

import karma_envs
from training.integrations import single_file_ppo
from training.integrations.sb3 import PopulationVecEnv, supersuit_vec_env

REPEATS = 5


def cpu_seconds(work: Callable[[], object]) -> float:
    """Median CPU time of ``work``, which is run once before."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def stepped(env: VecEnv, n_steps: int) -> float:
    """Agent-steps per CPU second of an environment alone."""
    env.reset()
    actions = np.zeros(env.num_envs, np.int64)

    def play() -> None:
        for _ in range(n_steps):
            env.step(actions)

    return n_steps * env.num_envs / cpu_seconds(play)


def learned(env: VecEnv) -> float:
    """Agent-steps per CPU second of PPO: 32 steps, then 10 epochs of minibatches of 800."""
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=800, device="cpu", seed=0)
    return 32 * env.num_envs / cpu_seconds(lambda: model.learn(32 * env.num_envs, reset_num_timesteps=False))


def stable_baselines() -> Rows:
    """Both ways from a population to a model."""
    rows: Rows = [("N", "what", "PopulationVecEnv", "by SuperSuit", "ratio")]
    for n_agents in (100, 1000):
        ways = [make("matching", n_agents=n_agents) for make in (PopulationVecEnv, supersuit_vec_env)]
        fed = [stepped(env, 200_000 // n_agents) for env in ways]
        trained = [learned(env) for env in ways]
        for what, (arrays, dicts) in {"steps of the environment": fed, "training PPO": trained}.items():
            rows.append((f"{n_agents:,}", what, f"{arrays:,.0f}", f"{dicts:,.0f}", f"{arrays / dicts:.1f}"))
            print(rows[-1], file=sys.stderr)
    return rows


def one_file() -> Rows:
    """Training with PPO in one file."""
    rows: Rows = [("N", "agent-steps/s")]
    for n_agents in (100, 1000):
        game = karma_envs.make("matching", n_agents=n_agents)
        budget = 50 * 32 * n_agents
        taken = cpu_seconds(lambda game=game, budget=budget: single_file_ppo.train(game, budget, 0))  # type: ignore[misc]
        rows.append((f"{n_agents:,}", f"{budget / taken:,.0f}"))
        print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """Measure everything and print or write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, help="write the report here too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    packages = ("stable-baselines3", "supersuit", "torch", "numpy")
    report = "\n\n".join(
        [
            "# Feeding trainers",
            f"Agent-steps per second of CPU time, medians of {REPEATS}, one thread, {cpu_model()}; "
            f"karma-envs {karma_envs.__version__}, Python {platform.python_version()}, "
            f"{', '.join(f'{each} {version(each)}' for each in packages)}, {datetime.date.today()}. "
            "Made by `python benchmarks/trainers.py`.",
            "## Stable-Baselines3, matching game\n\n"
            "Training is bounded by the network: 10 epochs of minibatches of 800.",
            markdown(stable_baselines()),
            "## PPO in one file, matching game\n\nFrom nothing to a table, 4 epochs of 4 minibatches.",
            markdown(one_file()),
        ]
    )
    print(report)
    if options.output is not None:
        options.output.write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
