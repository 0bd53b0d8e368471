"""A picture of the two-state control game: where agents are, who switches, how the share and rewards go."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from karma_envs.rendering.panels import GREY, INK, EfficiencyPainter, Places, draw_title, say

_PLACES: Places = {
    "share": (0.08, 0.57, 0.53, 0.32),
    "moves": (0.08, 0.11, 0.53, 0.29),
    "efficiency": (0.71, 0.11, 0.28, 0.78),
}
_STAYED, _SWITCHED, _FAILED = "0.72", "tab:blue", "tab:orange"
_PLANNER, _SELFISH = "tab:green", "tab:red"


class Painter(EfficiencyPainter):
    """Draws scenes of the two-state control game and remembers how share and efficiency went."""

    def __init__(self) -> None:
        super().__init__()
        self._shares: dict[int, float] = {}

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene of ``TwoStateControlGame.scene()`` on a figure that is empty or shows the last one."""
        figure.clear()
        efficiency = self._remember(scene)
        earlier = {step: share for step, share in self._shares.items() if step < scene["steps"]}
        self._shares = {**earlier, scene["steps"]: scene["share"]}
        axes = {name: figure.add_axes(place) for name, place in _PLACES.items()}
        self._draw_shares(axes["share"], scene)
        _draw_moves(axes["moves"], scene)
        self._draw_efficiency(axes["efficiency"])
        for axis in axes.values():
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=9)
        draw_title(figure, "Two-state control", scene["n_agents"], scene["steps"], efficiency)

    def _draw_shares(self, axis: Axes, scene: dict[str, Any]) -> None:
        """The share in state 1 over time, beside what a planner and what selfish agents rest at."""
        steps, shares = list(self._shares), list(self._shares.values())
        for name, level, colour in (
            ("planner", scene["planners_share"], _PLANNER),
            ("selfish", scene["selfish_share"], _SELFISH),
        ):
            axis.axhline(level, color=colour, linestyle="--", linewidth=1)
            axis.annotate(
                f"{name} {level:.3g}",
                (1.0, level),
                (-2, 2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=9,
                color=colour,
            )
        axis.plot(steps, shares, color=INK, linewidth=1.5)
        axis.plot(steps[-1:], shares[-1:], "o", color=INK, markersize=5)
        axis.set_ylim(-0.02, 1.02)
        axis.set_title(f"Share in state 1, now {scene['share']:.3f}", fontsize=10, loc="left")
        axis.set_xlabel("step", fontsize=9)
        axis.set_ylabel("share", fontsize=9)
        axis.locator_params(axis="x", integer=True, nbins=6)


def _draw_moves(axis: Axes, scene: dict[str, Any]) -> None:
    """A bar per state: the agents that were there before the step, and what became of them."""
    counts = scene["counts"]
    if not counts.any():
        say(axis, "no step yet")
        return
    states = np.arange(2)
    stayed, other = counts[states, states].sum(axis=1), 1 - states
    switched, failed = counts[states, other, other], counts[states, other, states]
    left = np.zeros(2)
    for label, numbers, colour in (
        ("stay", stayed, _STAYED),
        ("switch", switched, _SWITCHED),
        ("try in vain", failed, _FAILED),
    ):
        axis.barh(states, numbers, left=left, color=colour, height=0.6, label=label)
        left = left + numbers
    axis.set_yticks(states)
    axis.set_yticklabels(["state 0", "state 1"])
    axis.set_xlim(0, scene["n_agents"])
    axis.set_xlabel("agents", fontsize=9, color=GREY)
    axis.set_title("Last step, by the state before", fontsize=10, loc="left")
    axis.legend(
        loc="upper right", bbox_to_anchor=(1.02, 1.21), ncols=3, frameon=False, fontsize=9, labelcolor=GREY
    )
