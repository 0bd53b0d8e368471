"""The city with a choice of routes is drawn as the city is."""

from karma_envs.games.grid_city.picture import Painter

__all__ = ["Painter"]
