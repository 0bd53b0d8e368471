"""Whether equilibrium bids of the matching game are sublinear in karma.

Source: Thesis, Appendix B, Lemma A.1: pi(u, alpha k) <= alpha pi(u, k) for alpha > 1, for continuous
karma and deterministic bids. Here checked on mean bids at whole k and alpha k. Bids are whole, so that an
equilibrium may violate it by what rounding the ideal bids amounts to; ``rounding`` allows for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.theory.matching import as_matching
from karma_envs.config import real, refusal, whole
from karma_envs.mean_field import MeanFieldModel

_ROUNDING_ERROR = 1e-9  # of the arithmetic, in karma


@dataclass(frozen=True)
class Sublinearity:
    """The worst pair of karma values in the sublinearity of mean bids.

    Attributes:
        violation: greatest (m(u, alpha k) - rounding) - alpha (m(u, k) + rounding), in karma; not above 0
            where bids are sublinear.
        type: index of the type where it occurs.
        urgency: index of the urgency.
        karma: k.
        scaled_karma: alpha k.
        first_karma: the least k at which bids are not sublinear for some alpha, type and urgency; None where
            they are sublinear.
    """

    violation: float
    type: int
    urgency: int
    karma: int
    scaled_karma: int
    first_karma: int | None

    def __float__(self) -> float:
        return self.violation


def sublinearity_in(
    model: MeanFieldModel,
    policy: NDArray[np.floating[Any]],
    mean_field: NDArray[np.float64] | None = None,
    *,
    least_mass: float = 1e-6,
    rounding: float = 0.0,
) -> Sublinearity:
    """Check that mean bids in a matching game grow no faster than karma.

    Args:
        model: the game's.
        policy: ``float[types, observations, bids]``, for instance ``equilibrium.policy.probabilities``.
        mean_field: see :func:`sublinearity_of`; so are the others.
        least_mass: see there.
        rounding: see there.

    Raises:
        ConfigError: for another game's model, or a value or array that is not allowed.
        ValueError: when no two states can be compared.
    """
    matching = as_matching(model)
    bids = np.asarray(policy @ matching.action_features["bid"], np.float64)
    karma_max = matching.config.karma_max
    return sublinearity_of(bids, karma_max, mean_field, least_mass=least_mass, rounding=rounding)


def sublinearity_of(
    mean_bids: NDArray[np.float64],
    karma_max: int,
    mean_field: NDArray[np.float64] | None = None,
    *,
    least_mass: float = 1e-6,
    rounding: float = 0.0,
) -> Sublinearity:
    """Check that mean bids grow no faster than karma.

    Args:
        mean_bids: ``float64[types, observations]``, for instance ``equilibrium.policy.mean_actions()``,
            with observation = urgency_index * (karma_max + 1) + karma.
        karma_max: k_max >= 2.
        mean_field: mu, ``float64[types, observations]``; only states with at least ``least_mass`` count,
            for an equilibrium determines no bid elsewhere. None: all states.
        least_mass: see ``mean_field``.
        rounding: how far a bid may be from the ideal one, 1/2 for bids rounded to whole numbers.

    Raises:
        ConfigError: for a value outside these ranges, or arrays that do not fit.
        ValueError: when no two states can be compared.
    """
    karma_max = whole("karma_max", karma_max, 2)
    rounding = real("rounding", rounding, 0)
    if mean_bids.ndim != 2 or mean_bids.shape[1] % (karma_max + 1):
        raise refusal("mean_bids", mean_bids.shape, f"[types, a multiple of {karma_max + 1} observations]")
    if mean_field is not None and mean_field.shape != mean_bids.shape:
        raise refusal("mean_field", mean_field.shape, f"the shape of mean_bids, {mean_bids.shape}")
    shape = (len(mean_bids), -1, karma_max + 1)
    bids = mean_bids.reshape(shape)
    counts = np.ones_like(bids, bool) if mean_field is None else mean_field.reshape(shape) >= least_mass
    karma = np.arange(karma_max + 1)
    alpha = karma[None, :] / np.maximum(karma[:, None], 1)
    excess = (bids[:, :, None, :] - rounding) - alpha * (bids[:, :, :, None] + rounding)
    pairs = counts[:, :, None, :] & counts[:, :, :, None] & (karma[:, None] >= 1) & (alpha > 1)
    if not pairs.any():
        raise ValueError("no two states with positive karma are visited")
    worst = np.unravel_index(int(np.where(pairs, excess, -np.inf).argmax()), excess.shape)
    kind, urgency, small, large = (int(index) for index in worst)
    beyond = np.nonzero(pairs & (excess > _ROUNDING_ERROR))[2]
    first = int(beyond.min()) if len(beyond) else None
    return Sublinearity(float(excess[worst]), kind, urgency, small, large, first)
