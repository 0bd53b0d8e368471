"""Water-filling: the equilibrium of a crowd whose moves cost nothing, for any field.

Among a density m an agent at x gets g(x) / (1 + m(x))^alpha. Where moves are free, agents are in equilibrium
iff all get the same, lambda, and nobody could get more elsewhere, whatever they started from:

    m(x) = ((g(x) / lambda)^(1 / alpha) - 1)+,    with lambda such that m has mass 1.

The mass falls in lambda, so there is one equilibrium.

Source: the game is that of D. Mguni, J. Jennings, E. Munoz de Cote, *Decentralised learning in systems with
many, many strategic agents*, 2018, experiment 1, which has no solution of it; this one is ours, from J. G.
Wardrop's condition, *Some theoretical aspects of road traffic research*, 1952.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_HALVINGS = 200
"""More than enough to bring the interval of a float64 down to two neighbours."""


def water_filling(
    desirability: ArrayLike, cell_area: float, crowd_aversion: float
) -> tuple[NDArray[np.float64], float]:
    """The equilibrium's density for any field on a grid, and what every agent gets.

    Args:
        desirability: g >= 0 at the cells, of any shape, somewhere > 0.
        cell_area: area of a cell.
        crowd_aversion: alpha > 0.

    Returns:
        m, ``float64`` of the shape of g, of mass 1; and lambda. Exact for the grid, but for rounding; against
        the field itself the grid makes an error of second order in its spacing.

    Raises:
        ValueError: when g is negative or nowhere positive.
    """
    field = np.asarray(desirability, np.float64)
    if not (field >= 0).all() or not field.max() > 0:
        raise ValueError("desirability is nowhere negative, and somewhere positive")
    # In units of the highest place's (1 + m) = c the others have c * height - 1: find c, the water level.
    heights = (field / field.max()) ** (1 / crowd_aversion)

    def mass(level: float) -> float:
        return cell_area * float(np.maximum(level * heights - 1, 0).sum())

    low, high = 1.0, 1.0 + 1 / cell_area  # at which the highest cell alone holds all
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if mass(middle) < 1 else (low, middle)
    density = np.maximum(high * heights - 1, 0)
    return np.asarray(density / (cell_area * density.sum())), float(field.max() / high**crowd_aversion)
