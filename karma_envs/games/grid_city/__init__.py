"""The congested grid city: agents travel through a network of lanes and bid karma for every lane.

Model:
    N agents travel in a network of directed lanes, each of which takes a limited number of agents per
    step. An agent has a few paths of its own, drawn once from all shortest paths between two boundary
    nodes, or the k_shortest of each two (or, by its type, from one of path_sets), and a dormant path outside
    the city. If route_choice says so, a path stands for its origin and destination only, and agents choose
    among all paths between the two (or routes_per_trip of them): once, with the first bid of a trip, or at
    every node; where few of them have several shortest paths, a warning says so. Each trip
    has an urgency that stays until it ends. Who does not get into its next lane waits a step and suffers
    its urgency. What winners pay is shared out in whole units, and the total karma never changes.
    The network is a grid, a town, one from a file, or one's own. Default: n_agents = 1000, rows = 4,
    columns = 4, paths_per_agent = 2, route_choice = 'none', dormant_probability = 0.1,
    karma_max = 14, karma_mean = 9.0, urgencies = (1.0, 5.0), equally likely for every trip,
    discount = 0.98. A lane's capacity is 0.75 N / 80, rounded down: 9.

    ============  ==================================================================================
    agents        ``n_agents = 1000``, of one type or more, with paths of their own; at least 1
    observation   one of 495 with the defaults, place and karma; in numbers ``Box(5)``: urgency,
                  karma and the position on the trip as shares of their highest, and which trip it
                  is, 0 or 1 for each, ``paths_per_agent = 2`` of them; of the dormant karma alone.
                  With several types, also which type, 0 or 1 for each
    action        one of karma_max + 1 on fixed paths, the bid; ``karma_max = 14``. With a choice of
                  routes as many for each option
    reward        -5 to 0 with the defaults, from minus the highest urgency; ``discount = 0.98``
    length        none
    ============  ==================================================================================

State:
    Urgency u (0 if dormant), karma k in 0 … karma_max, and the position in the agent's plan: which of its
    trips, and where on it. The tabular observation is place * (karma_max + 1) + k, with place 0 if
    dormant, else 1 + (position - 1) * U + urgency index, U the number of urgencies. On fixed paths
    position is 1 + slot * longest + z: slot numbers the agent's paths, longest is the number of lanes of
    the network's longest path, z the lane of the path that is next; with the defaults there are 495
    observations. With a choice of routes a slot has a position for every way in which a trip can go on,
    numbered as karma_envs.games.grid_city.plans says. Agents do not need all positions. The number of
    accesses so far is looked at only by turn_taking.

Action:
    option * (karma_max + 1) + b: which of the position's options, and a sealed whole bid b,
    0 <= b <= karma, for its lane. Dormant agents, and allocations without bids, allow only b = 0. On
    fixed paths there is one option, 0. With route_choice trip a trip's first position has an option for
    each path, and all others have one; with node each position has one for each lane on which an
    allowed path goes on. Option 0 always follows the path that was drawn. Who has to wait is still in
    its position and may choose another option in the next step (with trip: as long as the first lane has
    not been entered).

Reward:
    0 for who enters its lane and for the dormant, minus its urgency for who has to wait.

Order of a step:
    1. Sealed bids of all active agents. 2. Every lane takes as many of the highest bids for it as it
    has places; ties at random. 3. Rewards. 4. Winners pay their bid to society, even for a lane with
    room for all. 5. Winners move on; who has arrived, or was dormant, is dormant next with probability
    dormant_probability, else begins one of its trips, all equally likely, with a new urgency: one
    that follows on that of the trip that has ended by the chain of its type, or after a dormant step
    one of the chain's stationary distribution.
    6. Redistribution of the surplus, by what agents were during the step: which lane they bid for, and
    how many others did; by_resource first shares what was paid for a lane among all who bid for it.

End:
    The game never ends by itself; views truncate after max_cycles steps.

Mean-field limit:
    karma_envs.games.grid_city.mean_field, an approximation for large populations: capacities stay finite,
    and how much the crowd at a lane varies is assumed. Agents of one type with the same trips are a kind,
    which has a policy of its own; the statistic is how many agents bid what for each lane in a step, and
    the level of redistribution. With allocation turn there is none, as it looks at the past.

Known equilibrium:
    None in closed form; that of the large population is found by agents.solve. Allocation dict has a mean
    reward of -0.41 to -0.42 per agent and step, coin of -1.22 to -1.26, depending on the draw of the paths.

Reference:
    S. Vaishampayan, Multi Agent Reinforcement Learning for Karma Economies, MSc thesis, ETH Zürich
    2024, section 6.2.

Differences from the source:
    Capacities are whole numbers (printed: 9.375). Everyone begins the game as if after a dormant step.
    The choice of routes and redistribution that looks at lanes, which the thesis names as future work,
    have forms of ours; so have sets of paths by type, and urgencies that depend on the trip before.
    Karma that nobody may take (redistribution none, or uniform_to_active with all active agents at the
    cap) stays in a surplus, which counts as karma of the population.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.array_game import LastStep
from karma_envs.finite import Axis, SamplingPolicy
from karma_envs.games.grid_city.config import PRESETS, TRAINED_WITH, GridCityConfig
from karma_envs.games.grid_city.interface import describe, first_illegal
from karma_envs.games.grid_city.kernels import (
    N_STREAMS,
    CityState,
    CityTables,
    begin_trips,
    new_scratch,
    observe,
    play,
    real_key,
    settle,
    whole_key,
)
from karma_envs.games.grid_city.lanes import LaneOutcome, lane_table
from karma_envs.games.grid_city.luck import luck
from karma_envs.games.grid_city.named_networks import network_of
from karma_envs.games.grid_city.network import RoadNetwork
from karma_envs.games.grid_city.path_sets import draw_paths
from karma_envs.games.grid_city.plans import Plans, make_plans
from karma_envs.karma.config import check_rules, draw_initial_karma
from karma_envs.karma.game import KarmaGame
from karma_envs.karma.outcome import KarmaOutcome
from karma_envs.karma.urgency import DRAW_RANGE, trip_thresholds
from karma_envs.numerics.random import new_streams
from karma_envs.states import Allowed
from karma_envs.transitions import Transitions

if TYPE_CHECKING:
    from karma_envs.games.grid_city.mean_field import CityMeanField

__all__ = ["GAME", "GridCityConfig", "GridCityGame", "LaneOutcome", "RoadNetwork"]


class GridCityGame(KarmaGame[CityState]):
    """The congested grid city on arrays. See the module's docstring for the model.

    Attributes:
        network: the roads.
        paths_of_agent: ``int64[N, paths_per_agent]``, index into the network's paths: those that were drawn.
        plans: what agents may do on their trips, and which paths these may take.
        slot_of_observation: ``int64[n_observations]``, on which of its trips an agent is, -1 if dormant.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "grid_city"
    picture = "karma_envs.games.grid_city.picture"
    config_class = GridCityConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = TRAINED_WITH
    exchangeable = False  # agents have paths of their own

    config: GridCityConfig
    network: RoadNetwork
    paths_of_agent: NDArray[np.int64]
    plans: Plans
    slot_of_observation: NDArray[np.int64]

    def __init__(self, config: GridCityConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or self.config_class()).replace(**fields)
        types = config.agent_types
        self._set_population(config, n_features=3 + config.paths_per_agent)
        self.network = network = network_of(config)
        self._n_lanes = len(network.lanes)
        self.paths_of_agent = draw_paths(network, self.type_of_agent, config)
        self.plans = plans = make_plans(network, self.paths_of_agent, config)
        allocation, redistribution = config.rule("allocation"), config.rule("redistribution")
        self._tables = CityTables(
            karma_max=config.karma_max,
            n_urgencies=config.n_urgencies,
            n_slots=config.paths_per_agent,
            per_slot=plans.per_slot,
            n_options=int(plans.options.max()),
            type_of_agent=self.type_of_agent,
            urgency_values=self._urgency_values,
            urgency_thresholds=trip_thresholds(types),
            dormant_threshold=round(config.dormant_probability * DRAW_RANGE),
            steps=plans.steps,
            first_option=plans.first_option,
            lane_bits=plans.lane_bits,
            starts=plans.starts,
            capacity=np.append(network.capacity, config.n_agents).astype(np.int64),
            allocation=allocation.parameter_array(),
            redistribution=redistribution.parameter_array(),
            by_resource=redistribution.by_resource,
        )
        bidders = np.unique(np.geomspace(1, config.n_agents, 50).round())
        check_rules(config, [0.0, *np.unique(bidders[:, None] / np.unique(network.capacity))])
        priority = allocation.function(0, np.float32(0), np.int64(0), self._tables.allocation)
        key_of = whole_key if isinstance(priority, int) else real_key
        self._rules = allocation.function, key_of, redistribution.function
        self._scratch = new_scratch(
            config.n_agents, self._n_lanes + 1, (config.karma_max + 1) * redistribution.by_resource
        )

        n_bids = config.karma_max + 1
        self.n_observations = (1 + (len(plans.options) - 1) * config.n_urgencies) * n_bids
        self.n_actions = n_bids * int(plans.options.max())
        option, self.bid_of_action = np.divmod(np.arange(self.n_actions), n_bids)
        place, karma = np.divmod(np.arange(self.n_observations), n_bids)
        self.urgency_of_observation = np.where(place > 0, (place - 1) % config.n_urgencies, -1)
        slot = (place - 1) // (config.n_urgencies * plans.per_slot)
        self.slot_of_observation = np.where(place > 0, slot, -1)
        limit = karma * ((place > 0) & self._uses_bids)
        options = plans.options[(place + config.n_urgencies - 1) // config.n_urgencies]
        self.legal_actions = (self.bid_of_action <= limit[:, None]) & (option < options[:, None])

    @cached_property
    def kind_of_agent(self) -> NDArray[np.int64]:
        """``int64[N]``: agents of one type with the same trips are of one kind, numbered as they come."""
        trips = np.column_stack([self.type_of_agent, self.plans.routes_of_agent])
        first, kinds = np.unique(trips, axis=0, return_index=True, return_inverse=True)[1:]
        return np.asarray(np.argsort(np.argsort(first))[kinds.ravel()], np.int64)

    @property
    def row_size(self) -> int:
        """Of a policy: what agents meet has no tables of transitions."""
        return self.n_observations * self.n_actions

    def mean_field(self, *, by_agent: bool = False) -> CityMeanField | None:
        """The large-population model; None for an allocation that looks at accesses.

        Args:
            by_agent: whether agents that are alike have a row each.
        """
        from karma_envs.games.grid_city.mean_field import CityMeanField, looks_at_accesses

        config = self.config
        if looks_at_accesses(config.rule("allocation"), config.agent_types, config.karma_max):
            return None
        return CityMeanField(self, by_agent=by_agent)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Place, 0 if dormant, which tells the position on a trip and its urgency; and karma."""
        n_bids = self.config.karma_max + 1
        return Axis("place", tuple(range(self.n_observations // n_bids))), Axis("karma", tuple(range(n_bids)))

    def _fresh_state(self, rng: np.random.Generator) -> CityState:
        n_agents, n_lanes = self.n_agents, self._n_lanes + 1
        state = CityState(
            karma=draw_initial_karma(self.config, rng),
            position=np.zeros(n_agents, np.uint16),
            urgency=np.zeros(n_agents, np.uint8),
            accesses=np.zeros(n_agents, np.int64),
            contests=np.zeros(n_agents, np.int64),
            reward_total=np.zeros(n_agents),
            attempts=np.zeros(n_lanes, np.int64),
            entries=np.zeros(n_lanes, np.int64),
            bid_total=np.zeros(n_lanes, np.int64),
            surplus=np.zeros(1, np.int64),
            steps=np.zeros(1, np.int64),
            sharing=np.arange(n_agents, dtype=np.int32),
            streams=new_streams(rng, N_STREAMS),
        )
        begin_trips(state, self._tables)
        return state

    def _complaint(self, actions: NDArray[np.int64]) -> str | None:
        state, options, karma_max = self.arrays, self.plans.options, self.config.karma_max
        agent = first_illegal(actions, state.karma, state.position, options, karma_max, self._uses_bids)
        if agent < 0:
            return None
        action, limit = actions[agent], state.karma[agent] * (self._uses_bids and state.position[agent] != 0)
        if self.config.route_choice == "none":
            return f"agent {agent} bids {action}; allowed: 0 … {limit}"
        option, bid = divmod(int(action), karma_max + 1)
        return (
            f"agent {agent} takes action {action}, option {option} with bid {bid}; "
            f"allowed: options 0 … {options[state.position[agent]] - 1} with bids 0 … {limit}"
        )

    def _settle(self, actions: NDArray[np.int64], rewards: NDArray[np.float32]) -> None:
        settle(self.arrays, self._tables, self._scratch, actions, rewards, *self._rules)

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        play(
            self.arrays,
            self._tables,
            self._scratch,
            policy.thresholds,
            policy.row_of_agent,
            out.columns,
            *self._rules,
        )

    def observation_index(self) -> NDArray[np.int64]:
        index = np.empty(self.n_agents, np.int64)
        observe(self.arrays, self._tables, index)
        return index

    def observations(self) -> NDArray[np.float32]:
        features = np.empty((self.n_agents, self.observation_space.shape[0]), np.float32)
        describe(self.arrays, self._tables, self._urgency_feature, self._karma_feature, features)
        return features

    def reachable(self) -> NDArray[np.bool_]:
        """Dormant, and the positions of the agent's own trips with the urgencies of its type."""
        config = self.config
        has = np.arange(config.n_urgencies) < self._n_urgencies[:, None]
        active = (self.plans.exists[:, 1:, None] & has[:, None, :]).reshape(self.n_agents, -1)
        places = np.hstack([np.ones((self.n_agents, 1), bool), active])
        return np.repeat(places, config.karma_max + 1, axis=1)

    def truthful_actions(self) -> NDArray[np.int64]:
        """Bids of the share of one's karma that one's urgency is of the highest there is, for option 0."""
        place, karma = np.divmod(np.arange(self.n_observations), self.config.karma_max + 1)
        need = self._urgency_feature[:, (place - 1) % self.config.n_urgencies] * (place > 0)
        return np.asarray(np.rint(need * karma * self._uses_bids), np.int64)

    def outcome(self) -> KarmaOutcome:
        state = self.arrays
        contests = state.contests.copy()
        return KarmaOutcome(
            steps=int(state.steps[0]),
            rewards=state.reward_total.copy(),
            accesses=state.accesses.copy(),
            contests=contests,
            karma=state.karma.astype(np.int64),
            losses_if_never=-self._mean_urgency * contests,
            counted=np.full(self.n_agents, state.steps[0]),
        )

    def lane_outcome(self) -> LaneOutcome:
        """Totals by lane since reset; new arrays."""
        state, n_lanes = self.arrays, self._n_lanes
        return LaneOutcome(
            steps=int(state.steps[0]),
            attempts=state.attempts[:n_lanes].copy(),
            entries=state.entries[:n_lanes].copy(),
            bids=state.bid_total[:n_lanes].copy(),
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Agents, with the luck they have with their paths, and lanes."""
        lanes = self.lane_outcome()
        lucks = luck(self.network, self.paths_of_agent, lanes)
        waits = {f"wait_path_{slot + 1}": waits for slot, waits in enumerate(lucks.waits.T)}
        agents = super().tables()["agents"] | waits | {"luck": lucks.names}
        return {"agents": agents, "lanes": lane_table(self.network, lanes)}

    def _allowed(self, state: CityState) -> dict[str, Allowed]:
        steps, active = state.steps[0], state.position > 0
        by_lane = float(self.n_agents) * float(steps)
        return {
            "position": (0, len(self.plans.options) - 1),
            "urgency": (0, np.where(active, self._n_urgencies - 1, 0)),
            "contests": (0, steps),
            "accesses": (0, state.contests),
            "attempts": (0, by_lane),
            "entries": (0, by_lane),
            "bid_total": (0, by_lane * self.config.karma_max),
            "streams": None,
        }

    def _is_possible(self, state: CityState) -> bool:
        """Whether every agent is on a trip of its own, or dormant."""
        return bool(self.plans.exists[np.arange(self.n_agents), state.position].all())

    def scene(self) -> dict[str, Any]:
        """What happened in the last step; nothing yet after reset and after loading a state.

        Returns:
            ``network``, ``steps``, ``outcome`` and ``lane_outcome`` since reset, ``karma[N]`` now,
            ``karma_max``, ``urgency_values`` (all there are, rising); and of the last step ``lanes[N]``
            (the lane wanted, -1 if dormant or before the first step), ``bids[N]``, ``rewards[N]`` and
            ``urgency[N]`` (0 if dormant); ``followed``, where an agent is: ``agent``, ``paths`` (the lanes
            of those that were drawn for it) and ``lane`` as above; else None.
        """
        n_agents, n_urgencies = self.n_agents, self.config.n_urgencies
        last = self._last_step or LastStep(
            np.zeros(n_agents, np.int64), np.zeros(n_agents, np.int64), np.zeros(n_agents, np.float32)
        )
        place = last.observations.astype(np.int64) // (self.config.karma_max + 1)
        position = (place + n_urgencies - 1) // n_urgencies
        option = last.actions.astype(np.int64) // (self.config.karma_max + 1)
        urgency = self._urgency_values[self.type_of_agent, (place - 1) % n_urgencies]
        lanes = np.where(place > 0, self.plans.lanes(position, option), -1)
        followed = None
        if self.followed is not None:
            paths = [self.network.paths[path] for path in self.paths_of_agent[self.followed]]
            followed = {"agent": self.followed, "paths": paths, "lane": int(lanes[self.followed])}
        return self._common_scene() | {
            "network": self.network,
            "lane_outcome": self.lane_outcome(),
            "lanes": lanes,
            "bids": self.bid_of_action[last.actions],
            "rewards": last.rewards.copy(),
            "urgency": urgency * (place > 0),
            "followed": followed,
        }


GAME = GridCityGame
