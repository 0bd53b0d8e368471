"""The congested grid city: agents travel on fixed paths and bid karma for every lane.

Model:
    N agents travel in a network of directed lanes, each of which takes a limited number of agents per
    step. An agent has a few paths of its own, drawn once from all shortest paths between two boundary
    nodes, and a dormant path outside the city. Each trip has an urgency that stays until it ends. Who
    does not get into its next lane waits a step and suffers its urgency. What winners pay is shared
    out in whole units, and the total karma never changes. Default: n_agents = 1000, rows = 4,
    columns = 4, paths_per_agent = 2, dormant_probability = 0.1, karma_max = 14, karma_mean = 9.0,
    urgencies = (1.0, 5.0), equally likely for every trip, discount = 0.98. A lane's capacity is
    0.75 N / 80, rounded down: 9.

State:
    Urgency u (0 if dormant), karma k in 0 … karma_max, path p, and z, the lane of the path that is next.
    The tabular observation is place * (karma_max + 1) + k, with place 0 if dormant, else
    1 + (slot * longest + z) * U + urgency index; slot numbers the agent's paths, longest is the number
    of lanes of the network's longest path, U the number of urgencies. With the defaults there are 495.
    Paths that are shorter than the longest leave some of them unused. The number of accesses so far
    is looked at only by turn_taking.

Action:
    A sealed whole bid b, 0 <= b <= karma, for the next lane. Dormant agents, and allocations without
    bids, allow only 0.

Reward:
    0 for who enters its lane and for the dormant, minus its urgency for who has to wait.

Order of a step:
    1. Sealed bids of all active agents. 2. Every lane takes as many of the highest bids for it as it
    has places; ties at random. 3. Rewards. 4. Winners pay their bid to society, even for a lane with
    room for all. 5. Winners move on; who has arrived, or was dormant, is dormant next with probability
    dormant_probability, else begins one of its paths, all equally likely, with a new urgency.
    6. Redistribution of the surplus, by what agents were during the step.

Truncation:
    The game never ends by itself; views truncate after max_cycles steps.

Mean-field limit:
    None is given: an agent's world depends on the bids for every lane, and agents differ in paths.

Known equilibrium:
    None. Allocation dict has a mean reward of -0.41 to -0.42 per agent and step, coin of -1.22 to
    -1.26, depending on the draw of the paths.

Reference:
    S. Vaishampayan, Multi Agent Reinforcement Learning for Karma Economies, MSc thesis, ETH Zürich
    2024, section 6.2.

Differences from the source:
    Capacities are whole numbers (printed: 9.375). Everyone begins the game as if it had just arrived.
    Karma that nobody may take (redistribution none, or uniform_to_active with all active agents at the
    cap) stays in a surplus, which counts as karma of the population. In outcome(), contests are the
    steps in which an agent bid, so that metrics.efficiency(rewards, contests) leaves dormant steps out;
    the thesis' table is over all agents and steps: metrics.efficiency(outcome.rewards / outcome.steps).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refuse
from karma_envs.game import (
    IllegalActionError,
    PopulationGame,
    SamplingPolicy,
    Transitions,
    check_arrays,
    whole_actions,
)
from karma_envs.games.grid_city.config import PRESETS, GridCityConfig
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
from karma_envs.games.grid_city.lanes import LaneOutcome
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from karma_envs.karma import check_redistribution, draw_initial_karma
from karma_envs.metrics import Outcome
from karma_envs.random import new_streams
from karma_envs.urgency import DRAW_RANGE, transition_thresholds, type_counts

__all__ = ["GAME", "GridCityConfig", "GridCityGame", "LaneOutcome", "RoadNetwork"]


class GridCityGame(PopulationGame):
    """The congested grid city on arrays. See the module's docstring for the model.

    Attributes:
        network: the roads.
        paths_of_agent: ``int64[N, paths_per_agent]``, index into the network's paths.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "grid_city"
    title = "GridCity"
    config_class = GridCityConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    config: GridCityConfig
    network: RoadNetwork
    paths_of_agent: NDArray[np.int64]

    def __init__(self, config: GridCityConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or GridCityConfig()).replace(**fields)
        types = config.agent_types
        self.n_agents = n_agents = config.n_agents
        self.network = network = _network(config)
        n_legs = config.paths_per_agent * network.longest
        self.n_observations = (1 + n_legs * config.n_urgencies) * (config.karma_max + 1)
        if self.n_observations > 65535:
            raise refuse(
                "paths_per_agent",
                config.paths_per_agent,
                f"at most 65535 observations; with paths of up to {network.longest} lanes, "
                f"{config.n_urgencies} urgencies and karma_max {config.karma_max} there are "
                f"{self.n_observations}",
            )
        self.n_actions = config.karma_max + 1
        self.discounts = np.array([agent_type.discount for agent_type in types])
        self.type_of_agent = np.repeat(np.arange(len(types), dtype=np.uint8), type_counts(types, n_agents))
        self.paths_of_agent = np.random.default_rng(config.path_seed).choice(
            len(network.paths), size=(n_agents, config.paths_per_agent), p=network.weights
        )
        self._n_lanes = len(network.lanes)
        allocation, redistribution = config.rule("allocation"), config.rule("redistribution")
        urgency_values = np.zeros((len(types), config.n_urgencies), np.float32)
        for index, agent_type in enumerate(types):
            urgency_values[index, : len(agent_type.urgencies)] = agent_type.urgencies
        self._tables = CityTables(
            config.karma_max,
            config.n_urgencies,
            config.paths_per_agent,
            network.longest,
            self.type_of_agent,
            urgency_values,
            np.ascontiguousarray(transition_thresholds(types)[:, 0]),
            round(config.dormant_probability * DRAW_RANGE),
            _routes(network, self.paths_of_agent),
            np.append(network.capacity, n_agents).astype(np.int64),
            allocation.parameter_array(),
            redistribution.parameter_array(),
        )
        check_redistribution(config)
        priority = allocation.function(0, np.float32(0), np.int32(0), self._tables.allocation)
        key_of = whole_key if isinstance(priority, int) else real_key
        self._rules = allocation.function, key_of, redistribution.function
        self._scratch = new_scratch(n_agents, self._n_lanes + 1)

        place, karma = np.divmod(np.arange(self.n_observations), config.karma_max + 1)
        self.urgency_of_observation = np.where(place > 0, (place - 1) % config.n_urgencies, -1)
        self._uses_bids = allocation.uses_bids
        limit = karma * ((place > 0) & self._uses_bids)
        self.legal_actions = np.arange(self.n_actions) <= limit[:, None]
        self._mean_urgency = np.array([agent_type.mean_urgency for agent_type in types])[self.type_of_agent]
        self.best_reward, self.worst_reward = 0.0, -float(urgency_values.max())
        n_features = 3 + config.paths_per_agent + (len(types) if len(types) > 1 else 0)
        self.observation_bounds = np.zeros(n_features, np.float32), np.ones(n_features, np.float32)
        self._urgency_feature = urgency_values / max(float(urgency_values.max()), 1e-30)
        self._karma_feature = np.arange(config.karma_max + 1, dtype=np.float32) / np.float32(config.karma_max)
        self._last_step: _LastStep | None = None
        self._state: CityState | None = None

    @property
    def arrays(self) -> CityState:
        """The arrays of the current state; not to be written."""
        if self._state is None:
            raise RuntimeError("the game has not begun: call reset(rng) first")
        return self._state

    def reset(self, rng: np.random.Generator) -> None:
        self._state = self._fresh_state(rng)
        self._last_step = None

    def _fresh_state(self, rng: np.random.Generator) -> CityState:
        n_agents, n_lanes = self.n_agents, self._n_lanes + 1
        state = CityState(
            karma=draw_initial_karma(self.config, rng),
            leg=np.zeros(n_agents, np.uint16),
            urgency=np.zeros(n_agents, np.uint8),
            active=np.zeros(n_agents, np.uint8),
            accesses=np.zeros(n_agents, np.int32),
            contests=np.zeros(n_agents, np.int32),
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

    def step(self, actions: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        state = self.arrays
        bids = whole_actions(actions, self.n_agents)
        agent = first_illegal(bids, state.karma, state.leg, self._uses_bids)
        if agent >= 0:
            limit = state.karma[agent] * (self._uses_bids and state.leg[agent] != 0)
            raise IllegalActionError(f"agent {agent} bids {bids[agent]}; allowed: 0 … {limit}")
        rewards = np.empty(self.n_agents, np.float32)
        observations = self.observation_index()
        settle(state, self._tables, self._scratch, bids, rewards, *self._rules)
        self._last_step = _LastStep(observations, bids, rewards.copy())
        return rewards

    def rollout(self, policy: SamplingPolicy, n_steps: int, out: Transitions | None = None) -> Transitions:
        state = self.arrays
        self.check_policy(policy)
        out = Transitions.room(out, n_steps, self.n_agents)
        play(
            state,
            self._tables,
            self._scratch,
            policy.thresholds,
            policy.row_of_agent,
            out.observations,
            out.actions,
            out.rewards,
            *self._rules,
        )
        self._last_step = _LastStep(
            out.observations[-2].copy(), out.actions[-1].copy(), out.rewards[-1].copy()
        )
        return out

    def observation_index(self) -> NDArray[np.int64]:
        index = np.empty(self.n_agents, np.int64)
        observe(self.arrays, self._tables, index)
        return index

    def observations(self) -> NDArray[np.float32]:
        features = np.empty((self.n_agents, len(self.observation_bounds[0])), np.float32)
        describe(self.arrays, self._tables, self._urgency_feature, self._karma_feature, features)
        return features

    def reachable(self) -> NDArray[np.bool_]:
        """Dormant, and the lanes of the agent's own paths with the urgencies of its type."""
        config = self.config
        slot, z = np.divmod(np.arange(config.paths_per_agent * self.network.longest), self.network.longest)
        n_urgencies = np.array([len(kind.urgencies) for kind in config.agent_types])[self.type_of_agent]
        on_path = z < self._path_lengths()[:, slot]
        has = np.arange(config.n_urgencies) < n_urgencies[:, None]
        active = (on_path[:, :, None] & has[:, None, :]).reshape(self.n_agents, -1)
        places = np.hstack([np.ones((self.n_agents, 1), bool), active])
        return np.repeat(places, config.karma_max + 1, axis=1)

    def _path_lengths(self) -> NDArray[np.int64]:
        """Lanes of each agent's paths, ``int64[N, paths_per_agent]``."""
        return np.array([len(path) for path in self.network.paths])[self.paths_of_agent]

    def truthful_actions(self) -> NDArray[np.int64]:
        """Bids of the share of one's karma that one's urgency is of the highest there is, rounded."""
        place, karma = np.divmod(np.arange(self.n_observations), self.config.karma_max + 1)
        need = self._urgency_feature[:, (place - 1) % self.config.n_urgencies] * (place > 0)
        return np.asarray(np.rint(need * karma * self._uses_bids), np.int64)

    def outcome(self) -> Outcome:
        state = self.arrays
        contests = state.contests.astype(np.int64)
        return Outcome(
            steps=int(state.steps[0]),
            rewards=state.reward_total.copy(),
            accesses=state.accesses.astype(np.int64),
            contests=contests,
            karma=state.karma.astype(np.int64),
            losses_if_never=-self._mean_urgency * contests,
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

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {name: array.copy() for name, array in self.arrays._asdict().items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        current = self._state or self._fresh_state(np.random.default_rng(0))
        check_arrays("game", state, current._asdict())
        loaded = CityState(**{name: state[name].copy() for name in current._fields})
        if (
            (loaded.karma < 0).any()
            or (loaded.karma > self.config.karma_max).any()
            or not self._on_paths(loaded)
            or loaded.karma.sum(dtype=np.int64) + loaded.surplus[0] != self.config.total_karma
            or (np.sort(loaded.sharing) != np.arange(self.n_agents)).any()
        ):
            raise ValueError("game state: values that no game with this configuration has")
        self._state = loaded
        self._last_step = None

    def _on_paths(self, state: CityState) -> bool:
        """Whether every agent is on a lane of a path of its own, with an urgency of its type, or dormant."""
        lengths = self._path_lengths()
        slot, place = np.divmod(state.leg.astype(np.int64) - 1, self.network.longest)
        if (slot >= self.config.paths_per_agent).any():
            return False
        n_urgencies = np.array([len(kind.urgencies) for kind in self.config.agent_types])[self.type_of_agent]
        on_path = (place < lengths[np.arange(self.n_agents), slot]) & (state.urgency < n_urgencies)
        return bool(np.where(state.leg > 0, on_path, state.urgency == 0).all())

    def scene(self) -> dict[str, Any]:
        """What happened in the last step; nothing yet after reset and after loading a state.

        Returns:
            ``network``, ``steps``, ``outcome`` and ``lane_outcome`` since reset, ``karma[N]`` now,
            ``karma_max``, ``urgency_values`` (all there are, rising); and of the last step ``lanes[N]``
            (the lane wanted, -1 if dormant or before the first step), ``bids[N]``, ``rewards[N]`` and
            ``urgency[N]`` (0 if dormant).
        """
        state, n_agents, n_urgencies = self.arrays, self.n_agents, self.config.n_urgencies
        last = self._last_step or _LastStep(
            np.zeros(n_agents, np.int64), np.zeros(n_agents, np.int64), np.zeros(n_agents, np.float32)
        )
        place = last.observations.astype(np.int64) // (self.config.karma_max + 1)
        leg = (place - 1) // n_urgencies + 1
        route = self._tables.routes[np.arange(n_agents), leg].astype(np.int64)
        urgency = self._tables.urgency_values[self.type_of_agent, (place - 1) % n_urgencies]
        return {
            "network": self.network,
            "steps": int(state.steps[0]),
            "outcome": self.outcome(),
            "lane_outcome": self.lane_outcome(),
            "karma": state.karma.astype(np.int64),
            "karma_max": self.config.karma_max,
            "urgency_values": sorted({u for kind in self.config.agent_types for u in kind.urgencies}),
            "lanes": np.where(place > 0, np.where(route < 0, ~route, route), -1),
            "bids": last.bids.astype(np.int64),
            "rewards": last.rewards.copy(),
            "urgency": urgency * (place > 0),
        }


class _LastStep(NamedTuple):
    """What a picture needs of the last step that the state does not hold."""

    observations: NDArray[np.integer[Any]]  # [N] before the step
    bids: NDArray[np.integer[Any]]  # [N]
    rewards: NDArray[np.float32]  # [N]


def _network(config: GridCityConfig) -> RoadNetwork:
    """The network that a configuration names."""
    if config.network == "grid":
        graph = grid(config.rows, config.columns)
        return road_network(graph, capacity=config.capacity, n_agents=config.n_agents)
    allowed = "grid, or a function of n_agents, or its name module:function, that returns a RoadNetwork"
    build: Any = config.network
    if isinstance(build, str):
        module, _, function = build.partition(":")
        try:
            build = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise refuse("network", config.network, f"{allowed} ({error})") from error
    network = build(config.n_agents)
    if not isinstance(network, RoadNetwork):
        raise refuse("network", config.network, f"{allowed}; it returned {type(network).__name__}")
    return network


def _routes(network: RoadNetwork, paths_of_agent: NDArray[np.int64]) -> NDArray[Any]:
    """The routes of :class:`CityTables`; legs beyond a path's end, where nobody comes, are 0."""
    n_lanes, n_agents = len(network.lanes), len(paths_of_agent)
    dtype = np.int16 if n_lanes < 2**15 else np.int32  # narrow: an agent's row is one cache line
    legs_of_path = np.zeros((len(network.paths), network.longest), dtype)
    for index, path in enumerate(network.paths):
        legs_of_path[index, : len(path)] = (*path[:-1], ~path[-1])
    dormant = np.full((n_agents, 1), ~n_lanes, dtype)
    return np.hstack([dormant, legs_of_path[paths_of_agent].reshape(n_agents, -1)])


GAME = GridCityGame
