"""A picture of the matching game: who met whom, what they bid, how karma is spread, how it goes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from karma_envs.rendering.panels import GREY, INK, EfficiencyPainter, Places, draw_holdings, draw_title, say

_MOST_PAIRS = 20
_MOST_PATCHES = 6
_PLACES: Places = {
    "pairs": (0.01, 0.14, 0.535, 0.755),
    "karma": (0.65, 0.585, 0.34, 0.31),
    "efficiency": (0.65, 0.14, 0.34, 0.31),
}


class Painter(EfficiencyPainter):
    """Draws scenes of the matching game and remembers how efficiency went."""

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``MatchingGame.scene()`` on a figure that is empty or shows the one before."""
        figure.clear()
        efficiency = self._remember(scene)
        axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        colours = _urgency_colours(scene["urgency_values"])
        _draw_pairs(axes["pairs"], scene, colours)
        draw_holdings(axes["karma"], "karma", scene["karma"], scene["karma_max"])
        self._draw_efficiency(axes["efficiency"])
        _draw_legend(figure, colours)
        for axis in axes.values():
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=9)
        draw_title(figure, "Matching game", len(scene["karma"]), scene["steps"], efficiency)


def _urgency_colours(values: list[float]) -> dict[float, Any]:
    """A colour for each urgency, pale to dark."""
    shades = np.linspace(0.25, 0.85, max(len(values), 2))
    return {float(np.float32(value)): colormaps["YlOrRd"](shade) for value, shade in zip(values, shades)}


def _draw_pairs(axis: Axes, scene: dict[str, Any], colours: dict[float, Any]) -> None:
    """A row per pair: a tile and a bar for each agent's urgency and bid, an arrow to the winner."""
    bids, rewards, urgency = scene["bids"], scene["rewards"], scene["urgency"]
    pairs: NDArray[np.int64] = scene["pairs"][:_MOST_PAIRS]
    if len(pairs) == 0:
        axis.set_title("Last step", fontsize=10, loc="left")
        say(axis, "no contest yet")
        return
    reach = max(int(bids[pairs].max()), 4)
    tile = 0.11 * reach
    for row, (left, right) in enumerate(pairs):
        for side, agent, peer in ((-1, left, right), (1, right, left)):
            colour = colours[float(urgency[agent])]
            axis.barh(row, side * 0.6 * tile, left=side * 0.4 * tile, color=colour, height=0.72)
            axis.barh(row, side * bids[agent], left=side * tile, color=colour, height=0.72, alpha=0.55)
            wins = rewards[agent] > rewards[peer]
            outward, inward = ("left", "right") if side > 0 else ("right", "left")
            text: dict[str, Any] = {
                "va": "center",
                "fontsize": 9,
                "color": INK if wins else GREY,
                "fontweight": "bold" if wins else "normal",
            }
            edge = side * (tile + bids[agent] + 0.02 * reach)
            axis.text(edge, row, str(bids[agent]), ha=outward, **text)
            axis.text(side * 2.0 * reach, row, f"agent {agent}", ha=inward, **text)
            if wins:
                axis.plot(0, row, marker=">" if side > 0 else "<", color=INK, markersize=5)
    rest = len(scene["pairs"]) - len(pairs)
    caption = f"the first {len(pairs)} of {rest + len(pairs)} pairs" if rest else f"{len(pairs)} pairs"
    axis.set_title(f"Last step: bids of {caption}, an arrow to the winner", fontsize=10, loc="left")
    axis.set_ylim(max(len(pairs), 6) - 0.4, -0.6)
    axis.set_xlim(-2.0 * reach, 2.0 * reach)
    ticks = np.asarray(MaxNLocator(4, integer=True).tick_values(0, reach)).astype(int)
    ticks = ticks[ticks <= reach]
    axis.set_xticks([*(-ticks[::-1] - tile), *(ticks + tile)], [*ticks[::-1], *ticks])
    axis.set_xlabel("bid", fontsize=9)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)


def _draw_legend(figure: Figure, colours: dict[float, Any]) -> None:
    """What the colours mean; of many urgencies, some from low to high."""
    values = list(colours)
    shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_PATCHES)).round().astype(int))
    heading = Patch(alpha=0, label="urgency")
    patches = [Patch(color=colours[values[index]], label=f"{values[index]:g}") for index in shown]
    figure.legend(
        handles=[heading, *patches],
        loc="lower left",
        ncols=len(patches) + 1,
        frameon=False,
        fontsize=9,
        handlelength=1.2,
        columnspacing=1.2,
    )
