"""The large-population model of a congested city; see the package's docstring for its equations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.games.grid_city.mean_field.bids import bids_by_luck
from karma_envs.games.grid_city.mean_field.flows import meet
from karma_envs.games.grid_city.mean_field.lanes import (
    BidClasses,
    LaneContests,
    LaneField,
    looks_at_accesses,
)
from karma_envs.games.grid_city.mean_field.problem import CityProblem
from karma_envs.games.grid_city.mean_field.queueing import QUEUEING
from karma_envs.games.grid_city.mean_field.rest import population_at_rest
from karma_envs.games.grid_city.mean_field.sharing import Payments, Sharing
from karma_envs.games.grid_city.mean_field.tables import initial_mean_field, make_trips
from karma_envs.games.grid_city.mean_field.throughput import Throughput
from karma_envs.games.grid_city.mean_field.trips import as_table
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.mean_field.stationary import StationaryMeanField
from karma_envs.meaning import EXACT, STATIONARY, Meaning

if TYPE_CHECKING:
    from karma_envs.games.grid_city import GridCityGame

_MOST_NUMBERS = 150_000_000
"""Numbers that a policy may have, 1.2 GB."""


class CityMeanField(FiniteMeanFieldModel):
    """The large-population model of a congested city, of G kinds of agents.

    A kind is a type with trips, and has a row in policies, ``float64[G, X, A]``, whose observations and
    actions are the game's. The statistic is, per step, how many agents bid for each lane, by class of bids
    (:class:`~karma_envs.games.grid_city.mean_field.lanes.BidClasses`; with highest_bid classes are bids),
    ``L C`` numbers, then the level of redistribution, and where redistribution is by lane their levels.

    Args:
        game: the city.
        throughput: how many agents get into a lane, see
            :mod:`karma_envs.games.grid_city.mean_field.throughput`.
        by_agent: whether every agent is a kind of its own, also where some are alike.

    Attributes:
        game: the city.
        throughput: as given.
        kind_of_agent: ``int64[N]``.
        n_agents: N, which capacities are for.

    Raises:
        ConfigError: for an allocation that looks at accesses, and a city whose policies would not fit into
            memory.
    """

    solver = "prior_descent"

    def __init__(
        self, game: GridCityGame, throughput: Throughput = QUEUEING, *, by_agent: bool = False
    ) -> None:
        config = game.config
        types, allocation = config.agent_types, config.rule("allocation")
        if looks_at_accesses(allocation, types, config.karma_max):
            raise refusal(
                "allocation",
                config.allocation,
                "one that does not look at accesses, for a large-population model",
            )
        self.game, self.throughput, self.n_agents = game, throughput, config.n_agents
        self.kind_of_agent = np.arange(config.n_agents) if by_agent else game.kind_of_agent
        examples = np.unique(self.kind_of_agent, return_index=True)[1]
        size = len(examples) * game.legal_actions.size
        if size > _MOST_NUMBERS:
            raise refusal(
                "n_agents",
                config.n_agents,
                f"a city whose policies have at most {_MOST_NUMBERS:g} numbers; of {len(examples)} kinds of "
                f"agents with {game.n_observations} observations and {game.n_actions} actions they have "
                f"{size:g}, {8 * size / 1e9:.3g} GB (fewer agents or paths_per_agent, shorter paths, "
                "or a lower karma_max make it smaller)",
            )
        self.legal_actions = game.legal_actions
        self.masses = np.bincount(self.kind_of_agent) / config.n_agents
        kind_types = game.type_of_agent[examples].astype(np.int64)
        self.discounts = np.array([one.discount for one in types])[kind_types]
        self._mean_urgency = np.array([one.mean_urgency for one in types])[kind_types]
        self._classes = BidClasses.of(allocation, types, config.karma_max)
        self._capacity = game.network.capacity.astype(np.int64)
        self._lane_contests = LaneContests(self._classes.ranks, self._capacity, throughput, self.n_agents)
        self._sharing = Sharing(
            config.rule("redistribution"), config.karma_max, self._capacity, self.n_agents
        )
        self._trips = make_trips(game, examples, self._classes.of_bid)
        self._karma = np.arange(config.karma_max + 1)
        self.initial_mean_field = initial_mean_field(self._trips, config, game.n_observations)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.game.axes

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        return self.game.action_features

    @property
    def meaning(self) -> Meaning:
        """Exact in a model that approximates large populations."""
        return Meaning(None, EXACT, STATIONARY, "large-population model")

    @property
    def type_features(self) -> dict[str, NDArray[np.float64]]:
        return {"mean_urgency": self._mean_urgency}

    # --- the statistic ----------------------------------------------------------------------------

    def lanes(self, statistic: NDArray[np.float64]) -> LaneField:
        """What a statistic says of the lanes, with the chances to win that it makes."""
        n_lanes, n_classes = len(self._capacity), len(self._classes.bids)
        arrivals = np.maximum(statistic[: n_lanes * n_classes].reshape(n_lanes, n_classes), 0.0)
        levels = np.clip(statistic[n_lanes * n_classes :], 0.0, self._karma[-1])
        return LaneField(
            arrivals=arrivals,
            win=self._lane_contests.win_chances(arrivals),
            bids=self._classes.bids,
            level=float(levels[0]),
            lane_levels=levels[1:] if self._sharing.by_lane else np.zeros(n_lanes),
        )

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        n_lanes, n_classes = len(self._capacity), len(self._classes.bids)
        meetings = np.empty((n_lanes, n_classes, len(self._karma)))
        idle = np.empty(len(self._karma))
        played = as_table(policy)
        meet(self._trips, as_table(mean_field), played, self.n_agents * self.masses, meetings, idle)
        arrivals = meetings.sum(axis=2)
        win = self._lane_contests.win_chances(arrivals)
        won = meetings * win[:, :, None]
        paid_from = np.zeros((n_lanes, len(self._karma)))
        for each, bid in enumerate(self._classes.bids):
            paid_from[:, : len(self._karma) - bid] += won[:, each, bid:]
        payments = Payments(
            won=paid_from,
            lost=(meetings - won).sum(axis=1),
            idle=idle,
            paid=won.sum(axis=2) @ self._classes.bids,
        )
        level, lane_levels = self._sharing.levels(payments, arrivals.sum(axis=1))
        return np.concatenate([arrivals.ravel(), [level], lane_levels[: n_lanes * self._sharing.by_lane]])

    def inconsistency(
        self, statistic: NDArray[np.float64], mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        difference = self.statistic(mean_field, policy) - statistic
        # At rest agents pay what they get, whatever the levels are: it is mean karma that tells these.
        amiss = self.karma_amiss(mean_field, statistic)
        if self.shares_by_lane:
            difference[self.held_levels] -= amiss * statistic[self.held_levels]
        elif self.conserves_karma:
            difference[self.held_levels] = amiss
        return difference

    def karma_amiss(self, mean_field: NDArray[np.float64], statistic: NDArray[np.float64]) -> float:
        """Mean karma, less what it is to be; at the highest levels agents may have less."""
        amiss = self.mean_karma(mean_field) - self.game.config.karma_mean
        return max(amiss, 0.0) if statistic[self.held_levels].min() >= self._karma[-1] else amiss

    @property
    def level_at(self) -> int:
        """Where the level of redistribution stands in a statistic."""
        return len(self._capacity) * len(self._classes.bids)

    @property
    def held_levels(self) -> slice:
        """The levels in a statistic that mean karma fixes: those of the lanes, where there are some."""
        first = self.level_at + self.shares_by_lane
        return slice(first, self.level_at + 1 + len(self._capacity) * self.shares_by_lane)

    @property
    def highest_statistic(self) -> NDArray[np.float64]:
        """What numbers of a statistic cannot exceed."""
        highest = np.full(self.held_levels.stop, float(self.n_agents))
        highest[self.level_at :] = self._karma[-1]
        return highest

    @property
    def conserves_karma(self) -> bool:
        """Whether what is paid comes back to the agents."""
        return self._sharing.conserves

    @property
    def shares_by_lane(self) -> bool:
        """Whether what is paid for a lane is shared there first."""
        return self._sharing.by_lane

    # --- what agents face -------------------------------------------------------------------------

    def decision_problem(self, statistic: NDArray[np.float64]) -> CityProblem:
        lanes = self.lanes(statistic)
        return self.with_win_table(lanes.win, statistic)

    def with_win_table(
        self,
        win: NDArray[np.float64],
        statistic: NDArray[np.float64],
        columns: NDArray[np.int32] | None = None,
    ) -> CityProblem:
        """What agents face where the chances to win are given, as counted in play.

        Args:
            win: P, ``float64[L, C]``, by lane and class of bids, or with other columns.
            statistic: z, of which the levels of redistribution are, and how congested lanes are.
            columns: ``int32[types, U, karma_max + 1]``, which column of ``win`` is of a bid, by type and
                urgency of who bids; its class if None.
        """
        lanes = self.lanes(statistic)
        moves = self._sharing.moves(lanes.level, lanes.lane_levels, lanes.congestion)
        trips = self._trips if columns is None else self._trips._replace(class_of_bid=columns)
        return CityProblem(trips, moves, as_table(win), self.legal_actions)

    def population_at_rest(
        self,
        policy: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
        tolerance: float = 1e-10,
    ) -> StationaryMeanField:
        """The mean field at rest; see :mod:`karma_envs.games.grid_city.mean_field.rest`."""
        return population_at_rest(self, policy, start, tolerance)

    # --- what there is to see ---------------------------------------------------------------------

    def mean_karma(self, mean_field: NDArray[np.float64]) -> float:
        """Mean karma of a population."""
        return float(self.masses @ self.karma_distribution(mean_field) @ self._karma)

    def karma_distribution(self, mean_field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution of karma within each kind, ``float64[G, karma_max + 1]``."""
        return np.asarray(mean_field.reshape(len(mean_field), -1, len(self._karma)).sum(axis=1))

    def efficiency(self, policy: Any) -> NDArray[np.float64]:
        table = type_policies(self, policy)
        field = self.population_at_rest(table)
        return self.decision_problem(field.statistic).mean_reward(field.mean_field, table)

    @property
    def contests(self) -> NDArray[np.bool_]:
        """All but the dormant bid for a lane."""
        return np.arange(self.n_states) >= len(self._karma)

    def rates(self, statistic: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The chance to get into the lane that is bid for, which of the dormant is none."""
        return {"access": self.decision_problem(statistic).win_chance_of_actions()}

    def agents(self, policy: Any) -> dict[str, NDArray[np.float64]]:
        """What each kind of agents has of a population at rest that plays a policy.

        Returns:
            ``float64[G]`` by name, per agent and step: ``reward``; ``contests``, bids for a lane;
            ``accesses``, lanes entered; and ``karma``, the mean that agents hold.
        """
        table = type_policies(self, policy)
        field = self.population_at_rest(table)
        problem = self.decision_problem(field.statistic)
        return {
            "reward": problem.mean_reward(field.mean_field, table),
            "contests": 1.0 - field.mean_field[:, : len(self._karma)].sum(axis=1),
            "accesses": problem.mean_accesses(field.mean_field, table),
            "karma": self.karma_distribution(field.mean_field) @ self._karma,
        }

    def fairness(self, policy: Any) -> dict[str, float]:
        """How alike agents fare in the long run: minus the standard deviation over the population.

        Within a kind all agents fare the same in the long run, so it is that over kinds.

        Returns:
            ``access_fairness``, of accesses over contests, and ``reward_fairness``, of rewards per step.
        """
        has = self.agents(policy)
        frequency = has["accesses"] / np.maximum(has["contests"], 1e-300)
        return {
            "access_fairness": -_deviation(frequency, self.masses),
            "reward_fairness": -_deviation(has["reward"], self.masses),
        }

    def price_of_anarchy(self, efficiency: float) -> float:
        """What a population of an efficiency loses, over what it loses where the most urgent go first.

        That is allocation dict (DICT in the Thesis), in the same city and the same model, which needs no
        karma; where there is a choice of routes, agents take the first one. It is no optimum, as agents who
        are served first may be in each other's way later.
        """
        game = type(self.game)(self.game.config.replace(allocation="benevolent_dictator"))
        dictator = CityMeanField(game, self.throughput)
        nothing = np.zeros((dictator.n_types, *dictator.legal_actions.shape))
        nothing[..., 0] = 1.0
        least = float(dictator.masses @ dictator.efficiency(nothing))
        return efficiency / least if least else np.inf

    def curves(self, policy: Any) -> dict[str, dict[str, NDArray[Any]]]:
        """What happens at the lanes, as columns of a table, as in play; and how agents bid, by their luck."""
        table = type_policies(self, policy)
        field = self.population_at_rest(table)
        lanes = self.lanes(field.statistic)
        return {
            "bids_by_luck": bids_by_luck(self.game, self.kind_of_agent, lanes, field.mean_field, table),
            "lanes": {
                "lane": np.arange(len(self._capacity)),
                "capacity": self._capacity,
                "congestion": lanes.congestion,
                "entries": lanes.entries,
                "mean_wait": lanes.mean_wait,
                "mean_bid": lanes.mean_bid,
            },
        }


def _deviation(values: NDArray[np.float64], masses: NDArray[np.float64]) -> float:
    return float(np.sqrt(masses @ (values - masses @ values) ** 2))
