"""What pictures of games share. A game names the module that holds the ``Painter`` that draws it.

A painter has a ``figure_size`` in inches and a method ``draw(figure, scene)`` that shows what
``game.scene()`` gave on a Matplotlib figure, which is empty or the one it drew the scene before on.
:mod:`.roads` draws road networks for papers, :func:`animate` plays a game into a file. Matplotlib is
imported when the first picture is drawn.
"""

from __future__ import annotations

from karma_envs.rendering.animation import animate
from karma_envs.rendering.canvas import RENDER_MODES, Canvas

__all__ = ["RENDER_MODES", "Canvas", "animate"]
