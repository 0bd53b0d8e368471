"""The density of a population in the plane: an estimate on a grid, and its values at places.

:class:`DensityEstimator` counts places on a grid, each shared by the four cells around it in proportion to
how near they are (*cloud in cell*), and smooths the counts by a Gaussian kernel, reflected at the edges of
the region so that no mass leaves it. To second order this is a kernel density estimate of standard deviation
h, the ``bandwidth``, per axis: sharing counts adds a variance of spacing^2 / 6, which is taken off the
Gaussian's. With N independent places of density m, away from the edges,

    bias      E[m^ - m]   =  h^2 / 2 (m_xx + m_yy) + O(h^4),
    variance  Var[m^]     =  m / (4 pi h^2 N) + O(1 / N),

and an agent that looks up the density at its own place counts itself, which adds 1 / (2 pi h^2 N) there.
Between the centres of cells a density is linear in x and in y, which adds spacing^2 / 12 (m_xx + m_yy) to the
bias on average. At an edge where the density has a slope the bias is of first order in h.

Source: B. W. Silverman, *Density estimation for statistics and data analysis*, 1986, sections 3.3, 4.3, and
2.10 for reflection; R. W. Hockney, J. W. Eastwood, *Computer simulation using particles*, 1988, for cloud in
cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import real
from karma_envs.numerics.compile import kernel

_REACH = 4.0
"""Standard deviations after which the Gaussian is cut off; its taps are scaled to sum to 1."""


@dataclass(frozen=True)
class PlaneGrid:
    """Equal cells that cover a rectangle, numbered row by row: cell (i, j) has number i * shape[1] + j.

    Attributes:
        low: smallest x and smallest y.
        high: largest x and largest y.
        shape: cells along x and along y.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    shape: tuple[int, int]

    def __len__(self) -> int:
        """Number of cells, k."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def spacing(self) -> NDArray[np.float64]:
        """``float64[2]``: sides of a cell."""
        return np.subtract(self.high, self.low) / self.shape

    @property
    def cell_area(self) -> float:
        """Area of a cell."""
        return float(self.spacing.prod())

    @cached_property
    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x and y of the centres of cells, ``float64[shape[0]]`` and ``float64[shape[1]]``."""
        x, y = (
            low + (np.arange(n) + 0.5) * side
            for low, n, side in zip(self.low, self.shape, self.spacing, strict=True)
        )
        return x, y

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """``float64[k, 2]``: the centres of all cells; not to be written."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, 2)

    def interpolate(self, values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
        """A function on the grid at places: linear in x and in y between the centres of cells.

        Args:
            values: ``float64[k]``, at the centres.
            places: ``float64[n, 2]``; those beyond the outermost centres have the value of the nearest
                point within.

        Returns:
            ``float64[n]``.
        """
        interpolated = np.empty(len(places))
        _interpolate(np.ascontiguousarray(values).reshape(self.shape), places, *self._frame, interpolated)
        return interpolated

    def share(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many places there are at each cell, each shared by the four centres around it.

        Args:
            places: ``float64[n, 2]``.

        Returns:
            ``float64[k]``, of sum n.
        """
        counts = np.zeros(self.shape)
        _share(places, *self._frame, counts)
        return counts.ravel()

    @cached_property
    def _frame(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The first centre, and cells per unit of length."""
        return np.asarray(self.low) + self.spacing / 2, 1 / self.spacing


class DensityEstimator:
    """The density of places on a grid, of mass 1; see the module's docstring for how exact.

    Args:
        grid: the grid.
        bandwidth: h, the kernel's standard deviation; at least the sides of a cell and at most a quarter of
            those of the rectangle.

    Raises:
        ConfigError: for another bandwidth.
    """

    def __init__(self, grid: PlaneGrid, bandwidth: float) -> None:
        smallest_side = float(np.subtract(grid.high, grid.low).min())
        low = float(grid.spacing.max()) * (1 - 1e-12)  # a bandwidth of one cell is one, however rounded
        self.grid = grid
        self.bandwidth = real("bandwidth", bandwidth, low, smallest_side / 4)
        self._taps = tuple(_gaussian_taps(self.bandwidth / side) for side in grid.spacing)

    def __call__(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """``float64[k]``: the density of ``float64[n, 2]`` places, n >= 1, in agents' shares per area."""
        grid = self.grid
        counts, density = grid.share(places).reshape(grid.shape), np.empty(grid.shape)
        row_taps, column_taps = self._taps
        padded = np.empty(grid.shape[1] + 2 * (len(column_taps) - 1))
        _smooth(counts, row_taps, column_taps, 1 / (len(places) * grid.cell_area), padded, density)
        return density.ravel()


def _gaussian_taps(bandwidth: float) -> NDArray[np.float64]:
    """Weights of cells by their distance, 0, 1 …; of sum 1 over both sides.

    Args:
        bandwidth: in cells.
    """
    variance = bandwidth**2 - 1 / 6  # cloud in cell has the rest
    distances = np.arange(math.ceil(_REACH * math.sqrt(variance)) + 1)
    taps = np.exp(-(distances**2) / (2 * variance))
    return np.asarray(taps / (taps[0] + 2 * taps[1:].sum()))


@kernel
def _share(places, first, per_side, counts):
    """Add every place to the four cells around it, by how near it is to their centres."""
    rows, columns = counts.shape
    for index in range(places.shape[0]):
        across = (places[index, 0] - first[0]) * per_side[0]
        along = (places[index, 1] - first[1]) * per_side[1]
        across = min(max(across, 0.0), rows - 1.0)
        along = min(max(along, 0.0), columns - 1.0)
        row, column = int(across), int(along)
        lower, right = across - row, along - column
        next_row, next_column = min(row + 1, rows - 1), min(column + 1, columns - 1)
        counts[row, column] += (1.0 - lower) * (1.0 - right)
        counts[row, next_column] += (1.0 - lower) * right
        counts[next_row, column] += lower * (1.0 - right)
        counts[next_row, next_column] += lower * right


@kernel
def _interpolate(values, places, first, per_side, interpolated):
    """Values at places, linear in both directions between the centres of cells."""
    rows, columns = values.shape
    for index in range(places.shape[0]):
        across = (places[index, 0] - first[0]) * per_side[0]
        along = (places[index, 1] - first[1]) * per_side[1]
        across = min(max(across, 0.0), rows - 1.0)
        along = min(max(along, 0.0), columns - 1.0)
        row, column = int(across), int(along)
        lower, right = across - row, along - column
        next_row, next_column = min(row + 1, rows - 1), min(column + 1, columns - 1)
        upper_value = (1.0 - right) * values[row, column] + right * values[row, next_column]
        lower_value = (1.0 - right) * values[next_row, column] + right * values[next_row, next_column]
        interpolated[index] = (1.0 - lower) * upper_value + lower * lower_value


@kernel
def _smooth(counts, row_taps, column_taps, scale, padded, smoothed):
    """Convolve with taps along rows and columns, reflected at the edges, and multiply by ``scale``.

    A reflected cell -1 - i is cell i. The taps are symmetric, and so is the matrix of this convolution: as
    its rows sum to 1 its columns do, and no mass is lost. ``padded`` is room for a row with its reflections.
    """
    rows, columns = counts.shape
    reach = column_taps.shape[0] - 1
    for row in range(rows):
        line = padded[reach : reach + columns]
        line[:] = 0.0
        for step in range(1 - row_taps.shape[0], row_taps.shape[0]):
            source = row + step
            if source < 0:
                source = -1 - source
            elif source >= rows:
                source = 2 * rows - 1 - source
            weight = scale * row_taps[abs(step)]
            for column in range(columns):
                line[column] += weight * counts[source, column]
        for step in range(reach):
            padded[reach - 1 - step] = line[step]
            padded[reach + columns + step] = line[columns - 1 - step]
        for column in range(columns):
            smoothed[row, column] = column_taps[0] * padded[column + reach]
        for step in range(1, reach + 1):
            weight = column_taps[step]
            for column in range(columns):
                smoothed[row, column] += weight * (
                    padded[column + reach - step] + padded[column + reach + step]
                )
