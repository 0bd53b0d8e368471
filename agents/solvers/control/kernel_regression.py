"""Kernel regression of the integrated Q on samples: an average with weights that fall with the distance.

Distances on P(S) x H are of the maximum norm, in units of the spacings of the two nets, and the kernel's
radius is 1. So samples of another h weigh nothing where Q is asked for an h of the net: what is smoothed is
mu.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.solvers.control.samples import Samples
from agents.solvers.control.simplex import SimplexGrid
from karma_envs.numerics.compile import kernel

KERNELS = ("triangular", "gaussian")
"""max(1 - d, 0), and exp(-2 d^2) for d < 1, of the distance d."""

_ROUNDING = 1e-9  # of distances


@kernel
def _regress(queries, near, mean_fields, seen, q, spacing, triangular, best, chosen, only_chosen):  # type: ignore[no-untyped-def]
    """The maximum over h of (Gamma_K q)(mu, h).

    Args:
        queries: mu, ``float64[n, X]``.
        near: ``int64[n, K]``, cells whose samples may be nearer than the spacing; -1 fills up.
        mean_fields: of samples, ``float64[G, H, X]``.
        seen: ``bool[G, H]``.
        q: ``float64[G, H]``.
        spacing: of the net of populations, the radius of the kernel.
        triangular: whether the kernel is; else Gaussian.
        best: ``float64[n]``, written; NaN where there is no sample near.
        chosen: ``int64[n]``, the h of it: written, or with ``only_chosen`` read.
        only_chosen: whether to look at ``chosen`` only.
    """
    n_states = queries.shape[1]
    for query in range(queries.shape[0]):
        largest, largest_at = -np.inf, -1
        first, last = (chosen[query], chosen[query] + 1) if only_chosen else (0, q.shape[1])
        for policy in range(first, last):
            total, weighted, nearest, of_nearest = 0.0, 0.0, np.inf, 0.0
            for place in range(near.shape[1]):
                cell = near[query, place]
                if cell < 0 or not seen[cell, policy]:
                    continue
                distance = 0.0
                for state in range(n_states):
                    distance = max(distance, abs(mean_fields[cell, policy, state] - queries[query, state]))
                if distance < nearest:
                    nearest, of_nearest = distance, q[cell, policy]
                if distance < spacing:
                    ratio = distance / spacing
                    weight = 1.0 - ratio if triangular else np.exp(-2.0 * ratio * ratio)
                    total += weight
                    weighted += weight * q[cell, policy]
            # Where samples are too far for the kernel, though not for the cells, the nearest stands alone.
            value = weighted / total if total > 0.0 else of_nearest
            if nearest < np.inf and value > largest:
                largest, largest_at = value, policy
        best[query] = largest if largest_at >= 0 else np.nan
        if not only_chosen:
            chosen[query] = largest_at


class KernelRegression:
    """Gamma_K on samples.

    Args:
        cells: of P(S).
        samples: what was seen there.
        kernel_name: one of :data:`KERNELS`.
    """

    def __init__(self, cells: SimplexGrid, samples: Samples, kernel_name: str) -> None:
        self.cells, self.samples = cells, samples
        self._triangular = kernel_name == "triangular"
        gaps = np.abs(cells.points[:, None] - cells.points[None]).max(axis=2)
        # A sample is in its cell and a query in its own: each has a weight of at least 1/X in its point, and
        # so is at most 1 - 1/X spacings from it.
        furthest = (3 - 2 / cells.n) / cells.steps
        close = [np.flatnonzero(row < furthest - _ROUNDING) for row in gaps]
        self._near = np.full((len(close), max(map(len, close))), -1)
        for cell, neighbours in enumerate(close):
            self._near[cell, : len(neighbours)] = neighbours

    def best(
        self, q: NDArray[np.float64], mean_fields: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The maximum over h of Gamma_K q at ``float64[n, X]``, and the number of that h, ``[n]`` each."""
        best, chosen = np.empty(len(mean_fields)), np.empty(len(mean_fields), np.int64)
        self._run(q, mean_fields, best, chosen, only_chosen=False)
        return best, chosen

    def of(
        self, q: NDArray[np.float64], mean_fields: NDArray[np.float64], policies: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Gamma_K q at ``float64[n, X]`` and policies of the net by number, ``float64[n]``."""
        best = np.empty(len(mean_fields))
        self._run(q, mean_fields, best, policies, only_chosen=True)
        return best

    def _run(
        self,
        q: NDArray[np.float64],
        mean_fields: NDArray[np.float64],
        best: NDArray[np.float64],
        chosen: NDArray[np.int64],
        *,
        only_chosen: bool,
    ) -> None:
        near = self._near[self.cells.nearest(mean_fields)]
        seen = self.samples
        _regress(
            mean_fields,
            near,
            seen.mean_fields,
            seen.seen,
            q,
            1 / self.cells.steps,
            self._triangular,
            best,
            chosen,
            only_chosen,
        )
