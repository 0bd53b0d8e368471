"""Tianshou: one learner in a population as its environment, its Q-networks as policies.

Masks are where Tianshou looks for them, and the horizon of a game without an end is bootstrapped over::

    env = learner_env("matching", population="proportional")
    space, actions = env.observation_space["obs"], env.action_space
    model = Net(state_shape=space.shape, action_shape=actions.n, hidden_sizes=[64, 64])
    policy = DiscreteQLearningPolicy(model=model, action_space=actions, eps_training=0.1)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(), gamma=0.98, target_update_freq=100)
    envs = DummyVectorEnv([lambda: learner_env("matching", population="proportional")] * 4)
    collector = Collector(policy, envs, VectorReplayBuffer(100_000, 4), exploration_noise=True)
    algorithm.run_training(OffPolicyTrainerParams(training_collector=collector, ...))
    distil(policy, karma_envs.make("matching")).policy  # a TabularPolicy, for games, evaluators and figures

Keep ``is_double=True``, which is the default: the other target takes its maximum over illegal actions too.
Ask an environment itself for its spaces; Tianshou's vector environments tell those beneath all wrappers.
Tianshou's own way to many agents is not for these games, where all act at once: over
``PettingZooEnv(parallel_to_aec(env))`` it credits the rewards of a step to the last agent only. So the
others play a fixed policy while one learns, and what it has learned goes to all of them (:func:`train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Dict
from gymnasium.wrappers import TransformReward
from numpy.typing import NDArray
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory, LRSchedulerFactoryLinear
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.utils.net.common import Net
from tianshou.utils.torch_utils import policy_within_training_step

from agents.policies.tabular import TabularPolicy
from karma_envs import baselines
from karma_envs.config import choice, refusal
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.views.population import SomeGame
from karma_envs.views.single_agent import SingleAgentEnv
from training.benchmark.algorithms import Trained
from training.common.trainers import Trainer
from training.integrations.budget import prepare_torch
from training.integrations.distillation import Distilled, network_of, tabulate
from training.integrations.masks import observation_with_mask

TRAINER = Trainer(
    title="Tianshou",
    extra="tianshou",
    packages=("tianshou", "torch"),
    constraints="constraints/tianshou.txt",
    example="15_tianshou",
    algorithms={"tianshou-dqn": "tianshou:train"},
    learns="DQN, one learner among others",
    legal_actions="yes",
    continuous="the environment only",
    types="a learner each",
)

_MOST_TRANSITIONS = 100_000
_ENVS = 4
_STAGES, _LEAST_STEPS = 40, 25
_UPDATES = 2  # for each step of the environments
_BATCH, _RATE, _EPSILON, _TARGET = 256, 2e-3, 0.2, 25
_LAYERS = (64, 64)


class MaskedObservation(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Observations as Tianshou reads them: ``obs`` and, of the legal actions, ``mask``.

    Args:
        env: an environment with dict observations, such as
            ``gymnasium.make("karma_envs/Matching-v0", observation="dict")``.

    Raises:
        ConfigError: for an environment whose observations hold no mask.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        if not isinstance(env.observation_space, Dict):
            raise refusal("env", env, "an environment made with observation='dict'")
        self.observation_space = Dict(self.observation(env.observation_space))

    def observation(self, observation: Any) -> dict[str, Any]:
        """The same under Tianshou's names."""
        return {"obs": observation["observation"], "mask": observation["action_mask"]}


def learner_env(
    game: SomeGame,
    *,
    population: Any = "random",
    learner: int = 0,
    **kwargs: Any,
) -> gymnasium.Env[Any, Any]:
    """One agent of a game learns, the others play ``population``; what Tianshou's collectors take.

    Observations are ``obs`` (``float32[d]``) and ``mask`` (``int8[n_actions]``); in a game without tables,
    where all actions are legal, they are the former alone. The episode of a game without an end is truncated
    at the horizon, never terminated, so that Tianshou bootstraps there; a game with an end is terminated.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.
        population: what the others play, see :class:`karma_envs.views.single_agent.SingleAgentEnv`.
        learner: the agent that acts.
        **kwargs: the arguments of all views, see :class:`karma_envs.views.population.PopulationView`;
            observations always hold the mask, where there is one.

    Raises:
        ConfigError: for an argument that is not allowed.
        PolicyError: when the population's policy does not fit the game.
    """
    kind = observation_with_mask(game)
    choice("observation", kwargs.setdefault("observation", kind), (kind,))
    env = SingleAgentEnv(game, learner=learner, population=population, **kwargs)
    return MaskedObservation(env) if kind == "dict" else env


def distil(
    policy: DiscreteQLearningPolicy | Sequence[DiscreteQLearningPolicy],
    game: PopulationGame,
    *,
    n_steps: int = 1000,
    seed: int = 0,
) -> Distilled:
    """What Q-networks do without exploration as a table: ``distil(policy, game).policy``.

    Args:
        policy: a policy with action values, of DQN and its like; or a sequence of such, one for each type. It
            must have seen the game's own observations, as :func:`learner_env` gives them: nothing in it tells
            what wrappers of your own made of them (Tianshou's VectorEnvNormObs does not take masks).
        game: the game; it is not touched. It need not have as many agents as the one trained in.
        n_steps: how long to play, several times over, to see what agents observe.
        seed: of all random draws.

    Raises:
        ConfigError: when there is neither one policy nor one for each type, and for one without action
            values, whose draws would be taken for all that it does.
        ValueError: when there is no such table, see :func:`training.integrations.distillation.tabulate`.
    """
    return tabulate(network_of("policy", policy, game, _greedy), game, n_steps=n_steps, seed=seed)


def _greedy(
    policy: DiscreteQLearningPolicy, observations: NDArray[np.float32], legal: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """1 for what a policy does without exploration."""
    if not isinstance(policy, DiscreteQLearningPolicy):
        raise refusal(
            "policy", type(policy).__name__, "a policy with action values, a DiscreteQLearningPolicy"
        )
    with torch.no_grad():
        actions = policy(Batch(obs=Batch(obs=observations, mask=legal), info=None)).act
    return np.asarray(np.eye(legal.shape[1])[actions])


def train(game: PopulationGame, budget: int, seed: int) -> Trained:
    """DQN of Tianshou, one learner among others who play what it was; at most 10^5 transitions.

    Training goes in 40 stages (fewer where a stage would have less than 25 steps of the environments). In
    each one agent of a type, in turn for every type, plays four games whose other agents play the mean of
    the tables of the later half of the stages so far (at first, the random policy): fictitious play, as best
    responses to the last table alone go in circles. The mean at the end is the policy. All agents of a game
    act, so that a learner's transition costs as many agent-steps as there are agents.

    Two layers of 64; rewards times 1 - gamma; gamma the game's; all transitions kept; batches of 256; two
    updates for every step of the four games; double Q-learning, target network every 25 updates; learning
    rate from 2e-3 to 0; epsilon 0.2.

    Raises:
        ConfigError: for a game without tables; for a budget of less than a step of the environments for every
            type.
    """
    game = as_finite(game)
    n_types = len(game.discounts)
    cost = game.n_agents * _ENVS * n_types
    n_steps = min(budget // cost, _MOST_TRANSITIONS // (_ENVS * n_types))
    if n_steps < 1:
        raise refusal("budget", budget, f"at least {cost}: a step in {_ENVS} games for every type")
    prepare_torch(seed)
    stages = max(1, min(_STAGES, n_steps // _LEAST_STEPS))
    learners = [_Learner(game, number, seed, n_steps) for number in range(n_types)]
    random = np.broadcast_to(baselines.random(game), (n_types, *game.legal_actions.shape))
    tables = [random]
    for stage in range(stages):
        played = _mean(tables, game)
        now = n_steps * (stage + 1) // stages - n_steps * stage // stages
        for learner in learners:
            learner.learn(now, played)
        distilled = distil([learner.policy for learner in learners], game, n_steps=200, seed=seed)
        tables.append(np.asarray(distilled.policy.probabilities))
    return Trained(_mean(tables, game), n_steps * cost)


def _mean(tables: list[NDArray[np.float64]], game: FiniteGame) -> TabularPolicy:
    """The mean of the later half, with a row for every type."""
    return TabularPolicy(np.mean(tables[len(tables) // 2 :], axis=0), game.type_of_agent)


class _Learner:
    """DQN as an agent of a type."""

    def __init__(self, game: FiniteGame, number: int, seed: int, n_steps: int) -> None:
        discount = float(game.discounts[number])
        agent = int(np.flatnonzero(game.type_of_agent == number)[0])
        self._env = partial(learner_env, game, learner=agent)
        self._scale = 1 - discount  # returns are near -1 then
        self._seeds = np.random.SeedSequence([seed, number])
        space = self._env().action_space
        self.policy = DiscreteQLearningPolicy(
            model=Net(
                state_shape=game.observation_space.shape,
                action_shape=game.n_actions,
                hidden_sizes=_LAYERS,
            ),
            action_space=space,
            eps_training=_EPSILON,
        )
        falling = LRSchedulerFactoryLinear(
            max_epochs=1, epoch_num_steps=n_steps * _UPDATES, collection_step_num_env_steps=1
        )
        self._algorithm = DQN(
            policy=self.policy,
            optim=AdamOptimizerFactory(lr=_RATE).with_lr_scheduler_factory(falling),
            gamma=discount,
            target_update_freq=_TARGET,
        )
        self._buffer = VectorReplayBuffer(_MOST_TRANSITIONS, _ENVS, random_seed=self._draw())

    def learn(self, n_steps: int, population: TabularPolicy) -> None:
        """Play and learn among others who play ``population``."""
        envs = DummyVectorEnv([lambda: self._scaled(population)] * _ENVS)
        collector = Collector(self.policy, envs, self._buffer, exploration_noise=True)
        envs.seed(self._draw())
        collector.reset(reset_buffer=False)
        with policy_within_training_step(self.policy):
            for _ in range(n_steps):
                collector.collect(n_step=_ENVS)
                for _ in range(_UPDATES):
                    self._algorithm.update(self._buffer, _BATCH)
        envs.close()

    def _scaled(self, population: TabularPolicy) -> gymnasium.Env[Any, Any]:
        return TransformReward(self._env(population=population), lambda reward: self._scale * float(reward))

    def _draw(self) -> int:
        """A seed, another one each time."""
        return int(self._seeds.spawn(1)[0].generate_state(1)[0])
