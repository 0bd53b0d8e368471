"""Panels that pictures of several games share: how much agents hold, how efficiency goes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from karma_envs.outcome import Outcome

GREY, INK = "0.55", "0.15"
Places = dict[str, tuple[float, float, float, float]]
"""Left, bottom, width and height of panels in the figure: fixed, so that drawing is fast and nothing jumps
from one scene to the next."""
_LEAST_SPAN = 0.02
"""Of efficiencies on an axis: less is noise, and takes many digits."""


class EfficiencyPainter:
    """Base of painters that remember how efficiency went over the scenes they drew."""

    figure_size = (9.6, 6.4)

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._efficiencies: list[float] = []

    def _remember(self, scene: dict[str, Any]) -> float:
        """Note the efficiency so far; NaN before the first step."""
        outcome: Outcome = scene["outcome"]
        steps, efficiency = scene["steps"], outcome.efficiency
        if self._steps and steps <= self._steps[-1]:  # the same scene again, or a new episode
            keep = int(np.searchsorted(self._steps, steps))
            del self._steps[keep:], self._efficiencies[keep:]
        if np.isfinite(efficiency):
            self._steps.append(steps)
            self._efficiencies.append(efficiency)
        return efficiency

    def _draw_efficiency(self, axis: Axes) -> None:
        axis.plot(self._steps, self._efficiencies, color="tab:blue", linewidth=1.5)
        axis.plot(self._steps[-1:], self._efficiencies[-1:], "o", color="tab:blue", markersize=5)
        axis.set_title("Efficiency so far", fontsize=10, loc="left")
        axis.set_xlabel("step", fontsize=9)
        axis.set_ylabel("mean reward", fontsize=9)
        if not self._steps:
            say(axis, "no step yet")
            return
        axis.margins(0.08)
        low, high = axis.get_ylim()
        if high - low < _LEAST_SPAN:
            axis.set_ylim((low + high - _LEAST_SPAN) / 2, (low + high + _LEAST_SPAN) / 2)
        axis.locator_params(axis="x", integer=True, nbins=4)
        axis.locator_params(axis="y", nbins=6)


def draw_title(figure: Figure, name: str, n_agents: int, steps: int, efficiency: float) -> None:
    """The game, its size, the step and the efficiency so far."""
    figure.suptitle(
        f"{name} · {n_agents} agents · step {steps}"
        + (f" · efficiency {efficiency:.3f}".replace("-", "−") if np.isfinite(efficiency) else ""),
        fontsize=12,
        color=INK,
    )


def draw_holdings(axis: Axes, what: str, held: NDArray[np.int64], most: int) -> None:
    """How many agents hold how many units.

    Args:
        axis: where to draw.
        what: they hold, such as karma.
        held: ``int64[N]``.
        most: units that an agent can hold.
    """
    counts = np.bincount(held, minlength=most + 1)
    axis.bar(np.arange(len(counts)), counts, color="0.65", width=0.8 if len(counts) <= 60 else 1.0)
    axis.axvline(held.mean(), color=INK, linestyle="--", linewidth=1)
    axis.set_title(f"{what.capitalize()} now (dashed: mean)", fontsize=10, loc="left")
    axis.set_xlabel(what, fontsize=9)
    axis.set_ylabel("agents", fontsize=9)
    axis.locator_params(axis="both", integer=True, nbins=6)


def say(axis: Axes, text: str) -> None:
    """A text instead of data."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, color=GREY)
