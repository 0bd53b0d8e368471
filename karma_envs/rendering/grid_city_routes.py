"""The city with a choice of routes is drawn as the city is."""

from karma_envs.rendering.grid_city import Painter

__all__ = ["Painter"]
