"""Figures of road networks: their numbers are those given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import spearmanr  # type: ignore[import-untyped, unused-ignore]

from karma_envs.config import ConfigError
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from training.common.lane_figures import bid_against_congestion, lane_histogram, lane_maps, path_panels


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    """Two by two: 24 lanes."""
    return road_network(grid(2, 2), n_agents=100)


def legend_of(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_maps_side_by_side(network: RoadNetwork) -> None:
    bids = np.full(24, np.nan)
    bids[4] = 3
    maps = {"Congestion": (network.occupancy(), "share"), "Bids": (bids, "mean bid")}
    figure = lane_maps(network, maps, limits={"Bids": (0, 2)})
    first, second, *bars = figure.axes
    assert [first.get_title(), second.get_title()] == ["Congestion", "Bids"]
    assert [bar.get_xlabel() for bar in bars] == ["share", "mean bid"]
    shown = [
        next(part for part in axis.collections if isinstance(part, PolyCollection))
        for axis in (first, second)
    ]
    np.testing.assert_array_equal(shown[0].get_array(), network.occupancy())
    assert shown[0].get_clim() == (0, network.occupancy().max())
    np.testing.assert_array_equal(np.ma.getmaskarray(shown[1].get_array()), np.isnan(bids))
    assert shown[1].get_clim() == (0, 2)


def test_bars_are_sorted_and_counted() -> None:
    figure = lane_histogram([3, 1, 2, 2.5], 2, label="agents")
    (panel,) = figure.axes
    bars = [part for part in panel.patches if isinstance(part, Rectangle)]
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in bars}
    assert heights == {1: 1, 2: 2, 3: 2.5, 4: 3}
    assert legend_of(figure) == ["capacity 2", "2 below", "2 above"]
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [2, 2])
    assert panel.get_yscale() == "linear"
    assert panel.get_ylabel() == "agents"


def test_extreme_lanes_take_a_logarithmic_scale() -> None:
    assert lane_histogram([1, 21], 2).axes[0].get_yscale() == "symlog"
    bids = np.arange(9.0)
    assert bid_against_congestion([*range(1, 9), 60], bids).axes[0].get_xscale() == "log"
    assert bid_against_congestion([*range(9)], bids).axes[0].get_xscale() == "linear"


def test_bids_against_congestion() -> None:
    rng = np.random.default_rng(0)
    congestion, n_bids = rng.integers(1, 9, 40).astype(float), rng.integers(1, 50, 40)
    bids = np.round(congestion + rng.normal(size=40), 1)
    n_bids[5] = 0
    bids[5] = np.nan
    figure = bid_against_congestion(congestion, bids, n_bids, label="wanted")
    (panel,) = figure.axes
    used = np.arange(40) != 5
    (points,) = (part for part in panel.collections if isinstance(part, PathCollection))
    np.testing.assert_array_equal(points.get_offsets(), np.stack([congestion, bids], axis=1)[used])
    sizes = points.get_sizes()
    assert sizes.argmax() == n_bids[used].argmax()
    correlation = spearmanr(congestion[used], bids[used]).statistic
    assert legend_of(figure) == ["39 lanes", f"mean; rank correlation {correlation:.2f}"]
    means = panel.lines[0].get_xydata()
    assert len(means) == 8
    least = np.argsort(congestion[used], kind="stable")[:5]
    np.testing.assert_allclose(means[0, 1], np.average(bids[used][least], weights=n_bids[used][least]))
    assert panel.get_xlabel() == "wanted"


def test_falling_bids_have_a_negative_correlation() -> None:
    figure = bid_against_congestion([1, 2, 3, 4], [4, 3, 2, 1])
    assert legend_of(figure)[1] == "mean; rank correlation −1.00"
    assert legend_of(bid_against_congestion([1, 2, 3], [4, 4, 4]))[1].endswith("nan")


def test_bids_are_refused_where_they_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="one per lane"):
        bid_against_congestion([1, 2, 3], [1, 2])
    with pytest.raises(ConfigError, match="bids for 2 lanes"):
        bid_against_congestion([1, 2, 3], [1, 2, np.nan])


def test_a_panel_for_each_agent(network: RoadNetwork) -> None:
    paths = network.paths
    panels = {"one": [paths[0]], "two": [paths[1], paths[2]], "three": [paths[3]], "four": [paths[4]]}
    figure = path_panels(network, panels)
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three", "four", "", ""]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["path 1", "path 2"]
    for axis, shown in zip(figure.axes, panels.values()):
        lines = [line for line in axis.lines if str(line.get_label()).startswith("path")]
        assert [len(line.get_xydata()) for line in lines] == [2 * len(path) + 2 for path in shown]
    assert not path_panels(network, {"one": [paths[0]]}).legends
