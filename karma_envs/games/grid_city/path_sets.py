"""Sets of paths: from which paths the agents of a type draw theirs.

Ours: the Thesis (section 6.2) compares lucky, average and unlucky agents, whose paths avoid the
congested centre or pass through it, as chance would have it. Types with sets of their own make them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.games.grid_city.config import GridCityConfig
from karma_envs.games.grid_city.network import RoadNetwork
from karma_envs.plugins import call_named


def draw_paths(
    network: RoadNetwork, type_of_agent: NDArray[np.uint8], config: GridCityConfig
) -> NDArray[np.int64]:
    """Everyone's paths, drawn with replacement.

    Args:
        network: the roads.
        type_of_agent: ``uint8[N]``, rising.
        config: names the sets, the number of paths and the seed.

    Returns:
        ``int64[N, paths_per_agent]``, index into the network's paths.

    Raises:
        ConfigError: when a set is none of the network's.
    """
    rng = np.random.default_rng(config.path_seed)
    if not config.path_sets:
        shape = len(type_of_agent), config.paths_per_agent
        return rng.choice(len(network.paths), size=shape, p=network.weights)
    drawn = [
        rng.choice(
            len(network.paths),
            size=(int((type_of_agent == kind).sum()), config.paths_per_agent),
            p=path_weights(network, path_set, f"path_sets[{kind}]"),
        )
        for kind, path_set in enumerate(config.path_sets)
    ]
    return np.concatenate(drawn)


def path_weights(
    network: RoadNetwork,
    path_set: str | Callable[[RoadNetwork], NDArray[np.float64]],
    field: str = "path_sets",
) -> NDArray[np.float64]:
    """How likely the paths of a set are drawn, ``float64[paths]`` with sum 1.

    Args:
        network: the roads.
        path_set: as in the configuration.
        field: its name, for errors.

    Raises:
        ConfigError: when these are no weights, or no path has any.
    """
    if path_set == "all":
        return network.weights
    if path_set in ("central", "peripheral"):
        central = _is_central(network)
        weights = network.weights * (central if path_set == "central" else ~central)
    else:
        allowed = "a function of the network that returns a weight for each path, or its module:function"
        weights = np.asarray(call_named(field, path_set, allowed, network))
    if (
        weights.shape != (len(network.paths),)
        or weights.dtype.kind not in "biuf"
        or not np.isfinite(weights).all()
        or (weights < 0).any()
        or not weights.any()
    ):
        shown = f"{weights.dtype}{list(weights.shape)}"
        if weights.shape == (len(network.paths),) and weights.dtype.kind in "biuf":
            shown += f" in {weights.min()} … {weights.max()}"
        raise refusal(
            field,
            path_set,
            f"a set that weighs the {len(network.paths)} paths with numbers from 0 up, not all 0; "
            f"these are {shown}",
        )
    return np.asarray(weights / weights.sum(), np.float64)


def _is_central(network: RoadNetwork) -> NDArray[np.bool_]:
    """Whether a path's lanes are, in the mean, used by more trips than those of the median path.

    The median is over paths by their weights, so that at most half of all trips are central.
    """
    occupancy = network.occupancy()
    use = np.array([occupancy[list(path)].mean() for path in network.paths])
    use = np.round(use / use.max(), 9)  # paths that symmetry makes equal are equal
    order = np.argsort(use, kind="stable")
    middle = np.searchsorted(np.cumsum(network.weights[order]), 0.5 - 1e-9)
    return np.asarray(use > use[order[middle]], np.bool_)
