"""Water-filling: the equilibrium of a crowd whose moves cost nothing, for any field, and any incentive.

Among a density m an agent at x gets g(x) / (1 + m(x))^alpha, and an incentive Theta(x) besides. Where moves
are free, agents are in equilibrium iff all get the same, lambda, and nobody could get more elsewhere,
whatever they started from:

    m(x) = ((g(x) / (lambda - Theta(x)))^(1 / alpha) - 1)+,    with lambda such that m has mass 1.

The mass falls in lambda, so there is one equilibrium. It is where the potential

    Phi(m) = int int_0^m(x) g(x) (1 + s)^-alpha ds dx + int Theta m dx

is greatest, which is concave in m: lambda is the multiplier of the mass. So any density M can be made the
equilibrium, by Theta*(x) = lambda - g(x) (1 + M(x))^-alpha, see :func:`inducing_incentive`.

Sources: the game is that of D. Mguni, J. Jennings, E. Munoz de Cote, *Decentralised learning in systems with
many, many strategic agents*, 2018, experiment 1, which has no solution of it; this one is ours, from J. G.
Wardrop's condition, *Some theoretical aspects of road traffic research*, 1952. Incentives and the potential:
*Controlling the crowd: inducing efficient equilibria in multi-agent systems*, 2018.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_HALVINGS = 200
"""More than enough to bring the interval of a float64 down to two neighbours."""


def water_filling(
    desirability: ArrayLike, cell_area: float, crowd_aversion: float, incentive: ArrayLike | None = None
) -> tuple[NDArray[np.float64], float]:
    """The equilibrium's density for any field on a grid, and what every agent gets.

    Args:
        desirability: g >= 0 at the cells, of any shape, somewhere > 0.
        cell_area: area of a cell.
        crowd_aversion: alpha > 0.
        incentive: Theta at the cells, of the same shape; None for nothing.

    Returns:
        m, ``float64`` of the shape of g, of mass 1; and lambda. Exact for the grid, but for rounding; against
        the field itself the grid makes an error of second order in its spacing.

    Raises:
        ValueError: when g is negative or nowhere positive.
    """
    field = np.asarray(desirability, np.float64)
    if not (field >= 0).all() or not field.max() > 0:
        raise ValueError("desirability is nowhere negative, and somewhere positive")
    paid = np.zeros(field.shape) if incentive is None else np.asarray(incentive, np.float64)
    if paid.any():
        return _with_incentive(field, paid, cell_area, crowd_aversion)
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


def _with_incentive(
    field: NDArray[np.float64], paid: NDArray[np.float64], cell_area: float, crowd_aversion: float
) -> tuple[NDArray[np.float64], float]:
    """The same where agents get incentives."""
    highest = float(paid.max())
    # In what agents get above the highest incentive, which is known to more digits than lambda itself.
    lacking = highest - paid

    def density(above: float) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            ratio = np.where(field > 0, field / (above + lacking), 0.0)
        return np.maximum(ratio ** (1 / crowd_aversion) - 1, 0)

    low, high = 0.0, float(field.max())  # at which there is nobody
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if cell_area * density(middle).sum() > 1 else (low, middle)
    filled = density(high)
    mass = cell_area * filled.sum()
    # Places without desirability but with the highest incentive hold any number of agents: the rest of them.
    barren = (field == 0) & (lacking == 0)
    if barren.any() and mass < 1:
        filled[barren] += (1 - mass) / (cell_area * barren.sum())
        mass = 1.0
    return np.asarray(filled / mass), highest + high


def inducing_incentive(
    target: ArrayLike, desirability: ArrayLike, crowd_aversion: float
) -> NDArray[np.float64]:
    """The incentive in whose equilibrium the population is as it should be.

    Theta* = lambda - g / (1 + M)^alpha makes all agents get lambda where the density is M, so that M is the
    equilibrium. Here lambda is such that nothing is paid on balance, int Theta* M = 0: it moves nobody.

    Args:
        target: M >= 0 at the cells, of mass 1; where it is 0, an incentive that nobody wants to come for.
        desirability: g >= 0 at the cells, of the same shape.
        crowd_aversion: alpha > 0.

    Returns:
        ``float64`` of the same shape.
    """
    density = np.asarray(target, np.float64)
    reward = np.asarray(desirability, np.float64) / (1 + density) ** crowd_aversion
    return np.asarray((density * reward).sum() / density.sum() - reward)


def potential(
    density: ArrayLike,
    desirability: ArrayLike,
    cell_area: float,
    crowd_aversion: float,
    incentive: ArrayLike = 0.0,
) -> float:
    """Phi(m): what a crowd in equilibrium maximises without meaning to; see the module's docstring.

    Args:
        density: m >= 0 at the cells.
        desirability: g >= 0 at the cells, of the same shape.
        cell_area: area of a cell.
        crowd_aversion: alpha > 0.
        incentive: Theta at the cells.
    """
    m, alpha = np.asarray(density, np.float64), crowd_aversion
    # The integral of (1 + s)^-alpha from 0 to m, which is log(1 + m) for alpha = 1; exact near it, too.
    logs = np.log1p(m)
    inner = logs if alpha == 1 else np.expm1((1 - alpha) * logs) / (1 - alpha)
    return float(cell_area * (np.asarray(desirability) * inner + np.asarray(incentive) * m).sum())
