"""A picture of the city: which lanes are overfull, how karma is spread, how it goes."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from karma_envs.rendering.panels import INK, EfficiencyPainter, draw_karma, draw_title

_FULL = 3.0
"""Agents per place at which the colour scale ends."""


class Painter(EfficiencyPainter):
    """Draws scenes of the grid city and remembers how efficiency went."""

    def __init__(self) -> None:
        super().__init__()
        self._network: Any = None
        self._places: dict[Any, Any] = {}

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``GridCityGame.scene()`` on an empty figure."""
        efficiency = self._remember(scene)
        figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
        axes = figure.subplot_mosaic([["map", "karma"], ["map", "efficiency"]], width_ratios=(3, 2))
        self._draw_map(figure, axes["map"], scene)
        draw_karma(axes["karma"], scene)
        self._draw_efficiency(axes["efficiency"])
        for name in ("karma", "efficiency"):
            axes[name].spines[["top", "right"]].set_visible(False)
            axes[name].tick_params(labelsize=9)
        draw_title(figure, "Grid city", scene, efficiency)

    def _draw_map(self, figure: Figure, axis: Axes, scene: dict[str, Any]) -> None:
        """An arrow per lane, coloured by how many agents wanted each of its places."""
        network = scene["network"]
        if network is not self._network:
            self._network = network
            self._places = network.positions or nx.spring_layout(network.graph, seed=0)
        ends = np.array([[self._places[node] for node in lane] for lane in network.lanes])
        starts, along = _side_by_side(ends)
        wanted = np.bincount(scene["lanes"][scene["lanes"] >= 0], minlength=len(network.lanes))
        arrows = axis.quiver(
            *starts.T, *along.T, wanted / network.capacity, angles="xy", scale_units="xy", scale=1,
            width=0.007, headwidth=3.5, headlength=4, headaxislength=4, cmap="YlOrRd", clim=(0, _FULL),
            edgecolor="0.6", linewidth=0.4,
        )  # fmt: skip
        axis.plot(*np.array(list(self._places.values())).T, "o", color=INK, markersize=2.5)
        axis.set_aspect("equal")
        axis.margins(0.05)
        axis.set_axis_off()
        active, waiting = wanted.sum(), np.maximum(wanted - network.capacity, 0).sum()
        caption = f"Last step: {active} agents under way, {waiting} had to wait" if active else "No step yet"
        axis.set_title(caption, fontsize=10, loc="left")
        bar = figure.colorbar(arrows, ax=axis, location="bottom", shrink=0.6, extend="max", aspect=40)
        bar.set_label("agents that want a lane, per place", fontsize=9)
        bar.ax.tick_params(labelsize=9)


def _side_by_side(ends: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start and direction of each lane, to the right of its line, so that both directions are seen.

    Args:
        ends: ``float64[L, 2, 2]``: from and to, x and y.
    """
    along = ends[:, 1] - ends[:, 0]
    right = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return ends[:, 0] + 0.1 * along + 0.08 * right, 0.8 * along
