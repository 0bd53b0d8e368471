"""The epsilon-net of distributions, and the projection on it.

S_eps holds the distributions whose probabilities are whole multiples of 1/n, with n = 1/eps. A distribution
is moved to the nearest of them, by the method of largest remainders: all probabilities are rounded down, and
the units that are left go, one each, to those that lost most. No other point of the net is nearer, in any
l_p norm; no probability moves by 1/n or more, and what is 0 stays 0.

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019, Algorithm 2, which asks
for a finite cover of the simplex and leaves open which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import real

_LEAST_EPSILON = 1e-12
_ROUNDING = 1e-9
"""Of units: remainders that differ by less are equal, and shares so near to a multiple are on the net."""


def units_of(epsilon: float) -> int:
    """n, the number of units that a net divides the mass in: 1/eps, rounded up.

    Raises:
        ConfigError: for an epsilon that is not in [1e-12, 1].
    """
    return int(np.ceil(1 / real("net", epsilon, _LEAST_EPSILON, 1) - _ROUNDING))


def project(distributions: NDArray[np.float64], n_units: int) -> NDArray[np.float64]:
    """The nearest points of the net; of several the one with more at the front.

    Args:
        distributions: ``float64[..., n]``, each row with sum 1.
        n_units: of :func:`units_of`.

    Returns:
        ``float64[..., n]``, multiples of 1/n_units with sum 1.
    """
    shares = distributions * n_units
    whole_units = np.floor(shares + _ROUNDING)
    remainders = np.maximum(shares - whole_units, 0.0)
    # Ties are told by place and not by rounding, so that the projection does not depend on it.
    remainders = np.round(remainders / _ROUNDING)
    order = np.argsort(-remainders, axis=-1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(order.shape[-1]), order.shape), axis=-1)
    missing = np.rint(n_units - whole_units.sum(axis=-1, keepdims=True))
    return np.asarray((whole_units + (ranks < missing)) / n_units)
