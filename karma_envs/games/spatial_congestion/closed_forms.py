"""The equilibrium of a crowd whose moves cost nothing around one Gaussian peak, as formulas.

With g(x) = exp(-|x - mu|^2 / s^2), times any weight, :mod:`karma_envs.crowds.water_filling` gives

    m*(r) = (C exp(-r^2 / (alpha s^2)) - 1)+,    pi alpha s^2 (C - 1 - log C) = 1,    r = |x - mu|.

Source: ours, for the game of D. Mguni, J. Jennings, E. Munoz de Cote, *Decentralised learning in systems with
many, many strategic agents*, 2018, experiment 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import lambertw


def peak_level(crowd_aversion: float, scale: float = 1.0) -> float:
    """C of m*(r) = (C exp(-r^2 / (alpha s^2)) - 1)+ around a single peak exp(-r^2 / s^2), times any weight.

    The root above 1 of pi alpha s^2 (C - 1 - log C) = 1, by Lambert's W on its branch -1.

    Args:
        crowd_aversion: alpha > 0.
        scale: s > 0.
    """
    excess = 1 / (math.pi * crowd_aversion * scale**2)
    return float(-lambertw(-math.exp(-1 - excess), -1).real)


def peak_density(radius: ArrayLike, crowd_aversion: float, scale: float = 1.0) -> NDArray[np.float64]:
    """m*(r) around a single peak, ``float64`` of the shape of ``radius``; see :func:`peak_level`."""
    level, width = peak_level(crowd_aversion, scale), crowd_aversion * scale**2
    return np.maximum(level * np.exp(-(np.asarray(radius, np.float64) ** 2) / width) - 1, 0)


def peak_spread(crowd_aversion: float, scale: float = 1.0) -> float:
    """E|x - mu|^2 in equilibrium around a single peak; .2204 for alpha = 1 and s = 1, .4122 for alpha = 3.

    With w = alpha s^2 it is w - pi w^2 (log C)^2 / 2.
    """
    width, level = crowd_aversion * scale**2, peak_level(crowd_aversion, scale)
    return width - math.pi * width**2 * math.log(level) ** 2 / 2
