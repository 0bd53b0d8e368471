"""How a gain falls with the number of agents: a fit in powers of 1/N, and no bound.

What one of N agents gains by leaving a policy is, for many agents,

    gain(N) ~ g_inf + a_1 / N + a_2 / N² + …,

with g_inf its gain in the mean field: an agent is 1/N of the population that it moves. Where gains are known
exactly for few agents, the fit says what to expect of more. It is an extrapolation: nothing says how far it
errs beyond the numbers it was fitted to, and its residuals say how well it describes these.

Ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import real, refusal, whole
from karma_envs.display import Said


@dataclass(frozen=True, repr=False)
class FiniteSizeLaw(Said):
    """A gain as a polynomial in 1/N, fitted by least squares; an extrapolation, never a bound.

    Attributes:
        limit: g_inf, the gain for N to infinity.
        limit_is_known: whether that was handed over, as the mean field's, and not fitted.
        coefficients: ``float64[terms]``, a_1, a_2, … of 1/N, 1/N², …
        n_agents: ``int64[n]``, the N of the gains that it was fitted to.
        gains: ``float64[n]``.
        residuals: ``float64[n]``, these gains less what the law says.
    """

    limit: float
    limit_is_known: bool
    coefficients: NDArray[np.float64]
    n_agents: NDArray[np.int64]
    gains: NDArray[np.float64]
    residuals: NDArray[np.float64]

    def at(self, n_agents: ArrayLike) -> NDArray[np.float64]:
        """What the law says of other numbers of agents, ``float64`` of the same shape."""
        return self.limit + _powers(np.asarray(n_agents), len(self.coefficients)) @ self.coefficients

    def _said(self) -> dict[str, str]:
        terms = [f"{self.limit:.3g}"]
        terms += [f"{a:+.3g}/N^{power}" for power, a in enumerate(self.coefficients, start=1)]
        return {
            "gain": " ".join(terms).replace("^1", ""),
            "largest residual": f"{np.abs(self.residuals).max():.2g}",
            "fitted to N": ", ".join(map(str, self.n_agents)),
            "meaning": "an extrapolation, no bound",
        }


def finite_size_law(
    n_agents: ArrayLike, gains: ArrayLike, *, limit: float | None = None, terms: int = 1
) -> FiniteSizeLaw:
    """Fit gain(N) = g_inf + a_1/N + … to gains that are known for some numbers of agents.

    Args:
        n_agents: ``int[n]``, different numbers of agents.
        gains: ``float[n]``, absolute or normalised, exact or a bound of one kind.
        limit: g_inf where it is known, as the mean field's exploitability; None: it is fitted, too.
        terms: how many powers of 1/N.

    Raises:
        ConfigError: for fewer gains than the law has numbers, or numbers of agents that are not different.
    """
    terms = whole("terms", terms, 1)
    sizes, values = np.asarray(n_agents), np.asarray(gains, np.float64)
    allowed = "different whole numbers of agents, from 1 up, one for each gain"
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or sizes.shape != values.shape:
        raise refusal("n_agents", n_agents, allowed)
    unknown = terms + (limit is None)
    if len(np.unique(sizes)) != len(sizes) or (sizes < 1).any():
        raise refusal("n_agents", n_agents, allowed)
    if len(sizes) < unknown:
        raise refusal("n_agents", n_agents, f"at least {unknown} numbers of agents for {unknown} unknowns")
    known = 0.0 if limit is None else real("limit", limit)
    powers = _powers(sizes, terms)
    columns = np.column_stack([np.ones(len(sizes)), powers]) if limit is None else powers
    fitted = np.linalg.lstsq(columns, values - known, rcond=None)[0]
    return FiniteSizeLaw(
        limit=float(fitted[0]) if limit is None else known,
        limit_is_known=limit is not None,
        coefficients=np.asarray(fitted[-terms:], np.float64),
        n_agents=sizes.astype(np.int64),
        gains=values,
        residuals=np.asarray(values - known - columns @ fitted),
    )


def _powers(n_agents: NDArray[np.integer], terms: int) -> NDArray[np.float64]:
    """1/N, 1/N², … , ``float64[..., terms]``."""
    return np.asarray((1.0 / n_agents)[..., None] ** np.arange(1, terms + 1))
