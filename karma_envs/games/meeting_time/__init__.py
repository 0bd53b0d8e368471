"""When a meeting starts: agents intend when to arrive, and it begins once a quorum is there.

Model:
    A meeting is scheduled at t, and starts when a quorum of the N agents has arrived, not before t. Each
    agent intends to arrive at a time tau, and arrives at tau~ = tau + sigma eps, with eps standard normal
    and an uncertainty sigma of its own, which it knows. It does not like to come after t, to come after the
    meeting started, or to wait. One shot: after the step the game is over.

    ============  ==================================================================================
    agents        ``n_agents = 100``, one type, exchangeable; at least 1
    observation   ``Box(1)``: sigma, in (0, the largest]; ``uncertainty = (0.5, 1.5)``, uniform
    action        ``Box(1)``: tau, within 6 of the largest sigma around t; ``scheduled_time = 0.0``
    reward        at most 0; ``lateness_cost = 1.0``, ``delay_cost = 1.0``, ``waiting_cost = 1.0``
    length        1
    statistic     T, when the meeting starts; ``quorum = 0.9``
    ============  ==================================================================================

State:
    Of each agent sigma, and eps, which it does not observe.

Action:
    The intended arrival tau.

Reward:
    -(alpha [tau~ - t]+ + beta [tau~ - T]+ + gamma [T - tau~]+): lateness to the schedule, lateness to the
    meeting, and waiting for it, with alpha = lateness_cost, beta = delay_cost, gamma = waiting_cost.

Order of a step:
    1. Agents intend tau, knowing sigma. 2. They arrive at tau~. 3. T is when the quorum has arrived, or t
    if that is later. 4. Rewards.

End:
    After one step, for all agents at once. A game that begins anew draws new sigmas.

Mean-field limit:
    For N to infinity T is the quorum's quantile of the distribution of tau~, or t if that is later, and no
    agent moves it. The best tau(sigma) is the root of alpha N((tau - t)/sigma) + (beta + gamma)
    N((tau - T)/sigma) = gamma, with N the distribution function of the standard normal.

Known equilibrium:
    T* = 2.0530992529 with the defaults. There is an equilibrium iff (gamma - alpha)/(beta + gamma) < 1 -
    quorum, and then one only. T* = t iff gamma/(alpha + beta + gamma) <= 1 - quorum. T* - t grows like the
    uncertainties. (If alpha = 0, replace < by <=; at equality every T >= t is an equilibrium.)

Reference:
    O. Guéant, J.-M. Lasry, P.-L. Lions, Mean field games and applications, Paris-Princeton Lectures on
    Mathematical Finance 2010, Springer 2011; as told in R. Xu, Multi-agent RL from a mean-field
    perspective, RLChina 2020, "When does the lecture start?", Propositions 1 and 2.

Differences from the source:
    The meeting starts at t or when the quorum has arrived, whichever is later (printed: earlier). An
    equilibrium exists under the condition above only (printed: always, as a contraction). Costs and
    uncertainties are ours; the source has a quorum of 90 %. In the game of N agents the meeting starts with
    the ceil(quorum * N)-th arrival, and agents intend times within 6 of the largest uncertainty around t;
    best responses in equilibrium lie within, unless costs and quorum are closer than about 1e-9 to the
    bounds of what has an equilibrium.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.exchangeable import ExchangeableGame, States
from karma_envs.game import Baseline, PopulationGame
from karma_envs.games.meeting_time.closed_forms import equilibrium_start_time, why_no_equilibrium
from karma_envs.games.meeting_time.config import MeetingTimeConfig
from karma_envs.games.meeting_time.mean_field import MeetingTimeMeanField
from karma_envs.games.meeting_time.policy import ArrivalPolicy
from karma_envs.mean_field import GivenStatistic, MeanFieldModel
from karma_envs.numerics.random import fill_normal, fill_uniform
from karma_envs.states import Allowed

__all__ = ["GAME", "ArrivalPolicy", "MeetingTimeConfig", "MeetingTimeGame"]

_REACH = 6.0
"""Furthest action from the scheduled time, in units of the largest uncertainty."""

_ROUNDING = 1e-9
"""Of quorum * N, so that a quorum of .7 of 10 agents is 7 of them."""

_LARGEST_NOISE = 8.6
"""Above all |eps| that 53 random bits give, sqrt(2 * 53 log 2) = 8.572 by Box and Muller's transform."""


_UNCERTAINTIES, _NOISE = 0, 1  # random streams

_TRAINING = {
    "critic_steps": 1,
    "actor_learning_rate": 3e-3,
    "learning_rate_left": 0.02,
    "action_variance_final": 0.002,
    "n_steps": 20_000,
    "epoch_length": 10,
}
"""Ours; a variance that falls, as who arrives at random keeps all others waiting."""


def _punctual(game: MeetingTimeGame) -> ArrivalPolicy:
    """As suits agents who expect the meeting to start as scheduled."""
    return ArrivalPolicy(game.config.scheduled_time, game.config)


class MeetingTimeGame(ExchangeableGame):
    """The meeting-time game on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "meeting_time"
    config_class = MeetingTimeConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}}
    learner = "actor_critic"
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": _TRAINING}
    baselines: ClassVar[Mapping[str, Baseline]] = {**ExchangeableGame.baselines, "punctual": _punctual}
    picture = "karma_envs.games.meeting_time.picture"
    n_streams = 2
    length = 1

    config: MeetingTimeConfig

    def __init__(self, config: MeetingTimeConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or MeetingTimeConfig()).replace(**fields)
        self.n_agents = config.n_agents
        self.type_of_agent, self.discounts = np.zeros(config.n_agents, np.uint8), np.zeros(1)
        _, largest = config.uncertainty_range
        t, reach = config.scheduled_time, _REACH * largest
        self.observation_space = Box(0.0, largest, (1,), np.float32)
        self.action_space = Box(t - reach, t + reach, (1,), np.float32)
        self._furthest = (_REACH + _LARGEST_NOISE) * largest  # arrival from t

    @property
    def reward_bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """What an agent suffers at most that is as far as can be from t and from the start, and 0."""
        config, furthest_start = self.config, self._furthest
        if self.given_statistic is not None:
            furthest_start = float(np.abs(self.given_statistic - config.scheduled_time).max())
        worst = config.lateness_cost * self._furthest
        worst += max(config.delay_cost, config.waiting_cost) * (self._furthest + furthest_start)
        return -worst, 0.0

    def allowed_states(self) -> dict[str, Allowed]:
        """Uncertainties as configured, and noise as it is drawn."""
        return {
            "uncertainty": self.config.uncertainty_range,
            "noise": (-_LARGEST_NOISE, _LARGEST_NOISE),
        }

    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        """Uncertainties of their distribution, and what will disturb arrivals."""
        shares, noise = np.empty(n), np.empty(n)
        fill_uniform(streams, _UNCERTAINTIES, shares)
        fill_normal(streams, _NOISE, noise)
        if self.config.is_uniform:
            low, high = self.config.uncertainty_range
            uncertainty = low + (high - low) * shares
        else:
            values, weights = self.config.uncertainties
            uncertainty = values[np.searchsorted(np.cumsum(weights)[:-1], shares, side="right")]
        return {"uncertainty": uncertainty, "noise": noise}

    def observe(self, states: States) -> NDArray[np.float32]:
        """sigma."""
        return states["uncertainty"].astype(np.float32)[:, None]

    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        """``[T]``: when the quorum of these agents has arrived, and not before t."""
        arrivals = self._arrivals(states, actions)
        needed = math.ceil(self.config.quorum * len(arrivals) - _ROUNDING)
        last_needed = np.partition(arrivals, needed - 1)[needed - 1]
        return np.array([max(self.config.scheduled_time, last_needed)])

    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.float64]]:
        """Costs of agents when the meeting starts at T; their states stay what they are."""
        config, (start_time,) = self.config, statistic
        arrivals = self._arrivals(states, actions)
        costs = (
            config.lateness_cost * np.maximum(arrivals - config.scheduled_time, 0)
            + config.delay_cost * np.maximum(arrivals - start_time, 0)
            + config.waiting_cost * np.maximum(start_time - arrivals, 0)
        )
        return states, -costs

    def _arrivals(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        """tau~ of each agent."""
        return np.asarray(actions[:, 0] + states["uncertainty"] * states["noise"])

    def record(self) -> dict[str, float]:
        """When the last meeting started."""
        return {} if self.last_step is None else {"start_time": float(self.last_step.statistic[0])}

    def policy_family(self) -> ArrivalPolicy:
        """Best responses to the start time that agents expect, from those who expect it as scheduled."""
        return _punctual(self)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel:
        """The limit for infinitely many agents, who are all of one type."""
        model = MeetingTimeMeanField(self.config)
        return model if self.given_statistic is None else GivenStatistic(model, self.given_statistic.ravel())

    def references(self) -> dict[str, tuple[PopulationGame, ArrivalPolicy]]:
        """The equilibrium, if there is one; for agents against a given start time the best response to it."""
        config = self.config
        if self.given_statistic is not None:
            start_time = float(self.given_statistic.flat[0])
            return {"best response": (self.fresh(), ArrivalPolicy(start_time, config))}
        if why_no_equilibrium(config):
            return {}
        start_time = equilibrium_start_time(config)
        return {"equilibrium": (self.fresh(), ArrivalPolicy(start_time, config))}

    def scene(self) -> dict[str, Any]:
        """What happened in the last step; of the meeting nothing yet after reset and after loading a state.

        Returns:
            ``steps`` and ``outcome`` since reset, ``scheduled_time``, ``quorum``, ``n_agents``; and of the
            last step, if there is one, ``start_time``, ``uncertainty[N]``, ``intended[N]``, ``arrivals[N]``
            and ``rewards[N]``.
        """
        outcome = self.outcome()
        scene: dict[str, Any] = {
            "steps": outcome.steps,
            "outcome": outcome,
            "n_agents": self.n_agents,
            "scheduled_time": self.config.scheduled_time,
            "quorum": self.config.quorum,
        }
        if self.last_step is None:
            return scene
        states, actions, statistic, rewards = self.last_step
        return scene | {
            "start_time": float(statistic[0]),
            "uncertainty": states["uncertainty"].copy(),
            "intended": actions[:, 0].astype(np.float64),
            "arrivals": self._arrivals(states, actions),
            "rewards": rewards.copy(),
        }


GAME = MeetingTimeGame
