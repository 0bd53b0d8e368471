"""A picture of the city: how crowded lanes are, what is bid, how karma is spread, how it goes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from karma_envs.rendering.panels import INK, EfficiencyPainter, Places, draw_holdings, draw_title
from karma_envs.rendering.roads import COLD, Queues, draw_lanes, draw_paths, layout

if TYPE_CHECKING:
    from karma_envs.games.grid_city.lanes import LaneOutcome

_FULL = 3.0
"""Agents per place at which the colour scale ends."""
_MEMORY = 20
"""Mean bids are over that many steps, if as many were drawn: a lane may be without bids for some."""
_PLACES: Places = {
    "crowd": (0.01, 0.19, 0.365, 0.68),
    "crowd bar": (0.05, 0.125, 0.285, 0.022),
    "bids": (0.385, 0.19, 0.365, 0.68),
    "bids bar": (0.425, 0.125, 0.285, 0.022),
    "karma": (0.82, 0.585, 0.17, 0.285),
    "efficiency": (0.82, 0.125, 0.17, 0.285),
}


class Painter(EfficiencyPainter):
    """Draws scenes of the grid city and remembers what it has drawn.

    A scene may hold ``followed``, one agent to show on the map of bids: ``agent``, its number, ``paths``,
    the lanes of each of its paths, and ``lane``, the one it wanted in the last step, -1 if dormant.
    """

    figure_size = (12.0, 6.0)

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Any, ...] = ()
        self._outcomes: deque[LaneOutcome] = deque()

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Show a scene of ``GridCityGame.scene()`` on a figure that is empty or shows the one before."""
        efficiency = self._remember(scene)
        followed = scene.get("followed")
        shown = figure, scene["network"], scene["karma_max"], followed and followed["paths"]
        if shown != self._shown:
            self._shown = shown
            self._begin(figure, scene, followed)
        self._show_crowd(scene)
        self._show_bids(scene)
        if followed:
            self._show_followed(scene, followed)
        panels = self._axes["karma"], self._axes["efficiency"]
        for panel in panels:
            panel.clear()
            panel.spines[:].set_visible(True)
        draw_holdings(self._axes["karma"], "karma", scene["karma"], scene["karma_max"])
        self._draw_efficiency(self._axes["efficiency"])
        for panel in panels:
            panel.spines[["top", "right"]].set_visible(False)
            panel.tick_params(labelsize=9)
        draw_title(figure, "Grid city", len(scene["karma"]), scene["steps"], efficiency)

    def _begin(self, figure: Figure, scene: dict[str, Any], followed: dict[str, Any] | None) -> None:
        """The maps without values."""
        figure.clear()
        network = scene["network"]
        self._axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        unknown = np.full(len(network.lanes), np.nan)
        self._crowd = draw_lanes(
            self._axes["crowd"], network, unknown, limits=(0, _FULL), extend="max",
            label="agents that want the lane, per place", bar_axis=self._axes["crowd bar"],
        )  # fmt: skip
        self._bids = draw_lanes(
            self._axes["bids"], network, unknown, colours=COLD,
            label="mean bid (grey: no bids)", bar_axis=self._axes["bids bar"],
        )  # fmt: skip
        self._queues = Queues(self._axes["crowd"], network, full=2 * float(network.capacity.mean()))
        if followed:
            draw_paths(self._axes["bids"], network, followed["paths"], pale_network=False)
            self._frame = PolyCollection([], facecolors="none", edgecolors=INK, linewidths=1.8, zorder=5)
            self._axes["bids"].add_collection(self._frame, autolim=False)

    def _show_crowd(self, scene: dict[str, Any]) -> None:
        """How many agents wanted each place of a lane, and how many of them wait."""
        network = scene["network"]
        wanted = np.bincount(scene["lanes"][scene["lanes"] >= 0], minlength=len(network.lanes))
        waiting = np.maximum(wanted - network.capacity, 0)
        self._crowd.set_array(wanted / network.capacity)
        self._queues.show(waiting)
        caption = "No agent under way" if scene["steps"] else "No step yet"
        if wanted.any():
            caption = f"Last step: {wanted.sum()} agents under way, {waiting.sum()} had to wait"
            if waiting.any():
                caption += f"\n(dots at their lanes' starts, the largest {waiting.max()})"
        _caption(self._axes["crowd"], caption)

    def _show_bids(self, scene: dict[str, Any]) -> None:
        """Mean bids since the scene that was drawn some steps ago, or since reset."""
        outcome, seen = scene["lane_outcome"], self._outcomes
        if seen and (outcome.since(seen[-1]).attempts < 0).any():  # a new episode
            seen.clear()
        elif seen and seen[-1].steps == outcome.steps:  # the same scene again
            seen.pop()
        seen.append(outcome)
        while len(seen) > 2 and seen[1].steps <= outcome.steps - _MEMORY:
            seen.popleft()
        lately, before = (outcome.since(seen[0]), seen[0].steps) if len(seen) > 1 else (outcome, 0)
        bids = np.ma.masked_invalid(lately.mean_bid)
        self._bids.set_array(bids)
        self._bids.set_clim(0, _scale_end(bids, scene["karma_max"]))
        caption = f"Mean bid, steps {before + 1} to {outcome.steps}" if outcome.steps else "No bids yet"
        _caption(self._axes["bids"], caption)

    def _show_followed(self, scene: dict[str, Any], followed: dict[str, Any]) -> None:
        """What the followed agent has and does."""
        agent, lane = followed["agent"], followed["lane"]
        self._frame.set_verts([layout(scene["network"]).bands()[lane]] if lane >= 0 else [])
        axis, karma = self._axes["bids"], scene["karma"][agent]
        doing = f"bid {scene['bids'][agent]} for the framed lane" if lane >= 0 else "was dormant"
        caption = f"{axis.get_title(loc='left')}\nAgent {agent} (lines): {doing}, has karma {karma}"
        _caption(axis, caption)


def _scale_end(bids: np.ma.MaskedArray[Any, Any], highest: int) -> float:
    """The highest bid, halved while all bids are below: the scale changes seldom."""
    end = float(max(highest, 1))
    while bids.count() and end > 1 and bids.max() < end / 2:
        end /= 2
    return end


def _caption(axis: Axes, text: str) -> None:
    axis.set_title(text, fontsize=10, loc="left", color=INK)
