"""Networks from files in one line: what is written is read again, and what is there is used."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import karma_envs
from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame, named_networks
from karma_envs.games.grid_city.network import RoadNetwork, grid
from karma_envs.games.grid_city.network_files import network_files
from karma_envs.games.grid_city.tntp import COLUMNS, read_tntp, write_tntp
from karma_envs.games.grid_city.town import FOLDER, RINGS, SPOKES, town, write_town


def triangle(**data: Any) -> nx.DiGraph:
    """Two zones, and a node that trips may pass: 1 → 3 → 2 is shorter than 1 → 2."""
    graph = nx.DiGraph()
    for node in (1, 2, 3):
        graph.add_node(node, boundary=node < 3, through=True, x=0.5 * node, y=-1.0)
    for edge, capacity, length in (((1, 3), 100, 1), ((3, 2), 300, 1), ((1, 2), 200, 2.5), ((2, 1), 200, 1)):
        graph.add_edge(
            *edge, capacity=float(capacity), length=float(length), free_flow_time=length / 2, **data
        )
    return graph


def saved(folder: Path, name: str = "small", **given: Any) -> str:
    """The triangle's files; the path of the links."""
    net_path = folder / f"{name}_net.tntp"
    write_tntp(triangle(), net_path, **given)
    return str(net_path)


def nodes(network: RoadNetwork) -> list[tuple[Any, ...]]:
    return [(network.lanes[path[0]][0], *(network.lanes[lane][1] for lane in path)) for path in network.paths]


# --- writing ---------------------------------------------------------------------------------------


def same(one: nx.DiGraph, other: nx.DiGraph) -> bool:
    return list(one.nodes(data=True)) == list(other.nodes(data=True)) and {
        (start, end): data for start, end, data in one.edges(data=True)
    } == {(start, end): data for start, end, data in other.edges(data=True)}


numbers = st.one_of(st.integers(0, 10**9).map(float), st.floats(0, 1e9, allow_subnormal=False))


@st.composite
def networks(draw: st.DrawFn) -> tuple[nx.DiGraph, dict[Any, float]]:
    n = draw(st.integers(2, 6))
    n_zones, n_closed = draw(st.integers(1, n)), draw(st.integers(0, n))
    graph = nx.DiGraph()
    for node in range(1, n + 1):
        graph.add_node(
            node,
            boundary=node <= n_zones,
            through=node > n_closed,
            x=draw(st.floats(-180, 180)),
            y=draw(numbers),
        )
    pairs = list(itertools.permutations(range(1, n + 1), 2))
    columns = COLUMNS[: draw(st.integers(3, len(COLUMNS)))]
    for edge in draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True)):
        graph.add_edge(*edge, **{column: draw(numbers) for column in columns})
        graph.edges[edge]["capacity"] += 1.0
    zones = list(itertools.product(range(1, n_zones + 1), repeat=2))
    demand = draw(st.dictionaries(st.sampled_from(zones), numbers.filter(bool)))
    return graph, demand


@given(networks())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory: Any, network: tuple[nx.DiGraph, Any]) -> None:
    graph, demand = network
    folder = tmp_path_factory.mktemp("networks")
    paths = {"trips_path": folder / "a_trips.tntp", "node_path": folder / "a_node.tntp"}
    write_tntp(graph, folder / "a_net.tntp", demand=demand, **paths)
    read = read_tntp(folder / "a_net.tntp", *paths.values())
    assert same(read.graph, graph)
    assert read.demand == demand


@pytest.mark.parametrize(
    ("change", "given", "says"),
    [
        (lambda graph: graph.add_node("four"), {}, r"graph = \[1, 2, 3, 'four'\] .* nodes 1 … 4"),
        (lambda graph: graph.nodes[1].update(boundary=False), {}, "marked boundary, before all others"),
        (lambda graph: graph.nodes[3].update(through=False), {}, "through = False before all others"),
        (lambda graph: graph.edges[1, 2].pop("length"), {}, "edge 1 → 2 .* first three or more"),
        (lambda graph: graph.edges[1, 2].update(toll=1), {}, "edge 1 → 2 .* first three or more"),
        (lambda graph: graph.nodes[2].pop("x"), {"node_path": "n"}, "graph = 2 .* x and y"),
        (lambda graph: None, {"demand": {(1, 2): 1.0}}, "trips_path = None .* a path with demand"),
        (lambda graph: None, {"trips_path": "t"}, "trips_path = 't' .* None without"),
        (lambda graph: None, {"trips_path": "t", "demand": {(1, 9): 1.0}}, r"demand = \(1, 9\)"),
        (lambda graph: None, {"trips_path": "t", "demand": {(1, 3): 1.0}}, r"demand = \(1, 3\) .*of zones"),
        (
            lambda graph: None,
            {"trips_path": "t", "demand": {(1, 2): float("nan")}},
            r"demand\[\(1, 2\)\] = nan",
        ),
        (lambda graph: graph.nodes[2].update(boundary="perhaps"), {}, "node 2: boundary = 'perhaps'"),
        (lambda graph: graph.add_edge(2, 2, **graph.edges[1, 2]), {}, r"graph = \(2, 2\) .*two different"),
        (lambda graph: graph.edges[1, 2].update(capacity=float("inf")), {}, "edge 1 → 2: capacity = inf"),
        (lambda graph: graph.edges[1, 2].update(capacity=0), {}, "edge 1 → 2: capacity = 0 .*positive"),
        (lambda graph: graph.edges[1, 2].update(b=1, power="4th"), {}, "edge 1 → 2: power = '4th' .*finite"),
        (lambda graph: graph.add_nodes_from(range(4, 42)), {}, "graph = '41 nodes' .*at most 10 for each"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path: Path, change: Any, given: Any, says: str) -> None:
    graph = triangle()
    change(graph)
    with pytest.raises(ConfigError, match=says):
        write_tntp(graph, tmp_path / "a_net.tntp", **given)
    assert not list(tmp_path.iterdir())


def test_text_is_written_as_what_it_says(tmp_path: Path) -> None:
    graph = triangle()
    for _, data in graph.nodes(data=True):
        data |= {name: str(value) for name, value in data.items()}
    for _, _, data in graph.edges(data=True):
        data |= {name: str(value) for name, value in data.items()}
    write_tntp(graph, tmp_path / "a_net.tntp", node_path=tmp_path / "a_node.tntp")
    assert same(read_tntp(tmp_path / "a_net.tntp", None, tmp_path / "a_node.tntp").graph, triangle())


# --- the town --------------------------------------------------------------------------------------


def test_the_town_that_comes_with_the_package_is_the_one_that_is_made(tmp_path: Path) -> None:
    write_town(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in FOLDER.iterdir()}
    assert len(made) == 3


def test_the_town_is_rings_and_radial_roads() -> None:
    roads = town()
    graph = roads.graph
    assert len(graph) == 1 + len(RINGS) * SPOKES
    assert graph.number_of_edges() == 4 * len(RINGS) * SPOKES
    degrees = sorted(degree for _, degree in graph.out_degree())
    assert degrees == [3] * SPOKES + [4] * 2 * SPOKES + [SPOKES]  # outer ring, inner rings, centre
    (centre,) = (node for node, degree in graph.out_degree() if degree == SPOKES)
    assert graph.nodes[centre]["boundary"]
    assert (graph.nodes[centre]["x"], graph.nodes[centre]["y"]) == (0, 0)
    radial = [graph.edges[centre, node]["capacity"] for node in graph[centre]]
    inner_ring = set(graph[centre])
    rings = [graph.edges[a, b]["capacity"] for a, b in graph.edges if {a, b} <= inner_ring]
    assert max(radial) < min(rings)
    ways = list(nx.all_shortest_paths(graph, 1, 5, weight="free_flow_time"))
    assert len(ways) == 7  # to the other side: two ways around on each ring, and one through the centre
    assert sum(centre in way for way in ways) == 1
    assert roads.demand is not None
    assert sum(roads.demand.values()) == pytest.approx(10_000, abs=156 * 0.05)
    assert roads.demand[1, 2] > roads.demand[1, 5]
    assert roads.demand[1, 2] == pytest.approx(roads.demand[2, 1])


def test_the_game_in_the_town() -> None:
    game = karma_envs.make("grid_city", "town")
    assert (len(game.network.lanes), game.network.longest) == (96, 8)
    assert (game.network.capacity >= 1).all()
    assert 0.75 * 1000 / 96 <= game.network.capacity.mean() < 0.75 * 1000 / 96 + 1
    assert game.network.positions is not None
    with pytest.warns(UserWarning, match="route_choice = 'node', but only 0 of 12 trips"):
        game = karma_envs.make("grid_city", "town", n_agents=6, route_choice="node")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_game(game)


# --- files -----------------------------------------------------------------------------------------


def test_links_alone(tmp_path: Path) -> None:
    network = GridCityGame(network=saved(tmp_path), n_agents=64).network
    assert nodes(network) == [(1, 3, 2), (2, 1)]
    assert network.weights.tolist() == [0.5, 0.5]
    # 0.75 · 64 / 4 = 12 in the mean; in proportion to 100, 300, 200, 200.
    capacity = dict(zip(network.lanes, network.capacity.tolist()))
    assert capacity == {(1, 3): 6, (3, 2): 18, (1, 2): 12, (2, 1): 12}
    assert network.positions is None


def test_files_beside_are_read(tmp_path: Path) -> None:
    demand = {(1, 2): 3.0, (2, 1): 1.0}
    beside = {"trips_path": tmp_path / "small_trips.tntp", "node_path": tmp_path / "small_node.tntp"}
    network = GridCityGame(network=saved(tmp_path, demand=demand, **beside), n_agents=3).network
    assert network.weights.tolist() == [0.75, 0.25]
    assert network.positions == {1: (0.5, -1), 2: (1, -1), 3: (1.5, -1)}
    assert network.capacity.tolist() == [1, 1, 1, 1]  # of .28 … .84, rounded up


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*paths: Any) -> Any:
        calls.append(paths)
        return read_tntp(*paths)

    monkeypatch.setattr(named_networks, "read_tntp", counted)
    GridCityGame(network=saved(tmp_path), n_agents=3)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("drop", "paths", "capacity"),
    [
        ((), {("a", "b", "c")}, [6, 18, 12, 12]),
        (("length",), {("a", "c")}, [6, 18, 12, 12]),
        (("capacity",), {("a", "b", "c")}, [12] * 4),
        (("capacity", "length"), {("a", "c")}, [12] * 4),
    ],
)
def test_graphml(tmp_path: Path, drop: Any, paths: Any, capacity: list[int]) -> None:
    graph = nx.relabel_nodes(triangle(), {1: "a", 2: "c", 3: "b"})
    for _, _, data in graph.edges(data=True):
        for name in drop:
            del data[name]
    nx.write_graphml(graph, tmp_path / "small.graphml")
    game = GridCityGame(network=str(tmp_path / "small.graphml"), n_agents=64)
    assert set(nodes(game.network)) == {*paths, ("c", "a")}
    of_lane = dict(zip(game.network.lanes, game.network.capacity.tolist()))
    assert [of_lane[lane] for lane in (("a", "b"), ("b", "c"), ("a", "c"), ("c", "a"))] == capacity


def test_graphml_with_a_capacity_for_some_lanes_is_refused(tmp_path: Path) -> None:
    graph = grid(2, 2)
    graph.edges[(0, 0), (0, 1)]["capacity"] = 3
    nx.write_graphml(nx.convert_node_labels_to_integers(graph), tmp_path / "some.graphml")
    with pytest.raises(ConfigError, match=r"edge .* has no 'capacity'"):
        GridCityGame(network=str(tmp_path / "some.graphml"))


@pytest.mark.parametrize("name", ["gone_net.tntp", "gone.graphml"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"network = .*{name}.* a file that is there"):
        GridCityGame(network=str(tmp_path / name))


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad_net.tntp").write_text("no metadata\n")
    with pytest.raises(ConfigError, match=r"bad_net\.tntp:1 = 'no metadata'"):
        GridCityGame(network=str(tmp_path / "bad_net.tntp"))
    with pytest.raises(ConfigError, match=r"rows = 3 .* its default where network is not grid"):
        GridCityGame(network="town", rows=3)
    with pytest.raises(ConfigError, match=r"network = 'roads\.csv' .* _net\.tntp or \.graphml"):
        GridCityGame(network="roads.csv")


@pytest.mark.parametrize("choice", ["none", "node"])
def test_play_on_files(tmp_path: Path, choice: str) -> None:
    check_game(GridCityGame(network=saved(tmp_path), n_agents=6, route_choice=choice, k_shortest=2))


@pytest.mark.parametrize("network", ["grid", "town", "module:function", len])
def test_networks_that_are_no_files_of_the_users(network: Any) -> None:
    assert network_files(network) == ()


def test_the_files_of_a_network(tmp_path: Path) -> None:
    """Published names differ in capitals, and some have nodes in the plural."""
    net, trips, nodes_file = (tmp_path / f"City_{kind}.tntp" for kind in ("Net", "Trips", "Nodes"))
    write_tntp(triangle(), net, demand={(1, 2): 1.0}, trips_path=trips, node_path=nodes_file)
    write_tntp(triangle(), tmp_path / "Cit_net.tntp", node_path=tmp_path / "City_x_node.tntp")
    assert network_files(str(net)) == (net, trips, nodes_file)
    network = GridCityGame(network=str(net), n_agents=3).network
    assert len(network.paths) == 1
    assert network.positions is not None
    trips.unlink()
    assert network_files(str(net)) == (net, nodes_file)
    assert network_files(str(tmp_path / "Cit_net.tntp")) == (tmp_path / "Cit_net.tntp",)
    (tmp_path / "City_node.tntp").write_bytes(nodes_file.read_bytes())
    with pytest.raises(ConfigError, match=r"one file of node beside it; .*City_Nodes\.tntp, City_node\.tntp"):
        network_files(str(net))
    with pytest.raises(ConfigError, match=r"network = .*gone\.GraphML.* a file that is there"):
        network_files("gone.GraphML")
