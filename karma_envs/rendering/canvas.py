"""What scenes of a game are drawn on: a window, or images."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.registry import game_class, names
from karma_envs.rendering.drawing import drawing, load_matplotlib

RENDER_MODES = ("human", "rgb_array")
_DPI = 100


def rendered_games() -> tuple[str, ...]:
    """The names of all games that have a picture."""
    return tuple(name for name in names() if game_class(name).picture is not None)


class Canvas:
    """A window or an image onto which scenes of one game are drawn.

    Args:
        picture: the module that holds the game's ``Painter``, as
            :attr:`karma_envs.game.PopulationGame.picture` names it.
        mode: ``human`` for a window, ``rgb_array`` for images.

    Attributes:
        figure: the Matplotlib figure.

    Raises:
        ImportError: when Matplotlib is missing.
    """

    def __init__(self, picture: str, mode: str) -> None:
        load_matplotlib()
        from matplotlib import pyplot
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._pyplot = pyplot
        self._painter = importlib.import_module(picture).Painter()
        style = {"figsize": self._painter.figure_size, "dpi": _DPI}
        self._shown = mode == "human"
        self.figure = pyplot.figure(**style) if self._shown else Figure(**style)
        if not self._shown:
            FigureCanvasAgg(self.figure)

    def paint(self, scene: dict[str, Any]) -> None:
        """Put a scene on the figure, which is not drawn yet."""
        with drawing():
            self._painter.draw(self.figure, scene)

    def show(self, scene: dict[str, Any]) -> NDArray[np.uint8] | None:
        """Draw a scene.

        Returns:
            the image ``uint8[H, W, 3]`` in mode ``rgb_array``; None in mode ``human``, where without
            a display nothing is shown.
        """
        self.paint(scene)
        canvas: Any = self.figure.canvas
        with drawing():
            canvas.draw()
        if not self._shown:
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()
        if canvas.required_interactive_framework is not None:
            self._pyplot.show(block=False)
            self._pyplot.pause(0.001)
        return None

    def close(self) -> None:
        """Close the window."""
        self._pyplot.close(self.figure)
