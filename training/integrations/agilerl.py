"""AgileRL: populations as its vector environments, its IPPO as a policy of all agents.

IPPO trains one network for all agents (parameters are shared), each a sub-environment of one "player"::

    env = PopulationVecEnv("matching", n_agents=100, max_cycles=10**9)
    space = env.single_observation_space, env.single_action_space
    agent = IPPO({PLAYER: space[0](PLAYER)}, {PLAYER: space[1](PLAYER)}, gamma=0.98)
    ...  # agent.get_action(observations), env.step, agent.learn(experiences), as in train
    policy_of(agent, env.game)  # for games, evaluators and figures: a TabularPolicy where a game has tables

MADDPG and MATD3 train an actor for each agent, with masks, from environments in processes of their own::

    with closing(async_vec_env("matching", copies=2, n_agents=4)) as env:
        names = env.possible_agents
        agent = MADDPG([env.single_observation_space(name) for name in names],
                       [env.single_action_space(name) for name in names], names, vect_noise_dim=2)

What to know of IPPO in AgileRL 2.58, which is why it is fed in this way:

- Agents whose names differ only in the number share a network, but in learning their observations and
  actions are in the order agent, time, and their advantages in the order time, agent: they do not belong to
  each other. With a single name there is one order.
- It cannot take masks from vector environments (``None in masks`` of arrays), and does not use them when it
  learns. So it is not given any, and illegal actions are played as in all views, as the highest legal ones
  below them.
- Where observations or actions are a box of one dimension it does not learn: it drops the dimension, fails
  for observations, and takes each action together with the distributions of all others. Two will do, of
  which one says or does nothing.
- It takes the horizon for the end of the game. So of a game without an end the horizon is to be long.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from karma_envs.actions import as_actions
from karma_envs.config import refusal, whole
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.population import CopiedWhole, SomeGame
from karma_envs.views.vector import PopulationVectorEnv
from training.benchmark.algorithms import Trained
from training.common.trainers import Trainer
from training.integrations.acting import ActingPolicy
from training.integrations.budget import prepare_torch, spend
from training.integrations.distillation import Distilled, as_played, tabulate

with warnings.catch_warnings():  # as it warns of a class of its own, which is not used here
    warnings.filterwarnings("ignore", "MakeEvolvable will be deprecated", DeprecationWarning)
    from agilerl.algorithms import IPPO
    from agilerl.vector import AsyncPettingZooVecEnv, PettingZooVecEnv

TRAINER = Trainer(
    title="AgileRL",
    extra="agilerl",
    packages=("agilerl", "torch"),
    constraints="constraints/agilerl.txt",
    example="16_agilerl",
    algorithms={"agilerl-ippo": "agilerl:train"},
    learns="IPPO, MADDPG, MATD3",
    legal_actions="not IPPO",
    continuous="IPPO, of two or more numbers",
    types="one (IPPO)",
)

PLAYER = "player"
"""The name of all agents together."""

Arrays = dict[str, NDArray[Any]]

_MINIBATCHES, _EPOCHS = 4, 10
_RATE, _LAMBDA, _ENTROPY = 1e-3, 0.9, 0.03
_NETWORK = {"latent_dim": 64, "encoder_config": {"hidden_size": [64]}, "head_config": {"hidden_size": [64]}}


class PopulationVecEnv(CopiedWhole, PettingZooVecEnv):  # type: ignore[misc]
    """A game's population, or several side by side, as sub-environments of one player, in this process.

    At the end of a game, and at the horizon of one without, all its agents are terminated, or truncated, at
    once, and the next episode begins in the same step: as in all vector environments of AgileRL, the
    observations are then those after the reset.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.
        copies: how many independent populations, one after the other in the arrays; a copy is seeded with
            the seed and its number.
        **kwargs: the arguments of all views, see :class:`karma_envs.views.population.PopulationView`;
            observations are always flat.

    Attributes:
        game: the first population's game.

    Raises:
        ConfigError: for an argument that is not allowed.
    """

    def __init__(self, game: SomeGame, *, copies: int = 1, **kwargs: Any) -> None:
        if kwargs.get("observation", "flat") != "flat":
            raise refusal("observation", kwargs["observation"], "flat; IPPO takes no masks")
        self._copies = [PopulationVectorEnv(game, **kwargs) for _ in range(whole("copies", copies, 1))]
        first = self._copies[0]
        self.game = first.game
        super().__init__(
            len(self._copies) * self.game.n_agents,
            {PLAYER: first.single_observation_space},
            {PLAYER: first.single_action_space},
            [PLAYER],
            metadata=first.metadata,
            render_mode=first.render_mode,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Arrays, dict[str, dict[str, Any]]]:
        """Begin an episode in every copy.

        Returns:
            observations ``float32[num_envs, d]`` and empty infos, by player.
        """
        rows = [
            np.asarray(copy.reset(seed=None if seed is None else seed + number)[0])
            for number, copy in enumerate(self._copies)
        ]
        return {PLAYER: np.concatenate(rows)}, {PLAYER: {}}

    def step(
        self, actions: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[Arrays, Arrays, Arrays, Arrays, dict[str, dict[str, Any]]]:
        """One step of all populations, with the player's ``[num_envs, ...]``.

        Returns:
            observations ``float32[num_envs, d]``, rewards ``float64[num_envs]``, terminations and
            truncations ``bool[num_envs]`` and empty infos, by player; new arrays.

        Raises:
            IllegalActionError: when they are not that many actions; if strict, for an illegal one.
        """
        chosen = np.split(
            as_actions(actions[PLAYER], self.num_envs, self.game.action_space), len(self._copies)
        )
        for copy, here in zip(self._copies, chosen):  # all, before the first one steps
            copy.check_actions(here, slice(None))
        columns = []
        for copy, here in zip(self._copies, chosen):
            rows, earned, terminated, truncated, _ = copy.step(here)
            if terminated[0] or truncated[0]:  # all agents' episodes end at once
                rows, _ = copy.reset()
            columns.append((np.asarray(rows), earned, terminated, truncated))
        observations, rewards, terminations, truncations = (
            {PLAYER: np.concatenate(column)} for column in zip(*columns)
        )
        return observations, rewards, terminations, truncations, {PLAYER: {}}

    def render(self) -> tuple[Any, ...]:
        """A picture of each copy; None if there are none."""
        pictures = [copy.render() for copy in self._copies]
        return tuple(None if picture is None else picture[0] for picture in pictures)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the windows."""
        for copy in self._copies:
            copy.close()


def async_vec_env(game: SomeGame, *, copies: int = 2, **kwargs: Any) -> AsyncPettingZooVecEnv:
    """AgileRL's own vector environment, of our parallel one: agents by name, masks in their infos.

    Each copy is a process, which ends with the environment's ``close``.

    Args:
        game: see :class:`karma_envs.views.population.PopulationView`.
        copies: how many independent populations.
        **kwargs: the arguments of all views; observations are always flat.

    Raises:
        ConfigError: for an argument that is not allowed.
    """
    if kwargs.get("observation", "flat") != "flat":
        raise refusal("observation", kwargs["observation"], "flat; AgileRL reads masks from infos")
    make = partial(PopulationParallelEnv, game, **kwargs)
    return AsyncPettingZooVecEnv([make] * whole("copies", copies, 1))


def distil(agent: IPPO, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Distilled:
    """A network's policy as a table, which games play and evaluators take: ``distil(agent, game).policy``.

    Args:
        agent: with one network for all agents; not in AgileRL's wrappers such as RSNorm, which change what it
            sees.
        game: the game; it is not touched. It need not have as many agents as the one trained in.
        n_steps: how long to play, several times over, to see what agents observe.
        seed: of all random draws.

    Raises:
        ConfigError: for an agent with several networks, and for one in a wrapper.
        ValueError: when there is no such table, see :func:`training.integrations.distillation.tabulate`.
    """
    _check(agent)
    actor = agent.actors[PLAYER]

    def network(
        observations: NDArray[np.float32], legal: NDArray[np.bool_], types: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        n, n_actions = legal.shape
        with torch.no_grad():
            actor(agent.preprocess_observation({PLAYER: observations})[PLAYER])
            logs = [actor.action_log_prob(torch.full((n,), action)) for action in range(n_actions)]
        chosen = torch.stack(logs, 1).cpu().numpy().astype(np.float64)
        return as_played(np.exp(chosen), legal)

    return tabulate(network, game, n_steps=n_steps, seed=seed)


def policy_of(agent: IPPO, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Any:
    """An agent as the policy of a game: a table where it has tables, see :func:`distil`, else as it acts.

    Args:
        agent: as in :func:`distil`.
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
        return distil(agent, game, n_steps=n_steps, seed=seed).policy
    _check(agent)
    return ActingPolicy([agent] * len(game.discounts), game, _actions)


def _check(agent: Any) -> None:
    """Refuse what does not have one network for all, and wrappers, which only look as if they had."""
    if not isinstance(agent, IPPO):
        raise refusal("agent", type(agent).__name__, "IPPO, not in a wrapper that changes what it sees")
    if list(agent.actors) != [PLAYER]:
        raise refusal("agent", f"one with networks {', '.join(agent.actors)}", f"one with network {PLAYER}")


def _actions(agent: IPPO, observations: NDArray[np.float32]) -> NDArray[Any]:
    """What an agent does in n observations ``float32[n, d]``, drawn as in training."""
    actions, *_ = agent.get_action({PLAYER: observations})
    return np.asarray(actions[PLAYER])


def train(game: PopulationGame, budget: int, seed: int) -> Trained:
    """IPPO of AgileRL, a network for all agents; at most 10^7 agent-steps, as it is slow.

    Two layers of 64 and 64 features between them; rewards times 1 - gamma; gamma the game's; lambda 0.9;
    3200 samples, or 32 steps if those are more, before each update, fewer if there were less than 30 updates;
    10 epochs of four minibatches; learning rate from 1e-3 to 0; entropy coefficient 0.03; one episode.

    Raises:
        ConfigError: for a game with several types, which have discount factors of their own, and for a
            budget of less than a step; for a game without tables.
    """
    game = as_finite(game)
    if (n_types := len(game.discounts)) > 1:
        raise refusal("game", f"{game.name} with {n_types} types", "a game with one type of agents")
    steps, updates = spend(game, budget)
    prepare_torch(seed)
    env = PopulationVecEnv(game, max_cycles=sys.maxsize)
    discount = float(game.discounts[0])
    agent = IPPO(
        {PLAYER: env.single_observation_space(PLAYER)},
        {PLAYER: env.single_action_space(PLAYER)},
        net_config=_NETWORK,
        batch_size=-(-steps * env.num_envs // _MINIBATCHES),
        lr=_RATE,
        gamma=discount,
        gae_lambda=_LAMBDA,
        ent_coef=_ENTROPY,
        update_epochs=_EPOCHS,
    )
    observations, _ = env.reset(seed=seed)
    begins = np.zeros(env.num_envs)
    for update in range(updates):
        for optimiser in (agent.actor_optimizers[PLAYER], agent.critic_optimizers[PLAYER]):
            for group in optimiser.param_groups:
                group["lr"] = _RATE * (1 - update / updates)
        observations, begins = learn_on(agent, env, observations, begins, steps, 1 - discount)
    return Trained(distil(agent, game, seed=seed).policy, updates * steps * env.num_envs)


def learn_on(
    agent: IPPO,
    env: PopulationVecEnv,
    observations: Arrays,
    begins: NDArray[Any],
    steps: int,
    scale: float,
) -> tuple[Arrays, NDArray[Any]]:
    """An update after ``steps`` steps.

    Args:
        agent: who learns.
        env: where it plays.
        observations: before the first step.
        begins: ``[num_envs]``, in which of them a game began after the end of another.
        steps: of all agents.
        scale: of rewards.

    Returns:
        the observations after the steps, and which of them begin a game.
    """
    rows: list[tuple[Arrays, ...]] = []
    for _ in range(steps):
        actions, logs, _, values = agent.get_action(observations)
        following, rewards, terminations, _, _ = env.step(actions)
        scaled = {PLAYER: scale * rewards[PLAYER]}
        rows.append((observations, actions, logs, scaled, {PLAYER: begins}, values))
        observations, begins = following, terminations[PLAYER].astype(np.float64)
    columns = [{PLAYER: [each[PLAYER] for each in column]} for column in zip(*rows)]
    agent.learn((*columns, observations, {PLAYER: begins}))
    return observations, begins
