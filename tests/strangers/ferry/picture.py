"""A picture of the ferry: a bar for everyone's patience."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure


class Painter:
    """Draws scenes of the ferry."""

    figure_size = (4.0, 3.0)

    def draw(self, figure: Figure, scene: dict[str, Any]) -> None:
        """Draw a scene on a figure that is empty or shows the one before."""
        figure.clear()
        axes = figure.add_subplot()
        axes.bar(range(len(scene["patience"])), scene["patience"])
        axes.set(ylim=(0, 3), xlabel="agent", ylabel="patience", title=f"step {scene['step']}")
