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

_MOST_PAIRS = 20
_MOST_PATCHES = 6
_GREY, _INK = "0.55", "0.15"


class Painter:
    """Draws scenes of the matching game and remembers how efficiency went."""

    figure_size = (9.6, 6.4)

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._efficiencies: list[float] = []

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``MatchingGame.scene()`` on an empty figure."""
        efficiency = self._remember(scene)
        figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
        axes = figure.subplot_mosaic([["pairs", "karma"], ["pairs", "efficiency"]], width_ratios=(3, 2))
        colours = _urgency_colours(scene["urgency_values"])
        _draw_pairs(axes["pairs"], scene, colours)
        _draw_karma(axes["karma"], scene)
        self._draw_efficiency(axes["efficiency"])
        _draw_legend(figure, colours)
        for axis in axes.values():
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=9)
        figure.suptitle(
            f"Matching game · {len(scene['karma'])} agents · step {scene['steps']}"
            + (f" · efficiency {efficiency:.3f}".replace("-", "−") if np.isfinite(efficiency) else ""),
            fontsize=12,
            color=_INK,
        )

    def _remember(self, scene: dict[str, Any]) -> float:
        outcome, steps = scene["outcome"], scene["steps"]
        contests = outcome.contests.sum()
        efficiency = float(outcome.rewards.sum() / contests) if contests else float("nan")
        if self._steps and steps <= self._steps[-1]:  # the same scene again, or a new episode
            keep = int(np.searchsorted(self._steps, steps))
            del self._steps[keep:], self._efficiencies[keep:]
        if contests:
            self._steps.append(steps)
            self._efficiencies.append(efficiency)
        return efficiency

    def _draw_efficiency(self, axis: Axes) -> None:
        axis.plot(self._steps, self._efficiencies, color="tab:blue", linewidth=1.5)
        axis.plot(self._steps[-1:], self._efficiencies[-1:], "o", color="tab:blue", markersize=5)
        axis.set_title("Efficiency so far", fontsize=10, loc="left")
        axis.set_xlabel("step", fontsize=9)
        axis.set_ylabel("mean reward per contest", fontsize=9)
        if not self._steps:
            _say(axis, "no contest yet")
            return
        axis.margins(0.08)
        axis.locator_params(axis="x", integer=True, nbins=5)


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
        _say(axis, "no contest yet")
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
                "color": _INK if wins else _GREY,
                "fontweight": "bold" if wins else "normal",
            }
            edge = side * (tile + bids[agent] + 0.02 * reach)
            axis.text(edge, row, str(bids[agent]), ha=outward, **text)
            axis.text(side * 2.0 * reach, row, f"agent {agent}", ha=inward, **text)
            if wins:
                axis.plot(0, row, marker=">" if side > 0 else "<", color=_INK, markersize=5)
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


def _say(axis: Axes, text: str) -> None:
    """A text instead of data."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, color=_GREY)


def _draw_legend(figure: Figure, colours: dict[float, Any]) -> None:
    """What the colours mean; of many urgencies, some from low to high."""
    values = list(colours)
    shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_PATCHES)).round().astype(int))
    heading = Patch(alpha=0, label="urgency")
    patches = [Patch(color=colours[values[index]], label=f"{values[index]:g}") for index in shown]
    figure.legend(
        handles=[heading, *patches],
        loc="outside lower left",
        ncols=len(patches) + 1,
        frameon=False,
        fontsize=9,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _draw_karma(axis: Axes, scene: dict[str, Any]) -> None:
    """How many agents have how much karma."""
    counts = np.bincount(scene["karma"], minlength=scene["karma_max"] + 1)
    axis.bar(np.arange(len(counts)), counts, color="0.65", width=0.8 if len(counts) <= 60 else 1.0)
    axis.axvline(scene["karma"].mean(), color=_INK, linestyle="--", linewidth=1)
    axis.set_title("Karma after the step (dashed: mean)", fontsize=10, loc="left")
    axis.set_xlabel("karma", fontsize=9)
    axis.set_ylabel("agents", fontsize=9)
    axis.locator_params(axis="both", integer=True, nbins=6)
