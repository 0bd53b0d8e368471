"""Stable-Baselines3's algorithms as :mod:`training.benchmark.algorithms` takes them, a model per type.

Hyperparameters are those of ``examples/11_stable_baselines.py``; they are described where the algorithms
are entered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecNormalize

from karma_envs.config import refuse
from karma_envs.game import PopulationGame
from training.benchmark.algorithms import Trained
from training.integrations.sb3 import PopulationVecEnv, distil

_MOST_AGENT_STEPS = 10**7
_STAGES = 20
_SAMPLES, _STEPS = 3200, 32  # before an update of PPO, whichever is more
_BATCH = 800  # at most, so that batches are equal
_DQN_STEPS = 4

Make = Callable[..., Any]
"""Makes a model of an environment, a discount factor, a learning rate, a seed and steps before an update."""


def ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO."""
    return _train(partial(_ppo, PPO), game, budget, seed, max(_STEPS, _SAMPLES // game.n_agents))


def maskable_ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """MaskablePPO."""
    from sb3_contrib import MaskablePPO

    return _train(partial(_ppo, MaskablePPO), game, budget, seed, max(_STEPS, _SAMPLES // game.n_agents))


def dqn(game: PopulationGame, budget: int, seed: int) -> Trained:
    """DQN."""
    return _train(partial(_dqn, budget // 10), game, budget, seed, _DQN_STEPS)


def _ppo(
    algorithm: Any, env: VecNormalize, discount: float, rate: Callable[[float], float], seed: int, steps: int
) -> Any:
    samples = steps * env.num_envs
    batch_size = max(size for size in range(1, _BATCH + 1) if samples % size == 0)
    return algorithm(
        "MlpPolicy", env, gamma=discount, gae_lambda=0.9, n_steps=steps, batch_size=batch_size,
        learning_rate=rate, ent_coef=0.03, seed=seed, device="cpu",
    )  # fmt: skip


def _dqn(
    start: int, env: VecNormalize, discount: float, rate: Callable[[float], float], seed: int, steps: int
) -> Any:
    return DQN(
        "MlpPolicy", env, gamma=discount, buffer_size=max(100_000, env.num_envs),
        learning_starts=min(10_000, start), batch_size=256, train_freq=steps, gradient_steps=4,
        target_update_interval=2000, learning_rate=rate, exploration_initial_eps=0.1,
        exploration_final_eps=0.1, seed=seed, device="cpu",
    )  # fmt: skip


def _train(make: Make, game: PopulationGame, budget: int, seed: int, steps: int) -> Trained:
    """Train a model for each type in turn, the others playing what their models were a stage ago."""
    budget = min(budget, _MOST_AGENT_STEPS)
    steps = min(steps, budget // game.n_agents)
    if steps < 1:
        raise refuse("budget", budget, f"at least a step of {game.n_agents} agents")
    updates = budget // (steps * game.n_agents)
    stages = min(_STAGES, updates)
    stage = 0
    torch.set_num_threads(1)  # networks are so small that more threads only wait for each other
    fields = {name: getattr(game.config, name) for name in game.config.field_names()}
    n_types = len(game.discounts)
    envs = [
        PopulationVecEnv(type(game), agent_type=each if n_types > 1 else None, **fields)
        for each in range(n_types)
    ]
    models = [
        make(
            VecNormalize(env, norm_obs=False, gamma=float(discount)),  # brings returns to scale
            float(discount),
            lambda _: 1e-3 * (1 - stage / stages),
            seed * n_types + number,
            steps,
        )
        for number, (env, discount) in enumerate(zip(envs, game.discounts))
    ]
    for stage in range(stages):
        if n_types > 1 and stage:
            played = distil(models, game, n_steps=100, seed=seed).policy
            for env in envs:
                env.set_others(played)
        for env, model in zip(envs, models):
            now = updates * (stage + 1) // stages - updates * stage // stages
            model.learn(now * steps * env.num_envs, reset_num_timesteps=False)
    return Trained(distil(models, game, seed=seed).policy, sum(model.num_timesteps for model in models))
