"""Figures of road networks: what happens on each lane, and the paths of agents (Thesis, section 6.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import refusal
from training.common.figures import COLOURS, legend_above, new_figure, paper_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from karma_envs.games.grid_city.network import RoadNetwork

_BINS = 8
_PER_ROW = 3
_MOST_BARS = 120  # with gaps between them
_EXTREME = 10  # times what is usual: values that take a logarithmic scale


@paper_style()
def lane_maps(
    network: RoadNetwork,
    maps: Mapping[str, tuple[ArrayLike, str]],
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Maps side by side, each lane coloured by a value (Figures 6.3 a and 6.5).

    Args:
        network: the roads.
        maps: by title: the values ``float[L]``, NaN where there is none, and what they are.
        limits: by title, the values at the ends of its colour bar, as where a few lanes are extreme; from 0
            to the largest without.
    """
    from karma_envs.rendering.roads import draw_lanes

    figure, axes = new_figure(3.3 * len(maps), 3.7, len(maps))
    for panel, (title, (values, label)) in zip(axes, maps.items()):
        draw_lanes(panel, network, values, label=label, limits=(limits or {}).get(title))
        panel.set_title(title)
    return figure


@paper_style()
def lane_histogram(values: ArrayLike, capacity_line: float, *, label: str = "occupancy") -> Figure:
    """Bars of the lanes by value, the least first, and the capacity (Figure 6.3 b).

    Lanes above the line are dark. Where a few are far above, the scale is logarithmic above the line.

    Args:
        values: ``float[L]`` by lane.
        capacity_line: the capacity of a lane in the same unit.
        label: what the values are.
    """
    heights = np.sort(np.asarray(values, np.float64))
    numbers, above = np.arange(1, len(heights) + 1), heights > capacity_line
    figure, (panel,) = new_figure(4.4, 3.0)
    width = 0.85 if len(heights) <= _MOST_BARS else 1.0
    for chosen, colour, name in ((~above, "0.72", "below"), (above, COLOURS[0], "above")):
        panel.bar(
            numbers[chosen], heights[chosen], width, color=colour, linewidth=0, label=f"{chosen.sum()} {name}"
        )
    panel.axhline(capacity_line, color=COLOURS[1], linestyle="--", label=f"capacity {capacity_line:.3g}")
    if heights[-1] > _EXTREME * capacity_line:
        panel.set_yscale("symlog", linthresh=capacity_line)
        panel.yaxis.set_major_formatter("{x:g}")
    panel.set(xlabel="lanes, in order of their value", ylabel=label, xlim=(0.4, len(heights) + 0.6))
    panel.grid(visible=False, axis="x")
    legend_above(panel)
    return figure


@paper_style()
def bid_against_congestion(
    congestion: ArrayLike,
    mean_bid: ArrayLike,
    n_bids: ArrayLike | None = None,
    *,
    label: str = "agents that want the lane, mean over steps",
) -> Figure:
    """Mean bid for each lane against how many want it, with the mean of lanes alike (Figure 6.6).

    The legend gives Spearman's rank correlation over the lanes for which somebody bid. The line joins
    means over as many lanes each, weighted by their bids. Congestion is on a logarithmic scale where a few
    lanes have far more than most.

    Args:
        congestion: ``float[L]``, agents that want the lane, mean over steps.
        mean_bid: ``float[L]``; NaN where nobody bid.
        n_bids: ``int[L]``, how many bids each mean is of, which the points' area shows; None: equally many.
        label: what congestion is.

    Raises:
        ConfigError: when there are not as many of each, or fewer than three lanes have bids.
    """
    x, y = np.asarray(congestion, np.float64), np.asarray(mean_bid, np.float64)
    weight = np.ones(x.shape) if n_bids is None else np.asarray(n_bids, np.float64)
    if not x.shape == y.shape == weight.shape:
        raise refusal(
            "mean_bid", f"array of shape {y.shape}", f"one per lane, as congestion {x.shape} and n_bids"
        )
    used = np.isfinite(y) & (weight > 0)
    if used.sum() < 3:
        raise refusal("mean_bid", f"bids for {used.sum()} lanes", "bids for at least 3")
    x, y, weight = x[used], y[used], weight[used]
    figure, (panel,) = new_figure(4.4, 3.0)
    panel.scatter(
        x,
        y,
        s=4 + 36 * weight / weight.max(),
        color=COLOURS[0],
        alpha=0.55,
        linewidths=0,
        label=f"{len(x)} lanes",
    )
    means = _binned(x, y, weight)
    varied = np.ptp(x) > 0 and np.ptp(y) > 0
    correlation = np.corrcoef(_ranks(x), _ranks(y))[0, 1] if varied else np.nan
    name = f"mean; rank correlation {correlation:.2f}".replace("-", "−")
    panel.plot(*means.T, "o-", color=COLOURS[1], markersize=3.5, label=name)
    if x.min() > 0 and x.max() > _EXTREME * np.median(x):
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
    panel.set(xlabel=label, ylabel="mean bid")
    legend_above(panel)
    return figure


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 up; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[which], np.float64)


def _binned(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Means of both over groups of as many points, in order of x, ``float64[groups, 2]``."""
    groups = np.array_split(np.argsort(x, kind="stable"), min(_BINS, len(x) // 3))
    return np.array([np.average([x[g], y[g]], axis=1, weights=weight[g]) for g in groups])


@paper_style()
def path_panels(network: RoadNetwork, panels: Mapping[str, Sequence[Sequence[int]]]) -> Figure:
    """A map for each title, with paths on it (Figure 6.7).

    Args:
        network: the roads.
        panels: by title, the lanes of each path.
    """
    from karma_envs.rendering.roads import draw_paths
    from training.common.notebook import PaperFigure

    columns = min(len(panels), _PER_ROW)
    rows = -(-len(panels) // _PER_ROW)
    figure = PaperFigure(figsize=(2.5 * columns, 2.8 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (title, paths) in zip(axes, panels.items()):
        draw_paths(panel, network, paths)
        panel.set_title(title)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    most = max(range(len(panels)), key=lambda index: len(list(panels.values())[index]))
    handles, labels = axes[most].get_legend_handles_labels()
    if len(handles) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=3 * columns, handlelength=2.4)
    return figure
