"""Stable-Baselines3's algorithms as :mod:`training.benchmark.algorithms` takes them, a model per type.

Hyperparameters are those of ``examples/11_stable_baselines.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecNormalize

from karma_envs.game import PopulationGame
from training.benchmark.algorithms import Trained
from training.integrations.budget import prepare_torch, spend
from training.integrations.sb3 import PopulationVecEnv, policy_of

_STAGES = 20
_BATCH = 800  # at most, so that batches are equal
_DQN_STEPS = 4

Make = Callable[..., Any]
"""Makes a model of an environment, a discount factor, a learning rate, a seed and steps before an update."""


def ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO of Stable-Baselines3, a network per type; at most 10^7 agent-steps, as it is slow.

    Two layers of 64; returns normalised; gamma the game's; lambda 0.9; 3200 samples, or 32 steps if those
    are more, before each update, fewer if there were less than 30 updates; minibatches of 800 at most;
    learning rate from 1e-3 to 0 in 20 stages; entropy coefficient 0.03.
    """
    return _train(partial(_ppo, PPO), game, seed, *spend(game, budget))


def maskable_ppo(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO that knows which actions are legal, of sb3-contrib; at most 10^7 agent-steps, as it is slow.

    Otherwise as :func:`ppo`.
    """
    return _train(partial(_ppo, MaskablePPO), game, seed, *spend(game, budget))


def dqn(game: PopulationGame, budget: int, seed: int) -> Trained:
    """DQN of Stable-Baselines3, a network per type; at most 10^7 agent-steps, as it is slow.

    Two layers of 64; returns normalised; gamma the game's; buffer of 10^5, of which a tenth, or of the
    budget if that is less, before learning starts; batches of 256; 4 updates every 4 steps; target network
    every 2000 agent-steps; learning rate from 1e-3 to 0 in 20 stages; epsilon 0.1.
    """
    steps, updates = spend(game, budget, samples=0, least_steps=_DQN_STEPS)
    return _train(partial(_dqn, budget // 10), game, seed, steps, updates)


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


def _train(make: Make, game: PopulationGame, seed: int, steps: int, updates: int) -> Trained:
    """Train a model for each type in turn, the others playing what their models were a stage ago.

    Args:
        make: of each model.
        game: the game.
        seed: of all random draws.
        steps: before each update.
        updates: of each model, in all.
    """
    stages = min(_STAGES, updates)
    stage = 0
    prepare_torch(seed)
    n_types = len(game.discounts)
    envs = [PopulationVecEnv(game, agent_type=each if n_types > 1 else None) for each in range(n_types)]
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
            played = policy_of(models, game, n_steps=100, seed=seed)
            for env in envs:
                env.set_others(played)
        for env, model in zip(envs, models):
            now = updates * (stage + 1) // stages - updates * stage // stages
            model.learn(now * steps * env.num_envs, reset_num_timesteps=False)
    return Trained(policy_of(models, game, seed=seed), sum(model.num_timesteps for model in models))
