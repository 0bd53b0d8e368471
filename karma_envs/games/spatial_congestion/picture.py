"""A picture of a crowd in the plane: how desirable places are, where agents are, how dense the crowd is."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from karma_envs.rendering.panels import EfficiencyPainter, Places, draw_title, say

_PLACES: Places = {
    "field": (0.07, 0.13, 0.5, 0.73),
    "density": (0.67, 0.54, 0.3, 0.32),
    "efficiency": (0.67, 0.12, 0.3, 0.28),
}
_LEVELS = 6  # of contours


class Painter(EfficiencyPainter):
    """Draws scenes of crowds in the plane and remembers how efficiency went."""

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``CrowdGame.scene()`` on a figure that is empty or shows the one before."""
        figure.clear()
        efficiency = self._remember(scene)
        axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        _draw_field(axes["field"], scene)
        if "density" in scene:
            _draw_density(axes["density"], scene)
        else:
            say(axes["density"], "nobody moved yet")
        self._draw_efficiency(axes["efficiency"])
        axes["efficiency"].spines[["top", "right"]].set_visible(False)
        for axis in axes.values():
            axis.tick_params(labelsize=9)
        draw_title(figure, scene["title"], scene["n_agents"], scene["steps"], efficiency)


def _draw_field(axis: Axes, scene: dict[str, Any]) -> None:
    """Desirability in grey, and the agents on it."""
    _draw_map(axis, scene, scene["desirability"], "Greys", "Desirability, and the agents")
    x, y = scene["positions"].T
    size = float(np.clip(4000 / len(x), 1, 30))
    axis.scatter(x, y, s=size, color="tab:blue", alpha=0.6, linewidths=0)


def _draw_density(axis: Axes, scene: dict[str, Any]) -> None:
    """The density as agents met it."""
    density = scene["density"]
    _draw_map(axis, scene, density, "Blues", f"Density, at most {density.max():.3g}")


def _draw_map(
    axis: Axes, scene: dict[str, Any], values: NDArray[np.float64], colours: str, title: str
) -> None:
    """A function of the plane as colours and contours."""
    (left, right), (bottom, top) = scene["region"]
    extent = (left, right, bottom, top)
    axis.imshow(values.T, origin="lower", extent=extent, cmap=colours, vmin=0, alpha=0.7, aspect="equal")
    if values.max() > values.min():
        levels = values.max() * np.arange(1, _LEVELS + 1) / (_LEVELS + 1)
        axis.contour(values.T, levels, origin="lower", extent=extent, colors="0.4", linewidths=0.6)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("x", fontsize=9)
    axis.set_ylabel("y", fontsize=9)
