"""Maps of road networks: a value per lane as colour, agents' paths, queues.

A lane is a band that points where it leads, to the right of the line between its nodes if there is a
lane the other way, else on it. Lengths are in units of the network's positions, so that a map looks
the same at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.colors import Colormap, ListedColormap
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import refusal

if TYPE_CHECKING:
    from karma_envs.games.grid_city.network import RoadNetwork

HEAT, COLD = "magma_r", "viridis_r"
"""Perceptually uniform colour maps, dark where values are high, also in black and white."""
NOTHING = "0.82"
"""Colour of lanes without a value."""
PATH_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
PATH_STYLES = ("-", (0, (3, 1)), (0, (1, 0.8)), (0, (4, 1, 1, 1)))
"""Paths differ in colour and in dashes."""

_MOST_NODES_BY_DISTANCE = 600
_DENSE = 300  # lanes from which on a map is drawn without outlines and nodes


class Layout(NamedTuple):
    """Where a network is drawn.

    Attributes:
        places: ``float64[nodes, 2]``, x and y, in the graph's order.
        width: of a lane's band.
        starts: ``float64[L, 2]``, where the middle line of each lane's band begins.
        ends: ``float64[L, 2]``, its tip.
        across: ``float64[L, 2]``, of length 1, to the right of the way it leads.
    """

    places: NDArray[np.float64]
    width: float
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    across: NDArray[np.float64]

    def bands(self) -> NDArray[np.float64]:
        """Corners of each lane's band, ``float64[L, 5, 2]``: from its start on the left to its tip."""
        half = self.width / 2 * self.across
        along = self.ends - self.starts
        length = np.linalg.norm(along, axis=1, keepdims=True)
        head = np.minimum(0.8 * self.width, 0.5 * length)
        neck = self.ends - along * head / np.maximum(length, 1e-300)
        return np.stack([self.starts - half, self.starts + half, neck + half, self.ends, neck - half], axis=1)


@lru_cache(maxsize=8)
def layout(network: RoadNetwork) -> Layout:
    """Where a network is drawn.

    Nodes without positions are placed so that distances on paper resemble those on the roads
    (Kamada-Kawai), by the edges' ``length`` if all have one, else by how many they are; large networks,
    and those in several pieces, by springs, the same each time.
    """
    graph = network.graph
    positions = network.positions or _placed(graph.to_undirected())
    places = np.array([positions[node] for node in graph], np.float64)
    number = {node: index for index, node in enumerate(graph)}
    tails, heads = np.array([[number[start], number[end]] for start, end in network.lanes]).T
    along = places[heads] - places[tails]
    length = np.linalg.norm(along, axis=1, keepdims=True)
    along /= np.maximum(length, 1e-300)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    extent = float(np.ptp(places, axis=0).max()) or 1.0
    width = float(np.clip(0.15 * np.quantile(length, 0.25), 0.004 * extent, 0.05 * extent))
    both_ways = np.array([graph.has_edge(end, start) for start, end in network.lanes])
    aside = 0.6 * width * both_ways[:, None] * across
    gap = np.minimum(1.3 * width, (0.06 if len(length) > _DENSE else 0.2) * length) * along
    return Layout(places, width, places[tails] + gap + aside, places[heads] - gap + aside, across)


def _placed(roads: nx.Graph) -> dict[Any, Any]:
    """Positions of nodes that have none."""
    if len(roads) > _MOST_NODES_BY_DISTANCE or not nx.is_connected(roads):
        return dict(nx.spring_layout(roads, seed=0))
    lengths = np.array([length for _, _, length in roads.edges(data="length", default=None)])
    if lengths.dtype.kind not in "iuf" or not (lengths >= 0).all() or not lengths.any():
        return dict(nx.kamada_kawai_layout(roads, weight=None))
    lengths = np.sqrt(np.maximum(lengths, 1e-3 * lengths.mean()))  # gentle to short roads
    weighted = nx.Graph()
    weighted.add_nodes_from(roads)
    weighted.add_weighted_edges_from((*edge, length) for edge, length in zip(roads.edges, lengths))
    return dict(nx.kamada_kawai_layout(weighted))


def draw_lanes(
    axis: Axes,
    network: RoadNetwork,
    values: ArrayLike,
    *,
    label: str,
    limits: tuple[float, float] | None = None,
    colours: str = HEAT,
    extend: str | None = None,
    bar_axis: Axes | None = None,
) -> PolyCollection:
    """A map of a network, each lane coloured by its value.

    Args:
        axis: where; it loses its frame.
        network: the roads.
        values: ``float[L]`` by lane; where NaN, the lane is grey.
        label: what the values are, beside the colour bar.
        limits: the values at the ends of the colour bar; None for 0, or what is below, to the largest.
        colours: a Matplotlib colour map; its palest twentieth, which paper swallows, is left out.
        extend: which ends of the colour bar are pointed: neither, min, max or both, as in Matplotlib;
            None for those that values lie beyond.
        bar_axis: where the colour bar goes, flat; None for below the map.

    Returns:
        the bands, in the order of the lanes; ``set_array`` gives them other values.

    Raises:
        ConfigError: when there is not one value per lane, or limits do not rise.
    """
    array = np.ma.masked_invalid(_per_lane(network, values))
    low, high = limits or _range_of(array)
    if not low < high:
        raise refusal("limits", limits, "two numbers, the first below the second")
    bands = _draw_bands(axis, network)
    bands.set_array(array)
    bands.set_cmap(_printable(colours))
    bands.set_clim(low, high)
    if extend is None:
        beyond = bool((array < low).any()), bool((array > high).any())
        extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(beyond, "both")
    where: dict[str, Any] = (
        {"ax": axis, "location": "bottom", "shrink": 0.75, "aspect": 35, "pad": 0.02}
        if bar_axis is None
        else {"cax": bar_axis, "orientation": "horizontal"}
    )
    figure: Any = axis.figure
    bar = figure.colorbar(bands, extend=extend, label=label, **where)
    bar.outline.set_linewidth(0.4)
    return bands


def draw_paths(
    axis: Axes,
    network: RoadNetwork,
    paths: Sequence[Sequence[int]],
    *,
    labels: Sequence[str] | None = None,
    pale_network: bool = True,
) -> None:
    """Paths on a map: lines side by side in their lanes, from a ring to a square (Thesis, Figure 6.7).

    Args:
        axis: where; it loses its frame.
        network: the roads.
        paths: the lanes of each path, in order.
        labels: of the paths, for ``axis.legend()``; None for "path 1", "path 2" …
        pale_network: whether to draw the network too; False where the axis shows it already.

    Raises:
        ConfigError: for a path without lanes or with a lane that there is not.
    """
    for index, path in enumerate(paths):
        if not len(path) or not all(0 <= lane < len(network.lanes) for lane in path):
            raise refusal(
                f"paths[{index}]", path, f"one or more lanes, each from 0 to {len(network.lanes) - 1}"
            )
    if pale_network:
        _draw_bands(axis, network, facecolors="0.9", edgecolors="none")
    drawn = layout(network)
    node = dict(zip(network.graph, drawn.places))
    separate = len(set().union(*paths)) == sum(map(len, paths))
    for index, path in enumerate(paths):
        lanes = np.asarray(path)
        aside = 0 if separate else (index + 0.5) / len(paths) - 0.5
        track = drawn.across[lanes] * drawn.width * aside
        legs = np.stack([drawn.starts[lanes] + track, drawn.ends[lanes] + track], axis=1)
        origin, destination = node[network.lanes[lanes[0]][0]], node[network.lanes[lanes[-1]][1]]
        points = np.vstack([origin, legs.reshape(-1, 2), destination])
        colour = PATH_COLOURS[index % len(PATH_COLOURS)]
        label = f"path {index + 1}" if labels is None else labels[index]
        style: Any = PATH_STYLES[index % len(PATH_STYLES)]
        axis.plot(*points.T, color="white", linewidth=3.2, zorder=3)
        axis.plot(*points.T, color=colour, linestyle=style, linewidth=2, zorder=3, label=label)
        marks: dict[str, Any] = {"color": colour, "markersize": 6, "zorder": 4}
        axis.plot(*origin, "o", markerfacecolor="white", markeredgewidth=1.6, **marks)
        axis.plot(*destination, "s", **marks)


class Queues:
    """Dots on a map, at the start of each lane, with an area that grows with the agents that wait for it.

    Args:
        axis: a map of the network.
        network: the roads.
        full: as many agents as a dot as wide as a lane stands for; dots end at twice that width.
    """

    def __init__(self, axis: Axes, network: RoadNetwork, full: float) -> None:
        drawn = layout(network)
        self._width, self._full = drawn.width, full
        none = np.zeros(len(network.lanes))
        self._dots = EllipseCollection(
            none, none, none, units="xy", offsets=drawn.starts, offset_transform=axis.transData,
            facecolors="0.1", edgecolors="white", linewidths=0.3, zorder=4,
        )  # fmt: skip
        axis.add_collection(self._dots, autolim=False)

    def show(self, waiting: NDArray[np.integer[Any]]) -> None:
        """Show how many agents wait for each lane, ``int[L]``."""
        diameter = self._width * np.minimum(np.sqrt(waiting / self._full), 2)
        self._dots.set_widths(diameter)
        self._dots.set_heights(diameter)


def _draw_bands(axis: Axes, network: RoadNetwork, **style: Any) -> PolyCollection:
    """The lanes, and the nodes where there are few: rings where trips begin and end, dots elsewhere."""
    drawn = layout(network)
    dense = len(network.lanes) > _DENSE
    style = {"edgecolors": "none" if dense else "0.45", "linewidths": 0.3, **style}
    bands = PolyCollection(list(drawn.bands()), closed=True, zorder=2, **style)
    axis.add_collection(bands)
    if not dense:
        boundary = np.array([bool(data.get("boundary")) for _, data in network.graph.nodes(data=True)])
        axis.plot(*drawn.places[~boundary].T, "o", color="0.35", markersize=2, zorder=3)
        axis.plot(
            *drawn.places[boundary].T, "o", markerfacecolor="white", markeredgecolor="0.35",
            markeredgewidth=0.7, markersize=3, zorder=3,
        )  # fmt: skip
    axis.set_aspect("equal")
    axis.margins(0.03)
    axis.autoscale_view()
    axis.set_axis_off()
    return bands


def _per_lane(network: RoadNetwork, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.shape != (len(network.lanes),):
        raise refusal(
            "values", f"array of shape {array.shape}", f"{len(network.lanes)} numbers, one per lane"
        )
    return array


def _range_of(array: np.ma.MaskedArray[Any, Any]) -> tuple[float, float]:
    """From 0, or what is below, to the largest value; 0 to 1 if there is none."""
    if array.count() == 0:
        return 0.0, 1.0
    low, high = min(float(array.min()), 0.0), max(float(array.max()), 0.0)
    return (low, high) if low < high else (0.0, 1.0)


def _printable(name: str) -> Colormap:
    colours = ListedColormap(colormaps[name](np.linspace(0.05, 0.98, 256)), name=f"printable {name}")
    return colours.with_extremes(bad=NOTHING)
