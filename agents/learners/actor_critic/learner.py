"""The actor–critic learner: a Gaussian actor and a critic, in PyTorch, learned from what all agents do."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.learners.actor_critic.advantages import advantages
from agents.learners.actor_critic.config import ActorCriticConfig
from agents.learners.actor_critic.network import Network
from agents.policies.gaussian import GaussianPolicy, Layer
from karma_envs.actions import action_limits
from karma_envs.config import refusal
from karma_envs.game import PopulationGame
from karma_envs.states import LARGEST_COUNT, Allowed, check_arrays, check_values
from karma_envs.transitions import Transitions

_PILOT_STEPS = 100
_LARGEST = float(np.finfo(np.float32).max)
_LAST_SCALE = 0.01
"""Of the networks' last layers, so that means and values begin near 0 whatever is observed."""


class ActorCriticLearner:
    """One Gaussian policy for all agents, learned from all of them with a critic that learns by TD.

    At the end of an epoch the critic does some steps towards its TD(lambda) targets, and the actor one up the
    gradient of advantages weighted by log probabilities. Actions are clipped to the action space, so the
    gradient is that of a clipped Gaussian, whose mass beyond a bound sits on it.

    Source: D. Mguni, J. Jennings, E. Munoz de Cote, Decentralised learning in systems with many, many
    strategic agents, AAAI 2018, Experiments and Supplementary Material; the gradient of clipped actions
    after Y. Fujita, S. Maeda, Clipped action policy gradient, ICML 2018.

    Differences from the source: all agents share the networks; targets are TD(lambda), advantages are
    standardised, the critic does several steps per step of the actor, observations and values are
    standardised by what a short pilot rollout shows, and there are two hidden layers of tanh, for which the
    source says "two-layer".

    Args:
        game: the game to learn, as the kind's ``prepare`` gives it; a fresh one is played for the pilot.
        config: the configuration; the defaults if None.
        rng: draws the first weights and the pilot.

    Raises:
        ConfigError: for a game that has no boxes or several types, or a device that is not there.

    Attributes:
        policy: what all agents play; a new one at the end of each epoch.
        policy_change: ``float64[1]``, how far the last epoch moved the policy: the total variation distance
            of its actions, mean over what was observed.
    """

    def __init__(
        self,
        game: PopulationGame,
        config: ActorCriticConfig | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.config = config or ActorCriticConfig()
        rng = rng or np.random.default_rng()
        self._device = _device(self.config.device)
        self._n_agents, self._discount = game.n_agents, float(game.discounts[0])
        self._d, self._k = (
            math.prod(space.shape or ()) for space in (game.observation_space, game.action_space)
        )
        low, high = (np.ravel(bound) for bound in action_limits(game.action_space))
        self._low, self._high = self._tensor(low), self._tensor(high)
        bounded = np.isfinite(low) & np.isfinite(high)
        middle = np.zeros(self._k, np.float32)
        middle[bounded] = (low[bounded] + high[bounded]) / 2
        self._middle = self._tensor(middle)

        hidden = [self.config.hidden_units] * 2
        self._actor, self._critic = (
            Network([self._d, *hidden, outputs], rng, last_scale=_LAST_SCALE, device=self._device)
            for outputs in (self._k, 1)
        )
        self._scales = {
            "observation_mean": np.zeros(self._d, np.float32),
            "observation_spread": np.ones(self._d, np.float32),
            "value_mean": np.zeros(1, np.float32),
            "value_spread": np.ones(1, np.float32),
        }
        self.policy = self._policy(0.0)
        self._scales = self._pilot(game.fresh(), rng)
        self.policy = self._policy(0.0)
        self.policy_change = np.zeros(1)
        self._epoch: list[Transitions] = []

    def update(
        self, played: Transitions, *, progress: float = 0.0, end_of_epoch: bool = True
    ) -> GaussianPolicy:
        """Keep transitions that were played with the current policy; learn from them at the epoch's end.

        Args:
            played: the next stretch of play of the game.
            progress: share of the run that is done, in [0, 1], for schedules.
            end_of_epoch: whether to learn, and to change the policy, now.

        Returns:
            the policy to play next.

        Raises:
            ValueError: when the arrays' shapes or dtypes are not those of the game's transitions.
        """
        played.check(self._n_agents, (np.float32, (self._d,)), (np.float32, (self._k,)))
        self._epoch.append(played.of_agents(np.arange(self._n_agents)))  # a copy: its room is written again
        if end_of_epoch:
            with _one_thread():
                self._learn(progress)
        return self.policy

    def _learn(self, progress: float) -> None:
        """Learn from the epoch, and make the policy that is played next."""
        epoch, self._epoch = self._epoch, []
        observed = self._tensor(np.concatenate([part.observations for part in epoch]))
        # of each part's T + 1 observations the first T come before a step and the last T after one
        before = np.concatenate([np.arange(len(part) + 1) < len(part) for part in epoch])
        after = np.concatenate([np.arange(len(part) + 1) > 0 for part in epoch])
        seen = observed[torch.from_numpy(before)]
        actions = self._tensor(np.concatenate([part.actions for part in epoch]))
        rewards = np.concatenate([part.rewards for part in epoch])
        goes_on = np.concatenate([np.arange(len(part)) < len(part) - part.ended for part in epoch])

        with torch.no_grad():
            every_value = self._value(observed).cpu().numpy()
        values, next_values = every_value[before], every_value[after]
        gains = advantages(rewards, values, next_values, goes_on, self._discount, self.config.trace_decay)
        targets = self._tensor(gains + values)
        left = self.config.rate_left(progress)
        spread = float(self._scales["value_spread"][0])
        for _ in range(self.config.critic_steps):
            errors = (self._value(seen) - targets) / spread
            self._critic.descend((errors**2).mean(), left * self.config.critic_learning_rate)

        if self.config.standardise_advantages:
            gains = (gains - gains.mean()) / (gains.std() + np.float32(1e-8))
        spread_of_actions = float(np.sqrt(self.policy.variance[0]))
        log_probability = self._log_probability(self._mean(seen), actions, spread_of_actions)
        loss = -(self._tensor(gains) * log_probability).mean()
        self._actor.descend(loss, left * self.config.actor_learning_rate)

        played, self.policy = self.policy, self._policy(progress)
        self.policy_change[0] = _distance(played, self.policy, epoch[0].observations[0])

    def _log_probability(self, means: torch.Tensor, actions: torch.Tensor, spread: float) -> torch.Tensor:
        """Log density of actions within bounds, log mass of those at a bound; up to a constant.

        Args:
            means: ``[T, N, k]``.
            actions: ``[T, N, k]``, as they were played.
            spread: standard deviation of the Gaussian.
        """
        at_low, at_high = actions <= self._low, actions >= self._high
        distance = (actions - means) / spread
        # Mass beyond a bound b is Phi(±(b - mean) / spread); where there is no bound nearby the argument is
        # replaced by 0, since a gradient through a branch that is not taken must be finite.
        beyond = torch.where(at_low, distance, torch.where(at_high, -distance, torch.zeros_like(distance)))
        mass = torch.special.log_ndtr(beyond)
        return torch.where(at_low | at_high, mass, -0.5 * distance**2).sum(dim=-1)

    def _mean(self, observations: torch.Tensor) -> torch.Tensor:
        """``[..., k]``: means of actions before they are clipped."""
        return self._actor(self._standardised(observations)) + self._middle

    def _value(self, observations: torch.Tensor) -> torch.Tensor:
        """``[...]``: what the critic expects from observations ``[..., d]``."""
        values = self._critic(self._standardised(observations))[..., 0]
        return values * float(self._scales["value_spread"][0]) + float(self._scales["value_mean"][0])

    def _standardised(self, observations: torch.Tensor) -> torch.Tensor:
        mean, spread = (self._tensor(self._scales[f"observation_{name}"]) for name in ("mean", "spread"))
        return (observations - mean) / spread

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, np.float32), device=self._device)

    def _policy(self, progress: float) -> GaussianPolicy:
        """The actor in NumPy, with the standardisation of observations within its first layer."""
        (weights, biases), *hidden, (last_weights, last_biases) = self._actor.layers()
        scaled = weights / self._scales["observation_spread"][:, None]
        first: Layer = scaled, biases - self._scales["observation_mean"] @ scaled
        last: Layer = last_weights, last_biases + self._middle.cpu().numpy()
        return GaussianPolicy([first, *hidden, last], self.config.variance(progress))

    def _pilot(self, game: PopulationGame, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Means and spreads of observations and of values, as a rollout of the first policy shows them.

        They change how fast is learned, not what: any affine scale of observations and values would do.
        """
        game.reset(rng)
        played = game.rollout(self.policy, _PILOT_STEPS)
        seen = played.observations.reshape(-1, self._d).astype(np.float64)
        # how many steps a value adds up, those to come weighted by the discount
        longest = math.inf if game.length is None else game.length
        horizon = min(1 / (1 - self._discount) if self._discount < 1 else _PILOT_STEPS, longest)
        rewards = played.rewards.astype(np.float64)
        spreads = seen.std(axis=0), np.array([rewards.std() * horizon])
        scales = {
            "observation_mean": seen.mean(axis=0),
            "observation_spread": np.where(spreads[0] > 0, spreads[0], 1),
            "value_mean": np.array([rewards.mean() * horizon]),
            "value_spread": np.where(spreads[1] > 0, spreads[1], 1),
        }
        return {name: values.astype(np.float32) for name, values in scales.items()}

    def learned_policy(self) -> GaussianPolicy:
        """The policy as it is, with its variance: others' noise is what it has learned to live with.

        :meth:`agents.policies.gaussian.GaussianPolicy.greedy` gives its means alone.
        """
        return self.policy.with_variance(self.policy.variance)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The networks, their optimisers and scales, at the end of an epoch; copies."""
        return {
            **{f"actor_{name}": array for name, array in self._actor.arrays().items()},
            **{f"critic_{name}": array for name, array in self._critic.arrays().items()},
            **{name: array.copy() for name, array in self._scales.items()},
            "variance": self.policy.variance.copy(),
            "policy_change": self.policy_change.copy(),
        }

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`, of a learner of the same game and configuration.

        Raises:
            ValueError: when a name, shape or dtype differs, or for values that no learner has; nothing has
                changed then.
        """
        check_arrays("learner", state, self.state_dict())
        check_values("learner", state, _ALLOWED)
        for name, network in (("actor", self._actor), ("critic", self._critic)):
            prefix = f"{name}_"
            network.load({key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)})
        self._scales = {name: state[name].copy() for name in self._scales}
        self.policy_change[:] = state["policy_change"]
        self.policy = self._policy(0.0).with_variance(state["variance"])
        self._epoch = []


_FINITE: Allowed = (-_LARGEST, _LARGEST)
_TINY = float(np.finfo(np.float32).tiny)
_ALLOWED: dict[str, Allowed] = {
    **{
        f"{network}_{name}": _FINITE
        for network in ("actor", "critic")
        for name in ("weights", "first_moment")
    },
    **{f"{network}_second_moment": (0, _LARGEST) for network in ("actor", "critic")},
    **{f"{network}_steps": (0, LARGEST_COUNT) for network in ("actor", "critic")},
    "observation_mean": _FINITE,
    "observation_spread": (_TINY, _LARGEST),
    "value_mean": _FINITE,
    "value_spread": (_TINY, _LARGEST),
    "variance": (0, 1e6),
    "policy_change": (0, 1),
}


def _distance(one: GaussianPolicy, other: GaussianPolicy, observations: NDArray[np.float32]) -> float:
    """Total variation distance of two policies' actions, mean over observations.

    That of two Gaussians of the same variance s^2 I whose means differ by a distance D is
    ``erf(D / (2 sqrt(2) s))``.
    """
    between = np.linalg.norm(one.mean(observations) - other.mean(observations), axis=1)
    scaled = between / (2 * math.sqrt(2 * float(other.variance[0])))
    return float(np.mean([math.erf(each) for each in scaled]))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch work in one thread: several would wait for each other over arrays as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        ConfigError: when it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise refusal("device", name, "cpu, or auto: PyTorch sees no GPU here")
    return torch.device(name)
