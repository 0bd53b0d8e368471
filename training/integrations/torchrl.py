"""TorchRL: populations as its environments, its actors as policies, and a PPO made of its pieces.

Agents of one type are a group, whose tensors are stacked; one actor is the policy of all of them::

    env = torchrl_env("matching", n_agents=100)
    actor = masked_actor(env.game, "player")
    for batch in Collector(env, actor, frames_per_batch=32, total_frames=3200):
        ...  # batch["player", "observation"] is [32, 100, 2]
    policy_of({"player": actor}, env.game)  # a TabularPolicy, for games, evaluators and figures
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import (
    ProbabilisticTensorDictModule,
    TensorDictModule,
    TensorDictModuleBase,
    TensorDictSequential,
)
from torchrl.envs import Compose, ExplorationType, RewardScaling, TransformedEnv, set_exploration_type
from torchrl.envs.libs.pettingzoo import PettingZooWrapper
from torchrl.modules import MLP, MaskedCategorical, ProbabilisticActor
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from karma_envs.config import refusal
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.population import SomeGame
from training.benchmark.algorithms import Trained
from training.common.trainers import Trainer
from training.integrations.acting import ActingPolicy
from training.integrations.budget import prepare_torch, spend
from training.integrations.distillation import Distilled, tabulate

with warnings.catch_warnings():  # it deprecates a class that it derives others from
    warnings.filterwarnings("ignore", "Creating .*WeightUpdater", DeprecationWarning)
    from torchrl.collectors import Collector

TRAINER = Trainer(
    title="TorchRL",
    extra="torchrl",
    packages=("torchrl", "tensordict", "torch"),
    constraints="constraints/torchrl.txt",
    example="13_torchrl",
    algorithms={"torchrl-ippo": "torchrl:train"},
    learns="PPO",
    legal_actions="yes",
    continuous="yes",
    types="an actor each",
)

_EPOCHS, _BATCH = 10, 800
_RATE, _LAMBDA, _ENTROPY, _CRITIC, _CLIP, _LARGEST_GRADIENT = 1e-3, 0.9, 0.03, 0.5, 0.2, 0.5


class _Population(PettingZooWrapper):  # type: ignore[misc]
    """TorchRL's wrapper takes agents whose episode was cut for absent, and all actions for legal then.

    But learners bootstrap from their last observation, and must know what is legal in it.
    """

    @property
    def agents(self) -> list[str]:
        return list(self._env.possible_agents)


def torchrl_env(
    game: SomeGame,
    *,
    return_state: bool = False,
    group_map: Any = None,
    seed: int | None = None,
    device: Any = None,
    **kwargs: Any,
) -> PettingZooWrapper:
    """A game's population as an environment of TorchRL, by way of PettingZoo.

    By group there are ``observation`` ``float32[n, d]``, ``action_mask`` ``bool[n, actions]``, ``action``
    ``int64[n]`` (not one-hot), ``reward`` ``float32[n, 1]``; random actions are legal. Where actions are not
    numbered they are ``float32[n, k]``, and there is no mask. At the horizon all are truncated at once; in a
    game with an end all are terminated. With a seed, given here or to ``env.set_seed``, it plays what
    :class:`karma_envs.views.parallel.PopulationParallelEnv` plays after a reset with that seed and another
    without.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.
        return_state: whether there is ``state`` ``float32[N * d]``, all agents' observations in a row.
        group_map: as PettingZooWrapper takes it; None for a group per type, see :func:`group_of_type`.
        seed: makes the random generator; None for any.
        device: where tensors are, as PettingZooWrapper takes it.
        **kwargs: the arguments of all views, see :class:`karma_envs.views.population.PopulationView`;
            observations are always flat, as the masks have a place of their own.

    Raises:
        ConfigError: for an argument that is not allowed.
    """
    if kwargs.get("observation", "flat") != "flat":
        raise refusal("observation", kwargs["observation"], "flat; masks are in (group, 'action_mask')")
    agents = PopulationParallelEnv(game, **kwargs)
    if group_map is None:
        names, types = np.array(agents.possible_agents), agents.game.type_of_agent
        group_map = {
            group: names[types == number].tolist() for number, group in enumerate(group_of_type(agents.game))
        }
    with warnings.catch_warnings():  # it was tested with PettingZoo 1.24.3 there, and with newer ones here
        warnings.filterwarnings("ignore", "PettingZoo in TorchRL is tested", UserWarning)
        return _Population(
            agents,
            return_state=return_state,
            group_map=group_map,
            categorical_actions=True,
            seed=seed,
            device=device,
        )


def group_of_type(game: PopulationGame) -> list[str]:
    """The group of each type: ``player`` if there is only one, else ``type_0``, ``type_1`` …"""
    n_types = len(game.discounts)
    return ["player"] if n_types == 1 else [f"type_{number}" for number in range(n_types)]


def masked_actor(game: FiniteGame, group: str) -> ProbabilisticActor:
    """A new policy for all agents of a group, two layers of 64 that know which actions are legal."""
    network = TensorDictModule(_network(game, game.n_actions), [(group, "observation")], [(group, "logits")])
    return ProbabilisticActor(
        network,
        in_keys={"logits": (group, "logits"), "mask": (group, "action_mask")},
        out_keys=[(group, "action")],
        distribution_class=MaskedCategorical,
        return_log_prob=True,
        log_prob_key=(group, "action_log_prob"),
    )


def action_probabilities(
    actor: TensorDictModuleBase,
    group: str,
    observations: NDArray[np.float32],
    legal: NDArray[np.bool_],
    n_agents: int,
) -> NDArray[np.float64]:
    """What an actor does: the distribution it has, or its greedy action.

    Args:
        actor: what reads a group's ``observation`` and ``action_mask``; shared by all agents, so that what
            one does does not depend on who it is, nor on what the others see. What transforms of the
            environment such as ObservationNorm made of observations is no part of it.
        group: the group.
        observations: ``float32[n, d]``.
        legal: ``bool[n, actions]``.
        n_agents: of the group, on which the network's shapes may depend.

    Returns:
        ``float64[n, actions]``: rows sum to 1.

    Raises:
        ConfigError: for an actor that draws its action and does not tell from what.
    """
    draws = any(isinstance(part, ProbabilisticTensorDictModule) for part in actor.modules())
    if draws and not hasattr(actor, "get_dist"):
        allowed = "an actor with get_dist, such as a ProbabilisticTensorDictSequential"
        raise refusal("actor", type(actor).__name__, allowed)
    n = len(observations)
    rows = np.resize(np.arange(n), (-(-n // n_agents), n_agents))  # the last agents see the first rows again
    seen = TensorDict(
        {
            (group, "observation"): torch.as_tensor(observations[rows]),
            (group, "action_mask"): torch.as_tensor(legal[rows]),
        },
        batch_size=len(rows),
    )
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        if hasattr(actor, "get_dist"):
            chosen = actor.get_dist(seen).probs
        else:
            chosen = torch.nn.functional.one_hot(actor(seen)[group, "action"], legal.shape[1])
    odds = chosen.double().cpu().numpy().reshape(-1, legal.shape[1])[:n]
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def distil(
    actors: Mapping[str, TensorDictModuleBase], game: PopulationGame, *, n_steps: int = 1000, seed: int = 0
) -> Distilled:
    """Actors' policies as a table, which games play and evaluators take: ``distil(actors, game).policy``.

    Args:
        actors: by group (see :func:`group_of_type`), what :func:`action_probabilities` takes. They must have
            seen the game's own observations.
        game: the game; it is not touched.
        n_steps: how long to play, several times over, to see what agents observe.
        seed: of all random draws.

    Raises:
        ConfigError: when there is not an actor for each group, and for one that draws its action and does not
            tell from what.
        ValueError: when there is no such table, see :func:`training.integrations.distillation.tabulate`.
    """
    groups, n_agents = _groups_of(actors, game), np.bincount(game.type_of_agent)

    def network(
        observations: NDArray[np.float32], legal: NDArray[np.bool_], types: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        chosen = np.zeros(legal.shape)
        for number, group in enumerate(groups):
            if (members := types == number).any():
                chosen[members] = action_probabilities(
                    actors[group], group, observations[members], legal[members], n_agents[number]
                )
        return chosen

    return tabulate(network, game, n_steps=n_steps, seed=seed)


def policy_of(
    actors: Mapping[str, TensorDictModuleBase], game: PopulationGame, *, n_steps: int = 1000, seed: int = 0
) -> Any:
    """Actors as the policy of a game: a table where it has tables, see :func:`distil`, else as they act.

    Args:
        actors: as in :func:`distil`; where actions are not numbered what reads a group's ``observation`` and
            writes its ``action``, which is drawn if it can be.
        game: the game; it is not touched.
        n_steps: for :func:`distil`.
        seed: for :func:`distil`.

    Returns:
        what ``game.rollout`` takes.

    Raises:
        ConfigError: as in :func:`distil`.
        ValueError: as in :func:`distil`.
    """
    if isinstance(game, FiniteGame):
        return distil(actors, game, n_steps=n_steps, seed=seed).policy
    return ActingPolicy([(group, actors[group]) for group in _groups_of(actors, game)], game, _actions)


def _groups_of(actors: Mapping[str, Any], game: PopulationGame) -> list[str]:
    """The game's groups, if there is an actor for each."""
    groups = group_of_type(game)
    if sorted(actors) != sorted(groups):
        raise refusal("actors", sorted(actors), f"one for each of the groups {', '.join(groups)}")
    return groups


def _actions(model: tuple[str, TensorDictModuleBase], observations: NDArray[np.float32]) -> NDArray[Any]:
    """What a group's actor does in the n observations ``float32[n, d]`` of the group."""
    group, actor = model
    seen = TensorDict({(group, "observation"): torch.as_tensor(observations)[None]}, batch_size=1)
    with torch.no_grad(), set_exploration_type(ExplorationType.RANDOM):
        return np.asarray(actor(seen)[group, "action"][0].cpu().numpy())


def train(game: PopulationGame, budget: int, seed: int) -> Trained:
    """PPO of TorchRL, a masked network per type, all types at once; at most 10^7 agent-steps, as it is slow.

    Two layers of 64 for actor and critic each; gamma the game's, rewards times 1 - gamma; lambda 0.9; 3200
    samples, or 32 steps if those are more, before each update, fewer if there were less than 30 updates; 10
    epochs of minibatches of 800 at most; Adam, learning rate from 1e-3 to 0; clipping at 0.2, gradients at
    0.5; entropy coefficient 0.03, value coefficient 0.5.

    Raises:
        ConfigError: for a game without tables; when the budget is less than a step.
    """
    game = as_finite(game)
    steps, updates = spend(game, budget)
    prepare_torch(seed)
    learners = [
        _PPO(game, group, float(discount), updates)
        for group, discount in zip(group_of_type(game), game.discounts)
    ]
    scaled = Compose(*(learner.reward_scaling for learner in learners))
    env = TransformedEnv(torchrl_env(game, seed=seed), scaled)
    actors = TensorDictSequential(*(learner.actor for learner in learners))
    with warnings.catch_warnings():
        # 0.14 would have environments track beginnings, which only actors with memory need; 0.11, which
        # BenchMARL needs, calls torch by a deprecated argument
        warnings.filterwarnings("ignore", "The env passed to Collector is missing", FutureWarning)
        warnings.filterwarnings("ignore", "size_average and reduce args", UserWarning)
        collector = Collector(env, actors, frames_per_batch=steps, total_frames=updates * steps)
        for batch in collector:
            for learner in learners:
                learner.update(batch)
        collector.shutdown()
    distilled = distil({learner.group: learner.actor for learner in learners}, game, seed=seed)
    return Trained(distilled.policy, updates * steps * game.n_agents)


class _PPO:
    """The learner of one group."""

    def __init__(self, game: FiniteGame, group: str, discount: float, updates: int) -> None:
        value, reward = (group, "state_value"), (group, "reward")
        estimates = {
            "advantage": (group, "advantage"),
            "value_target": (group, "value_target"),
            "value": value,
        }
        ends = {"done": (group, "done"), "terminated": (group, "terminated")}
        self.group = group
        self.reward_scaling = RewardScaling(0, 1 - discount, in_keys=[reward])  # returns are of order 1 then
        self.actor = masked_actor(game, group)
        critic = TensorDictModule(_network(game, 1), [(group, "observation")], [value])
        self._advantages = GAE(gamma=discount, lmbda=_LAMBDA, value_network=critic)
        self._advantages.set_keys(reward=reward, **ends, **estimates)
        self._loss = ClipPPOLoss(
            self.actor, critic, clip_epsilon=_CLIP, entropy_coeff=_ENTROPY, critic_coeff=_CRITIC,
            loss_critic_type="l2", normalize_advantage=True, functional=False,
        )  # fmt: skip
        self._loss.set_keys(
            action=(group, "action"), sample_log_prob=(group, "action_log_prob"), **ends, **estimates
        )
        self._optimiser = torch.optim.Adam(self._loss.parameters(), _RATE)
        self._rate = torch.optim.lr_scheduler.LinearLR(self._optimiser, 1, 0, updates)

    def update(self, batch: TensorDictBase) -> None:
        """Learn from the steps ``batch`` ``[steps]`` of all groups, of which it reads its own."""
        batch = batch.select(self.group, ("next", self.group))
        self._advantages(batch)
        samples = batch[self.group].flatten()  # each agent's steps are samples of their own
        samples = TensorDict({self.group: samples}, batch_size=samples.batch_size)
        for _ in range(_EPOCHS):
            for rows in torch.randperm(len(samples)).split(_BATCH):
                losses = self._loss(samples[rows])
                self._optimiser.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]).backward()
                torch.nn.utils.clip_grad_norm_(self._loss.parameters(), _LARGEST_GRADIENT)
                self._optimiser.step()
        self._rate.step()


def _network(game: PopulationGame, n_outputs: int) -> MLP:
    n_features = game.observation_space.shape[0]
    return MLP(n_features, n_outputs, num_cells=[64, 64], activation_class=torch.nn.Tanh)
