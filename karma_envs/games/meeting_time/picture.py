"""A picture of the meeting-time game: who came when, what they intended, when meetings started."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from karma_envs.rendering.panels import GREY, INK, EfficiencyPainter, Places, say

_PLACES: Places = {
    "arrivals": (0.08, 0.12, 0.5, 0.74),
    "intended": (0.68, 0.57, 0.3, 0.29),
    "efficiency": (0.68, 0.12, 0.3, 0.29),
}
_COLOURS = {"early": "tab:blue", "late": "tab:orange"}


class Painter(EfficiencyPainter):
    """Draws scenes of the meeting-time game and remembers how efficiency went."""

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``MeetingTimeGame.scene()`` on a figure that is empty or shows the one before."""
        figure.clear()
        efficiency = self._remember(scene)
        axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        if "start_time" in scene:
            _draw_arrivals(axes["arrivals"], scene)
            _draw_intended(axes["intended"], scene)
        else:
            say(axes["arrivals"], "no meeting yet")
            say(axes["intended"], "nobody came yet")
        self._draw_efficiency(axes["efficiency"])
        axes["efficiency"].set_xlabel("meeting", fontsize=9)
        for axis in axes.values():
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=9)
        heading = f"Meeting time · {scene['n_agents']} agents · meeting {scene['steps']}"
        if np.isfinite(efficiency):
            heading += f" · efficiency {efficiency:.3f}".replace("-", "−")
        figure.suptitle(heading, fontsize=12, color=INK)


def _draw_arrivals(axis: Axes, scene: dict[str, Any]) -> None:
    """The share that has arrived by each time, in blue those who wait, in orange those who come late."""
    arrivals = np.sort(scene["arrivals"])
    start, scheduled = scene["start_time"], scene["scheduled_time"]
    arrived = np.arange(1, len(arrivals) + 1) / len(arrivals)
    late = arrivals > start
    for name, members in (("early", ~late), ("late", late)):
        axis.plot(arrivals[members], arrived[members], ".", color=_COLOURS[name], markersize=5)
    axis.axhline(scene["quorum"], color=GREY, linestyle=":", linewidth=1)
    axis.axvline(scheduled, color=GREY, linestyle="--", linewidth=1)
    axis.axvline(start, color=INK, linewidth=1.5)
    edge = axis.get_xlim()[0]
    axis.text(edge, scene["quorum"], f" quorum {scene['quorum']:g}", va="bottom", fontsize=9, color=GREY)
    axis.text(scheduled, 1.02, "scheduled ", rotation=90, va="top", ha="right", fontsize=9, color=GREY)
    axis.text(start, 0.02, f" starts {start:.3f}", rotation=90, va="bottom", ha="left", fontsize=9, color=INK)
    axis.set_ylim(0, 1.03)
    axis.set_title(
        f"Arrived by then: {int((~late).sum())} in time, {int(late.sum())} late", fontsize=10, loc="left"
    )
    axis.set_xlabel("time", fontsize=9)
    axis.set_ylabel("share of the agents", fontsize=9)


def _draw_intended(axis: Axes, scene: dict[str, Any]) -> None:
    """When agents meant to come, by how uncertain they are."""
    axis.plot(scene["uncertainty"], scene["intended"], ".", color="0.4", markersize=4)
    axis.axhline(scene["scheduled_time"], color=GREY, linestyle="--", linewidth=1)
    axis.axhline(scene["start_time"], color=INK, linewidth=1.5)
    axis.set_title("Intended arrivals", fontsize=10, loc="left")
    axis.set_xlabel("uncertainty", fontsize=9)
    axis.set_ylabel("time", fontsize=9)
