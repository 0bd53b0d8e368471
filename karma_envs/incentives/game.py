"""Any game with incentives: what agents get besides their rewards, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, make_dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.exchangeable import ExchangeableGame, PlayedStep, States
from karma_envs.finite import FiniteGame, SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.incentives.model import incentivised_model
from karma_envs.incentives.power_series import as_incentive, bounds_of, incentives_of
from karma_envs.mean_field import MeanFieldModel, as_finite_model
from karma_envs.outcome import Metric, Outcome, total
from karma_envs.seen import SeenGame
from karma_envs.states import check_arrays, check_values
from karma_envs.transitions import Transitions

_PAID = "incentive_total"
_MOST_ROWS = 10_000_000
"""Observations times actions of a table of incentives."""
_LARGEST = float(np.finfo(np.float64).max)


def _mean(values: NDArray[np.float64], steps: int) -> float:
    return float(values.mean() / steps) if steps else float("nan")


INCENTIVE = Metric(
    "incentive",
    "incentive",
    lambda outcome: _mean(outcome.incentives, outcome.steps),
    "mean incentive paid to an agent in a step: a budget is kept where it is not above 0",
    more_is_better=False,
)
WELFARE = Metric(
    "welfare",
    "welfare",
    lambda outcome: _mean(outcome.rewards - outcome.incentives, outcome.steps),
    "mean reward of an agent in a step without incentives, which only move it from one to another",
)


@cache
def _with_incentives(kind: type[Outcome]) -> type[Any]:
    """A kind of outcome which also tells the agents' sums of incentives, ``incentives[N]``."""
    return make_dataclass(
        f"Incentivised{kind.__name__}", [("incentives", Any, total())], bases=(kind,), frozen=True
    )


class IncentivisedGame(SeenGame):
    """A game whose agents get an incentive besides their rewards; :func:`incentivised` makes it.

    All that is measured of rewards is measured with incentives, as it is what agents get; ``incentive`` and
    ``welfare``, further metrics, tell them apart.

    Attributes:
        game: the game below, whose state is shared.
        incentive: Theta, a function of features ``float64[n, d]``.

    Args:
        game: any game.
        incentive: a function, see :data:`karma_envs.incentives.Incentive`, or its name as module:function.

    Raises:
        ConfigError: for an incentive that is none.
    """

    def __init__(self, game: PopulationGame, incentive: Any) -> None:
        super().__init__(game)
        self.incentive = as_incentive(incentive)
        self.metrics = (*game.metrics, INCENTIVE, WELFARE)  # type: ignore[misc]  # those of an instance
        self._paid = np.zeros(self.n_agents)
        self._set_up()

    def _set_up(self) -> None:
        """What follows from the incentive once the game is known."""
        self.action_space = self.game.action_space
        (low, high), (lowest, highest) = self.game.reward_bounds, bounds_of(self.incentive)
        self.reward_bounds = low + lowest, high + highest

    def incentives(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Theta of all agents for what they do now, ``float64[N]``.

        Args:
            actions: ``[N, ...]``, legal ones.
        """
        seen = self.game.observations().reshape(self.n_agents, -1)
        done = np.reshape(actions, (self.n_agents, -1))
        return incentives_of(self.incentive, np.concatenate([seen, done], axis=1).astype(np.float64))

    def fresh(self) -> Self:
        return type(self)(self.game.fresh(), self.incentive)

    def reset(self, rng: np.random.Generator) -> None:
        self._paid = np.zeros(self.n_agents)
        self.game.reset(rng)

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        self.game.check_not_over()
        taken = self.actions_of(actions)
        # An illegal action is for the game below to refuse, before anything is paid for it.
        incentives = self.incentives(self.admissible(taken)[0])
        rewards = self.game.step(taken)
        self._paid += incentives
        return np.asarray(rewards + incentives, np.float32)

    def observations(self) -> NDArray[np.float32]:
        return self.game.observations()

    def actions_of(self, values: Any) -> NDArray[Any]:
        return self.game.actions_of(values)

    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        return self.game.admissible(actions)

    def action_mask(self) -> Any:
        return self.game.action_mask()

    def check_policy(self, policy: Any) -> None:
        self.game.check_policy(policy)

    def fitted(self, policy: Any) -> Any:
        return self.game.fitted(policy)

    def sample(self, policy: Any, streams: NDArray[np.uint64]) -> NDArray[Any]:
        return self.game.sample(policy, streams)

    def outcome(self) -> Outcome:
        """That of the game below, with the incentives among the rewards, and told besides."""
        below = self.game.outcome()
        values = {item.name: getattr(below, item.name) for item in fields(below)}
        paid = self._paid.copy()
        kind: Any = type(below)
        made: Outcome = _with_incentives(kind)(
            **{**values, "rewards": below.rewards + paid, "incentives": paid}
        )
        return made

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {**self.game.state_dict(), _PAID: self._paid.copy()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        below = {name: array for name, array in state.items() if name != _PAID}
        own = {name: array for name, array in state.items() if name == _PAID}
        check_arrays("game", own, {_PAID: self._paid})
        check_values("game", own, {_PAID: (-_LARGEST, _LARGEST)})
        self.game.load_state_dict(below)
        self._paid = own[_PAID].copy()

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """Those of the game below, which are played without incentives."""
        return {f"{name}, no incentive": pair for name, pair in super().references().items()}

    def policy_family(self) -> Any:
        """As in the game below."""
        return self.game.policy_family()

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """The limit of the game below with incentives, where its model can tell; None where it cannot."""
        model = self.game.mean_field(by_agent=by_agent)
        return None if model is None else model.incentivised(self.incentive)


class IncentivisedTables(IncentivisedGame, FiniteGame):
    """The same of a game with tables: incentives are a table, and compiled play stays compiled.

    Attributes:
        table: Theta, ``float64[types, X, A]``; 0 for what is illegal, and for what a type cannot observe.
    """

    game: FiniteGame

    def _set_up(self) -> None:
        game = self.game
        self.n_observations, self.n_actions = game.n_observations, game.n_actions
        self.legal_actions = game.legal_actions
        self.table = table = self._tabulated()
        low, high = game.reward_bounds
        self.reward_bounds = low + float(table.min()), high + float(table.max())

    def _tabulated(self) -> NDArray[np.float64]:
        game = self.game
        shape = game.n_observations, game.n_actions
        if shape[0] * shape[1] > _MOST_ROWS:
            raise refusal(
                "incentive", f"of {shape[0]} observations and {shape[1]} actions", f"{_MOST_ROWS} of both"
            )
        observed = np.stack([*game.observation_values().values()], axis=-1).astype(np.float64)
        done = np.stack([*game.action_features.values()] or [np.arange(shape[1])], axis=-1)
        table = np.zeros((len(observed), *shape))
        for kind, rows in enumerate(observed):
            possible = game.legal_actions & np.isfinite(rows).all(axis=1)[:, None]
            which, actions = np.nonzero(possible)
            features = np.concatenate([rows[which], done[actions]], axis=1, dtype=np.float64)
            table[kind][possible] = incentives_of(self.incentive, features)
        return table

    def incentives(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(self.table[self.type_of_agent, self.observation_index(), actions])

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.game.axes

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        return self.game.action_features

    @property
    def kind_of_agent(self) -> NDArray[np.int64]:
        return self.game.kind_of_agent

    @property
    def row_size(self) -> int:
        return self.game.row_size

    @property
    def observations_of_policies(self) -> tuple[int, ...]:
        return self.game.observations_of_policies

    def observation_values(self) -> dict[str, NDArray[Any]]:
        return self.game.observation_values()

    def observation_index(self) -> NDArray[np.int64]:
        return self.game.observation_index()

    def reachable(self) -> NDArray[np.bool_]:
        return self.game.reachable()

    def acting(self, policy: SamplingPolicy) -> Any:
        return self.game.acting(policy)

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        """As the game below plays, and then what is paid for it."""
        self.game.rollout(policy, len(out), out)
        incentives = self.table[self.type_of_agent, out.observations[:-1], out.actions]
        out.rewards[:] = out.rewards + incentives  # rounded once, as in a step
        self._paid += incentives.sum(axis=0)

    def against(self, statistic: ArrayLike, *, n_agents: int | None = None) -> IncentivisedGame:  # type: ignore[override]
        """What one agent faces among others who make a statistic, with incentives; see the base."""
        return incentivised(self.game.against(statistic, n_agents=n_agents), self.incentive)

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel | None:
        """The limit of the game below, with the table among the rewards of its decision problem.

        None where that keeps no table of rewards, as a city's.
        """
        model = self.game.mean_field(by_agent=by_agent)
        if model is None:
            return None
        finite = as_finite_model(model)
        # Of the model's types, which may be finer than the game's: one agent of each.
        kinds = np.arange(self.n_agents) if by_agent else self.kind_of_agent
        types = self.type_of_agent[np.unique(kinds, return_index=True)[1]]
        table = self.table if finite.n_types == len(self.table) else self.table[types]
        return incentivised_model(finite, table)


class IncentivisedExchangeable(IncentivisedGame, ExchangeableGame):
    """The same of a game of exchangeable agents, which may meet a given statistic, or their belief of one."""

    game: ExchangeableGame

    def incentives(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        return self._incentives(self.game.states, actions)

    def _incentives(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        return incentives_of(self.incentive, self.game.incentive_features(states, actions))

    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        return self.game.start(n, streams)

    def observe(self, states: States) -> NDArray[np.float32]:
        return self.game.observe(states)

    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        return self.game.statistic(states, actions)

    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.floating[Any]]]:
        following, rewards = self.game.transition(states, actions, statistic, streams)
        return following, rewards + self._incentives(states, actions)

    def against(self, statistic: ArrayLike, *, n_agents: int | None = None) -> Self:
        return type(self)(self.game.against(statistic, n_agents=n_agents), self.incentive)

    def believing(self, exponent: float = 0.85, *, rate: float = 1.0) -> Self:
        return type(self)(self.game.believing(exponent, rate=rate), self.incentive)

    @property
    def states(self) -> States:
        return self.game.states

    @property
    def belief(self) -> NDArray[np.float64] | None:
        return self.game.belief

    @property
    def given_statistic(self) -> NDArray[np.float64] | None:  # type: ignore[override]
        return self.game.given_statistic

    @property
    def belief_rate(self) -> tuple[float, float] | None:  # type: ignore[override]
        return self.game.belief_rate

    @property
    def last_step(self) -> PlayedStep | None:  # type: ignore[override]
        """As in the game below, whose rewards are without incentives."""
        return self.game.last_step


def incentivised(game: PopulationGame, incentive: Any) -> IncentivisedGame:
    """A game with incentives, of the same kind as it is without: with tables, of exchangeable agents, or any.

    The features that an incentive is a function of are

    - of a game with tables what its observations and actions mean, in the order of its ``axes`` and
      ``action_features``, such as urgency, karma and bid; an action without features is its number;
    - of a game of exchangeable agents those that it names (``incentive_features``): the numbers observed and
      done; of a crowd in the plane the place reached, and where there are several steps the share of them
      that has passed before;
    - of any other game the numbers observed and done.

    Args:
        game: any game; its state is shared.
        incentive: Theta, a function of ``float64[n, d]`` that gives ``float64[n]``, its name as
            module:function, or a :class:`karma_envs.incentives.PowerSeries`.

    Raises:
        ConfigError: for an incentive that is none.
    """
    kinds = ((FiniteGame, IncentivisedTables), (ExchangeableGame, IncentivisedExchangeable))
    for kind, wrapped in kinds:
        if isinstance(game, kind):
            return wrapped(game, incentive)
    return IncentivisedGame(game, incentive)
