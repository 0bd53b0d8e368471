"""Maps of networks: values on the right lanes, lanes at the right places, paths where they lead."""

import networkx as nx
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city.network import grid, road_network
from karma_envs.rendering.roads import COLD, NOTHING, Queues, draw_lanes, draw_paths, layout

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402


def new_axis():
    return Figure(figsize=(4, 4)).subplots()


def drawn(figure):
    """The figure as an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.fixture(scope="module")
def line():
    """Two inner nodes in a row: 14 lanes."""
    return road_network(grid(1, 2), n_agents=10)


@pytest.fixture(scope="module")
def city():
    return road_network(grid(4, 4), n_agents=1000)


def test_values_land_on_their_lanes(city):
    values = np.arange(80.0)
    axis = new_axis()
    bands = draw_lanes(axis, city, values, label="number", colours=COLD)
    np.testing.assert_array_equal(bands.get_array(), values)
    assert bands.get_clim() == (0, 79)
    assert axis.figure.axes[1].get_xlabel() == "number"
    assert len(bands.get_paths()) == 80
    for (start, end), path in zip(city.lanes, bands.get_paths()):
        data = city.graph.nodes
        there = np.array([[data[node]["x"], data[node]["y"]] for node in (start, end)])
        tail, tip = path.vertices[:2].mean(axis=0), path.vertices[3]
        along = there[1] - there[0]
        assert 0 < (tail - there[0]) @ along < (tip - there[0]) @ along < 1  # between its nodes
        right = np.array([along[1], -along[0]])
        assert (path.vertices[:5] - there[0]) @ right == pytest.approx(
            [0.015, 0.165, 0.165, 0.09, 0.015]  # 0.15 wide, to the right of the middle of the road
        )


def test_nan_is_grey_and_infinite_too(line):
    values = np.full(14, 1.0)
    values[[3, 5]] = np.nan, np.inf
    bands = draw_lanes(new_axis(), line, values, label="x")
    np.testing.assert_array_equal(np.flatnonzero(bands.get_array().mask), [3, 5])
    bands.update_scalarmappable()
    grey = matplotlib.colors.to_rgba(NOTHING)
    assert [index for index, colour in enumerate(bands.get_facecolor()) if tuple(colour) == grey] == [3, 5]
    assert bands.get_clim() == (0, 1)


@pytest.mark.parametrize(
    ("values", "limits"), [(np.nan, (0, 1)), (0, (0, 1)), (-2, (-2, 0)), (3, (0, 3))], ids=str
)
def test_the_scale_begins_at_zero(line, values, limits):
    bands = draw_lanes(new_axis(), line, np.full(14, values, float), label="x")
    assert bands.get_clim() == limits


@pytest.mark.parametrize(
    ("limits", "extend"), [((0, 13), "neither"), ((1, 13), "min"), ((0, 12), "max"), ((1, 12), "both")]
)
def test_the_colour_bar_points_where_values_lie_beyond(line, limits, extend):
    bands = draw_lanes(new_axis(), line, np.arange(14), label="x", limits=limits)
    assert bands.colorbar.extend == extend


def test_pictures_differ_with_the_values(line):
    pictures = []
    for values in (np.arange(14), np.arange(14)[::-1]):
        axis = new_axis()
        draw_lanes(axis, line, values, label="x")
        pictures.append(drawn(axis.figure))
    assert not np.array_equal(*pictures)


@pytest.mark.parametrize("values", [np.zeros(13), np.zeros((14, 1)), 1.0], ids=["few", "2d", "scalar"])
def test_one_value_per_lane(line, values):
    with pytest.raises(ConfigError, match=r"values = .*allowed: 14 numbers"):
        draw_lanes(new_axis(), line, values, label="x")


def test_limits_rise(line):
    with pytest.raises(ConfigError, match=r"limits = \(2, 2\)"):
        draw_lanes(new_axis(), line, np.zeros(14), label="x", limits=(2, 2))


def ring(n_nodes, **data):
    """A ring of one-way roads without positions."""
    graph = nx.DiGraph()
    nx.add_cycle(graph, range(n_nodes), **data)
    return road_network(graph, n_agents=10, pairs=[(0, 1)])


def test_one_way_roads_lie_on_the_line_between_their_nodes():
    network = ring(5)
    places = layout(network)
    middle = (places.starts + places.ends) / 2
    expected = [(places.places[start] + places.places[end]) / 2 for start, end in network.lanes]
    np.testing.assert_allclose(middle, expected, atol=1e-12)


def test_networks_without_positions_are_laid_out_by_length():
    """On a ring of roads of equal length, nodes lie on a circle; one long road is drawn longer."""
    centred = layout(ring(6)).places - layout(ring(6)).places.mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), np.linalg.norm(centred[0]), rtol=1e-3)
    graph = nx.DiGraph()
    nx.add_path(graph, range(4), length=1.0)
    graph.edges[1, 2]["length"] = 9.0
    places = layout(road_network(graph, n_agents=10, pairs=[(0, 3)])).places
    gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    np.testing.assert_allclose(gaps[1] / gaps[[0, 2]], 3, rtol=1e-3)  # the root of 9


@pytest.mark.parametrize(
    "graph",
    [
        nx.DiGraph([(0, 1), (2, 3)]),
        nx.DiGraph([(node, node + 1) for node in range(600)]),
        nx.DiGraph([(0, 1, {"length": 0}), (1, 2, {"length": 0})]),
        nx.DiGraph([(0, 1, {"length": "far"}), (1, 2, {"length": 2})]),
    ],
    ids=["pieces", "large", "no length", "text"],
)
def test_every_network_has_a_layout(graph):
    pair = next(iter(graph.edges))
    network = road_network(graph, n_agents=10, pairs=[pair])
    first = layout(network)
    assert np.isfinite(first.places).all()
    assert len(np.unique(first.places.round(12), axis=0)) == len(graph)
    layout.cache_clear()
    np.testing.assert_array_equal(layout(network).places, first.places)


def test_dense_networks_have_neither_nodes_nor_outlines():
    network = road_network(grid(9, 9), n_agents=1000, pairs=[((-1, 0), (9, 0))])
    assert len(network.lanes) > 300
    axis = new_axis()
    bands = draw_lanes(axis, network, np.zeros(len(network.lanes)), label="x")
    assert not axis.lines
    assert len(bands.get_edgecolor()) == 0


def test_nodes_are_rings_where_trips_begin_and_dots_elsewhere(city):
    axis = new_axis()
    draw_lanes(axis, city, np.zeros(80), label="x")
    dots, rings = axis.lines
    assert len(dots.get_xdata()) == len(rings.get_xdata()) == 16
    assert rings.get_markerfacecolor() == "white"


def test_paths_lead_from_ring_to_square_through_their_lanes(city):
    path = max(city.paths, key=len)
    axis = new_axis()
    draw_paths(axis, city, [path], labels=["mine"])
    _, _, halo, line, origin, destination = axis.lines
    np.testing.assert_array_equal(halo.get_xydata(), line.get_xydata())
    assert [text.get_text() for text in axis.legend().get_texts()] == ["mine"]
    nodes = city.graph.nodes
    first, last = (nodes[node] for node in (city.lanes[path[0]][0], city.lanes[path[-1]][1]))
    assert (origin.get_marker(), destination.get_marker()) == ("o", "s")
    np.testing.assert_array_equal(origin.get_xydata()[0], [first["x"], first["y"]])
    np.testing.assert_array_equal(destination.get_xydata()[0], [last["x"], last["y"]])
    points = line.get_xydata()
    assert len(points) == 2 * len(path) + 2
    bands = layout(city).bands()
    np.testing.assert_allclose(points[1:-1:2], bands[list(path)][:, :2].mean(axis=1))  # where lanes begin
    np.testing.assert_allclose(points[2:-1:2], bands[list(path)][:, 3])  # their tips


def test_paths_in_one_lane_lie_side_by_side(city):
    path = city.paths[0]
    axis = new_axis()
    draw_paths(axis, city, [path, path])
    lines = [part.get_xydata() for part in axis.lines if not part.get_label().startswith("_")]
    gaps = np.linalg.norm(lines[1] - lines[0], axis=1)[1:-1]
    np.testing.assert_allclose(gaps, layout(city).width / 2)


@pytest.mark.parametrize("path", [(), (0, 80), (-1,)])
def test_paths_have_lanes_that_there_are(city, path):
    with pytest.raises(ConfigError, match=r"paths\[1\]"):
        draw_paths(new_axis(), city, [city.paths[0], path])


def test_dots_have_an_area_as_large_as_the_queue(line):
    axis = new_axis()
    draw_lanes(axis, line, np.zeros(14), label="x")
    queues = Queues(axis, line, full=4)
    waiting = np.array([0, 1, 4, 16, 1000, *[0] * 9])
    queues.show(waiting)
    width = layout(line).width
    (dots,) = (part for part in axis.collections if hasattr(part, "_widths"))
    np.testing.assert_allclose(2 * dots._widths[:5], width * np.array([0, 0.5, 1, 2, 2]))  # half widths
    np.testing.assert_array_equal(dots.get_offsets(), layout(line).starts)
