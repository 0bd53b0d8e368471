"""A picture of the auction: who bid what, who won at which price, how budgets are spread, how it goes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from karma_envs.rendering.panels import GREY, INK, EfficiencyPainter, Places, draw_holdings, draw_title, say

_MOST_GROUPS = 16
_BID, _WON, _BROKE = "0.72", "tab:blue", "tab:red"
_PLACES: Places = {
    "groups": (0.05, 0.165, 0.53, 0.73),
    "budgets": (0.68, 0.585, 0.31, 0.31),
    "efficiency": (0.68, 0.165, 0.31, 0.285),
}


class Painter(EfficiencyPainter):
    """Draws scenes of the auction and remembers how efficiency went."""

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``AuctionGame.scene()`` on a figure that is empty or shows the one before."""
        figure.clear()
        efficiency = self._remember(scene)
        axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        _draw_groups(axes["groups"], scene)
        draw_holdings(axes["budgets"], "budget", scene["budget"], scene["budget_max"])
        self._draw_efficiency(axes["efficiency"])
        _draw_legend(figure)
        for axis in axes.values():
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=9)
        draw_title(figure, "Auction", len(scene["budget"]), scene["steps"], efficiency)


def _draw_groups(axis: Axes, scene: dict[str, Any]) -> None:
    """A row per auction: its bids, the winner's in colour, a bar at the price, and what the winner got."""
    groups: NDArray[np.int64] = scene["groups"][:_MOST_GROUPS]
    if len(groups) == 0:
        axis.set_title("Last step", fontsize=10, loc="left")
        say(axis, "no auction yet")
        return
    bid_max = scene["bid_max"]
    for row, group in enumerate(groups):
        bids = scene["bids"][group]
        winner = group[bids.argmax()]  # the first of equals
        price = int(np.sort(bids)[-2]) if len(bids) > 1 else 0
        had = int(scene["budget_before"][winner])
        colour = _BROKE if price > had else _WON
        values, counts = np.unique(bids, return_counts=True)
        axis.scatter(values, np.full(len(values), row), s=36 * np.minimum(counts, 9), color=_BID, zorder=2)
        axis.scatter(bids.max(), row, s=36, color=colour, zorder=3)
        axis.plot([price, price], [row - 0.36, row + 0.36], color=INK, linewidth=1.5, zorder=4)
        said = f"agent {winner} had {had}, pays {price}: {scene['rewards'][winner]:+.1f}".replace("-", "−")
        axis.text(1.03 * bid_max + 0.4, row, said, va="center", fontsize=8, color=colour)
    rest = len(scene["groups"]) - len(groups)
    caption = (
        f"the first {len(groups)} of {rest + len(groups)} auctions" if rest else f"{len(groups)} auctions"
    )
    axis.set_title(f"Last step: bids in {caption}", fontsize=10, loc="left")
    axis.set_ylim(max(len(groups), 6) - 0.4, -0.6)
    axis.set_xlim(-0.04 * bid_max - 0.3, 1.62 * bid_max + 0.4)
    ticks = np.asarray(MaxNLocator(10, integer=True).tick_values(0, bid_max)).astype(int)
    axis.set_xticks(ticks[(ticks >= 0) & (ticks <= bid_max)])
    axis.set_xlabel("bid", fontsize=9, x=0.3)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.spines["bottom"].set_bounds(0, bid_max)


def _draw_legend(figure: Figure) -> None:
    """What the marks mean."""
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 6}
    handles = [
        Line2D([], [], color=_BID, label="bids (larger: several)", **dot),
        Line2D([], [], color=_WON, label="winner", **dot),
        Line2D([], [], color=_BROKE, label="winner that cannot pay", **dot),
        Line2D([], [], color=INK, marker="|", linestyle="none", markersize=11, label="price"),
    ]
    figure.legend(handles=handles, loc="lower left", ncols=4, frameon=False, fontsize=9, labelcolor=GREY)
