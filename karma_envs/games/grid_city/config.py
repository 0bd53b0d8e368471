"""Configuration of the congested grid city and the Thesis' variations of it."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import choice, importable_name, is_list, real, refusal, whole
from karma_envs.files import file_digest
from karma_envs.finite import MOST_INDICES
from karma_envs.games.grid_city.network_files import GRAPHML, TNTP, file_format, network_files
from karma_envs.karma.config import KarmaConfig, RuleChoice, code_of
from karma_envs.karma.urgency import AgentType
from karma_envs.plugins import import_named

if TYPE_CHECKING:
    from karma_envs.games.grid_city.network import RoadNetwork


PATH_SETS = ("all", "central", "peripheral")


@dataclass(frozen=True)
class GridCityConfig(KarmaConfig):
    """Configuration of the congested grid city; the defaults are the Thesis' (section 6.2).

    Attributes:
        n_agents: N, number of agents.
        types: agent types; empty for one type with the three fields below.
        urgencies: urgency values U of the one type.
        urgency_transition: one row, the probabilities of urgencies drawn anew for each trip; or None for all
            equally likely; or a matrix, rows the urgency of the trip that has ended and columns that of the
            next, where after a dormant step it is drawn from the stationary distribution.
        discount: discount factor gamma of the one type.
        karma_max: k_max, the most karma an agent can hold.
        karma_mean: mean karma of the population; times n_agents it must be whole.
        initial_karma: equal (everyone the mean), uniform (the widest uniform distribution with that
            mean), or probabilities of 0 … karma_max with that mean; totals are made exact by
            moving single units between random agents.
        rows: rows of inner nodes of the grid, at least 1.
        columns: columns of inner nodes, at least 1; rows * columns must be at least 2.
        capacity: how many agents may enter a lane in a step: one number for all lanes, or one for each;
            None for three quarters of n_agents spread over the lanes, rounded down, but at least 1.
        network: grid; town (an example of rings and radial roads); a file, …_net.tntp (with …_trips.tntp and
            …_node.tntp beside it, if there are) or ….graphml, see
            karma_envs.games.grid_city.named_networks; or a function that is given n_agents and returns a
            RoadNetwork, or its name as module:function. Where it is not grid, rows, columns and capacity
            must stay at their defaults; where it is a function, the five fields that follow.
        capacity_scale: what the capacities of a file or of the town are multiplied by, before they are
            rounded up to agents per step: a number, or mean or median, which make the mean or median of the
            lanes three quarters of n_agents spread over them (lanes whose capacity stands for none, like
            999999, are left out, and nobody waits for them).
        k_shortest: how many paths each pair of origin and destination has, the shortest that pass no node
            twice; None for all that are equally short. Without route_choice all of them are drawn alike;
            with it they are what there is to choose from.
        pairs: the pairs of origin and destination that have trips, by the names of their nodes, as
            [[a, b], [b, a]]; empty for those with demand, or without demand all pairs of boundary nodes.
        most_pairs: only that many pairs, those with the largest demands in a file of trips; None for all.
        exclude: same_junction leaves out pairs of boundary nodes that hang on the same node, unless they
            are listed or have demand; None keeps them.
        paths_per_agent: how many paths each agent has besides the dormant one.
        path_seed: seed of the draw of everyone's paths. The population is part of the game, so a reset
            does not draw other paths.
        path_sets: from which paths the agents of each type draw, one for each type: all, central or
            peripheral (paths whose lanes are used more, or not more, than those of the median path), or a
            function that is given the network and returns a weight for each path, or its name as
            module:function; empty for all paths.
        route_choice: whether agents choose their way: none (they take the paths that were drawn), trip
            (a path that was drawn stands for its origin and destination; which path between the two to
            take is chosen with the first bid), or node (the next lane is chosen with every bid).
        routes_per_trip: how many paths there are to choose from: the one that was drawn, and others of the
            same origin and destination drawn at random; None for all of them.
        dormant_probability: chance that an agent that has arrived, or was dormant, is dormant next.
        allocation: who enters a lane: highest_bid, dict, coin, turn, or a rule of your own.
        redistribution: who shares what winners paid: uniform (dormant agents too), uniform_to_active
            (not to dormant ones), none, tax(rate=0.05), by_resource (by lane: who bid for it, then all),
            congestion_tax(rate=0.05, threshold=1) (who wanted a lane with more bids than places, paid for
            by the others), or a rule of your own.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_agents: int = 1000
    types: tuple[AgentType, ...] = ()
    urgencies: tuple[float, ...] = (1.0, 5.0)
    urgency_transition: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = None
    discount: float = 0.98
    karma_max: int = 14
    karma_mean: float = 9.0
    initial_karma: str | tuple[float, ...] = "equal"
    rows: int = 4
    columns: int = 4
    capacity: int | tuple[int, ...] | None = None
    network: str | Callable[[int], RoadNetwork] = "grid"
    capacity_scale: str | float = "mean"
    k_shortest: int | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    most_pairs: int | None = None
    exclude: str | None = "same_junction"
    paths_per_agent: int = 2
    path_seed: int = 0
    path_sets: tuple[str | Callable[[RoadNetwork], NDArray[np.float64]], ...] = ()
    route_choice: str = "none"
    routes_per_trip: int | None = None
    dormant_probability: float = 0.1
    allocation: RuleChoice = "highest_bid"
    redistribution: RuleChoice = "uniform"

    def __post_init__(self) -> None:
        self._check_population(1, ("allocation", "redistribution"))
        self._set(
            rows=whole("rows", self.rows, 1, 100),
            columns=whole("columns", self.columns, 1, 100),
            capacity=_capacity(self.capacity),
            paths_per_agent=whole("paths_per_agent", self.paths_per_agent, 1, 65535),
            path_seed=whole("path_seed", self.path_seed, 0, 2**63 - 1),
            path_sets=_path_sets(self.path_sets, len(self.agent_types)),
            route_choice=choice("route_choice", self.route_choice, ("none", "trip", "node")),
            dormant_probability=real("dormant_probability", self.dormant_probability, 0, 1),
        )
        if self.routes_per_trip is not None:
            if self.route_choice == "none":
                raise refusal(
                    "routes_per_trip",
                    self.routes_per_trip,
                    "null (in Python None) where route_choice is none",
                )
            self._set(routes_per_trip=whole("routes_per_trip", self.routes_per_trip, 1))
        if self.rows * self.columns < 2:
            raise refusal("rows", self.rows, "a grid of at least 2 inner nodes, rows * columns")
        named = isinstance(self.network, str) and (
            self.network in ("grid", "town") or file_format(self.network) or ":" in self.network
        )
        if not named and not callable(self.network):
            raise refusal(
                "network",
                self.network,
                f"grid, town, a file whose name ends with {TNTP} or {GRAPHML}, module:function, "
                "or a function of n_agents",
            )
        self._set(
            capacity_scale=_capacity_scale(self.capacity_scale),
            k_shortest=None if self.k_shortest is None else whole("k_shortest", self.k_shortest, 1, 100),
            pairs=_pairs(self.pairs),
            most_pairs=None if self.most_pairs is None else whole("most_pairs", self.most_pairs, 1),
            exclude=None if self.exclude is None else choice("exclude", self.exclude, ("same_junction",)),
        )
        is_grid, is_file = self.network == "grid", self.network == "town" or bool(file_format(self.network))
        for names, where in (
            (() if is_grid else ("rows", "columns", "capacity"), "network is not grid"),
            (() if is_file else ("capacity_scale", "most_pairs"), "network is neither a file nor town"),
            (() if is_file or is_grid else ("k_shortest", "pairs", "exclude"), "network is a function"),
        ):
            for name in names:
                if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                    raise refusal(name, getattr(self, name), f"its default where {where}")
        self.check_size(1, 1)  # before work that grows with the number of trips

    def check_size(self, positions: int, options: int) -> None:
        """Refuse a game that has more observations or actions than transitions can number.

        Args:
            positions: of a trip.
            options: in a position, at most.

        Raises:
            ConfigError: saying how many there are.
        """
        n_bids = self.karma_max + 1
        n_observations = (1 + self.paths_per_agent * positions * self.n_urgencies) * n_bids
        limited_by = "" if self.route_choice == "none" else " (routes_per_trip limits them)"
        if n_observations > MOST_INDICES:
            raise refusal(
                "paths_per_agent",
                self.paths_per_agent,
                f"at most {MOST_INDICES} observations; with {positions} positions or more on a trip, "
                f"{self.n_urgencies} urgencies and karma_max {self.karma_max} there are {n_observations}"
                f"{limited_by}",
            )
        if options * n_bids > MOST_INDICES:
            raise refusal(
                "karma_max",
                self.karma_max,
                f"at most {MOST_INDICES} actions; with {options} options in a position there are "
                f"{options * n_bids}{limited_by}",
            )

    def provenance(self) -> dict[str, str]:
        """The files of the network, by their names without folders, and functions of the user's."""
        functions: dict[str, Any] = {}
        for field, source in (("network", self.network), *(("path_sets", each) for each in self.path_sets)):
            if not isinstance(source, str):
                functions[f"{field} {importable_name(source)}"] = source
            elif ":" in source and file_format(source) is None:
                functions[f"{field} {source}"] = import_named(field, source, "a function")
        files = {f"network {file.name}": file_digest(file) for file in network_files(self.network)}
        return super().provenance() | files | code_of(functions)

    @classmethod
    def functions_named(cls, values: Any) -> list[str]:
        """As for all games; the name of a network's file is no function's, whatever is in it."""
        if isinstance(values, Mapping) and file_format(values.get("network")) is not None:
            values = {name: item for name, item in values.items() if name != "network"}
        return super().functions_named(values)


def _path_sets(path_sets: Any, n_types: int) -> tuple[Any, ...]:
    allowed = "all, central, peripheral, module:function, or a function of the network, for each type"
    if not is_list(path_sets):
        raise refusal("path_sets", path_sets, f"a list: {allowed}")
    if len(path_sets) not in (0, n_types):
        raise refusal("path_sets", path_sets, f"none, or as many as types, here {n_types}")
    for index, each in enumerate(path_sets):
        named = isinstance(each, str) and (each in PATH_SETS or ":" in each)
        if not named and not callable(each):
            raise refusal(f"path_sets[{index}]", each, allowed)
    return tuple(path_sets)


def _capacity(capacity: Any) -> int | tuple[int, ...] | None:
    if capacity is None:
        return None
    if is_list(capacity):
        return tuple(whole(f"capacity[{lane}]", value, 1, 10**8) for lane, value in enumerate(capacity))
    if not isinstance(capacity, numbers.Real):
        raise refusal(
            "capacity", capacity, "a whole number, a list of one for each lane, or null (in Python None)"
        )
    return whole("capacity", capacity, 1, 10**8)


def _capacity_scale(scale: Any) -> str | float:
    if isinstance(scale, str):
        if scale not in ("mean", "median"):
            raise refusal("capacity_scale", scale, "mean, median, or a positive number")
        return scale
    return real("capacity_scale", scale, 0, open_low=True)


def _pairs(pairs: Any) -> tuple[tuple[str, str], ...]:
    allowed = "pairs of names of nodes, as [[a, b], [b, a]]"
    pairs = pairs.tolist() if isinstance(pairs, np.ndarray) else pairs
    if not isinstance(pairs, Sequence) or isinstance(pairs, (str, bytes)):
        raise refusal("pairs", pairs, allowed)
    for index, pair in enumerate(pairs):
        is_pair = isinstance(pair, Sequence) and not isinstance(pair, (str, bytes)) and len(pair) == 2
        if not is_pair or not all(isinstance(name, str) or type(name) is int for name in pair):
            raise refusal(f"pairs[{index}]", pair, allowed)
    return tuple((str(origin), str(destination)) for origin, destination in pairs)


PRESETS: dict[str, dict[str, Any]] = {
    "thesis": {},
    "small": {"n_agents": 100, "rows": 2, "columns": 2},
    "dict": {"allocation": "benevolent_dictator"},
    "coin": {"allocation": "coin_toss"},
    "turn": {"allocation": "turn_taking"},
    "routes": {"route_choice": "node"},
    "town": {"network": "town"},
}
"""The Thesis' setting (section 6.2), a small city, the Thesis' city without karma (as in Table 6.3), with
the choice of routes that it leaves for future work, and a town that is no grid."""

TRAINED_WITH: dict[str, dict[str, Any]] = {
    "": {"n_steps": 10_000_000, "epoch_length": 100, "learning_rate": 0.01, "rationality": 10.0},
    "small": {"n_steps": 2_000_000},
}
"""The Thesis' training (section 6.2), and a shorter one."""
