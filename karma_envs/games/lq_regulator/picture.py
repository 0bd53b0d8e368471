"""A picture of the regulator game: where agents are and ought to be, what they do, how efficiency went."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from karma_envs.rendering.panels import GREY, INK, EfficiencyPainter, Places, draw_title, say

_PLACES: Places = {
    "positions": (0.08, 0.12, 0.5, 0.74),
    "controls": (0.68, 0.57, 0.3, 0.29),
    "efficiency": (0.68, 0.12, 0.3, 0.29),
}
_LEAST_REACH = 1.5
"""Of the axes from the target, so that a population at rest does not fill them."""


class Painter(EfficiencyPainter):
    """Draws scenes of the regulator game and remembers how efficiency went."""

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``LqRegulatorGame.scene()`` on a figure that is empty or shows the one before."""
        figure.clear()
        efficiency = self._remember(scene)
        axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        draw = _draw_plane if scene["position"].shape[1] > 1 else _draw_line
        draw(axes["positions"], scene)
        if "controls" in scene:
            _draw_controls(axes["controls"], scene)
        else:
            say(axes["controls"], "nobody steered yet")
        self._draw_efficiency(axes["efficiency"])
        for axis in axes.values():
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=9)
        draw_title(figure, "Regulator", scene["n_agents"], scene["steps"], efficiency)


def _draw_plane(axis: Axes, scene: dict[str, Any]) -> None:
    """The first two coordinates: a point for each agent, a cross at the target, a ring at the mean."""
    position, target = scene["position"], scene["target"]
    mean = position.mean(axis=0)
    axis.plot(position[:, 0], position[:, 1], ".", color="tab:blue", markersize=5, alpha=0.6)
    axis.plot(*mean[:2], "o", color=INK, markersize=11, fillstyle="none", label="mean")
    axis.plot(*target[:2], "x", color="tab:red", markersize=9, markeredgewidth=2, label="target")
    reach = max(_LEAST_REACH, float(np.abs(position[:, :2] - target[:2]).max()) * 1.05)
    axis.set_xlim(target[0] - reach, target[0] + reach)
    axis.set_ylim(target[1] - reach, target[1] + reach)
    axis.set_title(_told(scene), fontsize=10, loc="left")
    axis.set_xlabel("coordinate 1", fontsize=9)
    axis.set_ylabel("coordinate 2", fontsize=9)
    axis.legend(loc="upper right", frameon=False, fontsize=9)


def _draw_line(axis: Axes, scene: dict[str, Any]) -> None:
    """How many agents are where, with the target and the mean."""
    position, target = scene["position"][:, 0], scene["target"][0]
    reach = max(_LEAST_REACH, float(np.abs(position - target).max()) * 1.05)
    axis.hist(position, bins=31, range=(target - reach, target + reach), color="tab:blue", alpha=0.6)
    axis.axvline(position.mean(), color=INK, linewidth=1.5, label="mean")
    axis.axvline(target, color="tab:red", linestyle="--", linewidth=1.5, label="target")
    axis.set_title(_told(scene), fontsize=10, loc="left")
    axis.set_xlabel("position", fontsize=9)
    axis.set_ylabel("agents", fontsize=9)
    axis.legend(loc="upper right", frameon=False, fontsize=9)


def _told(scene: dict[str, Any]) -> str:
    variance = scene["position"].var(axis=0).mean()
    return f"Positions now, variance of a coordinate {variance:.3g}"


def _draw_controls(axis: Axes, scene: dict[str, Any]) -> None:
    """What agents did, of all controls alike; the axis ends where actions do."""
    controls, largest = scene["controls"].ravel(), scene["largest_action"]
    axis.hist(controls, bins=41, range=(-largest, largest), color="0.65")
    axis.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axis.set_title("Controls in the last step", fontsize=10, loc="left")
    axis.set_xlabel("control", fontsize=9)
    axis.set_ylabel("how many", fontsize=9)
